"""Which names a pattern stands for: the same glob for folders and for object stores."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

_MAGIC = re.compile(r"[*?\[]")
# As writers mark what is not theirs to show yet: rsync and editors by a dot, Spark and Delta by an underscore.
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload")


def split_pattern(pattern: str) -> tuple[str, str]:
    """The folder that a pattern begins with, and the rest that has to be matched.

    Names are relative to the first part. It ends before the first component with ``*``, ``?`` or ``[``, and before a
    partition such as ``year=2024``, so that names keep their partitions.
    """
    parts = pattern.split("/")
    fixed = next((n for n, part in enumerate(parts) if _MAGIC.search(part) or "=" in part), len(parts) - 1)
    fixed = min(fixed, len(parts) - 1)
    base = "/".join(parts[:fixed])
    return base or ("/" if pattern.startswith("/") else ""), "/".join(parts[fixed:])


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a name with slashes matches: ``*``, ``?``, ``[a-z]``, ``[!a]`` within a component, ``**`` across them.

    What is still being written or not meant for readers does not match: names that begin with a dot or end in
    ``.tmp``, ``.part``, ``.partial``, ``.crdownload``, and all below a folder that begins with a dot or underscore
    (a partition such as ``_year=2024`` apart), unless the pattern names that folder.
    """
    regex = _compiled(pattern)
    named = set(pattern.split("/"))

    def matches(name: str) -> bool:
        *folders, last = name.split("/")
        hidden = any(is_hidden_folder(folder) and folder not in named for folder in folders)
        return not hidden and not is_unfinished(last) and regex.fullmatch(name) is not None

    return matches


def is_hidden_folder(name: str) -> bool:
    """Whether a folder is a writer's own, such as ``.git``, ``_temporary`` or ``_delta_log``."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def is_unfinished(name: str) -> bool:
    """Whether a file is still being written by somebody, as its name says."""
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)


def depth(pattern: str) -> int | None:
    """Number of components that a matching name has; None where ``**`` stands for any number."""
    parts = pattern.split("/")
    return None if "**" in parts else len(parts)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = pattern.split("/")
    text = ""
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        if part == "**":
            text += ".*" if last else "(?:.*/)?"
        else:
            text += _component(part) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def _component(part: str) -> str:
    text, position = "", 0
    while position < len(part):
        letter = part[position]
        position += 1
        if letter == "*":
            # A run of stars is one: several would make the search exponential.
            if not text.endswith("[^/]*"):
                text += "[^/]*"
        elif letter == "?":
            text += "[^/]"
        elif letter == "[":
            end = part.find("]", position + (2 if part[position : position + 1] == "!" else 1))
            if end < 0:
                text += re.escape(letter)
                continue
            inner = part[position:end].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            negated = inner.startswith("!")
            text += f"(?!/)[{'^' if negated else ''}{inner[1:] if negated else inner.replace('^', chr(92) + '^', 1)}]"
            position = end + 1
        else:
            text += re.escape(letter)
    return text
