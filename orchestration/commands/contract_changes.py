"""Changes of contracts on the terminal, and as JSON."""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from transforms.contracts.diff import Change, Comparison, Impact, VersionFault

_STYLES = {Impact.BREAKING: "bold red", Impact.COMPATIBLE: "green", Impact.COSMETIC: "dim"}
# Without a terminal nothing is folded, so that a file:line stays in one piece.
_LAST_COLUMN = 10_000


def print_changes(found: Comparison) -> None:
    """Print a table per contract, then what it means for versions and for the next load."""
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _LAST_COLUMN
    for (kind, name), changes in groupby(found.changes, key=lambda change: (change.kind, change.contract)):
        console.print(_table(f"{name} ({kind})", sorted(changes, key=_by_weight)))
        console.print()
    for fault in found.version_faults:
        console.print(_clean(f"{_place(fault)}: {fault.message}"), style="yellow", soft_wrap=True)
    if found.gated_anew:
        names = ", ".join(found.gated_anew)
        console.print(_clean(f"The next load gates all landed files anew: {names}."), soft_wrap=True)
    if found.undecided_loads:
        names = ", ".join(found.undecided_loads)
        text = f"Whether landed files are gated anew cannot be told, a contract has a fault: {names}."
        console.print(_clean(text), soft_wrap=True)
    console.print(_summary(found), soft_wrap=True)


def as_text(found: Comparison) -> str:
    """The same as JSON: changes, version_faults, gated_anew, undecided_loads, breaking."""
    return json.dumps(as_document(found), ensure_ascii=False, indent=2)


def as_document(found: Comparison) -> dict[str, Any]:
    """The same for programs."""
    return {
        "breaking": found.is_breaking,
        "changes": [_as_dict(change) for change in found.changes],
        "version_faults": [
            {"contract": f.contract, "kind": f.kind, "message": f.message, "file": str(f.file), "line": f.line}
            for f in found.version_faults
        ],
        "gated_anew": list(found.gated_anew),
        "undecided_loads": list(found.undecided_loads),
    }


def _as_dict(change: Change) -> dict[str, Any]:
    return {
        "contract": change.contract,
        "kind": change.kind,
        "subject": change.subject,
        "impact": change.impact,
        "alarm": change.alarm,
        "message": change.message,
        "effect": change.effect,
        "file": str(change.file),
        "line": change.line,
    }


def _table(title: str, changes: list[Change]) -> Table:
    table = Table(title=_clean(title), title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("impact", no_wrap=True)
    table.add_column("change, what it does, where it stands", overflow="fold")
    for change in changes:
        said = f"{change.subject}: {change.message}" if change.subject else change.message
        text = Text(_clean(said))
        if change.effect:
            text.append("\n" + _clean(change.effect), style="bold red" if change.alarm else "dim")
        text.append("\n" + _clean(_place(change)), style="dim")
        style = "bold white on red" if change.alarm else _STYLES[change.impact]
        table.add_row(Text(change.impact + (" !" if change.alarm else ""), style=style), text)
    return table


def _by_weight(change: Change) -> tuple[bool, int]:
    return not change.alarm, list(Impact).index(change.impact)


def _place(found: Change | VersionFault) -> str:
    here = Path.cwd()
    file = found.file.relative_to(here) if found.file.is_relative_to(here) else found.file
    return f"{file}:{found.line}"


def _summary(found: Comparison) -> str:
    if not found.changes:
        return "No contract changed." if not found.version_faults else "No contract changed but in its version."
    counts = [f"{sum(change.impact is impact for change in found.changes)} {impact}" for impact in Impact]
    return f"{len(found.changes)} changes: {', '.join(counts)}."


def _clean(text: str) -> str:
    """A contract is foreign text: no control character of it reaches the terminal."""
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "�", text)
