"""What all pages of the platform share: how they are made, and their look. They need no network and run no script."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(templates: Path) -> Environment:
    """Templates of a folder, beside those of this one.

    What a page shows is foreign text: every value is escaped, and a name that a page does not know is a fault.
    """
    return Environment(
        loader=FileSystemLoader([templates, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
