"""Date patterns: contracts speak JDK DateTimeFormatter, DuckDB speaks strptime."""

from __future__ import annotations

import re

_LETTERS = {
    "yyyy": "%Y", "uuuu": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m",
    "dd": "%d", "d": "%d", "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "m": "%M",
    "ss": "%S", "s": "%S", "SSSSSS": "%f", "SSS": "%g", "a": "%p", "EEE": "%a", "EEEE": "%A",
    "XXX": "%z", "XX": "%z", "X": "%z", "Z": "%z", "DDD": "%j",
}  # fmt: skip
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def to_strptime(pattern: str) -> str:
    """Translate a JDK pattern such as ``dd.MM.yyyy HH:mm:ss`` to ``%d.%m.%Y %H:%M:%S``.

    Raises:
        ValueError: the pattern has a letter that DuckDB has no counterpart for.
    """
    result = []
    position = 0
    for match in _TOKEN.finditer(pattern):
        if match.start() != position:
            break
        position = match.end()
        token = match.group(0)
        if match.group(1) is not None:
            result.append((match.group(1).replace("''", "'") or "'").replace("%", "%%"))
        elif match.group(2):
            if token not in _LETTERS:
                raise ValueError(f"'{token}' in the pattern '{pattern}' is not supported")
            result.append(_LETTERS[token])
        else:
            result.append(token.replace("%", "%%"))
    if position != len(pattern):
        raise ValueError(f"the pattern '{pattern}' has an open quote")
    return "".join(result)
