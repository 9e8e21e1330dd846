"""YAML read quickly: by the reader written in C where PyYAML was built with it, with the messages of the other."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> Any:
    """The content of a text.

    :raises yaml.YAMLError: if it is no YAML.
    """
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one
    except yaml.YAMLError:
        # The slower reader says better what is wrong, and where.
        return yaml.safe_load(text)


def compose_yaml(text: str) -> Any:
    """The nodes of a text, which know their lines.

    :raises yaml.YAMLError: if it is no YAML.
    """
    try:
        return yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)
