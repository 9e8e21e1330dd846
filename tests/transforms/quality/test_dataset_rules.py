"""Dataset rules of a contract: a fault is named with file, line and remedy before anything runs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.transforms.lake.shop import contract_document
from transforms.contracts import ContractError, load_contracts
from transforms.contracts.dataset_rules import DatasetRule
from transforms.settings import Settings

# Rule of the dataset, or of the column email; what the message has to say.
FAULTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown metric": ("dataset", {"metric": "rowCounts", "mustBe": 1}, "one metric (rowCount, nullValues,"),
    "no metric": ("dataset", {"mustBe": 1}, "one metric (rowCount, nullValues,"),
    "no operator": ("dataset", {"metric": "rowCount"}, "one operator with its number"),
    "operator misspelt": ("dataset", {"metric": "rowCount", "mustBeGreaterThen": 1}, "one operator with its number"),
    "two operators": ("dataset", {"metric": "rowCount", "mustBe": 1, "mustNotBe": 2}, "one operator with its number"),
    "text as bound": ("dataset", {"metric": "rowCount", "mustBe": "many"}, "Give one number."),
    "between upside down": (
        "dataset",
        {"metric": "rowCount", "mustBeBetween": [9, 1]},
        "The smaller number comes first",
    ),
    "more than all": ("email", {"metric": "nullValues", "mustBe": 101, "unit": "percent"}, "percent from 0 to 100"),
    "fewer than none": ("email", {"metric": "nullValues", "mustBe": -1}, "Give rows."),
    "share of rows": ("dataset", {"metric": "rowCount", "mustBe": 1, "unit": "percent"}, "Use unit rows."),
    "unknown unit": ("email", {"metric": "nullValues", "mustBe": 1, "unit": "shares"}, "Use rows or percent."),
    "unknown severity": ("dataset", {"metric": "rowCount", "mustBe": 1, "severity": "high"}, "Use error or warning."),
    "rows of a column": ("email", {"metric": "rowCount", "mustBe": 1}, "quality of the schema object"),
    "nulls of no column": ("dataset", {"metric": "nullValues", "mustBe": 1}, "Move it to the quality of a property."),
    "duplicates of what": ("dataset", {"metric": "duplicateValues", "mustBe": 0}, "Add arguments: {properties:"),
    "duplicates of an unknown column": (
        "dataset",
        {"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["order_idd"]}},
        "Did you mean 'order_id'?",
    ),
    "which are valid": ("email", {"metric": "invalidValues", "mustBe": 0}, "Add arguments: validValues, pattern"),
    "unknown argument": ("email", {"metric": "nullValues", "mustBe": 0, "arguments": {"a": 1}}, "no argument 'a'"),
    "valid values are no list": (
        "email",
        {"metric": "invalidValues", "mustBe": 0, "arguments": {"validValues": "a"}},
        "validValues is no list",
    ),
    "pattern that is none": (
        "email",
        {"metric": "invalidValues", "mustBe": 0, "arguments": {"pattern": "("}},
        "Use RE2 syntax.",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_names_file_line_and_remedy(tmp_path: Path, case: str) -> None:
    place, rule, message = FAULTS[case]
    document = contract_document()
    schema = document["schema"][0]
    node = next((node for node in schema["properties"] if node["name"] == place), schema)
    node["quality"] = [{"name": "the_rule", "type": "library", **rule}]
    text = yaml.safe_dump(document, sort_keys=False, width=1000)
    (tmp_path / "shop.odcs.yaml").write_text(text)
    with pytest.raises(ContractError) as caught:
        load_contracts(Settings().entities, tmp_path)
    assert message in str(caught.value)
    first = next(number for number, row in enumerate(text.splitlines(), start=1) if "the_rule" in row)
    for problem in caught.value.problems:
        assert str(problem).startswith(f"{tmp_path}/shop.odcs.yaml:{problem.line}: ")
        assert first <= problem.line <= first + 8


def rule(operator: str, *bounds: str, percent: bool = True) -> DatasetRule:
    return DatasetRule("nullValues", ("email",), operator, tuple(Fraction(bound) for bound in bounds), percent)


def test_shares_are_compared_exactly() -> None:
    """7 of 100 is 7 percent, which binary fractions do not know: 1 - 0.07 is less than 0.93."""
    assert rule("mustBe", "7").holds(7, 100)
    assert rule("mustBe", "0.1").holds(1, 1000)
    assert not rule("mustBeLessThan", "0.1").holds(3, 3000)
    assert rule("mustBeLessThan", "0.1").holds(2_999_999, 3_000_000_000)


def test_no_rows_keep_every_share() -> None:
    assert rule("mustBeLessThan", "0").holds(0, 0)
    assert rule("mustBeGreaterThan", "50").holds(0, 0)
    assert not rule("mustBeGreaterThan", "0", percent=False).holds(0, 0)


def test_a_rule_reads_as_a_sentence() -> None:
    text = "share of rows in which email is null must be between 2.5 percent and 40 percent"
    assert rule("mustBeBetween", "2.5", "40").text == text
