"""What dbt is told, tested without running it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from orchestration.dbt_arguments import (
    dbt_build,
    dbt_environment,
    history_selections,
    incremental_models,
    split_at,
)
from transforms.settings import Settings


def node(name: str, *parents: str, kind: str = "model") -> dict[str, Any]:
    return {"name": name, "resource_type": kind, "fqn": ["p", name], "depends_on": {"nodes": list(parents)}}


MANIFEST = {
    "nodes": {
        "m.a": node("a", "s.raw"),
        "m.b": node("b", "m.a"),
        "m.c": node("c", "m.b", "seed.d", "s.ids"),
        "seed.d": node("d", kind="seed"),
        "m.e": node("e", "m.c", "s.expected"),
        "m.f": node("f", "m.e", "m.b"),
        "test.t": node("t", "m.a", "m.c", kind="test"),
    },
    "sources": {
        "s.raw": {"fqn": ["p", "lake", "raw"]},
        "s.ids": {"fqn": ["p", "identity", "ids"]},
        "s.expected": {"fqn": ["p", "value", "expected"]},
    },
}


def test_the_project_splits_without_rest_and_without_overlap() -> None:
    before, rest, after = split_at(MANIFEST, {"b"}, "value")
    assert before.split() == ["fqn:p.a", "fqn:p.b", "source:lake.raw"]
    assert rest.split() == ["fqn:p.c", "fqn:p.d", "source:identity.ids"]
    assert after.split() == ["fqn:p.e", "fqn:p.f", "source:value.expected"]


def test_what_a_test_compares_runs_with_the_later_of_the_two() -> None:
    nodes = MANIFEST["nodes"] | {
        "m.g": node("g", "m.b"),
        "m.h": node("h", "m.g"),
        "test.equal": node("equal", "m.g", "m.e", kind="test"),
        "test.needed": node("needed", "m.c", "m.f", kind="test"),
    }
    _, rest, after = split_at(MANIFEST | {"nodes": nodes}, {"b"}, "value")
    assert rest.split() == ["fqn:p.c", "fqn:p.d", "source:identity.ids"]
    assert after.split() == ["fqn:p.e", "fqn:p.f", "fqn:p.g", "fqn:p.h", "source:value.expected"]


def test_the_history_asks_for_what_its_logs_stand_on_and_for_no_more() -> None:
    grid = {**node("grid", kind="seed"), "depends_on": {"macros": []}}
    nodes = {
        "m.staged": node("staged", "s.raw"),
        "m.seen": node("int_identity_observations", "m.staged"),
        "m.orders": node("orders", "m.staged", "s.ids"),
        "m.log": node("int_segment_log", "m.orders", "seed.grid"),
        "m.values": node("values", "m.orders"),
        "m.other_log": node("int_rfm_log", "m.values"),
        "m.mart": node("segment_history", "m.log"),
        "m.sessions": node("sessions", "m.staged"),
        "seed.grid": grid,
        "test.t": node("t", "m.orders", kind="test"),
    }
    before, after = history_selections({"nodes": nodes, "sources": {}})
    assert before.split() == ["fqn:p.int_identity_observations", "fqn:p.staged"]
    assert after.split() == [
        *("fqn:p.int_segment_log", "fqn:p.orders", "fqn:p.int_rfm_log", "fqn:p.values", "fqn:p.grid")
    ]


def test_what_differs_from_run_to_run_comes_by_the_environment(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, business_timezone="Asia/Tokyo")
    environment = dbt_environment(settings, dt.date(2025, 3, 1))
    assert environment["WATERSHED_AS_OF_DATE"] == "2025-03-01"
    assert environment["WATERSHED_LAKE_PATH"] == str(tmp_path / "lake")
    assert environment["WATERSHED_TIMEZONE"] == "Asia/Tokyo"
    assert "WATERSHED_AS_OF_DATE" not in dbt_environment(settings)
    assert "--vars" not in dbt_build()


def test_no_secret_reaches_dbt(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, identifier_key="very-secret")  # type: ignore[arg-type]
    assert "very-secret" not in repr((dbt_environment(settings), dbt_build(), settings))


def test_increments_are_planned_for_models_that_name_their_entities_alone(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert "WATERSHED_INCREMENTS" not in dbt_environment(settings, dt.date(2025, 3, 1))
    planned = dbt_environment(settings, dt.date(2025, 3, 1), tmp_path / "plan")
    assert planned["WATERSHED_INCREMENTS"] == str(tmp_path / "plan")
    nodes = {
        "m.spells": node("spells") | {"config": {"meta": {"increment_of": ["app_events"]}}},
        "m.log": node("log") | {"config": {"materialized": "incremental", "meta": {}}},
        "test.t": node("t", kind="test") | {"config": {"meta": {}}},
    }
    assert incremental_models({"nodes": nodes}) == {"spells": ["app_events"]}
