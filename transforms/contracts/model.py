"""Contracts as the rest of the platform sees them: typed, checked, free of YAML."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from transforms.contracts.dataset_rules import DatasetRule

# Raise it when the gate reads the same contract in another way: every landed file is then gated anew.
GATE_VERSION = 4
# What a second row of a key means: a fault (append), a newer version (upsert), or each file is the whole (snapshot).
LOAD_MODES = ("append", "upsert", "snapshot")
# What orders versions where no column does: the file's arrival.
RECEIVED_AT = "_received_at"


@dataclass(frozen=True)
class Column:
    """A column of an entity, with the rules that hold for every source."""

    name: str
    logical_type: str
    physical_type: str
    description: str
    required: bool = False
    key_position: int | None = None
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    pattern: str | None = None
    tags: tuple[str, ...] = ()
    may_leave: bool = False

    @property
    def is_identifier(self) -> bool:
        """True for columns that say who a record belongs to."""
        return "identifier" in self.tags

    @property
    def is_personal(self) -> bool:
        """True for columns that the published file must not hold."""
        return "personal_data" in self.tags


@dataclass(frozen=True)
class Rule:
    """A named boolean SQL expression that holds for each accepted row; NULL passes."""

    name: str
    expression: str
    description: str
    raw_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entity:
    """What the platform holds of one kind of record."""

    name: str
    description: str
    grain: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...]
    occurred_at: str
    file: Path
    dataset_rules: tuple[DatasetRule, ...] = ()

    def column(self, name: str) -> Column:
        """Return the column of that name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name}.{name}")

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Names of the primary key columns, in order."""
        keyed = [column for column in self.columns if column.key_position is not None]
        return tuple(column.name for column in sorted(keyed, key=lambda column: column.key_position or 0))


@dataclass(frozen=True)
class Mapping:
    """How one canonical column comes from what the provider sends: one physical column, or an expression over some."""

    column: Column
    expression: str | None
    source_columns: tuple[str, ...]
    required: bool
    time_format: str | None = None
    time_zone: str = "UTC"
    decimal_separator: str = "."


@dataclass(frozen=True)
class Server:
    """A place that a source is pulled from. ``format`` is what the pulled bytes are: csv, json, parquet or excel."""

    type: str
    format: str
    delimiter: str = field(default=",", kw_only=True)

    @property
    def reading(self) -> tuple[str, ...]:
        """Everything that decides how landed bytes become rows; a change gates them anew."""
        return (self.format, self.delimiter)


@dataclass(frozen=True)
class SourceContract:
    """One dataset of one provider, mapped to an entity."""

    name: str
    version: str
    description: str
    entity: Entity
    server: Server
    mappings: tuple[Mapping, ...]
    rules: tuple[Rule, ...]
    file: Path
    owners: tuple[str, ...] = ()
    phone_region: str | None = None
    ignore_columns: tuple[str, ...] = ()
    warn_rate: float = 0.01
    block_rate: float = 0.2
    freshness: dt.timedelta | None = None
    load_mode: str = "append"
    latest_by: str = RECEIVED_AT
    max_deleted_share: float = 0.2
    # SQL over _file: since when the file's content holds; None: since the file came.
    delivered_at: str | None = None
    # The provider's own types of physical columns, where the contract names them.
    physical_types: dict[str, str] = field(default_factory=dict, hash=False)
    # Not part of the fingerprint: they judge a load and decide nothing about a row.
    dataset_rules: tuple[DatasetRule, ...] = ()

    @cached_property
    def physical_columns(self) -> tuple[str, ...]:
        """Every physical column that a mapping or a rule reads, each once."""
        names = [name for mapping in self.mappings for name in mapping.source_columns]
        names += [name for rule in self.rules for name in rule.raw_columns]
        return tuple(dict.fromkeys(names))

    @cached_property
    def required_physical_columns(self) -> frozenset[str]:
        """Physical columns without which a file makes no sense."""
        return frozenset(name for mapping in self.mappings if mapping.required for name in mapping.source_columns)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that decides what becomes of a row; texts for people are left out."""
        entity = [
            (
                c.name,
                c.physical_type,
                c.required,
                c.key_position,
                c.enum,
                c.minimum,
                c.maximum,
                c.max_length,
                c.pattern,
            )
            for c in self.entity.columns
        ]
        rules = [(rule.name, rule.expression) for rule in (*self.entity.rules, *self.rules)]
        mappings = [
            (m.column.name, m.expression, m.source_columns, m.required, m.time_format, m.time_zone, m.decimal_separator)
            for m in self.mappings
        ]
        text = repr(
            (
                GATE_VERSION,
                self.server.reading,
                entity,
                rules,
                mappings,
                self.load_mode,
                self.latest_by,
                self.delivered_at,
                sorted(self.physical_types.items()),
                self.block_rate,
                self.max_deleted_share,
                sorted(self.ignore_columns),
            )
        )
        return hashlib.sha256(text.encode()).hexdigest()[:12]
