"""Three that must agree: the gate, Great Expectations, and whoever counts by hand."""

from __future__ import annotations

import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transforms.lake.shop import Shop, csv_file, line
from tests.transforms.quality.conftest import check, document_with, verdicts
from transforms.contracts import load_contracts
from transforms.demo import write_company
from transforms.lake.load import load_source
from transforms.quality import validate_load
from transforms.settings import Settings

# Among them what means something to templates, to SQL and to SQLAlchemy.
MAILS = ["", "a@b.c", "{x}", ":x", "%s", "it's", "n/a", "\\:x{2}", "é"]
COMPARISONS = {
    "mustBe": lambda value, bound: value == bound,
    "mustNotBe": lambda value, bound: value != bound,
    "mustBeGreaterThan": lambda value, bound: value > bound,
    "mustBeGreaterOrEqualTo": lambda value, bound: value >= bound,
    "mustBeLessThan": lambda value, bound: value < bound,
    "mustBeLessOrEqualTo": lambda value, bound: value <= bound,
    "mustBeBetween": lambda value, bound: bound[0] <= value <= bound[1],
    "mustNotBeBetween": lambda value, bound: not bound[0] <= value <= bound[1],
}


def bounds(operator: str, percent: bool) -> st.SearchStrategy[Any]:
    number = st.sampled_from([0, 12.5, 20, 25, 50, 100]) if percent else st.integers(0, 8)
    pairs = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    return pairs if operator.endswith("Between") else number


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    metric = draw(st.sampled_from(["rowCount", "nullValues", "missingValues", "invalidValues", "duplicateValues"]))
    operator = draw(st.sampled_from(sorted(COMPARISONS)))
    percent = metric != "rowCount" and draw(st.booleans())
    rule: dict[str, Any] = {"metric": metric, operator: draw(bounds(operator, percent))}
    if percent:
        rule["unit"] = "percent"
    listed = draw(st.lists(st.sampled_from(MAILS), min_size=1, max_size=4, unique=True))
    if metric == "missingValues":
        rule["arguments"] = {"missingValues": listed}
    if metric == "invalidValues":
        rule["arguments"] = {"validValues": listed}
    return rule


def expected(rule: dict[str, Any], mails: list[str]) -> bool:
    """The verdict, counted in Python."""
    given_mails = [mail for mail in mails if mail]
    listed = next(iter(rule.get("arguments", {}).values()), [])
    count = {
        "rowCount": len(mails),
        "nullValues": len(mails) - len(given_mails),
        "missingValues": sum(not mail or mail in listed for mail in mails),
        "invalidValues": sum(mail not in listed for mail in given_mails),
        "duplicateValues": sum(Counter(given_mails).values()) - len(set(given_mails)),
    }[rule["metric"]]
    value = Fraction(100 * count, len(mails)) if rule.get("unit") == "percent" else Fraction(count)
    operator = next(name for name in COMPARISONS if name in rule)
    return COMPARISONS[operator](value, rule[operator])


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    mails=st.lists(st.sampled_from(MAILS), min_size=1, max_size=8),
    drawn=st.lists(rules(), min_size=4, max_size=8),
)
def test_each_verdict_is_that_of_a_count_by_hand(mails: list[str], drawn: list[dict[str, Any]]) -> None:
    named = [{**rule, "name": f"rule_{number}", "type": "library"} for number, rule in enumerate(drawn)]
    with tempfile.TemporaryDirectory() as folder:
        document = document_with(*(rule for rule in named if rule["metric"] == "rowCount"))
        column = next(node for node in document["schema"][0]["properties"] if node["name"] == "email")
        column["quality"] = [rule for rule in named if rule["metric"] != "rowCount"]
        shop = Shop(Path(folder), document)
        shop.deliver(csv_file(*(line(str(number), mail=mail) for number, mail in enumerate(mails))))
        report = check(shop)
    found = {name: passed for name, (passed, _) in verdicts(report).items()}
    assert found == {rule["name"]: expected(rule, mails) for rule in named}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["^[a-z]{2}:x$", "^it's$", r"^\d{2}\:\w+$", "%|{x}|é"])
def test_patterns_mean_to_the_check_what_they_mean_to_duckdb(shop: Shop, pattern: str) -> None:
    mails = ["ab:x", "it's", "12:ab", "%", "{x}", "é", "none"]
    rule = {"name": "shape", "metric": "invalidValues", "arguments": {"pattern": pattern}, "mustBe": 0}
    shop.sign(document_with(email=rule))
    shop.deliver(csv_file(*(line(str(number), mail=mail) for number, mail in enumerate(mails))))
    literal = pattern.replace("'", "''")
    shop.load()
    [(bad,)] = shop.query(f"SELECT count(*) FROM accepted WHERE NOT regexp_matches(email, '{literal}')")
    assert 0 < bad < len(mails)
    assert verdicts(check(shop)) == {"shape": (False, f"{bad} of {len(mails)} rows")}


@pytest.mark.slow
def test_what_the_gate_lets_in_keeps_the_rules_of_the_columns(tmp_path: Path) -> None:
    """The sample company, dirty records and all: nothing that the gate accepted breaks its contract, or looks odd."""
    installed = Settings(home=tmp_path, demo_people=300)
    write_company(installed)
    contracts = load_contracts(installed.entities, installed.contracts)
    checked = 0
    for contract in contracts.sources.values():
        report = validate_load(installed, contract, load_source(installed, contract).records)
        if report is not None and report.rows:
            assert not report.failed, contract.name
            checked += 1
    assert checked >= 5
