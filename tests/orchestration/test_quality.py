"""The dataset check as Dagster shows it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration.quality import DATASET_CHECK, dataset_check_result, dataset_check_spec
from tests.transforms.lake.shop import Shop, csv_file, line
from tests.transforms.quality.conftest import document_with


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_the_severity_is_that_of_the_broken_rule_and_nothing_is_stopped(tmp_path: Path, severity: str) -> None:
    shop = Shop(tmp_path)
    rule = {"name": "crowd", "metric": "rowCount", "mustBeGreaterThan": 1000, "severity": severity}
    shop.sign(document_with(rule))
    assert dataset_check_result(shop.settings, shop.contract, shop.load()).passed
    shop.deliver(csv_file(line("1"), line("2")))
    for since in (None, "nothing new since the load of"):
        result = dataset_check_result(shop.settings, shop.contract, shop.load())
        assert (
            not result.passed and result.severity is dg.AssetCheckSeverity[{"warning": "WARN"}.get(severity, "ERROR")]
        )
        assert result.description == since or str(result.description).startswith(str(since))
        assert result.metadata["broken"].value == {"crowd": "number of rows must be greater than 1000: 2 rows"}
        assert result.metadata["rules_failed"].value == 1
        page = Path(str(result.metadata["data_docs_path"].value))
        assert page.is_file() and result.metadata["data_docs"].value == page.as_uri()
    spec = dataset_check_spec(dg.AssetKey(["sources", "shop"]))
    assert spec.name == DATASET_CHECK and not spec.blocking
