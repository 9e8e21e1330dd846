"""Contracts as pages for people: plain HTML files that need no network."""

from transforms.contracts.pages.write import write_pages

__all__ = ["write_pages"]
