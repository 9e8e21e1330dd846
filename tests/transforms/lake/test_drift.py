"""Schema drift: kept and reported while it does no harm, refused where it would."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.lake.shop import HEADER, Shop, contract_document, csv_file, line
from transforms.lake.checks import CheckResult, check_load
from transforms.lake.readers.drift import is_narrower


def drift_check(shop: Shop) -> CheckResult:
    return next(r for r in check_load(shop.load(), shop.contract, shop.now) if r.name == "columns_as_agreed")


def test_drift_is_reported_until_it_is_agreed(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(f"{HEADER},till\n{line('1')},7\n", "a.csv")
    assert not drift_check(shop).passed
    again = drift_check(shop)
    assert not again.passed and again.found["new"] == {"till": "a.csv"}, "nothing new came, and nothing is mended"
    document = contract_document()
    document["schema"][0]["customProperties"].append({"property": "ignoreColumns", "value": ["till"]})
    shop.sign(document)
    assert drift_check(shop).passed


def test_a_renamed_optional_column_is_suggested(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1", mail="a@example.org")).replace("mail", "e_mail"))
    check = drift_check(shop)
    assert check.found == {"new": {"e_mail": "a.csv"}, "absent": {"mail": "a.csv"}, "renamed": {"mail": "to e_mail?"}}
    assert shop.query("SELECT email, _extra FROM accepted") == [(None, '{"e_mail":"a@example.org"}')]


def test_an_object_that_comes_flat_is_the_same_column(tmp_path: Path) -> None:
    document = contract_document("json")
    next(i for i in document["schema"][0]["properties"] if i["name"] == "email")["physicalName"] = "user.mail"
    shop = Shop(tmp_path, document)
    names = HEADER.removesuffix(",mail").split(",")
    users = [{"user": {"mail": "a"}}, {"user.mail": "b"}, {"user.mail": "c", "user.age": 7}]
    rows = [dict(zip(names, line(str(n)).split(","), strict=False)) | user for n, user in enumerate(users)]
    shop.deliver("".join(json.dumps(row) + "\n" for row in rows), "a.jsonl")
    assert shop.load().new_columns == {"user.age": "a.jsonl"}
    assert shop.query("SELECT email, _extra FROM accepted ORDER BY ALL") == [
        ("a", None),
        ("b", None),
        ("c", '{"user.age":7}'),
    ]


def parquet(shop: Shop, name: str, amount: str, order: str) -> None:
    path = shop.settings.incoming / "shop" / name
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT '{order}' AS \"order\", '1' AS line, TIMESTAMP '2025-03-01 10:00:00' AS time,"
            f" 'sale' AS kind, 2 AS qty, {amount} AS amount, NULL::DECIMAL(18, 2) AS discount, NULL::VARCHAR AS mail)"
            f" TO '{path}' (FORMAT parquet)"
        )


def test_a_narrowed_type_refuses_the_file_until_the_contract_agrees(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("parquet"))
    parquet(shop, "a.parquet", "CAST(9.90 AS DECIMAL(18, 2))", "1")
    shop.load()
    parquet(shop, "b.parquet", "CAST(9 AS INTEGER)", "2")
    (refused,) = shop.load().rejected
    assert refused.reason == (
        "columns: 'amount' narrowed from DECIMAL(18,2) to INTEGER; have it sent as DECIMAL(18,2), or write"
        " 'physicalType: INTEGER' into shop.odcs.yaml"
    )
    document = contract_document("parquet")
    amount = next(item for item in document["schema"][0]["properties"] if item["name"] == "gross_amount")
    amount["physicalType"] = "INTEGER"
    shop.sign(document)
    assert not shop.load().rejected
    assert shop.query("SELECT order_id FROM current ORDER BY ALL") == [("1",), ("2",)]


def test_a_wider_type_is_welcome(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("parquet"))
    parquet(shop, "a.parquet", "CAST(9 AS INTEGER)", "1")
    shop.load()
    parquet(shop, "b.parquet", "CAST(9.90 AS DECIMAL(18, 2))", "2")
    assert not shop.load().rejected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("DECIMAL(18,2)", "INTEGER", True),
        ("DECIMAL(18,2)", "DECIMAL(18,1)", True),
        ("DECIMAL(18,2)", "DECIMAL(12,2)", True),
        ("DECIMAL(18,2)", "DECIMAL(20,4)", False),
        ("DECIMAL(18,2)", "DOUBLE", False),
        ("BIGINT", "INTEGER", True),
        ("INTEGER", "BIGINT", False),
        ("BIGINT", "DOUBLE", False),
        ("DOUBLE", "FLOAT", True),
        ("DOUBLE", "BIGINT", True),
        ("TIMESTAMP", "DATE", True),
        ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", False),
        ("DATE", "TIMESTAMP", False),
        ("VARCHAR", "INTEGER", True),
        ("INTEGER", "VARCHAR", False),
        ("BIGINT", "BOOLEAN", True),
    ],
)
def test_what_is_narrower(before: str, now: str, expected: bool) -> None:
    assert is_narrower(before, now) is expected


def test_a_column_without_a_value_is_not_narrowed_and_hides_no_narrowing(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("parquet"))
    good = {"line": ["1"], "time": ["2025-03-01T10:00:00"], "kind": ["sale"], "amount": [9.9]}
    for number, mail in enumerate((pa.array(["a@b.example"]), pa.nulls(1), pa.array([4711]))):
        table = pa.table({"order": [str(number)], **good, "mail": mail})
        pq.write_table(table, shop.settings.incoming / "shop" / f"{number}.parquet")
    report = shop.load()
    assert [record.status for record in report.loaded] == ["loaded", "loaded", "rejected"]
    assert "'mail' narrowed from VARCHAR to BIGINT" in (report.loaded[2].reason or "")


def test_a_contract_may_leave_the_digits_open(tmp_path: Path) -> None:
    document = contract_document("parquet")
    next(i for i in document["schema"][0]["properties"] if i["name"] == "gross_amount")["physicalType"] = "decimal"
    shop = Shop(tmp_path, document)
    parquet(shop, "a.parquet", "CAST(9.90 AS DECIMAL(18, 2))", "1")
    assert not shop.load().rejected
