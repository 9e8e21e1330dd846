"""Date patterns: contracts speak JDK DateTimeFormatter, DuckDB speaks strptime."""

from __future__ import annotations

import re

_LETTERS = {
    "yyyy": "%Y", "uuuu": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m",
    "dd": "%d", "d": "%d", "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "m": "%M",
    "ss": "%S", "s": "%S", "SSSSSS": "%f", "SSS": "%g", "a": "%p", "EEE": "%a", "EEEE": "%A",
    "XXX": "%z", "XX": "%z", "X": "%z", "Z": "%z", "DDD": "%j",
}  # fmt: skip
# strptime takes 25 for the year 25 and, whatever the pattern, "infinity" for 1900: texts have to look like the pattern.
_SHAPES = {
    "%Y": r"\d{4}", "%y": r"\d{2}", "%f": r"\d{1,6}", "%g": r"\d{1,3}", "%j": r"\d{1,3}",
    "%z": r"([+-](0\d|1[0-4])(:?[0-5]\d)?|Z)", "%%": "%",
    **dict.fromkeys(("%B", "%b", "%p", "%a", "%A"), r"[A-Za-z]+"),
    **dict.fromkeys(("%m", "%d", "%H", "%I", "%M", "%S"), r"\d{1,2}"),
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


def shape(strptime_format: str) -> str:
    """Regular expression of the texts that a ``strptime`` format stands for, spaces around them allowed."""
    parts = re.findall(r"%.|[^%]+", strptime_format, flags=re.DOTALL)
    return r"\s*" + "".join(_SHAPES.get(part) or re.escape(part) for part in parts) + r"\s*"
