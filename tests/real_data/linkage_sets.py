"""The labelled sets for record linkage, through the gate and the identity step, by the defaults of the product."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from transforms.contracts import load_contracts
from transforms.identity import IdentityReport, resolve_identities
from transforms.identity.store import IdentityStore
from transforms.lake.load import load_source
from transforms.linkage import profile_linker
from transforms.linkage.scoring import Score, score_clusters
from transforms.linkage.store import LinkageStore
from transforms.settings import PROJECT_DIR, Settings
from transforms.sql import identifier

CONTRACTS = PROJECT_DIR / "tests" / "contracts"
ATTRIBUTES = PROJECT_DIR / "dbt_project" / "models" / "intermediate" / "identity" / "int_profile_attributes.sql"
DAY = dt.date(2024, 12, 31)
IDENTIFIERS = ("email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token")


@dataclass(frozen=True)
class LabelledSet:
    """A set, its contract, and SQL for the id that the contract gives a record and for the truth about it."""

    source: str
    path: str
    profile_id: str
    truth: str


SETS = {
    "fake_1000": LabelledSet(
        "fake_1000_profiles", "linkage/fake_1000.parquet", "CAST(unique_id AS VARCHAR)", "CAST(cluster AS VARCHAR)"
    ),
    "febrl3": LabelledSet("febrl3_profiles", "linkage/febrl3.parquet", "md5('febrl3:' || rec_id)", "true_id"),
    "historical_50k": LabelledSet(
        "historical_profiles", "linkage/historical_50k.parquet", "md5('historical:' || unique_id)", "cluster"
    ),
}


@dataclass(frozen=True)
class Linked:
    """What a home knows of a set: its report, and the customer of every record of the published file."""

    settings: Settings
    report: IdentityReport
    customers: pl.DataFrame

    @property
    def score(self) -> Score:
        """Against the truth; records that the gate refused are alone."""
        return score_clusters(self.customers["customer_id"].to_list(), self.customers["truth"].to_list())


def load(name: str, data: Path, home: Path) -> Settings:
    """Gate a set into a home, and build what the models before identity make of it."""
    settings = Settings(home=home, contracts=CONTRACTS, sources_root=data)
    contract = load_contracts(settings.entities, settings.contracts).sources[SETS[name].source]
    load_source(settings, contract, clock=lambda: dt.datetime.combine(DAY, dt.time(12), dt.UTC))
    accepted = settings.lake / "profiles" / contract.name / "*" / "accepted.parquet"
    build_warehouse(settings, f"read_parquet('{accepted}')")
    return settings


def build_warehouse(settings: Settings, rows: str) -> None:
    """Write the models that identity reads, as dbt would: profiles, their attributes, their identifiers."""
    model = re.sub(r"\{\{ ref\('stg_profiles'\) \}\}", "staging.stg_profiles", ATTRIBUTES.read_text(encoding="utf-8"))
    carried = [name for name in IDENTIFIERS if name not in ("device_id", "payment_token")]
    key = " || chr(31) || ".join(f"coalesce({name}, '')" for name in carried)
    columns = ", ".join(name if name in carried else f"CAST(NULL AS VARCHAR) AS {name}" for name in IDENTIFIERS)
    with duckdb.connect(str(settings.warehouse)) as warehouse:
        warehouse.execute("CREATE SCHEMA staging; CREATE SCHEMA intermediate")
        warehouse.execute(f"""
            CREATE TABLE staging.stg_profiles AS
            SELECT _source AS source, _source || ':' || profile_id AS record_id, updated_at AS occurred_at, *,
                   CASE WHEN coalesce({", ".join(carried)}) IS NOT NULL THEN md5(_source || {key}) END AS identity_key
            FROM {rows}
        """)
        warehouse.execute(f"CREATE TABLE intermediate.int_profile_attributes AS {model}")
        warehouse.execute(f"""
            CREATE TABLE intermediate.int_identity_observations AS
            SELECT *, CAST(hash(o) >> 1 AS BIGINT) AS fingerprint FROM (
                SELECT identity_key, source, {columns}, min(occurred_at) AS first_seen_at,
                       max(occurred_at) AS last_seen_at, count(*) AS records
                FROM staging.stg_profiles WHERE identity_key IS NOT NULL GROUP BY ALL
            ) o
        """)


def link(name: str, data: Path, settings: Settings) -> Linked:
    """Run the identity step with linkage, and read whom each record belongs to."""
    report = resolve_identities(settings, {}, DAY, "run", linker=profile_linker(settings, "run"))
    return Linked(settings, report, customers(SETS[name], data, settings))


def customers(labelled: LabelledSet, data: Path, settings: Settings) -> pl.DataFrame:
    """One row per record of the published file: ``record_id``, ``customer_id``, ``truth``."""
    store = IdentityStore(settings)
    with duckdb.connect(str(settings.warehouse), read_only=True) as warehouse:
        for table in ("assignments", "linked_records"):
            warehouse.execute(f"CREATE TEMP TABLE {table} AS FROM {store.table(table)}")
        return warehouse.sql(f"""
            SELECT t.record_id, t.truth, coalesce(l.customer_id, a.customer_id, t.record_id) AS customer_id
            FROM (
                SELECT '{labelled.source}:' || {labelled.profile_id} AS record_id, {labelled.truth} AS truth
                FROM read_parquet('{data / labelled.path}')
            ) t
            LEFT JOIN staging.stg_profiles p USING (record_id)
            LEFT JOIN assignments a ON a.{identifier("identity_key")} = p.identity_key
            LEFT JOIN linked_records l ON l.record_id = t.record_id
            ORDER BY t.record_id
        """).pl()


def model_of(settings: Settings) -> Sequence[str]:
    """Columns of the model that a run used."""
    model = LinkageStore(settings).model()
    return model.columns if model else ()
