"""A file read and checked row by row against its contract; nothing that the lake holds is asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import duckdb

from transforms.contracts import SourceContract
from transforms.contracts.gate_sql import gate_query
from transforms.lake.gated import GatedRows
from transforms.lake.inspection import BrokenFileError, TextCount
from transforms.lake.landing import LandedFile
from transforms.lake.readers import UNFORESEEN, Staged, stage
from transforms.lake.readers.delimited import forget_rejects
from transforms.settings import Settings
from transforms.sql import literal, raise_if_machine, scalars, scratch_connection


@dataclass
class FileReader:
    """Reads the files of one source, one at a time, into ``gated`` on the connection.

    A file that was read ahead is kept until the next ``read``, and is used where that is of the same arrival.
    """

    settings: Settings
    contract: SourceContract
    expression_types: dict[tuple[tuple[str, str], ...], dict[str, str]] = field(default_factory=dict)
    _ahead: tuple[LandedFile, Staged] | None = None

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """Opened when it is needed: most loads find no news."""
        return scratch_connection(self.settings)

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, *_: object) -> None:
        if "connection" in self.__dict__:
            self.rows.drop()
            self.connection.close()

    @property
    def rows(self) -> GatedRows:
        """The rows of the file that was read last."""
        return GatedRows(self.connection, self.settings)

    def read_ahead(self, file: LandedFile, counted: TextCount | None = None) -> None:
        """Read a file that is not logged yet; what goes wrong here goes wrong again in ``read``, where it is told."""
        try:
            self._ahead = file, self._check(file, counted)
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

    def _check(self, file: LandedFile, counted: TextCount | None = None) -> Staged:
        staged = stage(self.connection, self.settings, self.contract, file, counted)
        forget_rejects(self.connection)
        fault: duckdb.Error | None = None
        try:
            rows = self._gate(staged, file)
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

    def _gate(self, staged: Staged, file: LandedFile, careful: bool = False) -> int:
        raw = staged.raw
        received_at = file.received_at.replace(tzinfo=None).isoformat()
        query = gate_query(self.connection, self.contract, raw, received_at, self.expression_types, careful)
        return self.rows.keep(query, staged.raw, staged.expected_rows)
