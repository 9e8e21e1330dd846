"""What is tried again within a run, and what is not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration.retries import TRIES, ask_again, wait_for_readers
from orchestration.runs import failure_of, failure_sentence
from tests.transforms.lake.shop import Shop, csv_file, line
from transforms.lake.load import LoadReport
from transforms.settings import Settings

UNREACHABLE = "the store cannot be reached; mend the endpointUrl or the network, the next run tries again"
REFUSED = "postgres db:5432/crm: password authentication failed; set the password of the role in WATERSHED_SECRETS__CRM"


@pytest.fixture
def report(tmp_path: Path) -> LoadReport:
    return Shop(tmp_path).load()


def seconds(again: dg.RetryRequested | None) -> float | None:
    return again.seconds_to_wait if again else None


def test_a_source_that_cannot_be_reached_is_asked_again_and_less_often_each_time(report: LoadReport) -> None:
    settings = Settings(retry_seconds=30)
    away = replace(report, unreadable={"s3://bucket/*.csv": UNREACHABLE})
    assert [seconds(ask_again(away, settings, tried)) for tried in range(4)] == [30, 60, None, None]
    again = ask_again(away, settings, 0)
    assert again and again.max_retries == TRIES - 1 == 2
    assert ask_again(away, Settings(retry_seconds=0), 0) is None


def test_what_another_try_cannot_help_fails_at_once(report: LoadReport) -> None:
    assert ask_again(report, Settings(), 0) is None
    assert ask_again(replace(report, unreadable={"crm": REFUSED}), Settings(), 0) is None


def test_a_load_that_brought_something_is_judged_and_not_repeated(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1")))
    some = replace(shop.load(), unreadable={"b.csv": "changed while it was read; the next run takes it up"})
    assert some.loaded and ask_again(some, Settings(), 0) is None
    assert ask_again(replace(some, loaded=()), Settings(), 0) is not None


def test_a_warehouse_that_somebody_has_open_is_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "w.duckdb")
    code = f"import duckdb, time; c = duckdb.connect({path!r}); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline()
        with pytest.raises(duckdb.IOException) as locked:
            duckdb.connect(path, read_only=True)
        holder.kill()
    assert seconds(wait_for_readers(locked.value, Settings(retry_seconds=5), 1)) == 10
    assert wait_for_readers(RuntimeError("Database Error in model customer_360"), Settings(), 0) is None


def test_dagster_tries_a_source_again_and_the_others_meanwhile() -> None:
    """The in-process executor does the rest while one waits."""
    order: list[str] = []

    @dg.asset
    def away(context) -> None:  # dagster takes no annotation that is a text
        order.append("away")
        if context.retry_number < 1:
            raise dg.RetryRequested(max_retries=2, seconds_to_wait=0.5)

    @dg.asset
    def other() -> None:
        order.append("other")

    assert dg.materialize([away, other]).success
    assert order == ["away", "other", "away"]


def failed(step: str, text: str) -> Any:
    error = SimpleNamespace(message=text, cause=None)
    data = SimpleNamespace(error=error)
    return SimpleNamespace(event_type_value="STEP_FAILURE", step_key=step, message="", step_failure_data=data)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("dagster.Failure: the lake is empty: nothing was delivered.\n", "the lake is empty: nothing was delivered"),
        ("dagster._core.errors.DagsterExecutionInterruptedError\n", "it was told to stop"),
        (
            "dagster_dbt.errors.DagsterDbtCliRuntimeError: The dbt CLI process with command\n`dbt build`\nfailed.\n\n"
            "Errors parsed from dbt logs:\n\nDatabase Error in model fct_orders (x.sql)\n  Binder Error: no column a\n",
            "Database Error in model fct_orders (x.sql) Binder Error: no column a",
        ),
    ],
)
def test_a_failure_is_one_sentence_that_says_what_where_and_how_to_go_on(tmp_path: Path, error: str, said: str) -> None:
    settings = Settings(home=tmp_path)
    sentence = failure_sentence("r1", *failure_of([failed("identity", error)]), settings)
    assert sentence.startswith(f"The run r1 failed at identity: {said}. {settings.published} is as it was;")
    assert "run again" in sentence and "\n" not in sentence
