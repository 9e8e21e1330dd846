"""A file read and checked row by row against its contract; nothing that the lake holds is asked for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import partial

import duckdb
import pyarrow as pa

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import GateQuery, gate_query
from transforms.lake.coming_file import ComingFile, Pass
from transforms.lake.gated import GatedRows
from transforms.lake.inspection import BrokenFileError, TextCount
from transforms.lake.landing import LandedFile
from transforms.lake.readers import UNFORESEEN, Staged, stage
from transforms.lake.readers.delimited import forget_rejects
from transforms.settings import Settings
from transforms.sql import literal, raise_if_machine, scalars, scratch_connection

# Lines of a file that comes.
_LINES = "coming_lines"


@dataclass
class FileReader:
    """Reads the files of one source, one at a time, into ``gated`` on the connection.

    A file that was read ahead is kept until the next ``read``, and is used where that is of the same arrival.
    """

    settings: Settings
    contract: SourceContract
    expression_types: dict[tuple[tuple[str, str], ...], dict[str, str]] = field(default_factory=dict)
    _ahead: tuple[LandedFile, Staged] | None = None
    _opened: duckdb.DuckDBPyConnection | None = None

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Opened when it is needed: most loads find no news."""
        if self._opened is None:
            self._opened = scratch_connection(self.settings)
        return self._opened

    def beside(self) -> FileReader:
        """Another reader of the same source, whose temp tables lie beside those of this one under one memory limit."""
        cursor = self.connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'")
        return FileReader(self.settings, self.contract, self.expression_types, _opened=cursor)

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self.rows.drop()
            self._opened.close()

    @property
    def rows(self) -> GatedRows:
        """The rows of the file that was read last."""
        return GatedRows(self.connection, self.settings)

    def follow(self, file: LandedFile, size: int, count: TextCount) -> ComingFile | None:
        """Read a file of so many bytes while ``count`` sees them come; None where it does not consist of lines.

        What comes of it is for ``read_ahead``. Till then nothing else may be read.
        """
        if self.contract.server.format != "json":
            return None
        return ComingFile(partial(self._plan, file, size), count)

    def _plan(self, file: LandedFile, size: int, beginning: bytes) -> Pass:
        head = replace(file, path=self.settings.scratch / f"head-{os.getpid()}-{file.path.name}")
        try:
            head.path.write_bytes(beginning)
            staged = stage(self.connection, self.settings, self.contract, head, None)
            query = self._query(staged, head)
        finally:
            head.path.unlink(missing_ok=True)
        asked = _anywhere(query, staged)
        if asked is None:
            raise BrokenFileError("what calls for a closer look is read from the disk")
        values = _values(staged) * size // len(beginning)

        def run(lines: pa.RecordBatchReader) -> str:
            self.connection.register(_LINES, lines)
            try:
                self.rows.keep(asked, values)
            finally:
                self.connection.unregister(_LINES)
            return asked

        return run

    def read_ahead(self, file: LandedFile, counted: TextCount | None = None, coming: ComingFile | None = None) -> None:
        """Read a file that is not logged yet; what goes wrong here goes wrong again in ``read``, where it is told.

        ``coming`` is the same file as it was followed: the rows that this gave count where the file, now that it is
        there, asks for the very query that they came from.
        """
        asked = coming.complete() if coming else None
        try:
            self._ahead = file, self._check(file, counted, asked)
        except (BrokenFileError, duckdb.Error, OSError):
            self.rows.drop()

    def read(self, file: LandedFile) -> Staged:
        """Fill ``gated``: a row per record with its canonical columns, the rules that it breaks, its number.

        Raises:
            BrokenFileError: the file cannot be taken as a whole.
        """
        ahead, self._ahead = self._ahead, None
        if ahead and ahead[0] == file:
            return ahead[1]
        return self._check(file)

    def _check(self, file: LandedFile, counted: TextCount | None = None, asked: str | None = None) -> Staged:
        staged = stage(self.connection, self.settings, self.contract, file, counted)
        forget_rejects(self.connection)
        fault: duckdb.Error | None = None
        try:
            rows = self._gate(staged, file, asked=asked)
        except duckdb.Error as error:
            raise_if_machine(error)
            fault, rows = error, -1
        if staged.reread and (rows != staged.expected_rows or self._is_unforeseen()):
            staged, fault = staged.reread(), None
            try:
                rows = self._gate(staged, file)
            except duckdb.Error as error:
                raise_if_machine(error)
                fault = error
        if fault:
            # Where an expression of the contract fails on some rows, only those are refused.
            try:
                rows, fault = self._gate(staged, file, careful=True), None
            except duckdb.Error as error:
                raise_if_machine(error)
                fault = error
        if fault:
            text = str(fault).splitlines()[0]
            remedy = f"mend the file, or the expressions of {self.contract.file.name}"
            raise BrokenFileError(f"contract: {text}; {remedy}") from fault
        if staged.expected_rows is not None and rows != staged.expected_rows and not staged.reread:
            raise BrokenFileError(f"accounting: {staged.expected_rows} records in the file, {rows} read")
        return staged

    def _is_unforeseen(self) -> bool:
        found = f"SELECT count(*) FROM gated_rows WHERE _reasons = {literal(UNFORESEEN)}"
        return scalars(self.connection, found) != (0,)

    def _gate(self, staged: Staged, file: LandedFile, careful: bool = False, asked: str | None = None) -> int:
        query = self._query(staged, file, careful)
        if asked is None or asked != _anywhere(query, staged):
            self.rows.keep(query.rows, _values(staged))
        return self.rows.show(query, staged.raw)

    def _query(self, staged: Staged, file: LandedFile, careful: bool = False) -> GateQuery:
        received_at = file.received_at.replace(tzinfo=None).isoformat()
        return gate_query(self.connection, self.contract, staged.raw, received_at, self.expression_types, careful)


def _anywhere(query: GateQuery, staged: Staged) -> str | None:
    """The query over the lines of ``_LINES`` instead of the file's; None where it is not about lines."""
    return query.rows.replace(staged.lines, _LINES) if staged.lines else None


def _values(staged: Staged) -> int:
    return (staged.expected_rows or 0) * len(staged.raw.columns)
