"""Quarantine as a workflow: what waits there and why, and how it comes out."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from transforms.contracts import SourceContract
from transforms.lake.generations import shown
from transforms.lake.landing import LandedFile, received_files
from transforms.lake.load import Clock, LoadReport, load_source, utc_now
from transforms.lake.records import QUARANTINE, RECORD
from transforms.lake.releases import WAIVABLE, write_release
from transforms.settings import Settings
from transforms.sql import identifier, literal, scratch_connection


class ReleaseError(ValueError):
    """The rows cannot be let through; the message says why and what can be done instead."""


@dataclass(frozen=True)
class Waiting:
    """Records of one source that wait for the same reasons; ``example`` is one of them as (file, row)."""

    source: str
    stage: str
    reasons: str
    rows: int
    files: int
    oldest: dt.datetime
    example: tuple[str, int]


@dataclass(frozen=True)
class QuarantinedRecord:
    """One record in quarantine; ``raw`` is what came, personal data included."""

    file: str
    row: int
    stage: str
    reasons: str
    raw: str | None


@dataclass(frozen=True)
class ReleaseReport:
    """What a release did: rows in quarantine by reason before and after it, and the load that it needed."""

    before: dict[str, int]
    after: dict[str, int]
    accepted_before: int
    accepted_after: int
    load: LoadReport = field(repr=False)

    @property
    def came_out(self) -> int:
        """Rows that left quarantine."""
        return sum(self.before.values()) - sum(self.after.values())


def list_quarantine(settings: Settings, contract: SourceContract) -> list[Waiting]:
    """What waits of a source, the most frequent first."""
    return [
        Waiting(contract.name, *values[:5], example=(values[5]["f"], values[5]["r"]))
        for values in _query(
            settings,
            contract,
            "SELECT stage, reasons, count(*), count(DISTINCT _file), min(_loaded_at),"
            " min(struct_pack(f := _file, r := _row)) FROM quarantine GROUP BY stage, reasons ORDER BY 3 DESC, 2",
        )
    ]


def show_quarantine(
    settings: Settings, contract: SourceContract, file: str | None = None, reason: str | None = None, limit: int = 20
) -> list[QuarantinedRecord]:
    """Records of a source in quarantine, in the order of files and rows, as they came."""
    rows = _query(
        settings,
        contract,
        "SELECT _file, _row, stage, reasons, raw FROM quarantine"
        " WHERE ($file IS NULL OR _file = $file)"
        " AND ($reason IS NULL OR list_contains(string_split(reasons, '; '), $reason))"
        " ORDER BY _file, _row LIMIT $limit",
        file=file,
        reason=reason,
        limit=limit,
    )
    return [QuarantinedRecord(*row) for row in rows]


def release(
    settings: Settings,
    contract: SourceContract,
    reason: str | None = None,
    released_by: str | None = None,
    file: str | None = None,
    rows: Sequence[int] = (),
    rule: str | None = None,
    clock: Clock = utc_now,
    progress: Callable[[str], None] | None = None,
) -> ReleaseReport:
    """Let rows out of quarantine and load the source anew.

    Nothing new is pulled. Without ``file`` and ``rule`` nobody is exempted: what waits is replayed under the contract
    as it now stands. With ``rows`` of a ``file``, or a ``rule`` such as ``pattern:email`` (of one file or of all),
    those rows are kept although they break it; with a ``file`` alone, a held file goes on without its bad rows. Such
    exemptions are written down with ``reason`` and ``released_by`` and hold for all later loads.

    Raises:
        ReleaseError: no such file or row in quarantine, a rule that cannot be waived, no reason or name given.
    """
    before, accepted_before = _standing(settings, contract)
    if file is not None or rule is not None:
        if not (reason and released_by):
            raise ReleaseError("an exemption needs a reason and the name of who grants it")
        for landed, numbers, rules in _exempted(settings, contract, file, rows, rule):
            write_release(settings, contract.name, landed, numbers, reason, released_by, clock(), rules)
    elif rows:
        raise ReleaseError("row numbers mean nothing without the file that they are counted in")
    report = load_source(settings, contract, clock, progress, pull=False)
    after, accepted_after = _standing(settings, contract)
    return ReleaseReport(before, after, accepted_before, accepted_after, report)


def _exempted(
    settings: Settings, contract: SourceContract, file: str | None, rows: Sequence[int], rule: str | None
) -> list[tuple[LandedFile, list[int], list[str]]]:
    """Files with the rows to let through and the rules that these break; no rows stand for the file itself."""
    # A batch is called after the bytes that it was made of.
    landed = {(item.name, item.sha256[:16]): item for item in received_files(settings, contract.name)}
    if rule is None and not rows:
        held = _query(
            settings,
            contract,
            "SELECT DISTINCT file, file_sha256[:16] FROM record WHERE status = 'held' AND file = $file ORDER BY ALL",
            RECORD,
            file=file,
        )
        if not held:
            raise ReleaseError(f"'{file}' is not held; name rows or a rule")
        return [(landed[place], [], []) for place in held]
    waiting = _query(
        settings,
        contract,
        "SELECT _file, _batch_id[:16], _row, reasons FROM quarantine WHERE $file IS NULL OR _file = $file ORDER BY ALL",
        file=file,
    )
    remedy = "mend the contract, or have the file delivered again"
    if not waiting:
        where = f"of the file '{file}' " if file else ""
        raise ReleaseError(f"nothing {where}waits in the quarantine of {contract.name}")
    if rule is not None:
        if not re.fullmatch(WAIVABLE, rule):
            raise ReleaseError(f"'{rule}' cannot be waived: such a record has no place in the table; {remedy}")
        chosen = [item for item in waiting if item[3] == rule]
        if not chosen:
            raise ReleaseError(f"no row waits for '{rule}' alone; see: watershed quarantine list {contract.name}")
    else:
        # A file that came more than once may have a row of that number each time: the newest is meant.
        arrival = {place: number for number, place in enumerate(landed)}
        waiting.sort(key=lambda item: arrival[item[:2]])
        found = {item[2]: item for item in waiting}
        for row in rows:
            if row not in found:
                raise ReleaseError(f"row {row} of '{file}' is not in quarantine")
            if not re.fullmatch(f"{WAIVABLE}(; {WAIVABLE})*", found[row][3]):
                raise ReleaseError(f"row {row} of '{file}' cannot be kept: {found[row][3]}; {remedy}")
        chosen = [found[row] for row in rows]
    together: dict[tuple[str, str, str], list[int]] = {}
    for name, sha, row, reasons in chosen:
        together.setdefault((name, sha, reasons), []).append(row)
    return [(landed[name, sha], numbers, reasons.split("; ")) for (name, sha, reasons), numbers in together.items()]


def _standing(settings: Settings, contract: SourceContract) -> tuple[dict[str, int], int]:
    from transforms.lake.totals import source_totals

    waiting: Counter[str] = Counter()
    for item in list_quarantine(settings, contract):
        waiting[item.reasons] += item.rows
    return dict(waiting), source_totals(settings, contract).rows_accepted


def _query(
    settings: Settings, contract: SourceContract, sql: str, table: str = QUARANTINE, **values: object
) -> list[tuple]:
    # By its own name, not through the link, which a load may turn to another generation in between.
    folder = shown(settings, contract)
    files = sorted(folder.glob(f"*/{table}")) if folder else []
    if not files:
        return []
    named = ", ".join(literal(path) for path in files)
    with scratch_connection(settings) as connection:
        name = identifier(table.removesuffix(".parquet"))
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{named}], union_by_name = true)")
        return connection.execute(sql, values or None).fetchall()
