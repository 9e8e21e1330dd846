"""The gate: one file through its contract, every row accounted for, committed by one rename."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from transforms.contracts import SourceContract
from transforms.lake.file_reader import FileReader
from transforms.lake.gated import KEYS_PARQUET, PARQUET, always
from transforms.lake.inspection import BrokenFileError
from transforms.lake.keys import settle_keys
from transforms.lake.known_keys import KnownKeys, keys_file
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged
from transforms.lake.readers.drift import UNTYPED, refuse_narrowed
from transforms.lake.records import (
    ACCEPTED,
    QUARANTINE,
    QUARANTINE_COLUMNS,
    SUPERSEDED,
    FileRecord,
    commit_batch,
    write_record,
)
from transforms.lake.releases import Releases
from transforms.lake.versions import delete_what_is_gone
from transforms.settings import Settings
from transforms.sql import columns, literal, scalars

# A file with fewer bad rows is never held, whatever their share: three rows prove nothing.
MIN_HELD_ROWS = 20
# Where in the gate a row was refused, told from its reasons.
_STAGE = (
    "CASE WHEN reasons LIKE 'parse:%' THEN 'parse' WHEN reasons LIKE 'held:%' THEN 'hold'"
    " WHEN regexp_matches(reasons, '(^|; )(type|expression):') THEN 'type'"
    " WHEN reasons = 'duplicate_key' THEN 'key' ELSE 'rule' END"
)


@dataclass(frozen=True)
class GateResult:
    """What became of one file; ``reasons`` counts the broken rules of its rows."""

    record: FileRecord
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """What all files of one load have in common.

    ``folder`` takes the batches; ``column_types`` are the types that typed files of the source had so far.
    """

    reader: FileReader
    folder: Path
    known: KnownKeys
    releases: Releases
    column_types: dict[str, str]

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Where ``reader`` puts a file's rows."""
        return self.reader.connection

    @property
    def settings(self) -> Settings:
        """Folders and limits of the load."""
        return self.reader.settings

    @property
    def contract(self) -> SourceContract:
        """The source's contract."""
        return self.reader.contract

    def pass_file(self, file: LandedFile, batch: str, loaded_at: dt.datetime) -> GateResult:
        """Check a landed file and commit its batch: accepted rows, quarantine, record.

        A file that cannot be taken as a whole is committed as rejected, with its reason and no rows. The batch
        appears in the lake by one rename, so that a kill leaves either nothing or all of it.
        """
        temporary = self.settings.scratch / f"batch-{os.getpid()}-{batch}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            staged = self.reader.read(file)
            self._waive(file, staged.raw.first_row)
            refuse_narrowed(self.contract, staged.raw.columns, self.column_types)
            settle_keys(self.connection, self.contract, self.known, batch)
            rule, remark = self._hold(file, staged, batch)
            result = self._write(staged, file, batch, loaded_at, temporary, rule, remark)
            if not result.record.balances:
                raise BrokenFileError(f"accounting: {result.record}")
        except BrokenFileError as error:
            shutil.rmtree(temporary)
            temporary.mkdir()
            result = GateResult(rejected(self.contract, file, batch, str(error), loaded_at))
        finally:
            self.reader.rows.drop()
        write_record(temporary, result.record)
        commit_batch(temporary, self.folder / batch)
        if result.record.status == "loaded":
            self.known.add(self.folder / batch)
            self.column_types.update(result.record.column_types)
        return result

    def _waive(self, file: LandedFile, first_row: int | None) -> None:
        """Let the rows through that a person has released, where they break no rule but those that were waived."""
        self.connection.execute("CREATE OR REPLACE TEMP TABLE released (_row BIGINT)")
        waived = self.releases.rules_of(file)
        if not waived:
            return
        self.connection.execute(
            "INSERT INTO released SELECT _row FROM gated"
            " JOIN (SELECT _row, list(rule) AS rules FROM (SELECT unnest($rows) AS _row, unnest($rules) AS rule)"
            " GROUP BY _row) USING (_row) WHERE list_has_all(rules, string_split(_reasons, '; '))",
            {"rows": [row for row, _ in waived], "rules": [rule for _, rule in waived]},
        )
        self.reader.rows.release(first_row)

    def _hold(self, file: LandedFile, staged: Staged, batch: str) -> tuple[str | None, str | None]:
        """Rule by which all rows of the file have to wait (None: they need not), and a remark for its record."""
        connection, contract = self.connection, self.contract
        unparsed = self._unparsed(staged)
        bad, conflicts, rows = scalars(
            connection,
            "SELECT count(*) FILTER (_reasons IS NOT NULL),"
            " (SELECT count(*) FROM verdicts WHERE _verdict = 'duplicate_key'), count(*) FROM gated_rows",
        )
        quarantined, read = bad + conflicts + unparsed, rows + unparsed
        released = self.releases.of_file(file)
        if quarantined >= MIN_HELD_ROWS and quarantined > contract.block_rate * read and not released:
            share = f"{quarantined / read:.1%} of the rows break the contract, allowed are {contract.block_rate:.1%}"
            return "held:quarantine_rate", f"held: {share}; mend the contract, have the file mended, or release it"
        if contract.load_mode != "snapshot":
            return None, None
        keyless = " OR ".join(f"{name} IS NULL" for name in columns(contract.entity.key).split(", "))
        unknown = unparsed + scalars(connection, f"SELECT count(*) FROM gated WHERE {keyless}")[0]
        if unknown:
            return None, f"deleted nothing: {unknown} rows have no readable key and may be any record"
        gone, current = delete_what_is_gone(connection, batch, self.known)
        # No rows at all are no small change, however small the table.
        many = gone >= MIN_HELD_ROWS or not read
        if many and gone > contract.max_deleted_share * current and not released:
            share = f"{gone / current:.1%} of the records are gone, allowed are {contract.max_deleted_share:.1%}"
            return "held:deleted_share", f"held: {share}; have the snapshot completed, or release it"
        return None, None

    def _write(
        self,
        staged: Staged,
        file: LandedFile,
        batch: str,
        loaded_at: dt.datetime,
        folder: Path,
        held_by: str | None,
        remark: str | None,
    ) -> GateResult:
        connection, contract = self.connection, self.contract
        if held_by:
            connection.execute(
                f"INSERT INTO verdicts SELECT _row, {literal(held_by)} FROM gated ANTI JOIN verdicts USING (_row)"
                " WHERE _reasons IS NULL"
            )
            connection.execute("DELETE FROM superseding")
        stamps = (
            f"{always(contract.name)} AS _source, {always(file.name)} AS _file, _row, {always(batch)} AS _batch_id,"
            f" CAST({literal(loaded_at.replace(tzinfo=None).isoformat())} AS TIMESTAMP) AS _loaded_at"
        )
        verdicts = dict(connection.execute("SELECT _verdict, count(*) FROM verdicts GROUP BY ALL").fetchall())
        # An anti join with nothing would still cost the order of the rows its ease.
        good = "gated WHERE _reasons IS NULL"
        if verdicts:
            good = "(SELECT * FROM gated ANTI JOIN verdicts USING (_row)) WHERE _reasons IS NULL"
        entity_columns = columns([column.name for column in contract.entity.columns])
        self._copy(f"SELECT {entity_columns}, {stamps}, _extra FROM {good}", folder / ACCEPTED)
        self._copy(f"SELECT _key_hash, _row FROM {good}", folder / keys_file(connection), KEYS_PARQUET)
        if scalars(connection, "SELECT count(*) FROM superseding") != (0,):
            self._copy("SELECT * FROM superseding ORDER BY ALL", folder / SUPERSEDED)
        self._collect_refused(staged, verdicts)
        refused = (
            f"SELECT {literal(contract.entity.name)} AS entity, {stamps}, {_STAGE} AS stage, reasons, raw FROM refused"
        )
        if scalars(connection, "SELECT count(*) FROM refused") != (0,):
            names = columns(list(QUARANTINE_COLUMNS))
            self._copy(f"SELECT {names} FROM ({refused}) ORDER BY _row", folder / QUARANTINE)
        return self._account(staged, folder / ACCEPTED, file, batch, loaded_at, held_by, remark)

    def _account(
        self,
        staged: Staged,
        accepted_rows: Path,
        file: LandedFile,
        batch: str,
        loaded_at: dt.datetime,
        held_by: str | None,
        remark: str | None,
    ) -> GateResult:
        """Count what was written; what was read is counted for itself, so that the account can fail."""
        connection, contract = self.connection, self.contract
        moment = columns([contract.entity.occurred_at])
        accepted, first, last = scalars(
            connection, f"SELECT count(*), min({moment}), max({moment}) FROM read_parquet({literal(accepted_rows)})"
        )
        read, quarantined, released, duplicate = scalars(
            connection,
            "SELECT (SELECT count(*) FROM gated_rows), (SELECT count(*) FROM refused),"
            " (SELECT count(*) FROM released), (SELECT count(*) FROM verdicts WHERE _verdict = 'duplicate')",
        )
        reasons = dict(
            connection.execute(
                "SELECT reason, count(*) FROM (SELECT unnest(string_split(reasons, '; ')) AS reason FROM refused)"
                " GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        )
        changed = dict(connection.execute("SELECT _kind, count(*) FROM superseding GROUP BY ALL").fetchall())
        typed = contract.server.format == "parquet"
        record = FileRecord(
            source=contract.name,
            entity=contract.entity.name,
            file=file.name,
            file_sha256=file.sha256,
            batch_id=batch,
            rows_read=read + self._unparsed(staged),
            rows_accepted=accepted,
            rows_quarantined=quarantined,
            rows_duplicate=duplicate,
            status="held" if held_by else "loaded",
            reason=remark,
            loaded_at=loaded_at,
            first_occurred_at=first,
            last_occurred_at=last,
            rows_released=0 if held_by else released,
            rows_replaced=changed.get("replaced", 0),
            rows_deleted=changed.get("deleted", 0),
            new_columns=staged.new_columns,
            absent_columns=staged.absent_columns,
            column_types=tuple(item for item in staged.raw.columns.items() if item[1] != UNTYPED) if typed else (),
        )
        return GateResult(record, reasons)

    def _unparsed(self, staged: Staged) -> int:
        return scalars(self.connection, f"SELECT count(*) FROM {staged.unparsed}")[0] if staged.unparsed else 0

    def _collect_refused(self, staged: Staged, verdicts: dict[str, int]) -> None:
        """Fill ``refused`` (_row, reasons, raw): rows with reasons, rows with a verdict, records never parsed."""
        raw = staged.raw
        parts = ["SELECT _row, _reasons AS reasons, _raw AS raw FROM gated WHERE _reasons IS NOT NULL"]
        if staged.unparsed:
            parts.append(f"SELECT _ws_row, reason, payload FROM {staged.unparsed}")
        if set(verdicts) - {"duplicate"}:
            number = raw.row_number or f"row_number() OVER () - 1 + {raw.first_row}"
            parts.append(
                "SELECT v._row, v._verdict, r.payload FROM verdicts AS v"
                f" JOIN (SELECT {number} AS _row, {raw.payload()} AS payload FROM {raw.name}) AS r USING (_row)"
                " WHERE v._verdict <> 'duplicate'"
            )
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE refused AS {' UNION ALL '.join(parts)}")

    def _copy(self, query: str, path: Path, options: str = PARQUET) -> None:
        self.connection.execute(f"COPY ({query}) TO {literal(path)} ({options})")


def rejected(contract: SourceContract, file: LandedFile, batch: str, reason: str, loaded_at: dt.datetime) -> FileRecord:
    """Record of a file that was refused as a whole: nothing of it was read as rows."""
    return FileRecord(
        contract.name, contract.entity.name, file.name, file.sha256, batch, 0, 0, 0, 0, "rejected", reason, loaded_at
    )
