"""The value step within a run: a small company gets no prediction, and everybody is told why."""

from __future__ import annotations

import dagster as dg
import duckdb
import pytest

from orchestration.pipeline import dagster_home
from orchestration.valuation import FIT_CHECK, TABLES
from tests.orchestration.conftest import Installation
from transforms.value import SCHEMAS
from transforms.value.store import ValueStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


def test_every_table_of_the_outcome_is_an_asset() -> None:
    assert TABLES.keys() == SCHEMAS.keys()


def test_too_few_customers_are_told_in_row_table_check_and_log(installation: Installation) -> None:
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT model, fit_status, fallback_reason, predicted_clv_amount FROM marts.customer_clv"
        ).fetchall()
        runs = connection.execute("SELECT DISTINCT fit_status, reason FROM marts.clv_model_runs").fetchall()
        (total,) = connection.execute(
            "SELECT sum(total_clv_amount - historic_clv_amount) FROM marts.customer_clv"
        ).fetchall()
    ((model, status, reason, predicted),) = rows
    assert (model, status, predicted, total) == ("historic", "not_fitted", None, (0,))
    assert reason.startswith("too_few_customers: ") and reason.endswith("a model needs 500")
    assert runs == [("not_run", reason)]
    assert installation.first.success
    (finding,) = [text for text in installation.first.findings if FIT_CHECK in text]
    assert finding == f"WARN value/model_runs {FIT_CHECK}: nothing is predicted: {reason}"


def test_the_step_stands_between_purchase_days_and_the_marts(installation: Installation) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home(installation.settings))) as instance:
        run = instance.get_run_by_id(installation.first.run_id)
        assert run is not None
        done = [
            event.step_key
            for event in instance.all_logs(run.run_id, dg.DagsterEventType.STEP_SUCCESS)
            if event.step_key
        ]
        # Of this run: a later one that finds nothing new keeps the models, and says nothing of them.
        (told,) = [
            materialization
            for event in instance.all_logs(run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)
            if (materialization := event.asset_materialization)
            and materialization.asset_key == dg.AssetKey(["value", "predictions"])
        ]
    order = [
        step
        for step in done
        if step in {"observe", "identity", "model", "value", "value_marts", "published__customer360"}
    ]
    assert order[:5] == ["observe", "identity", "model", "value", "value_marts"]
    assert told.metadata["model"].value == "historic"
    assert ValueStore(installation.settings).state()["as_of"] is not None
