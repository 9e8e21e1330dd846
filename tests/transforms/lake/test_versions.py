"""Late and corrected records: by the contract's rule the latest version is current, and history is kept."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.transforms.lake.shop import Shop, contract_document, csv_file, line
from transforms.contracts import load_contracts
from transforms.lake import keys
from transforms.lake.checks import CheckResult, check_load
from transforms.lake.load import LoadReport, load_source


def document(**properties: Any) -> dict[str, Any]:
    """The shop's contract with further properties of its schema."""
    written = contract_document()
    written["schema"][0]["customProperties"] += [{"property": key, "value": value} for key, value in properties.items()]
    return written


def upserting(folder: Path, latest_by: str = "ordered_at") -> Shop:
    return Shop(folder, document(loadMode="upsert", latestBy=latest_by))


def sale(order: str, day: int, amount: str = "9.90") -> str:
    return line(order, time=f"2025-03-{day:02}T10:00:00", amount=amount)


CURRENT = "SELECT order_id, CAST(gross_amount AS VARCHAR) FROM current ORDER BY ALL"


def test_a_correction_replaces_the_earlier_version_and_history_is_kept(tmp_path: Path) -> None:
    shop = upserting(tmp_path)
    shop.deliver(csv_file(sale("1", 1, "10.00"), sale("2", 1, "20.00")), "a.csv")
    shop.load()
    shop.deliver(csv_file(sale("1", 2, "11.00")), "b.csv")
    record = shop.load().loaded[0]
    assert (record.rows_accepted, record.rows_replaced, record.rows_quarantined) == (1, 1, 0)
    assert shop.query(CURRENT) == [("1", "11.00"), ("2", "20.00")]
    assert shop.query("SELECT count(*) FROM accepted") == [(3,)]
    ((batch, row, kind, by),) = shop.query("SELECT _batch_id, _row, _kind, _superseded_by FROM superseded")
    assert (row, kind) == (2, "replaced") and by.endswith(":2")
    assert shop.query(f"SELECT _file FROM accepted WHERE _batch_id = '{batch}' AND _row = {row}") == [("a.csv",)]


@pytest.mark.parametrize("at_once", [1 << 24, 7])
def test_repeats_are_found_wherever_their_hashes_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(keys, "_SORTED_AT_ONCE", at_once)
    shop = Shop(tmp_path)
    repeated = [line(str(order)) for order in range(0, 100, 3)]
    differing = [line(str(order), amount="1.00") for order in range(1, 100, 9)]
    shop.deliver(csv_file(*(line(str(order)) for order in range(100)), *repeated, *repeated, *differing))
    (record,) = shop.load().records
    # Of those that differ neither stays.
    assert (record.rows_duplicate, record.rows_quarantined, record.rows_accepted) == (2 * 34, 2 * 11, 100 - 11)


def test_a_late_record_is_history_from_the_start(tmp_path: Path) -> None:
    shop = upserting(tmp_path)
    shop.deliver(csv_file(sale("1", 9, "11.00")), "a.csv")
    shop.load()
    shop.deliver(csv_file(sale("1", 2, "10.00")), "late.csv")
    record = shop.load().loaded[0]
    assert record.rows_accepted == 1 and shop.query(CURRENT) == [("1", "11.00")]


def test_of_two_versions_of_one_moment_the_later_delivery_counts(tmp_path: Path) -> None:
    shop = upserting(tmp_path)
    shop.deliver(csv_file(sale("1", 1, "10.00")), "a.csv")
    shop.load()
    shop.deliver(csv_file(sale("1", 1, "12.00")), "b.csv")
    shop.load()
    assert shop.query(CURRENT) == [("1", "12.00")]


def test_several_versions_in_one_file(tmp_path: Path) -> None:
    shop = upserting(tmp_path)
    shop.deliver(csv_file(sale("1", 3, "13.00"), sale("1", 1, "11.00"), sale("1", 3, "13.00"), sale("1", 2, "12.00")))
    record = shop.load().loaded[0]
    assert (record.rows_read, record.rows_accepted, record.rows_duplicate) == (4, 3, 1)
    assert shop.query(CURRENT) == [("1", "13.00")]


def test_by_arrival_a_value_may_return(tmp_path: Path) -> None:
    shop = upserting(tmp_path, "_received_at")
    for name, amount in (("a.csv", "1.00"), ("b.csv", "2.00"), ("c.csv", "1.00")):
        shop.deliver(csv_file(sale("1", 1, amount)), name)
        shop.load()
    assert shop.query(CURRENT) == [("1", "1.00")]
    assert shop.query("SELECT count(*) FROM accepted") == [(3,)]
    shop.deliver(csv_file(sale("1", 1, "1.00")), "d.csv")
    assert shop.load().loaded[0].rows_duplicate == 1


def test_without_a_rule_a_changed_row_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(sale("1", 1, "10.00")), "a.csv")
    shop.deliver(csv_file(sale("1", 2, "11.00")), "b.csv")
    shop.load()
    assert shop.reasons() == [(2, "duplicate_key")] and shop.query(CURRENT) == [("1", "10.00")]


def test_a_snapshot_deletes_what_is_gone_and_brings_back_what_returns(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(loadMode="snapshot"))
    shop.deliver(csv_file(sale("1", 1), sale("2", 1)), "monday.csv")
    shop.load()
    shop.deliver(csv_file(sale("2", 1, "8.00"), sale("3", 1)), "tuesday.csv")
    record = shop.load().loaded[0]
    assert (record.rows_deleted, record.rows_replaced) == (1, 1)
    assert shop.query(CURRENT) == [("2", "8.00"), ("3", "9.90")]
    shop.deliver(csv_file(sale("1", 1), sale("2", 1)), "wednesday.csv")
    record = shop.load().loaded[0]
    assert (record.rows_accepted, record.rows_deleted, record.rows_replaced) == (2, 1, 1)
    assert shop.query(CURRENT) == [("1", "9.90"), ("2", "9.90")]


def test_a_snapshot_that_overwrites_its_file_may_return_to_an_earlier_state(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(loadMode="snapshot"))
    first, second = csv_file(sale("1", 1)), csv_file(sale("1", 1), sale("2", 1))
    for content in (first, second, first):
        shop.deliver(content)
        shop.load()
    assert shop.query(CURRENT) == [("1", "9.90")]
    shop.deliver(first)  # touched only
    assert shop.load().loaded == ()


def test_a_snapshot_that_is_restored_with_its_old_time_is_news(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(loadMode="snapshot"))
    for order, time in (("1", 1_700_000_000), ("2", 1_700_000_001), ("1", 1_700_000_000)):
        os.utime(shop.deliver(csv_file(sale(order, 1))), (time, time))
        shop.load()
    assert shop.query(CURRENT) == [("1", "9.90")]
    assert shop.load().loaded == ()


def deletions_known(shop: Shop, report: LoadReport) -> CheckResult:
    return next(check for check in check_load(report, shop.contract, shop.now) if check.name == "deletions_known")


def test_a_snapshot_with_unreadable_keys_deletes_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(loadMode="snapshot"))
    shop.deliver(csv_file(sale("1", 1), sale("2", 1)), "a.csv")
    shop.load()
    shop.deliver(csv_file(sale("2", 1), line("")), "b.csv")
    report = shop.load()
    found = deletions_known(shop, report)
    assert not found.passed and found.text.startswith("b.csv deleted nothing: 1 rows") and not found.is_error
    record = report.loaded[0]
    assert record.rows_deleted == 0 and record.reason == (
        "deleted nothing: 1 rows have no readable key and may be any record"
    )
    assert shop.query(CURRENT) == [("1", "9.90"), ("2", "9.90")]
    shop.deliver(csv_file(sale("2", 1)), "c.csv")
    assert deletions_known(shop, shop.load()).passed
    assert shop.query(CURRENT) == [("2", "9.90")]


def test_the_key_of_a_bad_row_is_present_all_the_same(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(loadMode="snapshot"))
    shop.deliver(csv_file(sale("1", 1)), "a.csv")
    shop.load()
    shop.deliver(csv_file(sale("1", 1, "free")), "b.csv")
    shop.load()
    assert shop.query(CURRENT) == [("1", "9.90")]


def test_half_a_snapshot_is_held(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(loadMode="snapshot"))
    shop.deliver(csv_file(*(sale(str(n), 1) for n in range(100))), "a.csv")
    shop.load()
    shop.deliver(csv_file(*(sale(str(n), 1) for n in range(50)), sale("new", 1)), "b.csv")
    (record,) = shop.load().held
    assert record.reason.startswith("held: 50.0% of the records are gone, allowed are 20.0%")  # type: ignore[union-attr]
    assert record.balances and shop.query("SELECT count(*) FROM current") == [(100,)]
    assert shop.query(
        "SELECT order_id, reasons FROM (SELECT json_extract_string(raw, '$.order') AS order_id, reasons"
        " FROM quarantine)"
    ) == [("new", "held:deleted_share")]


@pytest.mark.slow
@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_any_replay_give_the_same_tables(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Versions cut into files at random, delivered in two orders, some of them again: the same current rows."""
    versions = data.draw(
        st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 28)), min_size=1, max_size=14, unique=True)
    )
    cuts = data.draw(st.lists(st.integers(0, 3), min_size=len(versions), max_size=len(versions)))
    files = [[v for v, cut in zip(versions, cuts, strict=True) if cut == number] for number in range(4)]
    files = [rows for rows in files if rows]
    # Overlaps: each file may repeat rows of the others.
    files = [
        rows + [v for v in data.draw(st.lists(st.sampled_from(versions), max_size=3)) if v not in rows]
        for rows in files
    ]
    latest = {key: max(day for other, day in versions if other == key) for key, _ in versions}
    expected = sorted((key, f"{day}.00") for key, day in latest.items())
    for order in (data.draw(st.permutations(range(len(files)))), range(len(files))):
        shop = upserting(tmp_path_factory.mktemp("shop"))
        again = data.draw(st.lists(st.sampled_from(list(order)), max_size=3))
        for turn, number in enumerate([*order, *again]):
            rows = [sale(key, day, f"{day}.00") for key, day in files[number]]
            # A replay comes under its old name, touched, or under another.
            replayed = turn >= len(order) and data.draw(st.booleans())
            path = shop.deliver(csv_file(*rows), f"{'again' if replayed else 'file'}-{number}.csv")
            stamp = 1_700_000_000 + turn
            os.utime(path, (stamp, stamp))
            if data.draw(st.booleans()):
                shop.load()
        report = shop.load()
        assert report.balances
        assert shop.query(CURRENT) == expected
        # History: every version once.
        assert shop.query("SELECT count(*), count(DISTINCT (order_id, ordered_at)) FROM accepted") == [
            (len(versions), len(versions))
        ]


@pytest.mark.slow
@hypothesis_settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_snapshots_cut_into_loads_end_in_the_last_one(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    shop = Shop(tmp_path_factory.mktemp("shop"), document(loadMode="snapshot", maxDeletedShare=1.0))
    states = data.draw(st.lists(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 3)), min_size=1, max_size=6))
    for number, state in enumerate(states):
        shop.deliver(csv_file(*(sale(key, 1, f"{value}.00") for key, value in state.items())), f"{number}.csv")
        if data.draw(st.booleans()):
            shop.load()
    assert shop.load().balances
    assert shop.query(CURRENT) == sorted((key, f"{value}.00") for key, value in states[-1].items())


def test_a_rebuilt_lake_equals_the_grown_one(tmp_path: Path) -> None:
    shop = upserting(tmp_path)
    for day in range(1, 8):
        shop.deliver(csv_file(sale("1", day, f"{day}.00"), sale(f"n{day}", day)), f"{day}.csv")
        shop.load()
    compared = "SELECT * EXCLUDE (_batch_id, _loaded_at) FROM current ORDER BY ALL"
    grown = shop.query(compared)
    changed = document(loadMode="upsert", latestBy="ordered_at")
    changed["schema"][0]["properties"][-1]["transformLogic"] = "'E' || 'UR'"
    shop.sign(changed)
    shop.load()
    assert shop.query(compared) == grown


def test_a_correction_leaves_another_source_with_the_same_file_alone(tmp_path: Path) -> None:
    shop = upserting(tmp_path)
    shop.deliver(csv_file(sale("1", 1)), "a.csv")
    shop.load()
    twin = document(loadMode="upsert", latestBy="ordered_at") | {"name": "twin", "id": "urn:test:twin"}
    (shop.settings.contracts / "twin.odcs.yaml").write_text(yaml.safe_dump(twin, sort_keys=False))
    load_source(shop.settings, load_contracts(shop.settings.entities, shop.settings.contracts).sources["twin"])
    shop.deliver(csv_file(sale("1", 2, "5.00")), "b.csv")
    shop.load()
    assert shop.query("SELECT _source, gross_amount::VARCHAR FROM current ORDER BY ALL") == [
        ("shop", "5.00"),
        ("twin", "9.90"),
    ]


def test_an_empty_snapshot_of_a_small_table_is_held(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(loadMode="snapshot"))
    shop.deliver(csv_file(sale("1", 1), sale("2", 1)), "a.csv")
    shop.load()
    shop.deliver(csv_file(), "b.csv")
    (record,) = shop.load().held
    assert (record.reason or "").startswith("held: 100.0% of the records are gone")
    assert shop.query(CURRENT) == [("1", "9.90"), ("2", "9.90")]


@pytest.mark.parametrize("mode", ["snapshot", "upsert"])
def test_what_came_last_counts_though_the_clock_was_set_back(tmp_path: Path, mode: str) -> None:
    by_arrival = {"latestBy": "_received_at"} if mode == "upsert" else {}
    shop = Shop(tmp_path, document(loadMode=mode, **by_arrival))
    shop.deliver(csv_file(sale("1", 1, "1.00")), "a.csv")
    shop.load()
    shop.now -= dt.timedelta(days=1)
    shop.deliver(csv_file(sale("1", 1, "2.00")), "b.csv")
    shop.load()
    assert shop.query(CURRENT) == [("1", "2.00")]
