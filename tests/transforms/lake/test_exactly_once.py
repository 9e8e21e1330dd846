"""Replays, overlaps, conflicts and kills: the lake holds each record once, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.killing import Moments, start
from tests.transforms.lake.shop import HEADER, Shop, contract_document, csv_file, line
from transforms.contracts import load_contracts
from transforms.lake.generations import drop_former_sources
from transforms.lake.load import load_source
from transforms.sources import deliveries


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def account(shop: Shop) -> dict[str, tuple[int, int, int, int, str]]:
    rows = shop.query(
        "SELECT file, rows_read, rows_accepted, rows_quarantined, rows_duplicate, status"
        " FROM records ORDER BY loaded_at"
    )
    return {row[0]: row[1:] for row in rows}  # type: ignore[misc]


def test_exact_repeats_count_as_duplicates_and_the_first_stays(shop: Shop) -> None:
    shop.deliver(csv_file(line("1"), line("2"), line("1"), line("1")))
    shop.load()
    assert account(shop) == {"a.csv": (4, 2, 0, 2, "loaded")}
    assert shop.query("SELECT order_id, _row FROM accepted ORDER BY 1") == [("1", 2), ("2", 3)]


def test_one_key_with_two_contents_is_refused_in_both(shop: Shop) -> None:
    shop.deliver(csv_file(line("1"), line("2", amount="1.00"), line("2", amount="2.00"), line("2", amount="1.00")))
    shop.load()
    assert shop.reasons() == [(3, "duplicate_key"), (4, "duplicate_key"), (5, "duplicate_key")]
    assert shop.query("SELECT order_id FROM accepted") == [("1",)]


def test_the_same_bytes_under_another_name_add_nothing(shop: Shop) -> None:
    content = csv_file(line("1"), line("2", kind="gift"))
    shop.deliver(content, "a.csv")
    shop.load()
    shop.deliver(content, "b.csv")
    report = shop.load()
    assert account(shop) == {"a.csv": (2, 1, 1, 0, "loaded"), "b.csv": (2, 0, 0, 2, "replayed")}
    assert report.balances and shop.query("SELECT count(*) FROM quarantine") == [(1,)]


def test_an_overlapping_file_brings_only_its_new_rows(shop: Shop) -> None:
    shop.deliver(csv_file(line("1"), line("2")), "a.csv")
    shop.load()
    shop.deliver(csv_file(line("2"), line("3"), line("1", amount="5.00")), "b.csv")
    shop.load()
    assert account(shop)["b.csv"] == (3, 1, 1, 1, "loaded")
    amounts = shop.query("SELECT order_id, CAST(gross_amount AS VARCHAR) FROM accepted ORDER BY 1")
    assert amounts == [("1", "9.90"), ("2", "9.90"), ("3", "9.90")]
    assert shop.reasons() == [(4, "duplicate_key")]


def test_a_growing_file_is_read_again_and_counted_once(shop: Shop) -> None:
    shop.deliver(csv_file(line("1")))
    shop.load()
    shop.deliver(csv_file(line("1"), line("2"))[:-1])
    assert [record.status for record in shop.load().loaded] == ["rejected"]
    shop.deliver(csv_file(line("1"), line("2")))
    shop.load()
    assert shop.query("SELECT order_id FROM accepted ORDER BY 1") == [("1",), ("2",)]


def test_a_file_that_was_refused_and_came_again_whole_is_no_longer_refused(shop: Shop) -> None:
    shop.deliver(csv_file(line("1"))[:-1])
    assert len(shop.load().rejected) == 1
    shop.deliver(csv_file(line("1")))
    assert shop.load().rejected == ()


def test_the_first_comer_stays_first_when_it_comes_again_and_all_is_gated_anew(shop: Shop) -> None:
    first = shop.deliver(csv_file(line("1")), "a.csv")
    shop.load()
    shop.now -= dt.timedelta(days=1)  # the clock of the machine was set back
    shop.deliver(csv_file(line("1", amount="5.00")), "b.csv")
    shop.load()
    os.utime(first)
    shop.load()
    document = contract_document()
    document["schema"][0]["properties"][7]["required"] = True
    shop.sign(document)
    assert len(shop.load().loaded) == 2
    assert [str(amount) for (amount,) in shop.query("SELECT gross_amount FROM accepted")] == ["9.90"]


def test_nothing_new_means_nothing_done(shop: Shop) -> None:
    shop.deliver(csv_file(line("1")))
    shop.load()
    before = {path: path.stat().st_mtime_ns for path in shop.settings.lake.rglob("shop/*/*")}
    report = shop.load()
    assert report.loaded == () and report.total("rows_accepted") == 1
    assert {path: path.stat().st_mtime_ns for path in shop.settings.lake.rglob("shop/*/*")} == before


def test_a_mended_contract_gates_every_landed_file_again(shop: Shop) -> None:
    shop.deliver(csv_file(line("1"), line("2", amount="7,50".replace(",", ";"))))
    shop.load()
    assert shop.reasons() == [(3, "type:gross_amount")]
    document = contract_document()
    amount = next(p for p in document["schema"][0]["properties"] if p["name"] == "gross_amount")
    amount["customProperties"] = [{"property": "decimalSeparator", "value": ";"}]
    shop.sign(document)
    (shop.settings.incoming / "shop" / "a.csv").unlink()  # landing keeps the bytes
    shop.load()
    assert shop.reasons() == [(2, "type:gross_amount")]
    assert [str(amount) for (amount,) in shop.query("SELECT gross_amount FROM accepted")] == ["7.50"]
    assert len(shop.query("FROM records")) == 1


def test_an_expression_that_fails_on_a_row_refuses_the_row(tmp_path: Path) -> None:
    document = contract_document()
    channel = document["schema"][0]["properties"][-2]
    channel |= {"transformSourceObjects": ["qty"], "transformLogic": "CASE WHEN CAST(qty AS INT) > 0 THEN 'store' END"}
    shop = Shop(tmp_path, document)
    shop.deliver(csv_file(line("1"), line("2", qty="x"), line("3", qty="0")))
    assert shop.load().balances
    assert shop.query("SELECT order_id FROM accepted") == [("1",)]
    assert shop.query("SELECT _row, stage, reasons, json_extract_string(raw, '$.qty') FROM quarantine ORDER BY 1") == [
        (3, "type", "expression:channel; required:channel; type:quantity", "x"),
        (4, "rule", "required:channel", "0"),
    ]


def test_a_rule_that_fails_on_a_row_refuses_the_row(tmp_path: Path) -> None:
    document = contract_document()
    rule = {"name": "few", "type": "custom", "engine": "watershed", "implementation": "CAST(raw.mail AS INT) < 9"}
    document["schema"][0]["quality"] = [rule]
    shop = Shop(tmp_path, document)
    shop.deliver(csv_file(line("1"), line("2", mail="x"), line("3", mail="1"), line("4", mail="9")))
    shop.load()
    assert shop.reasons() == [(3, "rule:few"), (5, "rule:few")]


def test_an_expression_that_fits_no_row_names_the_contract(tmp_path: Path) -> None:
    document = contract_document()
    channel = document["schema"][0]["properties"][-2]
    channel |= {"transformSourceObjects": ["qty"], "transformLogic": "date_diff(qty, 1, 2)"}
    shop = Shop(tmp_path, document)
    shop.deliver(csv_file(line("1")))
    reason = shop.load().rejected[0].reason or ""
    assert reason.startswith("contract: ") and "shop.odcs.yaml" in reason


ORDERS = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["ok", "bad", "short", "long", "blank"])), min_size=0, max_size=8
)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(files=st.lists(ORDERS, min_size=1, max_size=4), shuffled=st.randoms(use_true_random=False))
def test_any_files_in_any_order_give_the_same_rows_and_balance(
    files: list[list[tuple[int, str]]], shuffled: random.Random
) -> None:
    """Rows with one key are equal here, so that no conflict depends on who came first."""
    shapes = {"ok": line, "bad": lambda n: line(n, kind="gift"), "short": lambda n: n, "long": lambda n: line(n) + ",x"}
    contents = [
        csv_file(*("" if kind == "blank" else shapes[kind](str(number)) for number, kind in rows)) for rows in files
    ]
    results = []
    for attempt in range(2):
        order = list(enumerate(contents))
        if attempt:
            shuffled.shuffle(order)
        with tempfile.TemporaryDirectory() as folder:
            shop = Shop(Path(folder))
            for index, content in order:
                shop.deliver(content, f"{index}.csv")
                report = shop.load()
                if attempt:
                    report = shop.load()
            assert report.balances
            records = sum(kind != "blank" for rows in files for _, kind in rows)
            assert report.total("rows_read") == records
            results.append(shop.query("SELECT order_id, gross_amount FROM accepted ORDER BY 1"))
    assert results[0] == results[1]
    assert [row[0] for row in results[0]] == sorted({str(n) for rows in files for n, kind in rows if kind == "ok"})


KILLS = 25


@pytest.mark.slow
def test_kills_at_random_moments_leave_the_same_lake(tmp_path: Path) -> None:
    """Loads that only ever add: nothing is superseded, so that a row too many would stay."""

    def deliver(shop: Shop, batch: int) -> None:
        for number in range(12):
            first = (12 * batch + number) * 150
            rows = [line(str(first + n), kind="gift" if n % 50 == 0 else "sale") for n in range(200)]
            shop.deliver(csv_file(*rows), f"{batch:02}-{number:02}.csv")

    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    undisturbed, killed = Shop(tmp_path / "undisturbed"), Shop(tmp_path / "killed")
    moments = Moments(11)
    kills = batch = 0
    deliver(undisturbed, batch)
    deliver(killed, batch)
    contract = killed.contract
    while kills < KILLS:
        if moments.kill(start(load_source, killed.settings, contract)):
            kills += 1
        else:
            batch += 1
            deliver(undisturbed, batch)
            deliver(killed, batch)
    undisturbed.load()
    killed.load()
    same = (
        "SELECT order_id, line_id, _file, _row FROM accepted ORDER BY ALL",
        "SELECT _file, _row, reasons, raw FROM quarantine ORDER BY ALL",
        "SELECT file, rows_read, rows_accepted, rows_quarantined, rows_duplicate, status FROM records ORDER BY ALL",
    )
    for query in same:
        assert killed.query(query) == undisturbed.query(query)


@pytest.mark.slow
def test_processes_that_load_one_source_at_once_agree(shop: Shop) -> None:
    for number in range(6):
        rows = [line(str(number * 150 + n), mail='"a""b"') for n in range(200)]
        shop.deliver(csv_file(*rows, ""), f"{number}.csv")
    shop.deliver(csv_file(*rows, ""), "again.csv")
    processes = [start(load_source, shop.settings, shop.contract) for _ in range(3)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert shop.load().balances and len(account(shop)) == 7
    assert shop.query("SELECT count(*), count(DISTINCT order_id) FROM accepted") == [(950, 950)]


def test_header_only_counts_nothing(shop: Shop) -> None:
    shop.deliver(HEADER + "\n")
    shop.load()
    assert account(shop) == {"a.csv": (0, 0, 0, 0, "loaded")}


def test_a_renamed_source_counts_once(shop: Shop) -> None:
    shop.deliver(csv_file(line("1")))
    shop.load()
    document = contract_document()
    document["name"] = "store"
    shop.sign(document)
    contract = load_contracts(shop.settings.entities, shop.settings.contracts).sources["store"]
    load_source(shop.settings, contract)
    assert drop_former_sources(shop.settings, contract.entity, ["store"]) == ["shop"]
    assert shop.query("SELECT _source, order_id FROM accepted") == [("store", "1")]
    assert drop_former_sources(shop.settings, contract.entity, ["store"]) == []


def test_a_file_that_cannot_be_opened_leaves_the_others_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = shop.deliver(csv_file(line("1")), "a.csv")
    shop.deliver(csv_file(line("2")), "b.csv")
    found = deliveries(shop.contract, shop.settings, None, shop.now)
    closed.unlink()  # between the look into the folder and the copy
    monkeypatch.setattr("transforms.lake.load.deliveries", lambda *_: found)
    report = shop.load()
    assert list(report.unreadable) == ["a.csv"] and report.unreadable["a.csv"].startswith("unreadable: No such file")
    assert [record.file for record in report.records] == ["b.csv"]


def test_a_comment_at_the_end_of_an_expression_is_a_comment(tmp_path: Path) -> None:
    document = contract_document()
    document["schema"][0]["properties"][-2]["transformLogic"] = "'store' -- tills only"
    quality = {"name": "sold", "type": "custom", "engine": "watershed", "implementation": "quantity > 0 -- not yet"}
    document["schema"][0]["quality"] = [quality]
    shop = Shop(tmp_path, document)
    shop.deliver(csv_file(line("1"), line("2", qty="0")))
    shop.load()
    assert shop.reasons() == [(3, "rule:sold")]
