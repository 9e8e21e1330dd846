"""Who uses what, read without running dbt."""

from __future__ import annotations

import re

import yaml

from tests.dbt_project.project import DBT_PROJECT

SEMANTIC = DBT_PROJECT / "models" / "semantic"


def _published() -> set[str]:
    entries = [
        entry
        for folder in ("marts", "semantic")
        for path in (DBT_PROJECT / "models" / folder).rglob("*.yml")
        for entry in yaml.safe_load(path.read_text()).get("models", [])
    ]
    return {entry["name"] for entry in entries if entry["config"]["meta"]["publish"]}


def _refs(texts: list[str]) -> set[str]:
    return {name for text in texts for name in re.findall(r"ref\('(\w+)'\)", text)}


def test_exposures_use_what_is_published_and_every_published_mart_has_a_use() -> None:
    exposures = yaml.safe_load((SEMANTIC / "exposures.yml").read_text())["exposures"]
    used = _refs([text for exposure in exposures for text in exposure["depends_on"]])
    assert used == _published()
    for exposure in exposures:
        assert exposure["description"] and exposure["label"] and exposure["owner"]["name"], exposure["name"]


def test_metrics_read_what_is_published_and_the_exposure_says_so() -> None:
    documents = [yaml.safe_load(path.read_text()) for path in SEMANTIC.glob("*.yml")]
    read = _refs([model["model"] for document in documents for model in document.get("semantic_models", [])])
    assert read and read <= _published()
    (exposure,) = [
        entry for document in documents for entry in document.get("exposures", []) if entry["name"] == "semantic_layer"
    ]
    assert _refs(exposure["depends_on"]) == read | {"calendar"}
