"""How the writer of a JSON-lines file spells its lines: told from the first ones, so that most others need no parsing.

A line that is the same text when it is put together again from its values has just these keys, each once. That costs
a third of asking a parser for the keys of each line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from transforms.sql import literal

_DECODER = json.JSONDecoder()
_SPACE = " \t"
# So many lines tell which columns are texts and which may be null; a guess that is wrong costs time, nothing else.
_SAMPLE = 100


@dataclass(frozen=True)
class Spelling:
    """``pieces`` is the text before each key's value, and last the text after all values."""

    keys: tuple[str, ...]
    pieces: tuple[str, ...]
    quoted: frozenset[str]
    nullable: frozenset[str]
    numbers: frozenset[str]

    def is_followed(self, line: str, values: Sequence[str]) -> str:
        """SQL that is true where ``line`` is spelt in this way; ``values`` is SQL for the values in the keys' order."""
        text, parts, finite = "", [], []
        for key, piece, value in zip(self.keys, self.pieces, values, strict=False):
            text += piece
            if key in self.nullable:
                quote = '"' if key in self.quoted else ""
                parts += [
                    f"CASE WHEN {value} IS NULL THEN {literal(text + 'null')} ELSE {literal(text + quote)} END",
                    value,
                ]
                # What is null is not quoted, and ``concat`` leaves it out.
                parts += [f"CASE WHEN {value} IS NULL THEN '' ELSE '\"' END"] if quote else []
                text = ""
            else:
                quote = '"' if key in self.quoted else ""
                parts += [literal(text + quote), value]
                text = quote
            # nan, NaN, inf, Infinity: DuckDB's parser takes these for numbers, the standard does not.
            if key in self.numbers:
                # A digit comes first, or behind the sign; before the digits there are no letters.
                begin = f"{value} < '-:' OR ({value} >= '0' AND {value} < ':')"
                finite.append(f"coalesce({begin}, true)")
            elif key not in self.quoted:
                finite.append(f"coalesce(NOT contains({value}, 'n') AND NOT contains({value}, 'N'), true)")
        parts.append(literal(text + self.pieces[-1]))
        same = f"concat({', '.join(parts)}) = {line}"
        return f"coalesce({' AND '.join([same, *finite])}, false)"


def spelling_of(lines: Iterable[bytes]) -> Spelling | None:
    """Spelling of the first of some lines; None where they are no objects of the same keys."""
    try:
        texts = [line.decode("utf-8-sig").rstrip("\r\n") for line in islice(lines, _SAMPLE)]
        records = [json.loads(text) for text in texts if text]
        keys, pieces = _pieces(texts[0])
    except (ValueError, IndexError, RecursionError):
        return None
    if any(not isinstance(record, dict) or tuple(record) != keys for record in records):
        return None
    kinds = {key: {type(record[key]) for record in records} for key in keys}
    quoted = frozenset(key for key, found in kinds.items() if found <= {str, type(None)})
    nullable = frozenset(key for key, found in kinds.items() if type(None) in found)
    numbers = frozenset(key for key, found in kinds.items() if found <= {int, float, type(None)}) - quoted
    return Spelling(keys, pieces, quoted, nullable, numbers)


def _pieces(line: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys of an object, and the texts around their values.

    Raises:
        ValueError: not one object with keys.
        IndexError: the text ends within the object.
    """
    keys, pieces, begin = [], [], 0
    place = _expect("{", line, _blank(line, 0))
    while True:
        key, place = _DECODER.raw_decode(line, _blank(line, place))
        place = _blank(line, _expect(":", line, _blank(line, place)))
        keys.append(key)
        pieces.append(line[begin:place])
        _, begin = _DECODER.raw_decode(line, place)
        place = _blank(line, begin)
        if line[place] != ",":
            break
        place += 1
    if _blank(line, _expect("}", line, place)) != len(line) or len(set(keys)) != len(keys):
        raise ValueError("not one object")
    return tuple(keys), (*pieces, line[begin:])


def _blank(line: str, place: int) -> int:
    while line[place : place + 1] and line[place] in _SPACE:
        place += 1
    return place


def _expect(character: str, line: str, place: int) -> int:
    if line[place] != character:
        raise ValueError(f"{character} expected")
    return place + 1
