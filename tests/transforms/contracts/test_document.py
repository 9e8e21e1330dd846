"""Contracts against the standard's schema: the quick answer and the one that says why are the same."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import PROJECT
from transforms.contracts.document import ContractError, _errors, _is_valid, parse_document

CONTRACTS = [yaml.safe_load(file.read_text()) for file in sorted((PROJECT / "data_contracts").rglob("*.odcs.yaml"))]
# Words that the schema knows, values of another kind than it asks for, and what JSON has no word for.
VALUES: list[Any] = [None, True, 0, -1, 1.5, "", "text", "custom", "string", "date", [], ["a"], {}, {"type": "sql"}]


def _nodes(node: Any) -> list[tuple[Any, Any]]:
    """Every place of a document, as its container and key."""
    if isinstance(node, dict):
        return [(node, key) for key in node] + [place for value in node.values() for place in _nodes(value)]
    if isinstance(node, list):
        return [(node, index) for index in range(len(node))] + [place for value in node for place in _nodes(value)]
    return []


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_quick_validator_and_the_one_that_explains_agree(data: st.DataObject) -> None:
    contract = copy.deepcopy(data.draw(st.sampled_from(CONTRACTS)))
    for _ in range(data.draw(st.integers(0, 2))):
        container, key = data.draw(st.sampled_from(_nodes(contract)))
        change = data.draw(st.sampled_from(["other value", "gone", "surplus key"]))
        if change == "gone":
            del container[key]
        elif change == "surplus key" and isinstance(container, dict):
            container["surplus"] = data.draw(st.sampled_from(VALUES))
        else:
            container[key] = data.draw(st.sampled_from(VALUES))
    assert _is_valid(contract) == (next(_errors(contract), None) is None)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_a_number_that_json_does_not_have_is_left_to_the_one_that_explains(number: str) -> None:
    contract = f"apiVersion: v3.2.0\nkind: DataContract\nid: one\nversion: 1.0.0\nstatus: active\nprice: {number}\n"
    with pytest.raises(ContractError, match="price"):
        parse_document(contract.encode(), Path("one.odcs.yaml"))
