"""What people have decided: pairs that are one customer whatever the rules say, and pairs that never are.

A CSV file, one decision per line, whose place is the setting ``identity_overrides``::

    action,left,right,author,reason,date,expires
    never_link,crm:1001,crm:1002,j.doe,twins; both called,2025-03-01,
    always_link,crm:1001,email:anna@example.com,j.doe,confirmed on the phone,2025-03-02,2025-12-31

A side is a source record (``source:key``, as ``record_id`` in the marts), an identifier as a source writes it
(``email:anna@example.com``) or by its key (``key:`` and the ``identifier_key`` of ``customer_identifiers``), which is
no personal data. ``never_link`` comes before ``always_link``, and both before the policy. What contradicts is reported
and not applied. A line that is gone is undone by the next run.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Action = Literal["always_link", "never_link"]
COLUMNS = ("action", "left", "right", "author", "reason", "date", "expires")
KEY = "key"


class OverrideError(ValueError):
    """The file of overrides has faults; the message names each with its line, and what to write instead."""


@dataclass(frozen=True)
class Side:
    """What a side of a decision names: ``kind`` is a type of identifier, ``key`` or ``record``."""

    kind: str
    value: str

    @property
    def text(self) -> str:
        """As the file has it."""
        return self.value if self.kind == "record" else f"{self.kind}:{self.value}"


@dataclass(frozen=True)
class Override:
    """One decision; ``line`` is its line in the file."""

    line: int
    action: Action
    left: Side
    right: Side
    author: str
    reason: str
    date: dt.date
    expires: dt.date | None


@dataclass(frozen=True)
class Verdict:
    """What became of a decision: applied, or why not."""

    override: Override
    status: Literal["applied", "expired", "contradiction", "not found", "not applicable", "refused"]
    detail: str | None = None


def read_overrides(path: Path, kinds: Sequence[str]) -> tuple[Override, ...]:
    """Read a file of overrides; no file means no overrides.

    :param kinds: types of identifiers.
    :raises OverrideError: naming every fault.
    """
    if not path.exists():
        return ()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OverrideError(f"{path}: not UTF-8 (byte {error.start}): save it as CSV UTF-8") from error
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    found: list[Override] = []
    faults: list[str] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells) or cells[0].startswith("#"):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if missing := [name for name in COLUMNS[:-1] if name not in header]:
                    raise OverrideError(
                        f"{path}:{line}: no column {', '.join(missing)}; the first line must be {','.join(COLUMNS)}"
                    )
                if unknown := [name for name in header if name not in COLUMNS]:
                    raise OverrideError(f"{path}:{line}: unknown column {', '.join(unknown)}; there are {COLUMNS}")
                continue
            if len(cells) != len(header):
                faults.append(
                    f"{path}:{line}: {len(cells)} cells under {len(header)} columns; put a text with a comma in quotes"
                )
                continue
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            try:
                found.append(_override(line, row, kinds))
            except ValueError as error:
                faults.append(f"{path}:{line}: {error}")
    except csv.Error as error:
        faults.append(f"{path}:{reader.line_num}: {error}; a quote is probably not closed")
    if faults:
        raise OverrideError("\n".join(faults))
    return tuple(found)


def _override(line: int, row: Mapping[str, str], kinds: Sequence[str]) -> Override:
    if row["action"] not in get_args(Action):
        raise ValueError(f"action {row['action']!r} is unknown; write {' or '.join(get_args(Action))}")
    for name in ("author", "reason"):
        if not row[name]:
            raise ValueError(f"{name} is empty; every decision says who took it and why")
    left, right = (_side(name, row[name], kinds) for name in ("left", "right"))
    if left == right:
        raise ValueError(f"left and right are both {left.text!r}; name two records or identifiers")
    return Override(
        line=line,
        action="always_link" if row["action"] == "always_link" else "never_link",
        left=left,
        right=right,
        author=row["author"],
        reason=row["reason"],
        date=_day("date", row["date"]),
        expires=_day("expires", row["expires"]) if row.get("expires") else None,
    )


def _side(column: str, text: str, kinds: Sequence[str]) -> Side:
    kind, colon, value = text.partition(":")
    if not colon or not kind or not value:
        raise ValueError(
            f"{column} {text!r} names nothing; write a record as source:key, an identifier as {kinds[0]}:value"
            f" (types: {', '.join(kinds)}) or {KEY}:identifier_key"
        )
    return Side(kind, value) if kind in (*kinds, KEY) else Side("record", text)


def _day(column: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{column} {text!r} is no day; write it as 2025-03-31") from None


def weigh(
    overrides: Iterable[Override], as_of: dt.date, find: Callable[[Side], Hashable | str | None]
) -> tuple[list[tuple[Override, Hashable, Hashable]], list[Verdict]]:
    """Which decisions hold on a day, with what their sides stand for; and why the others do not.

    :param find: what a side stands for in the data: nothing (None), a text that says why it cannot be used, or
        anything that is equal for equal things.
    """
    verdicts: list[Verdict] = []
    candidates: list[tuple[Override, Hashable, Hashable]] = []
    for override in overrides:
        if override.expires and override.expires < as_of:
            verdicts.append(Verdict(override, "expired", f"held until {override.expires}"))
            continue
        sides = [(side, find(side)) for side in (override.left, override.right)]
        if lacking := [side.text for side, thing in sides if thing is None]:
            verdicts.append(Verdict(override, "not found", f"no record of today holds {' or '.join(lacking)}"))
            continue
        (_, left), (_, right) = sides
        if useless := [thing for _, thing in sides if isinstance(thing, str)]:
            verdicts.append(Verdict(override, "not applicable", "; ".join(useless)))
        elif left == right and override.action == "never_link":
            text = "both are one source's records with exactly the same identifiers, which cannot be told apart"
            verdicts.append(Verdict(override, "not applicable", text))
        else:
            candidates.append((override, left, right))
    against = _contradictions(candidates)
    for override, _, _ in candidates:
        if lines := sorted(against.get(override.line, ())):
            said = ", ".join(map(str, lines))
            verdicts.append(Verdict(override, "contradiction", f"line {override.line} contradicts line {said}"))
    return [held for held in candidates if held[0].line not in against], verdicts


def _contradictions(candidates: Sequence[tuple[Override, Hashable, Hashable]]) -> dict[int, set[int]]:
    """Lines that contradict others: a never_link whose sides a chain of always_links joins, and that chain."""
    joined: dict[Hashable, list[tuple[Hashable, int]]] = {}
    for override, left, right in candidates:
        if override.action == "always_link":
            joined.setdefault(left, []).append((right, override.line))
            joined.setdefault(right, []).append((left, override.line))
    against: dict[int, set[int]] = {}
    for override, left, right in candidates:
        if override.action == "never_link" and (chain := _chain(joined, left, right)):
            against.setdefault(override.line, set()).update(chain)
            for line in chain:
                against.setdefault(line, set()).add(override.line)
    return against


def _chain(joined: Mapping[Hashable, list[tuple[Hashable, int]]], start: Hashable, goal: Hashable) -> list[int]:
    """Lines of the shortest chain from one thing to another; empty where there is none."""
    came: dict[Hashable, tuple[Hashable, int] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        thing = waiting.popleft()
        if thing == goal:
            lines: list[int] = []
            while step := came[thing]:
                thing, line = step
                lines.append(line)
            return lines
        for onward, line in joined.get(thing, ()):
            if onward not in came:
                came[onward] = (thing, line)
                waiting.append(onward)
    return []
