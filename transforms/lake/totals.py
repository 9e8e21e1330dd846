"""Where the lake stands, by source and entity."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pyarrow.dataset as ds

from transforms.contracts import Entity, SourceContract
from transforms.lake.records import RECORD, RECORD_SCHEMA
from transforms.settings import Settings


@dataclass(frozen=True)
class Totals:
    """Row account over files."""

    files: int
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rows_duplicate: int
    rows_replaced: int
    rows_deleted: int

    @property
    def rows_current(self) -> int:
        """Accepted rows that no newer version replaced and no snapshot deleted: those that models read."""
        return self.rows_accepted - self.rows_replaced - self.rows_deleted

    @property
    def balances(self) -> bool:
        """Law 1 in sum."""
        return self.rows_read == self.rows_accepted + self.rows_quarantined + self.rows_duplicate


def lake_totals(settings: Settings, entity: Entity | None = None) -> Totals:
    """Row account of one entity, or of the whole lake."""
    return _totals(settings, f"{entity.name if entity else '*'}/*/*/{RECORD}")


def source_totals(settings: Settings, contract: SourceContract) -> Totals:
    """Row account of one source."""
    return _totals(settings, f"{contract.entity.name}/{contract.name}/*/{RECORD}")


def _totals(settings: Settings, pattern: str) -> Totals:
    files = [str(path) for path in settings.lake.glob(pattern)]
    table = ds.dataset(files, schema=RECORD_SCHEMA).to_table() if files else RECORD_SCHEMA.empty_table()
    columns = tuple(field.name for field in fields(Totals) if field.name != "files")
    return Totals(table.num_rows, *(sum(table[column].to_pylist()) for column in columns))
