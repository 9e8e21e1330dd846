"""The one place that reads the environment."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parent.parent

# Fits solve systems of a handful of unknowns: threads of linear algebra only wait for each other there, which takes
# three times as long as the work. OpenBLAS looks when scipy loads it; who has set a number keeps it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except Exception as error:
        raise ValueError(f"{name!r} is no time zone of the IANA database, for instance Europe/Berlin") from error
    return name


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
TimeZoneName = Annotated[str, AfterValidator(_known_zone)]


class Settings(BaseSettings):
    """Settings of a Watershed installation, read from ``WATERSHED_*`` variables.

    Every default is embedded: nothing needs a server, and without any variable the platform
    lives in ``./data``.
    """

    model_config = SettingsConfigDict(env_prefix="WATERSHED_", frozen=True, extra="ignore", env_nested_delimiter="__")

    home: AbsolutePath = Field(default=Path("data"), description="Folder of landing, lake, warehouse, published file.")
    contracts: AbsolutePath = Field(
        default=PROJECT_DIR / "data_contracts" / "sources",
        description="Folder of the source contracts (*.odcs.yaml).",
    )
    entities: AbsolutePath = Field(
        default=PROJECT_DIR / "data_contracts" / "entities",
        description="Folder of the entity contracts (*.odcs.yaml).",
    )
    sources_root: AbsolutePath | None = Field(
        default=None,
        description="Folder that relative server paths of contracts start from; default <home>/incoming.",
    )
    business_timezone: TimeZoneName = Field(default="UTC", description="Time zone that cuts days.")
    as_of: dt.date | None = Field(default=None, description="Last day that counts; default the last complete one.")
    identifier_key: SecretStr | None = Field(
        default=None, description="Secret of the keyed hashes of identifiers; default a random one kept in <home>."
    )
    identity_policy: AbsolutePath = Field(
        default=PROJECT_DIR / "transforms" / "identity" / "policy.yaml",
        description="Which identifiers may join whom (YAML).",
    )
    identity_overrides: AbsolutePath | None = Field(
        default=None,
        description="Who is or is not one customer by people's decision (CSV); default <home>/identity_overrides.csv.",
    )
    linkage: bool = Field(
        default=True, description="Whether profiles without a common identifier are matched on names and addresses."
    )
    linkage_model: Literal["train", "keep"] = Field(
        default="keep", description="Whether the matching keeps its model as long as it fits, or trains with each run."
    )
    linkage_policy: AbsolutePath = Field(
        default=PROJECT_DIR / "transforms" / "linkage" / "policy.yaml",
        description="How profiles are matched (YAML).",
    )
    identity_largest_bound: int = Field(
        default=1000, ge=1, description="Identifiers of the largest customer above which identities are held."
    )
    identity_merge_bound: float = Field(
        default=0.1, ge=0, description="Share (0–1) of customers merged in one run above which identities are held."
    )
    identity_churn_bound: float = Field(
        default=0.1, ge=0, description="Share (0–1) of records with another customer above which identities are held."
    )
    secrets: dict[str, SecretStr] = Field(
        default={}, description="Passwords and tokens by the names that contracts use: WATERSHED_SECRETS__<NAME>."
    )
    rebuild: bool = Field(
        default=False, description="Build every table anew, even where nothing or little has changed."
    )
    memory_limit: str = Field(default="4GB", description="Memory that DuckDB may use before it spills to disk.")
    threads: int = Field(default=2, ge=1, description="Threads that DuckDB may use.")
    lock_timeout_seconds: float = Field(
        default=600, ge=0, description="How long a run waits for another one that holds the warehouse."
    )
    publication_customers_bound: float = Field(
        default=0.1, ge=0, description="Change of the number of customers (0–1) above which a publication is held."
    )
    publication_revenue_bound: float = Field(
        default=0.2, ge=0, description="Change of a currency's net revenue (0–1) above which a publication is held."
    )
    publication_segment_bound: float = Field(
        default=0.05, ge=0, description="Change of a segment's share of customers (0–1) above which it is held."
    )
    publication_rows_bound: float = Field(
        default=0.3, ge=0, description="Change of a mart's number of rows (0–1) above which a publication is held."
    )
    publication_small: int = Field(
        default=100, ge=1, description="Figures over fewer customers or rows than this are not held against a bound."
    )
    value_horizon_days: int = Field(
        default=365, ge=0, le=3650, description="Days that predicted purchases and predicted CLV cover."
    )
    value_discount_rate: float = Field(
        default=0.1, ge=0, le=1, description="Yearly rate (0–1) at which predicted CLV is discounted."
    )
    value_margin: float = Field(
        default=1.0, gt=0, le=1, description="Share of net revenue (0–1) that is margin; 1: predicted CLV is revenue."
    )
    reports_kept: int = Field(default=30, ge=1, description="How many reports of past publications are kept.")
    runs_kept_days: int = Field(
        default=365, ge=1, description="Days after which Dagster's records and logs of a run are removed."
    )
    retry_seconds: float = Field(
        default=30,
        ge=0,
        description="How long a run waits before it asks a source again that could not be reached; 0: never again.",
    )
    demo_people: int = Field(default=50_000, ge=100, description="Size of the sample company, in people.")
    demo_seed: int = Field(default=7, description="Seed of the sample company.")

    def secret(self, name: str) -> str:
        """A password or token by the name that a contract uses.

        Raises:
            KeyError: it is not set; the message names the variable.
        """
        if name.lower() not in self.secrets:
            raise KeyError(f"the secret '{name}' is not set: set WATERSHED_SECRETS__{name.upper()}")
        return self.secrets[name.lower()].get_secret_value()

    @property
    def incoming(self) -> Path:
        """Folder that relative server paths of contracts start from."""
        return self.sources_root or self.home / "incoming"

    @property
    def overrides(self) -> Path:
        """Decisions of people about who is one customer."""
        return self.identity_overrides or self.home / "identity_overrides.csv"

    @property
    def landing(self) -> Path:
        """Bytes as received, by source and SHA-256."""
        return self.home / "landing"

    @property
    def lake(self) -> Path:
        """Typed Parquet batches, quarantine and file records."""
        return self.home / "lake"

    @property
    def warehouse(self) -> Path:
        """Working file of dbt; nothing else writes it."""
        return self.home / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """File that readers open."""
        return self.home / "published" / "customer360.duckdb"

    @property
    def publication_records(self) -> Path:
        """What is known of the build in the warehouse, and who confirmed what; readers do not see it."""
        return self.home / "publication"

    @property
    def reports(self) -> Path:
        """Pages for people, one per publication."""
        return self.home / "reports"

    @property
    def truth(self) -> Path:
        """Planted truth of the sample company."""
        return self.home / "truth"

    @property
    def scratch(self) -> Path:
        """Temporary files; safe to delete when nothing runs."""
        return self.home / "tmp"

    @property
    def run_lock(self) -> Path:
        """Lock file that makes runs take turns."""
        return self.home / "run.lock"

    @property
    def dbt_project(self) -> Path:
        """The dbt project that ships with the platform."""
        return PROJECT_DIR / "dbt_project"
