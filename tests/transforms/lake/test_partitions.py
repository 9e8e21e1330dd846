"""Hive partitions: what the path of a file says is a column of its rows."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.lake.shop import Shop, contract_document, csv_file, line

FIELDS = {"order": "1", "line": "1", "time": "2025-03-01T10:00:00", "amount": "9.9"}


def document(file_format: str = "csv", path: str = "shop/**/*.*") -> dict[str, Any]:
    return contract_document("csv", format=file_format, path=path)


def as_csv(fields: dict[str, str]) -> bytes:
    return (",".join(fields) + "\n" + ",".join(fields.values()) + "\n").encode()


def as_json(fields: dict[str, str]) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def as_parquet(fields: dict[str, str]) -> bytes:
    pq.write_table(pa.table({name: [value] for name, value in fields.items()}), buffer := io.BytesIO())
    return buffer.getvalue()


def as_excel(fields: dict[str, str]) -> bytes:
    book = openpyxl.Workbook()
    for cells in (fields, fields.values()):
        book.worksheets[0].append(list(cells))
    book.save(buffer := io.BytesIO())
    return buffer.getvalue()


WRITERS = {"csv": (as_csv, "csv"), "json": (as_json, "jsonl"), "parquet": (as_parquet, "parquet"),
           "excel": (as_excel, "xlsx")}  # fmt: skip


def deliver(shop: Shop, name: str, content: bytes) -> None:
    path = shop.settings.incoming / "shop" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("file_format", WRITERS)
def test_a_partition_is_a_column_in_every_format(tmp_path: Path, file_format: str) -> None:
    write, ending = WRITERS[file_format]
    shop = Shop(tmp_path, document(file_format, f"shop/kind=*/mail=*/*.{ending}"))
    deliver(shop, f"kind=sale/mail=a%40b.example/1.{ending}", write(FIELDS))
    deliver(shop, f"kind=return/mail=__HIVE_DEFAULT_PARTITION__/2.{ending}", write({**FIELDS, "order": "2"}))
    deliver(shop, f"kind=gift/mail=x/3.{ending}", write({**FIELDS, "order": "3"}))
    report = shop.load()
    assert not report.rejected and report.balances
    assert shop.query("SELECT order_id, line_type, email FROM accepted ORDER BY 1") == [
        ("1", "sale", "a@b.example"),
        ("2", "return", None),
    ]
    assert [reason for _, reason in shop.reasons()] == ["enum:line_type"]
    assert list(report.new_columns) == [] and set(report.absent_columns) <= {"qty", "discount"}


@pytest.mark.parametrize("file_format", WRITERS)
def test_a_column_of_the_file_comes_before_the_partition(tmp_path: Path, file_format: str) -> None:
    write, ending = WRITERS[file_format]
    shop = Shop(tmp_path, document(file_format, f"shop/*/*.{ending}"))
    deliver(shop, f"kind=return/a.{ending}", write({**FIELDS, "kind": "sale"}))
    shop.load()
    assert shop.query("SELECT line_type FROM accepted") == [("sale",)]


@pytest.mark.parametrize("path", ["shop/kind=sale/*.csv", "shop/kind=sale/a.csv", "shop/kind=*/a.csv"])
def test_a_partition_in_the_fixed_part_of_the_path_counts_too(tmp_path: Path, path: str) -> None:
    shop = Shop(tmp_path, document(path=path))
    deliver(shop, "kind=sale/a.csv", as_csv(FIELDS))
    deliver(shop, "kind=return/b.csv", as_csv({**FIELDS, "order": "2"}))
    shop.load()
    assert shop.query("SELECT order_id, line_type, _file FROM accepted") == [("1", "sale", "kind=sale/a.csv")]


def test_partitions_that_no_contract_reads_are_no_drift(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document())
    deliver(shop, "year=2025/month=03/a.csv", csv_file(line()).encode())
    report = shop.load()
    assert list(report.new_columns) == [] and list(report.absent_columns) == []
    assert shop.query("SELECT _extra, _file FROM accepted") == [(None, "year=2025/month=03/a.csv")]


def test_expressions_and_rules_read_partitions(tmp_path: Path) -> None:
    made = document()
    made["schema"][0]["properties"][2] = {
        "name": "ordered_at",
        "logicalType": "timestamp",
        "transformSourceObjects": ["year", "month"],
        "transformLogic": "year || '-' || month || '-01T00:00:00'",
    }
    rule = {"name": "after_2020", "type": "custom", "engine": "watershed"}
    made["schema"][0]["quality"] = [{**rule, "implementation": "CAST(raw.year AS INTEGER) > 2020"}]
    shop = Shop(tmp_path, made)
    rest = {name: value for name, value in {**FIELDS, "kind": "sale"}.items() if name != "time"}
    deliver(shop, "year=2025/month=03/a.csv", as_csv(rest))
    deliver(shop, "year=2019/month=03/b.csv", as_csv({**rest, "order": "2"}))
    shop.load()
    assert shop.query("SELECT order_id, CAST(ordered_at AS DATE)::VARCHAR FROM accepted") == [("1", "2025-03-01")]
    assert [reason for _, reason in shop.reasons()] == ["rule:after_2020"]


@pytest.mark.parametrize("value", ["it's", 'say "x"', "a=b", "50%", "ü/ö", "", "=1+1", "日本", "a;b", "$x"])
def test_values_of_any_kind(tmp_path: Path, value: str) -> None:
    shop = Shop(tmp_path, document())
    deliver(shop, f"kind=sale/mail={quote(value, safe='=')}/a.csv", as_csv(FIELDS))
    assert not shop.load().rejected
    assert shop.query("SELECT email FROM accepted") == [(value or None,)]


def test_a_partition_that_differs_from_a_column_in_case_only_is_refused(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document())
    deliver(shop, "kind=sale/a.csv", as_csv({**FIELDS, "Kind": "sale"}))
    assert "'Kind' and the partition 'kind' differ in case only" in (shop.load().records[0].reason or "")


def test_a_required_partition_that_is_missing_refuses_the_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document())
    deliver(shop, "sale/a.csv", as_csv(FIELDS))
    assert (shop.load().records[0].reason or "").startswith("columns: required 'kind' missing")


def test_a_damaged_file_keeps_its_partition_on_the_slow_way(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document())
    rows = [as_csv({**FIELDS, "order": str(n)}).decode().splitlines()[1] for n in range(5)]
    broken = "\n".join([",".join(FIELDS), *rows, '5,"open,2025-03-01T10:00:00,9.9']) + "\n"
    deliver(shop, "kind=sale/a.csv", broken.encode())
    shop.load()
    assert shop.query("SELECT count(*), any_value(line_type) FROM accepted") == [(5, "sale")]
    assert shop.reasons() == [(7, "parse:unterminated_quote")]


def test_what_duckdb_writes_is_read_as_it_is(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document("parquet", "shop/**/*.parquet"))
    values = ", ".join(f"'{value}' AS \"{name}\"" for name, value in FIELDS.items() if name != "order")
    kinds = "(VALUES ('1', 'sale', 'a/b'), ('2', 'return', NULL)) AS v(\"order\", kind, mail)"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT *, {values} FROM {kinds}) TO '{shop.settings.incoming}/shop'"
            " (FORMAT parquet, PARTITION_BY (kind, mail), OVERWRITE_OR_IGNORE)"
        )
    shop.load()
    assert shop.query("SELECT order_id, line_type, email FROM accepted ORDER BY 1") == [
        ("1", "sale", "a/b"),
        ("2", "return", None),
    ]


def test_the_same_bytes_in_two_partitions_are_two_files(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document())
    for year in ("2024", "2025"):
        deliver(shop, f"kind=sale/mail={year}@example.org/a.csv", as_csv({**FIELDS, "order": "1"}))
    report = shop.load()
    assert [record.status for record in report.records] == ["loaded", "loaded"]
    assert [reason for _, reason in shop.reasons()] == ["duplicate_key"], "other contents of one key, and none is lost"
    deliver(shop, "kind=sale/mail=2025@example.org/copy.csv", as_csv({**FIELDS, "order": "1"}))
    assert [record.status for record in shop.load().loaded] == ["replayed"]
