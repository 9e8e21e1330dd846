"""The yardstick of the benchmark makes what Watershed makes: else its time would be no measure."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.benchmarks.yardstick.agreement import Compared, compare, rows_apart
from tests.benchmarks.yardstick.run import build
from tests.orchestration.conftest import Installation
from transforms.identity.store import IdentityStore
from transforms.settings import Settings
from transforms.sql import literal, scalars

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]

# What the script leaves out on purpose; see docs/benchmark.md.
NOT_MADE = {
    "clv_backtest_metrics",
    "clv_calibration_by_decile",
    "clv_calibration_by_x",
    "clv_model_runs",
    "clv_tracking_weekly",
    "customer_id_history",
    "identity_clusters",
    "identity_edges",
    "identity_quality",
    "identity_refusals",
    "load_audit",
    "publication",
    "quarantine",
    "segment_changes",
}


@pytest.fixture(scope="module")
def as_of(installation: Installation) -> date:
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        return scalars(connection, "SELECT max(as_of_date) FROM marts.customer_360")[0]


@pytest.fixture(scope="module")
def incoming(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that Watershed has taken; nobody would write a script for those that it refused as a whole."""
    folder = tmp_path_factory.mktemp("incoming")
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        taken = connection.execute("SELECT source, file FROM marts.load_audit WHERE status = 'loaded'").fetchall()
    for source, name in taken:
        (folder / source).mkdir(exist_ok=True)
        (folder / source / Path(name).name).symlink_to(installation.settings.incoming / source / Path(name).name)
    return folder


def test_given_the_same_identities_every_mart_is_the_same_row_by_row(
    installation: Installation, incoming: Path, as_of: date, tmp_path: Path
) -> None:
    identities = IdentityStore(installation.settings)

    def resolve(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"ATTACH {literal(installation.settings.warehouse)} AS watershed (READ_ONLY)")
        connection.execute(f"""
            CREATE TABLE owners AS
            SELECT DISTINCT
                sighting_of(
                    source, first_seen_at, email, phone, loyalty_id, device_id, app_user_id, payment_token
                ) AS sighting,
                customer_id
            FROM watershed.intermediate.int_identity_sightings
            JOIN {identities.table("assignments")} USING (identity_key)
        """)
        connection.execute(f"""
            CREATE TABLE known_identifiers AS
            FROM {identities.table("identifiers")} WHERE status = 'linked' AND customer_id IS NOT NULL
        """)
        connection.execute("DETACH watershed")

    other = Settings(home=tmp_path)
    build(other, incoming, as_of, resolve)
    apart = rows_apart(other.warehouse, installation.settings.published)
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        published = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
    assert apart == {name: 0 for (name,) in published if name not in NOT_MADE}


def test_with_its_own_identities_its_figures_are_within_the_bounds(
    installation: Installation, incoming: Path, as_of: date, tmp_path: Path
) -> None:
    other = Settings(home=tmp_path)
    build(other, incoming, as_of)
    compared = compare(other.warehouse, installation.settings.published)
    assert [str(figure) for figure in compared if figure.is_apart] == []


@pytest.mark.parametrize(
    ("yardstick", "product", "tolerance", "is_apart"),
    [
        (1000, 1000, 0, False),
        (1001, 1000, 0, True),
        (1040, 1000, 0.05, False),
        (1060, 1000, 0.05, True),
        (0, 1000, 0.05, True),
        (18, 10, 0.05, False),
    ],
)
def test_figures_beyond_the_tolerance_are_apart(
    yardstick: float, product: float, tolerance: float, is_apart: bool
) -> None:
    assert Compared("customers", yardstick, product, tolerance).is_apart is is_apart
