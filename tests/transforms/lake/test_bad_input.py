"""What comes in broken, and what becomes of it: each row of the tables is one promise."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.lake.shop import HEADER, Shop, contract_document, csv_file, line


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


ROWS = {
    "text in a number": (line(qty="two"), "type:quantity"),
    "thousands separator": (line(amount='"1,070.00"'), "type:gross_amount"),
    "exponent in money": (line(amount="1e3"), "type:gross_amount"),
    "third decimal place": (line(amount="1.005"), "type:gross_amount"),
    "overflow": (line(amount="99999999999999999999.00"), "type:gross_amount"),
    "two errors": (line(qty="x", amount="y"), "type:quantity; type:gross_amount"),
    "day first": (line(time="31/01/2025 10:00:00"), "type:ordered_at"),
    "30 February": (line(time="2025-02-30T10:00:00"), "type:ordered_at"),
    "infinity": (line(time="infinity"), "type:ordered_at"),
    "literal NULL in a number": (line(qty="NULL"), "type:quantity"),
    "required null": (line(time=""), "required:ordered_at"),
    "key null": (line(order=""), "required:order_id"),
    "unknown value": (line(kind="gift"), "enum:line_type"),
    "negative": (line(qty="-1"), "minimum:quantity"),
    "too long": (line(order="x" * 201), "max_length:order_id"),
    "rule of the entity": (line(discount="10.00"), "rule:discount_within_gross"),
    "future": (line(time="2031-01-01T00:00:00"), "rule:ordered_in_the_past"),
    "too many fields": (line() + ",more", "parse:too_many_columns"),
    "too few fields": ("1,1,2025-03-01T10:00:00", "parse:missing_columns"),
    "header again": (HEADER, "type:ordered_at; enum:line_type; type:quantity; type:gross_amount; type:discount_amount"),
    "stray quote": (line(mail='"open'), "parse:unterminated_quote"),
    "lone carriage return": (line(mail="a\rb"), "parse:carriage_return"),
    "zone that is none": (line(time="2025-03-01T10:00:00+99:00"), "type:ordered_at"),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_broken_row_goes_to_quarantine_alone(shop: Shop, case: str) -> None:
    broken, reason = ROWS[case]
    before, after = [line(f"b{n}") for n in range(3)], [line(f"a{n}") for n in range(3)]
    shop.deliver(csv_file(*before, broken, *after))
    report = shop.load()
    found = shop.reasons()
    assert [row for row, _ in found] == [5]
    assert set(found[0][1].split("; ")) == set(reason.split("; "))
    assert shop.query("SELECT count(*) FROM accepted") == [(6,)]
    assert report.balances and report.total("rows_read") == 7


@pytest.mark.parametrize("number", ["1", "-1", "+0", "007", "9223372036854775807"])
def test_quarantine_keeps_the_whole_record(shop: Shop, number: str) -> None:
    shop.deliver(csv_file(line(order=number, kind="gift", mail="a@b.example")))
    shop.load()
    raw = json.loads(shop.query("SELECT raw FROM quarantine")[0][0])
    assert raw["order"] == number and raw["mail"] == "a@b.example" and raw["discount"] is None


GOOD = {
    "embedded line break": (line(mail='"two\nlines"'), "two\nlines"),
    "doubled quotes": (line(mail='"say ""hi"""'), 'say "hi"'),
    "delimiter in quotes": (line(mail='"a,b"'), "a,b"),
    "formula": (line(mail="=1+1"), "=1+1"),
    "full width": (line(mail="ａ＠ｂ"), "ａ＠ｂ"),
}


@pytest.mark.parametrize("case", GOOD)
def test_odd_but_right_rows_are_loaded(shop: Shop, case: str) -> None:
    odd, mail = GOOD[case]
    shop.deliver(csv_file(line("0"), odd.replace("1,", "odd,", 1), line("2")))
    shop.load()
    assert shop.reasons() == []
    assert shop.query("SELECT email FROM accepted WHERE order_id = 'odd'") == [(mail,)]
    last = 4 + mail.count("\n")
    assert shop.query("SELECT _row FROM accepted WHERE order_id = '2'") == [(last,)]


def test_line_ends_and_blank_lines(shop: Shop) -> None:
    shop.deliver(f"{HEADER}\r\n{line('1')}\r\n{line('2')}\r\n", "crlf.csv")
    shop.deliver(f"{HEADER}\n{line('3')}\r\n{line('4')}\n", "mixed.csv")
    shop.deliver(f"{HEADER}\n\n{line('5')}\n\n{line('6')}\n", "blank.csv")
    shop.deliver("\ufeff" + csv_file(line("7")), "bom.csv")
    report = shop.load()
    assert shop.query("SELECT order_id, _row FROM accepted ORDER BY ALL") == [
        ("1", 2), ("2", 3), ("3", 2), ("4", 3), ("5", 3), ("6", 5), ("7", 2),
    ]  # fmt: skip
    assert not report.rejected


def test_one_stray_quote_among_many_rows_costs_one_row(shop: Shop) -> None:
    rows = [line(str(n)) for n in range(20_000)]
    rows[7_000] = line("7000", mail='"stray')
    shop.deliver(csv_file(*rows))
    report = shop.load()
    assert shop.reasons() == [(7_002, "parse:unterminated_quote")]
    assert report.total("rows_accepted") == 19_999


def test_stray_quotes_in_neighbouring_rows_are_two_rows(shop: Shop) -> None:
    shop.deliver(csv_file(line("1"), line("2", mail='"stray'), line("3", mail='"stray'), line("4")))
    report = shop.load()
    assert shop.reasons() == [(3, "parse:unterminated_quote"), (4, "parse:unterminated_quote")]
    assert report.total("rows_read") == 4


def test_a_quote_within_a_plain_field_is_kept_beside_a_torn_line(shop: Shop) -> None:
    shop.deliver(csv_file(line("tv", mail='17"'), line("2"), '"torn,1'))
    shop.load()
    assert shop.query("SELECT order_id, email, _row FROM accepted") == [("tv", '17"', 2), ("2", None, 3)]
    assert shop.reasons() == [(4, "parse:unterminated_quote")]


def test_a_quote_after_a_space_costs_its_own_row(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", mail=' "x'), line("2"), line("3"), '"torn,1'))
    shop.load()
    assert shop.query("SELECT order_id FROM accepted") == [("2",), ("3",)]


def test_a_long_field_of_many_lines_costs_one_row(shop: Shop) -> None:
    shop.deliver(csv_file(line("1"), line("2", mail='"' + "x" * 200_000 + "\n" + "y" * 200_000 + '"'), line("3")))
    shop.load()
    assert shop.reasons() == [(3, "max_length:email")]


@pytest.mark.parametrize("name", ["_row", "_reasons", "_duplicate", "_extra", "raw", "rowid", "order_id", "_v_qty"])
def test_columns_may_be_called_as_the_platform_calls_its_own(shop: Shop, name: str) -> None:
    shop.deliver(f"{HEADER},{name}\n{line('1')},7\n{line('2', qty='x')},8\n")
    shop.load()
    assert shop.query("SELECT order_id, _extra FROM accepted") == [("1", f'{{"{name}":"7"}}')]
    assert shop.reasons() == [(3, "type:quantity")]
    assert json.loads(shop.query("SELECT raw FROM quarantine")[0][0])[name] == "8"


def test_a_delimiter_at_the_end_of_each_line_is_a_column_without_a_name(shop: Shop) -> None:
    shop.deliver(f"{HEADER},\n{line('1')},\n{line('2')},x\n")
    report = shop.load()
    assert report.new_columns == {"column9": "a.csv"}
    assert shop.query("SELECT order_id, _extra FROM accepted ORDER BY 1") == [
        ("1", '{"column9":null}'),
        ("2", '{"column9":"x"}'),
    ]


def test_one_undecodable_byte_costs_one_row(shop: Shop) -> None:
    content = csv_file(*(line(str(n)) for n in range(50))).encode() + line("x", mail="M\u00fcller").encode("latin-1")
    shop.deliver(content + b"\n")
    shop.load()
    assert shop.reasons() == [(52, "parse:invalid_utf8")]
    assert shop.query("SELECT raw FROM quarantine")[0][0].endswith("M\\xfcller")


whole = csv_file(*(line(str(n)) for n in range(200))).encode()
FILES = {
    "truncated gzip": ("a.csv.gz", gzip.compress(whole)[:-200], "compression: "),
    "bad checksum": ("a.csv.gz", gzip.compress(whole)[:-8] + b"\0\0\0\0" + gzip.compress(whole)[-4:], "compression: "),
    "trailing junk": ("a.csv.gz", gzip.compress(whole) + b"junk", "compression: "),
    "text named gz": ("a.csv.gz", whole, "compression: "),
    "gzip named csv": ("a.csv", gzip.compress(whole), "compression: "),
    "zip": ("a.csv", b"PK\x03\x04" + b"0" * 50, "archive: "),
    "no bytes": ("a.csv", b"", "empty: "),
    "half-written": ("a.csv", whole[:-1], "half-written: "),
    "lone carriage returns": ("a.csv", whole.replace(b"\n", b"\r"), "line ends: "),
    "UTF-16": ("a.csv", whole.decode().encode("utf-16"), "encoding: UTF-16"),
    "NUL byte": ("a.csv", whole.replace(b"sale", b"sa\0e", 1), "encoding: NUL"),
    "another encoding": ("a.csv", csv_file(*[line(mail="Müller")] * 20).encode("latin-1"), "encoding: 20 of 20"),
    "column missing": ("a.csv", whole.replace(b"amount", b"amuont", 1), "columns: required 'amount' (renamed to"),
    "column twice": ("a.csv", whole.replace(b"discount", b"qty", 1), "columns: 'qty' more than once"),
    "column twice but for case": ("a.csv", whole.replace(b"discount", b"QTY", 1), "columns: 'QTY', 'qty' more than"),
    "name of the platform": ("a.csv", whole.replace(b"discount", b"_ws_row", 1), "columns: _ws_row: "),
    "thousands of columns": (
        "a.csv",
        b",".join(b"%d" % n for n in range(3000)) + b"\n",
        "columns: 3,000 in",
    ),
    "line break in the header": ("a.csv", whole.replace(b"mail", b'mail,"two\nlines"', 1), "columns: the first line"),
    "another delimiter": ("a.csv", whole.replace(b",", b";"), "columns: required 'order'"),
    "inflation": ("a.csv.gz", gzip.compress(b"x" * 50_000_000 + b"\n"), "inflation: "),
}


@pytest.mark.parametrize("case", FILES)
def test_a_broken_file_is_refused_whole_and_the_others_load(shop: Shop, case: str) -> None:
    name, content, reason = FILES[case]
    shop.deliver(content, name)
    shop.deliver(csv_file(line("good")), "z.csv")
    report = shop.load()
    assert [(r.file, r.status) for r in report.records] == [(name, "rejected"), ("z.csv", "loaded")]
    assert (report.rejected[0].reason or "").startswith(reason)
    assert shop.query("SELECT order_id FROM accepted") == [("good",)]
    assert report.balances


def test_files_that_are_fine(shop: Shop) -> None:
    shop.deliver(gzip.compress(csv_file(line("1")).encode()) + gzip.compress((line("2") + "\n").encode()), "two.csv.gz")
    shop.deliver(HEADER + "\n", "header_only.csv")
    swapped = HEADER.split(",")[::-1]
    shop.deliver(",".join(swapped) + "\n" + ",".join(line("3").split(",")[::-1]) + "\n", "reordered.csv")
    assert not shop.load().rejected
    assert shop.query("SELECT order_id FROM accepted ORDER BY 1") == [("1",), ("2",), ("3",)]


def test_drift_is_kept_and_reported(shop: Shop) -> None:
    shop.deliver(f"{HEADER},till\n{line('1')},7\n", "new.csv")
    shop.deliver(HEADER.replace(",mail", "") + "\n" + line("2").rsplit(",", 1)[0] + "\n", "old.csv")
    report = shop.load()
    assert report.new_columns == {"till": "new.csv"} and report.absent_columns == {"mail": "old.csv"}
    assert shop.query("SELECT order_id, _extra FROM accepted ORDER BY 1") == [("1", '{"till":"7"}'), ("2", None)]


JSON_LINES = {
    "cut off": ('{"order": "x", "line', "parse:not_json"),
    "garbage": ("]]", "parse:not_json"),
    "array": ("[1, 2]", "parse:not_an_object"),
    "scalar": ("42", "parse:not_an_object"),
    "lone surrogate": ('{"order":"\\ud800"}', "parse:not_json"),
    "key twice": ('{"order":"x","order":"y"}', "parse:key_twice"),
    "no number": ('{"order":NaN}', "parse:not_a_number"),
    "nested value in a number": (
        '{"order":"x","line":"1","time":"2025-03-01T10:00:00Z","kind":"sale","amount":{"a":1}}',
        "type:gross_amount",
    ),
}


@pytest.mark.parametrize("case", JSON_LINES)
def test_broken_json_lines(tmp_path: Path, case: str) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    broken, reason = JSON_LINES[case]
    good = '{"order":"%s","line":"1","time":"2025-03-01T10:00:00Z","kind":"sale","qty":2,"amount":9.9}'
    shop.deliver("\n".join([good % "1", broken, good % "2"]) + "\n", "a.jsonl")
    report = shop.load()
    assert shop.reasons() == [(2, reason)]
    assert shop.query("SELECT order_id, _row, quantity FROM accepted ORDER BY 1") == [("1", 1, 2), ("2", 3, 2)]
    assert report.balances and report.total("rows_read") == 3


JSON_LINE = '{"order":"%s","line":"1","time":"2025-03-01T10:00:00Z","kind":"sale","amount":9.9%s}\n'


@pytest.mark.parametrize("key", ["", "*", "a.b", 'a\\"b', "a\\\\b", "x'y", "_row", "ORDER", "e\\u0000f"])
def test_any_new_key_is_kept(tmp_path: Path, key: str) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    shop.deliver(JSON_LINE % ("1", f',"{key}":"NaN, inf"') + JSON_LINE % ("2", ""), "a.jsonl")
    assert not shop.load().rejected
    extras = shop.query("SELECT _extra FROM accepted ORDER BY order_id")
    assert json.loads(extras[0][0]) == {json.loads(f'"{key}"'): "NaN, inf"} and extras[1] == (None,)


def test_a_key_for_each_line_costs_no_memory(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    shop.deliver("".join(JSON_LINE % (n, f',"k{n}":{n}') for n in range(3_000)), "a.jsonl")
    assert shop.load().total("rows_accepted") == 3_000


def test_zstd_with_windows_line_ends(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("json"))
    text = (JSON_LINE % ("1", "") + JSON_LINE % ("2", "")).replace("\n", "\r\n")
    shop.deliver(pa.compress(text.encode(), codec="zstd", asbytes=True), "a.jsonl.zst")
    assert shop.load().total("rows_accepted") == 2


MOMENT = dt.datetime.fromisoformat("2025-03-01T10:00:00")
PARQUET = {
    "nanoseconds with zone": ("time", pa.array([MOMENT], pa.timestamp("ns", "UTC")), "ordered_at", MOMENT),
    "bytes without a type": ("mail", pa.array(["Mü@b".encode()]), "email", "Mü@b"),
    "short float": ("amount", pa.array([70.1], pa.float32()), "gross_amount", Decimal("70.10")),
    "truth for a number": ("amount", pa.array([True]), "gross_amount", None),
    "bytes that are no text": ("order", pa.array([b"a\xff"]), "order_id", None),
    "infinite moment": ("time", pa.array([2**63 - 1], pa.timestamp("us", "UTC")), "ordered_at", None),
    "moment before our era": ("time", pa.array([-62_135_596_800_001], pa.timestamp("ms")), "ordered_at", None),
    "not a number for a text": ("mail", pa.array([float("nan")]), "email", None),
}


@pytest.mark.parametrize("case", PARQUET)
def test_types_of_parquet(tmp_path: Path, case: str) -> None:
    physical, values, name, expected = PARQUET[case]
    shop = Shop(tmp_path, contract_document("parquet"))
    good = {"order": ["1"], "line": ["1"], "time": [MOMENT], "kind": ["sale"], "amount": [9.9]}
    pq.write_table(pa.table({**good, physical: values}), shop.settings.incoming / "shop" / "a.parquet")
    shop.load()
    assert shop.reasons() == ([(1, f"type:{name}")] if expected is None else [])
    assert shop.query(f"SELECT {name} FROM accepted") == ([] if expected is None else [(expected,)])


def test_a_link_out_of_the_folder_is_not_followed(shop: Shop, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text(csv_file(line("secret")))
    (shop.settings.incoming / "shop" / "link.csv").symlink_to(secret)
    assert shop.load().files_found == 0


def test_a_zone_that_leads_out_of_the_calendar(shop: Shop) -> None:
    times = ("0001-01-01T00:00:00", "0001-01-01T00:00:00+02:00", "9999-12-31T23:00:00-02:00")
    shop.deliver(csv_file(*(line(str(number), time=time) for number, time in enumerate(times))))
    shop.load()
    assert shop.reasons() == [(3, "type:ordered_at"), (4, "type:ordered_at; rule:ordered_in_the_past")]


def test_local_time_becomes_utc(tmp_path: Path) -> None:
    document = contract_document()
    ordered_at = document["schema"][0]["properties"][2]
    ordered_at["logicalTypeOptions"] = {"format": "dd.MM.yyyy HH:mm", "defaultTimezone": "Europe/Berlin"}
    shop = Shop(tmp_path, document)
    shop.deliver(csv_file(line("s", time="01.07.2025 12:00"), line("w", time="01.01.2025 12:00")))
    shop.load()
    found = shop.query("SELECT order_id, CAST(ordered_at AS VARCHAR) FROM accepted ORDER BY 1")
    assert found == [("s", "2025-07-01 10:00:00"), ("w", "2025-01-01 11:00:00")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.3.2025 10:00 +01", "2025-03-01 09:00:00"),
        ("01.03.2025 10:00 Z", "2025-03-01 10:00:00"),
        ("01.03.25 10:00 +01", None),
        ("infinity", None),
        ("epoch", None),
    ],
)
def test_texts_that_do_not_look_like_the_pattern(tmp_path: Path, text: str, expected: str | None) -> None:
    document = contract_document()
    document["schema"][0]["properties"][2]["logicalTypeOptions"] = {"format": "dd.MM.yyyy HH:mm XXX"}
    shop = Shop(tmp_path, document)
    shop.deliver(csv_file(line(time=text)))
    shop.load()
    assert shop.query("SELECT CAST(ordered_at AS VARCHAR) FROM accepted") == ([(expected,)] if expected else [])


@pytest.mark.parametrize("name", [b"l" * 245 + b".csv", b"a\xff.csv", "a\u2028b.csv".encode()])
def test_odd_file_names(shop: Shop, name: bytes) -> None:
    path = os.fsencode(shop.settings.incoming / "shop") + b"/" + name
    Path(os.fsdecode(path)).write_text(csv_file(line()))
    assert [record.status for record in shop.load().records] == ["loaded"]
    assert shop.load().loaded == () and len(list((shop.settings.landing / "shop").glob("*.csv"))) == 1
    assert len((shop.settings.landing / "shop" / "received.jsonl").read_bytes().splitlines()) == 1


def test_too_little_memory_is_not_the_fault_of_the_file(shop: Shop) -> None:
    shop.deliver(csv_file(*(line(str(n), mail=f"{n}@b") for n in range(200_000))))
    enough = shop.settings
    shop.settings = enough.model_copy(update={"memory_limit": "12MB"})
    with pytest.raises(duckdb.OutOfMemoryException):
        shop.load()
    shop.settings = enough
    assert shop.load().total("rows_accepted") == 200_000


def test_ids_that_a_writer_turned_into_fractions_are_whole_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contract_document("parquet"))
    columns = "1.5 AS line, '2025-03-01T10:00:00Z' AS time, 'sale' AS kind, 1 AS qty, 9.9 AS amount, NULL AS discount"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT CAST(4711 AS DOUBLE) AS \"order\", {columns}, 'a@b.example' AS mail)"
            f" TO '{shop.settings.incoming}/shop/a.parquet' (FORMAT parquet)"
        )
    shop.load()
    assert shop.query("SELECT order_id, line_id FROM accepted") == [("4711", "1.5")]


def test_one_bad_day_is_not_hidden_by_a_long_history(shop: Shop) -> None:
    shop.deliver(csv_file(*(line(str(n)) for n in range(990))), "history.csv")
    shop.load()
    shop.deliver(csv_file(*(line(f"b{n}", kind="gift") for n in range(9)), line("good")), "today.csv")
    report = shop.load()
    assert report.quarantine_rate == pytest.approx(0.009)
    assert report.worst_quarantine_rate == pytest.approx(0.9)


def test_every_digit_of_a_json_number_survives(tmp_path: Path) -> None:
    """DuckDB reads decimals as binary fractions of 17 digits; money has more."""
    shop = Shop(tmp_path, contract_document("json"))
    good = '{"order":"%s","line":"1","time":"2025-03-01T10:00:00","kind":"sale","mail":"%s","amount":%s,"qty":%s}'
    lines = [
        good % ("1", "", "1234567890123456.78", "1.5"),
        good % ("2", r"say \"3.14159265358979323846\" twice: \\", "9.90", "123456789012345.678"),
        good % ("12345678901234567.89", "1.23456789012345678@example.org", "9.90", "2"),
    ]
    shop.deliver("\n".join(lines) + "\n", "a.jsonl")
    shop.load()
    figures = "order_id, email, CAST(gross_amount AS VARCHAR), CAST(quantity AS VARCHAR)"
    assert shop.query(f"SELECT {figures} FROM accepted ORDER BY _row") == [
        ("1", None, "1234567890123456.78", "1.500"),
        ("2", 'say "3.14159265358979323846" twice: \\', "9.90", "123456789012345.678"),
        ("12345678901234567.89", "1.23456789012345678@example.org", "9.90", "2.000"),
    ]


def test_a_broken_line_that_speaks_of_a_full_disk_is_a_broken_line(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1"), "No space left,max_temp_directory_size,File too large"))
    shop.load()
    assert shop.reasons() == [(3, "parse:missing_columns")]


@pytest.mark.parametrize("file_format", ["csv", "json", "parquet"])
def test_rows_keep_their_numbers_however_many_threads_read(tmp_path: Path, file_format: str) -> None:
    shop = Shop(tmp_path, contract_document(file_format))
    shop.settings = shop.settings.model_copy(update={"threads": 4})
    names = '"order", line, time, kind, amount'
    columns = (
        "i::VARCHAR AS \"order\", '1' AS line, '2025-03-01T10:00:00' AS time, 9.9 AS amount,"
        " CASE WHEN i % 1000 = 7 THEN 'gift' ELSE 'sale' END AS kind"
    )
    options = {"csv": "FORMAT csv", "json": "FORMAT json", "parquet": "FORMAT parquet, ROW_GROUP_SIZE 6144"}
    ending = {"json": "jsonl"}.get(file_format, file_format)
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {names} FROM (SELECT {columns} FROM range(300_000) AS t (i)))"
            f" TO '{shop.settings.incoming}/shop/a.{ending}' ({options[file_format]})"
        )
    assert shop.load().total("rows_quarantined") == 300
    first = 2 if file_format == "csv" else 1
    assert shop.query(f"SELECT count(*) FROM accepted WHERE _row <> order_id::BIGINT + {first}") == [(0,)]
    assert shop.query(
        f"SELECT count(*) FROM quarantine WHERE _row <> json_extract_string(raw, '$.order')::BIGINT + {first}"
    ) == [(0,)]
