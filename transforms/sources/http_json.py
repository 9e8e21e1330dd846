"""JSON as the provider wrote it: no digit lost, no repeated key hidden."""

from __future__ import annotations

import json
from typing import Any

import orjson


class _Repeated(dict[str, Any]):
    """An object with a key twice: it reads like the last of them and is written with all."""

    pairs: list[tuple[str, Any]]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) == len(pairs):
        return unique
    repeated = _Repeated(unique)
    repeated.pairs = pairs
    return repeated


# Numbers with a point, and NaN, stay the text that they are: a float would round 12345678901234567.89.
_DECODER = json.JSONDecoder(parse_float=orjson.Fragment, parse_constant=orjson.Fragment, object_pairs_hook=_object)


def decode(body: bytes, charset: str = "utf-8") -> Any:
    """Parse a JSON document; numbers with a point or an exponent become opaque, see :func:`scalar_text`.

    Raises:
        ValueError: it is not JSON, or not in this charset.
        RecursionError: nested too deeply.
    """
    text = body.decode("utf-8-sig" if charset.lower().replace("-", "") == "utf8" else charset)
    return _DECODER.decode(text)


def encode(record: Any) -> bytes:
    """One line of compact JSON with all digits and repeated keys, without the line's end."""
    try:
        return orjson.dumps(record, option=orjson.OPT_PASSTHROUGH_SUBCLASS)
    except TypeError:
        # Repeated keys, whole numbers beyond 64 bits, half surrogates, depths beyond 254.
        return _written_out(record).encode()


def _written_out(value: Any) -> str:
    if isinstance(value, dict):
        pairs = value.pairs if isinstance(value, _Repeated) else value.items()
        return "{" + ",".join(f"{json.dumps(key)}:{_written_out(item)}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written_out, value)) + "]"
    return orjson.dumps(value).decode() if isinstance(value, orjson.Fragment) else json.dumps(value)


def scalar_text(value: Any) -> str | None:
    """A text or number as text, digit by digit; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value).decode() if isinstance(value, orjson.Fragment) else None


def follow(document: Any, path: tuple[str, ...]) -> Any:
    """What lies at a path of keys.

    Raises:
        KeyError: nothing does.
    """
    for key in path:
        if not isinstance(document, dict):
            raise KeyError(key)
        document = document[key]
    return document
