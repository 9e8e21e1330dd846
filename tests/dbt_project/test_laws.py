"""Laws of the house that hold for the dbt project as a whole."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from tests.dbt_project.project import Build, build
from tests.dbt_project.story import write_story_piecemeal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dbt_project")]

END_OF_AS_OF = dt.datetime(2025, 6, 30, 22, 0)  # noqa: DTZ001 - midnight in Berlin, as UTC without a zone
# The account of files tells how the rows came, so it differs where they came otherwise.
ABOUT_FILES = {("marts", "load_audit"), ("marts", "quarantine")}


@pytest.fixture(scope="module")
def piecemeal(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The story without anything after as_of, last row first, each in a batch of its own."""
    home = tmp_path_factory.mktemp("piecemeal")
    write_story_piecemeal(home / "lake", keep=lambda moment: moment < END_OF_AS_OF)
    return build(
        Build(home / "lake", home / "warehouse.duckdb"),
        arguments=("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
    )


def test_tables_depend_on_neither_batches_nor_order_nor_the_future(told: Build, piecemeal: Build) -> None:
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{told.warehouse}' AS told (READ_ONLY)")
        con.execute(f"ATTACH '{piecemeal.warehouse}' AS piecemeal (READ_ONLY)")
        tables = con.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'told' ORDER BY ALL"
        ).fetchall()
        assert ("marts", "customer_360") in tables
        differing = [
            (schema, table)
            for schema, table in tables
            if (schema, table) not in ABOUT_FILES
            and con.execute(
                f"(FROM told.{schema}.{table} EXCEPT ALL FROM piecemeal.{schema}.{table})"
                f" UNION ALL (FROM piecemeal.{schema}.{table} EXCEPT ALL FROM told.{schema}.{table})"
            ).fetchall()
        ]
    assert differing == []
