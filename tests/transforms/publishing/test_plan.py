"""What the manifest lets leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transforms.publishing import PublicationError, read_plan

from .toy import column, marts, model, plan_of, write_manifest


def _columns(plan: Any, table: str) -> list[str]:
    return next([c.name for c in t.columns] for t in plan.tables if t.name == table)


def test_plan_holds_published_models_with_their_declared_columns_in_order(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)

    assert [table.name for table in plan.tables] == ["channel_summary", "customer_360", "customer_timeline"]
    assert _columns(plan, "customer_360") == [
        "customer_id",
        "segment",
        "net_revenue_amount",
        "p_alive",
        "generation",
    ]
    customers = plan.tables[1]
    assert customers.withheld == ("email", "phone")
    assert customers.published_order == ("segment", "customer_id")
    assert customers.description == "One row per customer. It's what marketing opens."
    assert customers.columns[0].description == "Customer's number."


def test_a_column_leaves_when_its_property_may(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, allowed=("transactions.email",))

    assert _columns(plan, "customer_360")[:2] == ["customer_id", "email"]
    assert plan.tables[1].withheld == ("phone",)


@pytest.mark.parametrize("place", ["meta", "config"])
def test_the_tag_counts_in_either_place_of_the_meta(tmp_path: Path, place: str) -> None:
    secret = column("secret")
    tag = {"personal_data": "app_events.device_id"}
    secret |= {"meta": tag} if place == "meta" else {"config": {"meta": tag}}

    plan = plan_of(tmp_path, {"m": model("m", [column("a"), secret])})

    assert plan.tables[0].withheld == ("secret",)


def test_two_different_tags_must_both_be_allowed(tmp_path: Path) -> None:
    both = column("contact", personal_data="transactions.email")
    both["meta"] = {"personal_data": "transactions.phone"}
    nodes = {"m": model("m", [column("a"), both])}

    assert plan_of(tmp_path, nodes, ("transactions.email",)).tables[0].withheld == ("contact",)
    assert plan_of(tmp_path, nodes, ("transactions.email", "transactions.phone")).tables[0].withheld == ()


def test_the_alias_is_the_tables_name(tmp_path: Path) -> None:
    node = model("customer_360_v2", [column("a")]) | {"alias": "customer_360", "schema": "gold"}

    table = plan_of(tmp_path, {"m": node}).tables[0]

    assert (table.model, table.schema, table.name) == ("customer_360_v2", "gold", "customer_360")


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (model("m", [column("a")], publish="yes"), r"m: config\.meta\.publish is 'yes'; write true or false"),
        (model("m", []), "m: declares no columns; list in its YAML"),
        (model("m", [column("a", personal_data="t.email")]), "m: every column holds personal data"),
        (model("m", [column("a", personal_data=True)]), r"m\.a: personal_data is True; write <entity>"),
        (model("m", [column("a", personal_data="email")]), r"m\.a: personal_data is 'email'; write <entity>"),
        (model("m", [column("a")], published_order="a"), "m: config.meta.published_order is 'a'; write a list"),
        (model("m", [column("a")], published_order=["b"]), r"m\.b: .*it is not declared; sort by another"),
        (
            model("m", [column("a"), column("b", personal_data="t.b")], published_order=["b"]),
            r"m\.b: .*it holds personal data; sort by another",
        ),
        (model("publication", [column("a")]), "its table publication is also the platform's own table"),
        (
            model("m", [column("a")]) | {"config": {"materialized": "ephemeral", "meta": {"publish": True}}},
            "m: an ephemeral model has no table",
        ),
    ],
)
def test_faults_name_model_column_and_way_out(tmp_path: Path, node: dict[str, Any], message: str) -> None:
    with pytest.raises(PublicationError, match=message):
        plan_of(tmp_path, {"m": node})


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    nodes = marts() | {
        "a": model("a", []),
        "b": model("b", [column("x")]) | {"alias": "customer_360"},
        "c": model("c", [column("x", personal_data="nonsense")]),
    }

    with pytest.raises(PublicationError) as caught:
        plan_of(tmp_path, nodes)

    assert [problem.split(":")[0] for problem in caught.value.problems] == ["a", "c.x", "b"]


def test_no_published_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PublicationError, match=r"No model in .* set config\.meta\.publish: true"):
        plan_of(tmp_path, {"m": {**model("m", [column("a")]), "config": {"meta": {}}}})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nodes": 3}'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)

    with pytest.raises(PublicationError, match="no dbt manifest"):
        read_plan(path, lambda tag: True)


def test_a_missing_manifest_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(PublicationError, match="run `dbt parse` first"):
        read_plan(tmp_path / "none.json", lambda tag: True)


def test_seeds_and_tests_of_the_manifest_are_no_marts(tmp_path: Path) -> None:
    nodes = marts() | {"t": {"resource_type": "test", "name": "t", "config": {"meta": {"publish": True}}}}

    assert [table.name for table in read_plan(write_manifest(tmp_path, nodes), lambda tag: False).tables] == [
        "channel_summary",
        "customer_360",
        "customer_timeline",
    ]
