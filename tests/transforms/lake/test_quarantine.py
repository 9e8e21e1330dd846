"""Quarantine as a workflow: listed, shown, released, with the row account balanced all the while."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.transforms.lake.shop import Shop, contract_document, csv_file, line
from transforms.lake import gated
from transforms.lake.checks import check_load
from transforms.lake.quarantine import ReleaseError, ReleaseReport, list_quarantine, release, show_quarantine

ROWS = "SELECT order_id FROM accepted ORDER BY ALL"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def let_out(shop: Shop, **choice: Any) -> ReleaseReport:
    return release(shop.settings, shop.contract, reason="asked the till team", released_by="kim", **choice)


def test_what_waits_is_counted_by_its_reasons(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", kind="gift"), line("2", amount="free"), line("3", kind="gift"), line("4")))
    shop.load()
    first, second = list_quarantine(shop.settings, shop.contract)
    assert (first.stage, first.reasons, first.rows, first.example) == ("rule", "enum:line_type", 2, ("a.csv", 2))
    assert (second.stage, second.reasons, second.rows) == ("type", "type:gross_amount", 1)


def test_records_are_shown_as_they_came(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", amount="free", mail="=cmd|' /C calc'!A0")))
    shop.load()
    (record,) = show_quarantine(shop.settings, shop.contract, reason="type:gross_amount")
    assert (record.file, record.row) == ("a.csv", 2)
    assert json.loads(record.raw or "")["mail"] == "=cmd|' /C calc'!A0"


def test_a_mended_contract_lets_out_what_it_now_allows(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", kind="SALE"), line("2"), line("3", kind="gift")))
    shop.load()
    document = contract_document()
    document["schema"][0]["properties"][3] = {
        "name": "line_type",
        "logicalType": "string",
        "transformSourceObjects": ["kind"],
        "transformLogic": "lower(kind)",
    }
    shop.sign(document)
    report = release(shop.settings, shop.contract)
    assert (report.came_out, report.after) == (1, {"enum:line_type": 1})
    assert shop.query(ROWS) == [("1",), ("2",)] and report.load.balances


@pytest.mark.parametrize("share", [0.75, 0.0], ids=["in memory", "on disk"])
def test_rows_are_kept_on_a_persons_word_and_the_word_is_kept(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(gated, "_MEMORY_SHARE", share)
    shop.deliver(csv_file(line("1", kind="gift"), line("2", kind="gift"), line("3")))
    shop.load()
    report = let_out(shop, file="a.csv", rows=[3])
    assert report.came_out == 1 and shop.query(ROWS) == [("2",), ("3",)]
    assert shop.query("SELECT rows_read, rows_accepted, rows_quarantined, rows_released FROM records") == [(3, 2, 1, 1)]
    (entry,) = (shop.settings.landing / "shop" / "released.jsonl").read_text().splitlines()
    assert json.loads(entry) | {"file_sha256": "", "released_at": ""} == {
        "file": "a.csv",
        "file_sha256": "",
        "rows": [3],
        "reason": "asked the till team",
        "released_by": "kim",
        "released_at": "",
        "rules": ["enum:line_type"],
    }
    assert not shop.load().loaded, "the next load has nothing to do"


def test_all_rows_of_one_rule_are_kept(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", kind="gift"), line("2", kind="gift", amount="free")), "a.csv")
    shop.deliver(csv_file(line("3", kind="gift")), "b.csv")
    shop.load()
    assert let_out(shop, rule="enum:line_type").came_out == 2
    assert shop.query(ROWS) == [("1",), ("3",)]
    assert shop.reasons() == [(3, "enum:line_type; type:gross_amount")]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"rule": "type:gross_amount"}, "cannot be waived: such a record has no place in the table"),
        ({"rule": "parse:missing_columns"}, "cannot be waived"),
        ({"file": "a.csv", "rows": [2]}, "row 2 of 'a.csv' cannot be kept: type:gross_amount"),
        ({"file": "a.csv", "rows": [9]}, "row 9 of 'a.csv' is not in quarantine"),
        ({"file": "b.csv", "rows": [2]}, "nothing of the file 'b.csv' waits"),
        ({"rows": [2]}, "row numbers mean nothing without the file"),
        ({"file": "a.csv"}, "'a.csv' is not held"),
        ({"rule": "enum:channel"}, "no row waits for 'enum:channel' alone"),
    ],
)
def test_what_cannot_be_released_is_said_and_nothing_written(shop: Shop, choice: dict[str, Any], message: str) -> None:
    shop.deliver(csv_file(line("1", amount="free"), line("2")))
    shop.load()
    with pytest.raises(ReleaseError, match=message):
        let_out(shop, **choice)
    assert not (shop.settings.landing / "shop" / "released.jsonl").exists()


def test_an_exemption_needs_a_reason_and_a_name(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", kind="gift")))
    shop.load()
    with pytest.raises(ReleaseError, match="needs a reason and the name"):
        release(shop.settings, shop.contract, rule="enum:line_type")


def bad_day(good: int = 30) -> str:
    return csv_file(*(line(f"b{n}", kind="gift") for n in range(30)), *(line(f"g{n}") for n in range(good)))


def test_a_file_over_the_limit_is_held_whole_until_it_is_released(shop: Shop) -> None:
    shop.deliver(csv_file(*(line(str(n)) for n in range(1000))), "good.csv")
    shop.load()
    shop.deliver(bad_day(), "bad.csv")
    report = shop.load()
    (held,) = report.held
    assert held.reason and held.reason.startswith("held: 50.0% of the rows break the contract, allowed are 20.0%")
    assert (held.rows_read, held.rows_accepted, held.rows_quarantined) == (60, 0, 60) and report.balances
    assert shop.query("SELECT stage, reasons, count(*), count(raw) FROM quarantine GROUP BY ALL ORDER BY ALL") == [
        ("hold", "held:quarantine_rate", 30, 30),
        ("rule", "enum:line_type", 30, 30),
    ]

    def limit_check() -> bool:
        results = {result.name: result for result in check_load(shop.load(), shop.contract, shop.now)}
        return results["quarantine_below_limit"].passed

    assert not limit_check(), "the next load brings nothing and the file is still held"
    assert let_out(shop, file="bad.csv").came_out == 30
    assert shop.query("SELECT count(*) FROM accepted") == [(1030,)]
    assert limit_check()


def test_a_held_file_that_comes_again_mended_is_held_no_more(shop: Shop) -> None:
    shop.deliver(bad_day(), "day.csv")
    assert shop.load().held
    shop.deliver(csv_file(*(line(f"b{n}") for n in range(30))), "day.csv")
    report = shop.load()
    assert not report.held and shop.query("SELECT count(*) FROM accepted") == [(30,)]


def test_later_files_are_judged_anew_by_what_was_released(shop: Shop) -> None:
    """A row let through takes its key: what came later with another content conflicts now."""
    shop.deliver(csv_file(line("1", kind="gift")), "a.csv")
    shop.load()
    shop.deliver(csv_file(line("1")), "b.csv")
    shop.load()
    assert shop.query("SELECT order_id, line_type FROM accepted") == [("1", "sale")]
    let_out(shop, rule="enum:line_type")
    assert shop.query("SELECT order_id, line_type FROM accepted") == [("1", "gift")]
    assert shop.reasons() == [(2, "duplicate_key")]


def test_a_release_gates_only_from_its_file_on(shop: Shop) -> None:
    for name in ("a", "b", "c"):
        shop.deliver(csv_file(line(name), line(f"{name}{name}", kind="gift" if name == "b" else "sale")), f"{name}.csv")
        shop.load()
    report = let_out(shop, file="b.csv", rows=[3])
    assert [record.file for record in report.load.loaded] == ["b.csv", "c.csv"]
    assert len(shop.query(ROWS)) == 6


def test_a_copy_of_a_held_file_waits_and_is_released_by_its_own_name(shop: Shop) -> None:
    shop.deliver(bad_day(), "a.csv")
    shop.deliver(bad_day(), "b.csv")
    assert [record.file for record in shop.load().held] == ["a.csv", "b.csv"]
    report = let_out(shop, file="b.csv")
    assert [record.file for record in report.load.held] == ["a.csv"] and report.load.balances
    assert len(shop.query(ROWS)) == 30


def with_rule(name: str, expression: str = "quantity < 10") -> dict[str, Any]:
    document = contract_document()
    rule = {"name": name, "type": "custom", "engine": "watershed", "implementation": expression}
    document["schema"][0]["quality"] = [rule]
    return document


def test_a_rule_that_comes_after_the_release_is_not_waived(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", kind="gift", qty="99"), line("2", kind="gift")))
    shop.load()
    let_out(shop, rule="enum:line_type")
    assert shop.query(ROWS) == [("1",), ("2",)]
    shop.sign(with_rule("few"))
    shop.load()
    assert shop.query(ROWS) == [("2",)] and shop.reasons() == [(2, "enum:line_type; rule:few")]
    let_out(shop, file="a.csv", rows=[2])
    assert shop.query(ROWS) == [("1",), ("2",)]


@pytest.mark.parametrize("name", ["few-enough", "few enough", "wenig genug ü", "type:x", "it's"])
def test_rules_of_any_name_are_waived(tmp_path: Path, name: str) -> None:
    shop = Shop(tmp_path, with_rule(name))
    shop.deliver(csv_file(line("1", qty="99"), line("2", qty="98")))
    shop.load()
    assert shop.query("SELECT DISTINCT stage, reasons FROM quarantine") == [("rule", f"rule:{name}")]
    assert let_out(shop, file="a.csv", rows=[2]).came_out == 1
    assert let_out(shop, rule=f"rule:{name}").came_out == 1


def test_of_a_file_that_came_twice_the_newest_is_meant(shop: Shop) -> None:
    for order in ("1", "2"):
        shop.deliver(csv_file(line(order, kind="gift")))
        shop.load()
    assert let_out(shop, file="a.csv", rows=[2]).came_out == 1
    assert shop.query(ROWS) == [("2",)]


def test_a_held_file_without_a_waiting_row_is_released_and_only_this_once(tmp_path: Path) -> None:
    document = contract_document()
    document["schema"][0]["customProperties"].append({"property": "loadMode", "value": "snapshot"})
    shop = Shop(tmp_path, document)
    full = csv_file(*(line(str(n)) for n in range(100)))
    half = csv_file(*(line(str(n)) for n in range(50)))
    for content in (full, half):
        shop.deliver(content)
        report = shop.load()
    assert report.held[0].rows_duplicate == 50
    let_out(shop, file="a.csv", clock=lambda: shop.now)
    assert shop.query("SELECT count(*) FROM current") == [(50,)]
    for content in (full, half):
        shop.deliver(content)
        report = shop.load()
    assert [record.file for record in report.held] == ["a.csv"], "nobody has decided about this one"
    assert shop.query("SELECT count(*) FROM current") == [(100,)]
