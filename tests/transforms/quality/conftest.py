"""A shop whose contract carries dataset rules, and a look at what a load makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.lake.shop import Shop, contract_document
from transforms.quality import QualityReport, validate_load

Checked = Callable[..., QualityReport]


def document_with(*rules: dict[str, Any], **columns: dict[str, Any]) -> dict[str, Any]:
    """The shop's contract with rules on the dataset, and one on each named column."""
    document = contract_document()
    schema = document["schema"][0]
    schema["quality"] = [{"type": "library", **rule} for rule in rules]
    for node in schema["properties"]:
        if node["name"] in columns:
            node["quality"] = [{"type": "library", **columns[node["name"]]}]
    return document


def check(shop: Shop) -> QualityReport | None:
    """Load what is new and check it."""
    return validate_load(shop.settings, shop.contract, shop.load().records)


def verdicts(report: QualityReport | None) -> dict[str, tuple[bool, str]]:
    """Verdict and observation of the rules of the source contract, by name."""
    assert report
    of_entity = ("required:", "enum:", "range:", "max_length:", "pattern:", "key")
    return {r.name: (r.passed, r.observed) for r in report.results if not r.name.startswith(of_entity)}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
