"""What holds for every two versions of a contract, however they came about."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from tests.transforms.contracts.diff.contracts import column, entity_document, source_document
from transforms.contracts.diff import Comparison, ContractSet, Kind, compare
from transforms.contracts.document import Document
from transforms.contracts.gate_sql import RawTable, gate_query

WORDS = ("web", "store", "app", "hotline")
RAW = ("no", "sold", "pieces", "kind", "till")
# Rows that lie on both sides of every rule that the contracts below can have.
ROWS = [
    (str(number), moment, pieces, kind, till)
    for number, (moment, pieces, kind, till) in enumerate(
        [
            ("01.02.2025 10:00", "0", "W", None),
            ("01.02.2025 10:00", "5", "store", "T1"),
            ("2025-02-01 10:00", "-3", "app", "T1"),
            ("01.02.2025", "12,5", "W", "hotline"),
            (None, "99.1234", None, "web"),
            ("13.14.2025 10:00", "1000000", "x", ""),
            ("01.02.2025 10:00", None, "WEB", "T1"),
            ("01.02.2025 10:00", "7", "hotline", "store"),
        ]
    )
]

limits = st.integers(-4, 110)
entities = st.fixed_dictionaries(
    {
        "minimum": st.none() | limits,
        "maximum": st.none() | limits,
        "maxLength": st.none() | st.integers(1, 8),
        "pattern": st.none() | st.sampled_from(["^[a-z]+$", "^[a-z]*$", "e"]),
        "enum": st.none() | st.sets(st.sampled_from(WORDS), min_size=1),
        "required": st.sets(st.sampled_from(["ordered_at", "quantity", "channel", "note"])),
        "type": st.sampled_from(["DECIMAL(18,3)", "DECIMAL(5,3)", "DECIMAL(18,1)", "DOUBLE", "BIGINT"]),
        "rule": st.none() | st.sampled_from(["quantity > 0", "(quantity>0) -- sold", "note is not null"]),
        "tags": st.sets(st.sampled_from(["personal_data", "identifier", "old"])),
    }
)
sources = st.fixed_dictionaries(
    {
        "channel": st.sampled_from(["lower(kind)", "LOWER( kind )", "kind", "coalesce(kind, till)"]),
        "note": st.none() | st.sampled_from(["till", "kind"]),
        "separator": st.sampled_from([None, ".", ","]),
        "format": st.sampled_from([None, "dd.MM.yyyy HH:mm", "dd.MM.uuuu HH:mm", "dd.MM.yyyy"]),
        "rate": st.sampled_from([0.1, 0.2, 0.3]),
    }
)
installations = st.tuples(entities, sources)


def entity_of(drawn: dict[str, Any]) -> dict[str, Any]:
    document = entity_document()
    options = {"minimum": drawn["minimum"], "maximum": drawn["maximum"]}
    texts = {"maxLength": drawn["maxLength"], "pattern": drawn["pattern"]}
    column(document, "quantity").update(
        physicalType=drawn["type"], logicalTypeOptions={k: v for k, v in options.items() if v is not None}
    )
    channel = column(document, "channel")
    channel.update(logicalTypeOptions={k: v for k, v in texts.items() if v is not None})
    channel.pop("enum")
    if drawn["enum"]:
        channel["enum"] = [{"value": value} for value in sorted(drawn["enum"])]
    for name in ("ordered_at", "quantity", "channel", "note"):
        column(document, name)["required"] = name in drawn["required"]
    column(document, "note")["tags"] = sorted(drawn["tags"])
    document["schema"][0]["quality"][0]["implementation"] = drawn["rule"]
    if drawn["rule"] is None:
        document["schema"][0].pop("quality")
    return document


def source_of(drawn: dict[str, Any]) -> dict[str, Any]:
    document = source_document()
    column(document, "channel").update(transformLogic=drawn["channel"], transformSourceObjects=["kind", "till"])
    column(document, "ordered_at")["logicalTypeOptions"] = {"format": drawn["format"]} if drawn["format"] else {}
    if drawn["separator"]:
        properties = [{"property": "decimalSeparator", "value": drawn["separator"]}]
        column(document, "quantity")["customProperties"] = properties
    # A required column has to be mapped.
    document["schema"][0]["properties"].append({"name": "note", "physicalName": drawn["note"] or "nowhere"})
    document["schema"][0]["customProperties"][1]["value"] = drawn["rate"]
    return document


def as_set(entity: dict[str, Any], source: dict[str, Any]) -> ContractSet:
    return ContractSet(
        {
            (Kind.ENTITY, "orders"): Document(Path("orders.odcs.yaml"), entity, {}),
            (Kind.SOURCE, "shop"): Document(Path("shop.odcs.yaml"), source, {}),
        }
    )


def build(drawn: tuple[dict[str, Any], dict[str, Any]]) -> ContractSet:
    return as_set(entity_of(drawn[0]), source_of(drawn[1]))


def accepted(contracts: ContractSet) -> set[str]:
    """Numbers of the rows that pass the gate."""
    shop = contracts.sources(contracts.entities())["shop"]
    assert shop is not None
    with rows().cursor() as connection:
        query = gate_query(connection, shop, RawTable("raw", dict.fromkeys(RAW, "VARCHAR")), "2026-01-01T00:00:00")
        return {
            row[0]
            for row in connection.execute(f"SELECT order_id FROM ({query.rows}) WHERE _reasons IS NULL").fetchall()
        }


@cache
def rows() -> duckdb.DuckDBPyConnection:
    """The rows as a reader hands them to the gate."""
    connection = duckdb.connect()
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute(f"CREATE TABLE raw ({', '.join(f'{name} VARCHAR' for name in RAW)}, _ws_row BIGINT)")
    connection.executemany(f"INSERT INTO raw VALUES ({', '.join('?' * len(RAW))}, 0)", ROWS)
    return connection


@given(installations)
@hypothesis(max_examples=50, deadline=None)
def test_nothing_changes_between_a_contract_and_itself(drawn: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert compare(build(drawn), build(copy.deepcopy(drawn))) == Comparison((), (), (), ())


@given(installations, installations)
@hypothesis(max_examples=100, deadline=None)
def test_a_row_that_passed_and_is_refused_now_makes_the_change_breaking(
    before: tuple[dict[str, Any], dict[str, Any]], after: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    old, new = build(before), build(after)
    if accepted(old) - accepted(new):
        assert compare(old, new).is_breaking


@given(installations, st.data())
@hypothesis(max_examples=100, deadline=None)
def test_a_row_that_a_single_change_refuses_makes_it_breaking(
    before: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    """Single changes, because in a crowd another one may be breaking already."""
    after = copy.deepcopy(before)
    side, strategy = data.draw(st.sampled_from([(0, entities), (1, sources)]))
    key = data.draw(st.sampled_from(sorted(after[side])))
    after[side][key] = data.draw(strategy)[key]
    old, new = build(before), build(after)
    found = compare(old, new)
    if accepted(old) - accepted(new):
        assert found.is_breaking
    if found.gated_anew:
        assert found.changes


@given(entities, st.sampled_from(["minimum", "maximum", "maxLength", "enum", "required"]), st.data())
@hypothesis(max_examples=100, deadline=None)
def test_a_tightening_is_never_compatible(drawn: dict[str, Any], what: str, data: st.DataObject) -> None:
    tighter = dict(drawn)
    was = drawn[what]
    if what == "minimum":
        tighter[what] = data.draw(limits) if was is None else was + data.draw(st.integers(1, 50))
    elif what == "maximum":
        tighter[what] = data.draw(limits) if was is None else was - data.draw(st.integers(1, 50))
    elif what == "maxLength":
        tighter[what] = data.draw(st.integers(1, 8)) if was is None else was - 1
    elif what == "enum":
        tighter[what] = set(WORDS[:2]) if was is None else set(sorted(was)[1:]) | {"other"}
    else:
        tighter[what] = was | {"note", "quantity"}
    if tighter[what] == was:
        return
    found = compare(build((drawn, SOURCE)), build((tighter, SOURCE)))
    assert found.is_breaking
    assert not any(change.impact == "compatible" for change in found.changes if what != "enum")


@given(entities, st.sampled_from(["minimum", "maximum", "maxLength", "enum", "rule", "pattern"]))
@hypothesis(max_examples=100, deadline=None)
def test_taking_a_rule_away_never_breaks(drawn: dict[str, Any], what: str) -> None:
    looser = {**drawn, what: None}
    assert not compare(build((drawn, SOURCE)), build((looser, SOURCE))).is_breaking


SOURCE = {"channel": "kind", "note": "till", "separator": None, "format": None, "rate": 0.2}
