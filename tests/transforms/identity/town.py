"""A small town to resolve: observations as readable rows, outcomes as sets of identifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from tests.reading import reader
from transforms.identity import IdentityReport, resolve_identities
from transforms.identity.decisions import LINK_COLUMNS
from transforms.identity.policy import Policy, load_policy
from transforms.identity.store import IdentityStore, files
from transforms.settings import Settings

TYPES = ("email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token")
REGIONS = {"shop": "DE", "till": "DE", "app": "DE", "hotline": "DE"}
AS_OF = date(2025, 6, 30)
FIRST_DAY = datetime(2025, 1, 1)  # noqa: DTZ001 - the warehouse holds UTC without a zone

# Read once, not in each of thousands of runs.
known_policy = cache(load_policy)

Row = dict[str, str | int | None]
Member = tuple[str, str]


def seen(
    source: str = "shop", day: int = 0, records: int = 1, until: int | None = None, **identifiers: str | None
) -> Row:
    """One observation: a combination of raw identifiers in a source, seen on a day or from one until another."""
    assert set(identifiers) <= set(TYPES), identifiers
    return {"source": source, "day": day, "until": until, "records": records, **identifiers}


def identity_key(row: Row) -> str:
    """Key of a combination, like the one of the warehouse unique for source, raw identifiers and, where these are but a
    telephone number or a device, the month."""
    parts = [str(row["source"]), *(str(row.get(t)) for t in TYPES)]
    if not any(row.get(t) for t in TYPES if t not in ("phone", "device_id")):
        parts.append(f"{FIRST_DAY + timedelta(days=int(row['day'] or 0)):%Y-%m}")
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _days(row: Row) -> tuple[int, int]:
    day = int(row["day"] or 0)
    return day, int(row.get("until") or day)


def _together(one: Row, other: Row) -> Row:
    """Two sightings of a combination as one."""
    (from_one, until_one), (from_other, until_other) = _days(one), _days(other)
    records = int(one["records"] or 0) + int(other["records"] or 0)
    return {**one, "day": min(from_one, from_other), "until": max(until_one, until_other), "records": records}


@dataclass(frozen=True)
class Outcome:
    """What a run wrote, read back from its files."""

    report: IdentityReport
    identifiers: pl.DataFrame
    assignments: dict[str, str]
    aliases: dict[str, str]
    customers: pl.DataFrame

    def customer(self, kind: str, value: str) -> str | None:
        """The customer that an identifier belongs to."""
        return self._identifier(kind, value)["customer_id"]

    def status(self, kind: str, value: str) -> str:
        return self._identifier(kind, value)["status"]

    def reason(self, kind: str, value: str) -> str | None:
        return self._identifier(kind, value)["reason"]

    def customer_of(self, row: Row) -> str | None:
        """The customer that an observation belongs to."""
        return self.assignments.get(identity_key(row))

    def partition(self) -> set[frozenset[Member]]:
        """The customers as sets of identifiers, whatever their ids."""
        linked = self.identifiers.filter(pl.col("status") == "linked")
        groups = linked.group_by("customer_id").agg(pl.struct("identifier_type", "identifier_value").alias("members"))
        return {
            frozenset((m["identifier_type"], m["identifier_value"]) for m in members)
            for members in groups["members"].to_list()
        }

    def _identifier(self, kind: str, value: str) -> dict[str, str | None]:
        found = self.identifiers.filter(pl.col("identifier_type") == kind, pl.col("identifier_value") == value)
        assert found.height == 1, f"{kind} {value} is not among {self.identifiers['identifier_value'].to_list()[:20]}"
        return found.row(0, named=True)


class Town:
    """An installation with a warehouse of observations."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.model_validate({"home": home, "identifier_key": "a secret of the tests"})
        self.store = IdentityStore(self.settings)
        self.runs = 0

    def observe(self, rows: Iterable[Row]) -> None:
        """Replace the warehouse's observations; rows of one combination count together, as in the warehouse."""
        distinct: dict[str, Row] = {}
        for row in rows:
            key = identity_key(row)
            distinct[key] = _together(distinct[key], row) if key in distinct else row
        frame = pl.DataFrame(
            [
                {
                    "identity_key": key,
                    "source": row["source"],
                    **{kind: row.get(kind) for kind in TYPES},
                    "first_seen_at": FIRST_DAY + timedelta(days=_days(row)[0]),
                    "last_seen_at": FIRST_DAY + timedelta(days=_days(row)[1], hours=1),
                    "records": row["records"],
                }
                for key, row in distinct.items()
            ],
            schema={
                "identity_key": pl.String,
                "source": pl.String,
                **dict.fromkeys(TYPES, pl.String),
                "first_seen_at": pl.Datetime("us"),
                "last_seen_at": pl.Datetime("us"),
                "records": pl.Int64,
            },
        )
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(self.settings.warehouse)) as connection:
            connection.register("frame", frame.to_arrow())
            connection.execute("CREATE SCHEMA IF NOT EXISTS intermediate")
            connection.execute(
                "CREATE OR REPLACE TABLE intermediate.int_identity_observations AS"
                " SELECT *, CAST(hash(f) >> 1 AS BIGINT) AS fingerprint FROM frame f"
            )

    def know(self, records: Mapping[str, Row | None]) -> None:
        """Replace the warehouse's profiles: source records (source:key) and the rows that they were, None for a record
        without identifiers."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(self.settings.warehouse)) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS staging")
            connection.execute(
                "CREATE OR REPLACE TABLE staging.stg_profiles"
                " (record_id VARCHAR, source VARCHAR, identity_key VARCHAR, occurred_at TIMESTAMP)"
            )
            for record, row in records.items():
                key = identity_key(row) if row else None
                day = FIRST_DAY + timedelta(days=int(row["day"] or 0) if row else 0)
                connection.execute(
                    "INSERT INTO staging.stg_profiles VALUES (?, ?, ?, ?)", [record, record.partition(":")[0], key, day]
                )

    def decide(self, *lines: str) -> None:
        """Replace the file of overrides: ``action,left,right`` each, and if need be the day on which it expires."""
        text = ["action,left,right,author,reason,date,expires"]
        for line in lines:
            action, left, right, *expires = line.split(",")
            text.append(f"{action},{left},{right},ann,she said so,2025-05-01,{''.join(expires)}")
        self.settings.home.mkdir(parents=True, exist_ok=True)
        self.settings.overrides.write_text("\n".join(text) + "\n", encoding="utf-8")

    def resolve(
        self,
        rows: Iterable[Row],
        *,
        as_of: date = AS_OF,
        policy: Policy | None = None,
        likely: Iterable[tuple[str, str, float]] = (),
    ) -> Outcome:
        """Observe some rows and resolve them, as one more run of the installation; ``likely`` are links of a model."""
        self.observe(rows)
        self.runs += 1
        links = pa.Table.from_pylist(
            [
                {"left_record": a, "right_record": b, "probability": p, "rule": "names", "model": "m1"}
                for a, b, p in likely
            ],
            schema=pa.schema(list(LINK_COLUMNS.items())),
        )
        report = resolve_identities(
            self.settings,
            REGIONS,
            as_of,
            f"run-{self.runs}",
            policy=policy or known_policy(self.settings.identity_policy),
            linker=(lambda: nullcontext(lambda _: links)) if len(links) else None,
        )
        return self.read(report)

    def read(self, report: IdentityReport) -> Outcome:
        """Read the current outcome back."""
        return Outcome(
            report=report,
            identifiers=self.table("identifiers"),
            assignments=dict(self.table("assignments").iter_rows()),
            aliases=dict(self.table("aliases").select("old_customer_id", "customer_id").iter_rows()),
            customers=self.table("customers"),
        )

    def content(self, *tables: str) -> dict[str, bytes]:
        """The bytes of the current files of some tables."""
        return {
            f"{table}/{file.name}": file.read_bytes() for table in tables for file in files(self.store.current, table)
        }

    def table(self, name: str) -> pl.DataFrame:
        with reader() as connection:
            return pl.DataFrame(connection.sql(f"FROM {self.store.table(name)}").to_arrow_table())
