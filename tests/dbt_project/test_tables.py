"""Tables and views take the place of their former selves in one step, and what rows lack is found."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.dbt_project.project import Build

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dbt_project")]

CURRENCIES = "intermediate.int_customer_currencies"
RELATIONS = "SELECT 'view ' || schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal UNION ALL"
RELATIONS += " SELECT 'table ' || schema_name || '.' || table_name FROM duckdb_tables()"


@pytest.fixture
def copied(told: Build, tmp_path: Path) -> Build:
    """The story's warehouse, to be changed at will."""
    warehouse = tmp_path / "warehouse.duckdb"
    warehouse.write_bytes(told.warehouse.read_bytes())
    return Build(told.lake, warehouse)


def _change(build: Build, *statements: str) -> None:
    with duckdb.connect(str(build.warehouse)) as connection:
        for statement in statements:
            connection.execute(statement)


def _rows(build: Build) -> list[tuple]:
    return build.rows(f"FROM {CURRENCIES} ORDER BY ALL")


@pytest.mark.parametrize("former", ["TABLE", "VIEW", None])
@pytest.mark.parametrize("model", ["int_customer_currencies", "int_journey_purchases"])
def test_tables_and_views_take_the_place_of_whatever_was_there(copied: Build, model: str, former: str | None) -> None:
    query, place = f"FROM intermediate.{model} ORDER BY ALL", f"intermediate.{model}"
    right, relations = copied.rows(query), sorted(copied.rows(RELATIONS))
    assert right
    _change(copied, f"DROP {'TABLE' if model.endswith('currencies') else 'VIEW'} {place}")
    if former:
        _change(copied, f"CREATE {former} {place} AS SELECT 1 AS other")
    copied.dbt("run", "--select", model)
    assert copied.rows(query) == right
    assert sorted(copied.rows(RELATIONS)) == relations


def test_a_table_that_cannot_be_built_stays_as_it_was(copied: Build) -> None:
    right, relations = _rows(copied), sorted(copied.rows(RELATIONS))
    # Found while the rows are written, when the former table is gone for this transaction.
    orders = "intermediate.int_orders_identified"
    _change(
        copied,
        f"ALTER TABLE {orders} RENAME TO aside",
        f"CREATE VIEW {orders} AS SELECT * REPLACE (CASE WHEN lines > 0 THEN error('no lines') END AS lines)"
        " FROM intermediate.aside",
    )
    with pytest.raises(AssertionError, match="no lines"):
        copied.dbt("run", "--select", "int_customer_currencies")
    _change(copied, f"DROP VIEW {orders}", f"ALTER TABLE intermediate.aside RENAME TO {orders.partition('.')[2]}")
    assert _rows(copied) == right
    assert sorted(copied.rows(RELATIONS)) == relations


@pytest.mark.parametrize("column", ["primary_channel", "journey_since_date"])
def test_a_value_that_is_missing_fails_the_one_test_for_all_columns(copied: Build, column: str) -> None:
    select = ("test", "--select", "customer_360,test_name:complete")
    copied.dbt(*select)
    _change(copied, f"UPDATE marts.customer_360 SET {column} = NULL WHERE rowid = 0")
    with pytest.raises(AssertionError, match="complete_customer_360"):
        copied.dbt(*select)
