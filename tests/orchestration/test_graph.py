"""The graph as a data engineer reads it: nothing without an owner, nothing that dangles, columns with their origins."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from orchestration.build import build_definitions
from orchestration.monitoring import freshness
from orchestration.pipeline import dagster_home
from tests.orchestration.conftest import Installation
from transforms.contracts import load_contracts

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]

# Where data come from, and what readers take; all else stands between the two.
ROOTS = {"sources", "seeds"}
LEAVES = {"publication", "history"}
# For those who write their own models; no mart of ours reads them.
FOR_OTHERS = {"staging/stg_products", "intermediate/fct_order_lines"}


@pytest.fixture(scope="module")
def definitions(installation: Installation) -> dg.Definitions:
    return build_definitions(installation.settings)


def test_every_asset_says_whose_it_is_what_it_is_and_what_it_is_made_of(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name != "default", key
        assert node.owners and node.kinds, key
        assert node.description and len(node.description) > 20, key


def test_nothing_dangles(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    assert all(node.is_materializable for node in nodes.values()), "an upstream that no asset makes"
    roots = {name for name, node in nodes.items() if not node.parent_keys and node.group_name not in ROOTS}
    leaves = {name for name, node in nodes.items() if not node.child_keys and node.group_name not in LEAVES}
    assert (roots, leaves - FOR_OTHERS) == (set(), set())


def test_the_freshness_of_a_table_is_the_strictest_agreement_of_its_sources(
    definitions: dg.Definitions, installation: Installation
) -> None:
    contracts = load_contracts(installation.settings.entities, installation.settings.contracts)
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    # The silent till of these tests promises a file a day, the others one a month.
    assert specs["lake/transactions"].freshness_policy == dg.FreshnessPolicy.time_window(dt.timedelta(days=1))
    assert specs["sources/pos_sales"].freshness_policy == dg.FreshnessPolicy.time_window(dt.timedelta(days=35))
    assert freshness([]) is None and contracts.sources_of("transactions")


def test_failed_runs_are_reported_without_anybody_switching_it_on(definitions: dg.Definitions) -> None:
    sensor = definitions.get_sensor_def("failed_runs")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_columns_of_the_marts_name_the_columns_that_they_come_from(installation: Installation) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home(installation.settings))) as instance:

        def lineage(*path: str) -> dict[str, set[str]]:
            event = instance.get_latest_materialization_event(dg.AssetKey(path))
            assert event and event.asset_materialization
            found = event.asset_materialization.metadata["dagster/column_lineage"].value
            assert isinstance(found, dg.TableColumnLineage)
            return {
                column: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}
                for column, deps in found.deps_by_column.items()
            }

        staged = lineage("staging", "stg_transactions")
        assert staged["record_id"] >= {"lake/transactions._source", "lake/transactions.order_id"}
        assert lineage("marts", "customer_identifiers")["identifier_masked"] == {
            "identity/identifiers.identifier_masked"
        }
        customers = lineage("marts", "customer_360")
        assert customers["email_masked"] == {"intermediate/int_customer_profile.email_masked"}
        assert customers["as_of_date"] == set(), "the day comes from no column"
