"""Rules of the house that the files of the dbt project must keep, read without running dbt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.dbt_project.lake import ENTITIES, entity_columns
from tests.dbt_project.project import DBT_PROJECT

MODELS = sorted((DBT_PROJECT / "models").rglob("*.sql"))
MARTS = sorted((DBT_PROJECT / "models" / "marts").rglob("*.sql"))
# What DuckDB and Spark read differently, and what makes a table depend on more than its inputs and as_of.
BANNED = {
    "a cast by colons": r"::",
    "a double-quoted identifier": r'"',
    "a backslash": r"\\",
    "QUALIFY": r"\bqualify\b",
    "NTILE, which splits ties": r"\bntile\b",
    "an engine's own hash": r"\bhash\s*\(",
    "concat, which treats nulls differently": r"\bconcat\s*\(",
    "the clock": r"\b(current_date|current_timestamp|localtimestamp|getdate|today)\b|\bnow\s*\(",
    "date functions that differ": r"\b(date_?add|date_?sub|date_?diff|last_day|dayofweek|epoch)\s*\(",
    "dbt's date macros": r"\bdbt\.(dateadd|datediff|listagg|last_day|safe_cast)\b",
    "an integer division that differs": r"//",
}


def sql_of(path: Path) -> str:
    """Text of a model without comments and Jinja, where other rules hold."""
    text = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", " ", path.read_text(), flags=re.S)
    return re.sub(r"--[^\n]*", " ", text).lower()


def properties_of(path: Path) -> dict:
    """The one model entry of the YAML that stands beside a model."""
    (entry,) = yaml.safe_load(path.with_suffix(".yml").read_text())["models"]
    return entry


def by_name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", MODELS, ids=by_name)
def test_models_keep_to_the_sql_of_two_engines(path: Path) -> None:
    sql = sql_of(path)
    assert [name for name, pattern in BANNED.items() if re.search(pattern, sql)] == []


@pytest.mark.parametrize("path", MODELS, ids=by_name)
def test_a_yaml_beside_each_model_describes_it_by_its_grain(path: Path) -> None:
    entry = properties_of(path)
    assert entry["name"] == path.stem
    assert entry["description"].startswith("One row")
    undescribed = [column["name"] for column in entry["columns"] if not column.get("description", "").strip()]
    assert undescribed == []


@pytest.mark.parametrize("path", MARTS, ids=by_name)
def test_marts_say_whether_and_how_they_are_published(path: Path) -> None:
    entry = properties_of(path)
    assert entry["config"]["meta"]["publish"] in (True, False)
    columns = {column["name"] for column in entry["columns"]}
    assert set(entry["config"]["meta"].get("published_order", [])) <= columns
    assert [column["name"] for column in entry["columns"] if "data_type" not in column] == []


@pytest.mark.parametrize("path", MODELS, ids=by_name)
def test_columns_named_like_identifiers_are_tagged_as_personal_data(path: Path) -> None:
    identifiers = {"email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token", "identifier_value"}
    untagged = [
        column["name"]
        for column in properties_of(path)["columns"]
        if column["name"] in identifiers and "personal_data" not in column.get("config", {}).get("meta", {})
    ]
    assert untagged == []


def test_models_that_grow_with_the_lake_keep_what_they_stand_for() -> None:
    """Without its marks a model is built in full each time; with marks and no plan it would keep what is wrong."""
    growing = [path for path in MODELS if "increment_of" in properties_of(path).get("config", {}).get("meta", {})]
    assert len(growing) >= 3
    for path in growing:
        text = path.read_text()
        assert "materialized='incremental'" in text and "remember_contents()" in text, path.stem
        assert "increment_plan()" in text and "rows_of_step(" in text, path.stem


def test_models_that_go_by_who_is_reached_do_so_whole() -> None:
    """One that reads reached rows and does not forget the former ones holds both; without marks it is never right."""
    meta = {path: properties_of(path).get("config", {}).get("meta", {}) for path in MODELS}
    by_reach = [path for path in MODELS if "reached" in meta[path]]
    assert len(by_reach) >= 9
    for path in MODELS:
        text = path.read_text()
        # The first makes the model forget and remember.
        needed = ["go_by_reach()", "reached_rows("]
        assert [part for part in needed if part in text] == (needed if path in by_reach else []), path.stem
        assert path not in by_reach or "config(" not in text, path.stem
        assert not {*meta[path].get("reached", [])} - {"customer", "nobody", "order"}


def test_personal_data_tags_name_properties_of_entity_contracts() -> None:
    known = {
        f"{contract.name.removesuffix('.odcs.yaml')}.{column}"
        for contract in ENTITIES.glob("*.odcs.yaml")
        for column in entity_columns(contract.name.removesuffix(".odcs.yaml"))
    }
    tags = {
        column["config"]["meta"]["personal_data"]
        for path in MODELS
        for column in properties_of(path)["columns"]
        if "personal_data" in column.get("config", {}).get("meta", {})
    }
    assert tags
    assert tags <= known


@pytest.mark.parametrize("contract", sorted(ENTITIES.glob("*.odcs.yaml")), ids=lambda path: path.name.split(".")[0])
def test_staging_carries_every_column_of_its_entity(contract: Path) -> None:
    entity = contract.name.removesuffix(".odcs.yaml")
    model = DBT_PROJECT / "models" / "staging" / f"stg_{entity}.sql"
    described = {column["name"] for column in properties_of(model)["columns"]}
    platform = {"source", "record_id", "occurred_at", "occurred_date", "_batch_id"}
    if "identifier]" in contract.read_text():  # products belong to nobody
        platform.add("identity_key")
    assert described == set(entity_columns(entity)) | platform
    selected = set(re.findall(r"^    ([a-z_]+),?$|as ([a-z_]+),?$", model.read_text(), flags=re.M))
    assert described == {first or second for first, second in selected}


def _macros(prefix: str) -> Iterator[str]:
    text = (DBT_PROJECT / "macros" / "engine.sql").read_text()
    yield from re.findall(rf"\{{%-? macro {prefix}__(\w+)\(", text)


def test_each_dispatched_macro_speaks_both_engines() -> None:
    assert set(_macros("duckdb")) == set(_macros("spark"))
    assert len(set(_macros("duckdb"))) > 10


def test_each_threshold_is_used() -> None:
    """A variable that nothing reads promises an effect that it does not have."""
    declared = set(yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())["vars"])
    texts = "".join(
        path.read_text()
        for folder in ("models", "macros")
        for kind in ("*.sql", "*.yml")
        for path in (DBT_PROJECT / folder).rglob(kind)
    )
    used = set(re.findall(r"(?<!env_)var\(\s*['\"](\w+)['\"]", texts))
    assert used <= declared
    assert declared - used == set()
