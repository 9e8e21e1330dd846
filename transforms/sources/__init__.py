"""Readers that bring bytes to the landing folder."""
