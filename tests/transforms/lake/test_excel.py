"""Workbooks as people send them, and as nobody should."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from tests.transforms.lake.shop import HEADER, Shop, contract_document
from transforms.contracts import ContractError
from transforms.lake.readers import excel

MOMENT = dt.datetime.fromisoformat("2025-03-01T10:00:00")
NAMES = HEADER.split(",")


def document(path: str = "shop/*.xls*", **properties: Any) -> dict[str, Any]:
    given = [{"property": name, "value": value} for name, value in properties.items()]
    made = contract_document("csv", format="excel", path=path)
    made["servers"][0]["customProperties"] = given
    return made


def row(order: Any = "1", **cells: Any) -> list[Any]:
    good = {"order": order, "line": "1", "time": MOMENT, "kind": "sale", "qty": 2, "amount": 9.9, "mail": None}
    return [{**good, **cells}.get(name) for name in NAMES]


def workbook(*rows: list[Any], title: str = "Sales") -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = active(book)
    sheet.title = title
    for cells in [NAMES, *rows]:
        sheet.append(cells)
    return book


def active(book: openpyxl.Workbook) -> Worksheet:
    assert isinstance(book.active, Worksheet)
    return book.active


def content(book: openpyxl.Workbook) -> bytes:
    book.save(buffer := io.BytesIO())
    return buffer.getvalue()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, document())


def reason(shop: Shop) -> str:
    report = shop.load()
    assert [record.status for record in report.records] == ["rejected"]
    return report.records[0].reason or ""


def test_a_workbook_is_loaded_with_the_rows_of_its_sheet(shop: Shop) -> None:
    shop.deliver(content(workbook(row("1"), row("2", mail="a@b.example"), row("3", kind="gift"))), "a.xlsx")
    report = shop.load()
    assert shop.query("SELECT order_id, ordered_at, quantity, gross_amount, email, _row FROM accepted ORDER BY 1") == [
        ("1", MOMENT, 2, Decimal("9.90"), None, 2),
        ("2", MOMENT, 2, Decimal("9.90"), "a@b.example", 3),
    ]
    assert shop.reasons() == [(4, "enum:line_type")]
    assert report.balances and report.total("rows_read") == 3
    assert json.loads(shop.query("SELECT raw FROM quarantine")[0][0])["kind"] == "gift"


CELLS = {
    "leading zeros as text": ("order", "00123", "order_id", "00123"),
    "whole number as id": ("order", 4711, "order_id", "4711"),
    "15 digits": ("order", 123456789012345, "order_id", "123456789012345"),
    "spaces kept": ("mail", " a@b ", "email", " a@b "),
    "formula as text": ("mail", "'=1+1", "email", "'=1+1"),
    "binary fraction": ("amount", 0.1 + 0.2, "gross_amount", Decimal("0.30")),
    "number as text": ("amount", "12.50", "gross_amount", Decimal("12.50")),
    "third decimal place": ("amount", 1.005, "gross_amount", None),
    "date without time": ("time", dt.date(2025, 3, 1), "ordered_at", dt.datetime.fromisoformat("2025-03-01")),
    "milliseconds": (
        "time",
        dt.datetime.fromisoformat("2025-03-01T10:00:00.250"),
        "ordered_at",
        dt.datetime.fromisoformat("2025-03-01T10:00:00.250"),
    ),
    "date as text": ("time", "2025-03-01T10:00:00", "ordered_at", MOMENT),
    "date in local order": ("time", "01.03.2025", "ordered_at", None),
    "number for a date": ("time", 45000, "ordered_at", None),
    "truth for money": ("amount", True, "gross_amount", None),
}


@pytest.mark.parametrize("alone", [True, False], ids=["a column of it", "among text"])
@pytest.mark.parametrize("case", CELLS)
def test_cells_lose_nothing(shop: Shop, case: str, alone: bool) -> None:
    physical, value, name, expected = CELLS[case]
    rows = [row("odd", **{physical: value}) if physical != "order" else row(value)]
    if not alone:
        rows.append(row(**{"order": "text", physical: "text"}))
    shop.deliver(content(workbook(*rows)), "a.xlsx")
    shop.load()
    found = shop.query(f"SELECT {name} FROM accepted WHERE order_id <> 'text' AND _row = 2")
    assert found == ([] if expected is None else [(expected,)])
    if expected is None:
        assert (2, f"type:{name}") in shop.reasons()


def test_durations_beyond_a_day_are_text(tmp_path: Path) -> None:
    made = document()
    made["schema"][0]["properties"][7] |= {"physicalName": "took"}
    shop = Shop(tmp_path, made)
    book = workbook(row())
    active(book)["I1"], active(book)["I2"] = "took", dt.timedelta(hours=30, minutes=2, seconds=5)
    shop.deliver(content(book), "a.xlsx")
    shop.load()
    assert shop.query("SELECT email FROM accepted") == [("30:02:05",)]


def test_rows_keep_their_number_whatever_stands_above_and_beside_them(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document(headerRow=4))
    book = openpyxl.Workbook()
    sheet = active(book)
    sheet["B1"] = "Sales of March"
    for column, name in enumerate(NAMES, start=3):
        sheet.cell(4, column, name)
    for number in (6, 9):
        for column, cell in enumerate(row(str(number)), start=3):
            sheet.cell(number, column, cell)
    shop.deliver(content(book), "a.xlsx")
    report = shop.load()
    assert not report.new_columns and not report.rejected
    assert shop.query("SELECT order_id, _row FROM accepted ORDER BY 1") == [("6", 6), ("9", 9)]
    assert report.total("rows_read") == 2


def test_merged_cells_have_a_value_in_the_first_alone(shop: Shop) -> None:
    book = workbook(row("1"), row("2"))
    active(book).merge_cells("D2:D3")
    shop.deliver(content(book), "a.xlsx")
    shop.load()
    assert shop.query("SELECT order_id FROM accepted") == [("1",)]
    assert shop.reasons() == [(3, "required:line_type")]


def with_results(book: openpyxl.Workbook, results: dict[str, str]) -> bytes:
    """Formulas with the results that a spreadsheet program left; openpyxl writes none."""
    source = zipfile.ZipFile(io.BytesIO(content(book)))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            text = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                for formula, result in results.items():
                    kind = b' t="e"' if result.startswith("#") else b""
                    cell = f"<f>{formula}</f><v></v>".encode()
                    at = text.index(cell) if cell in text else text.index(f"<f>{formula}</f><v />".encode())
                    start = text.rindex(b"<c ", 0, at)
                    end = text.index(b"</c>", at)
                    reference = text[start:at].split(b'r="')[1].split(b'"')[0]
                    made = f"<f>{formula}</f><v>{result}</v>".encode()
                    text = text[:start] + b'<c r="' + reference + b'"' + kind + b">" + made + text[end:]
            archive.writestr(name, text)
    return target.getvalue()


def test_formulas_count_by_their_last_result_and_errors_are_no_values(shop: Shop) -> None:
    book = workbook(row("1", amount="=3+4.5"), row("2", discount="=1/0"), row("3"))
    shop.deliver(with_results(book, {"3+4.5": "7.5", "1/0": "#DIV/0!"}), "a.xlsx")
    shop.load()
    assert shop.query("SELECT order_id, gross_amount FROM accepted ORDER BY 1") == [
        ("1", Decimal("7.50")),
        ("3", Decimal("9.90")),
    ]
    assert shop.reasons() == [(3, "parse:cell_error")]


def test_errors_in_columns_that_nobody_reads_do_not_matter(shop: Shop) -> None:
    book = workbook(row("1"), row("2"))
    active(book)["I1"], active(book)["I3"] = "look-up", "=1/0"
    shop.deliver(with_results(book, {"1/0": "#N/A"}), "a.xlsx")
    shop.load()
    assert shop.query("SELECT order_id FROM accepted ORDER BY 1") == [("1",), ("2",)]


def test_columns_without_a_name_count_if_they_hold_something(shop: Shop) -> None:
    book = workbook(row("1"))
    active(book)["J2"] = "remark"
    shop.deliver(content(book), "a.xlsx")
    assert list(shop.load().new_columns) == ["column10"]


def test_the_only_visible_sheet_is_read(shop: Shop) -> None:
    book = workbook(row("1"))
    for state in ("hidden", "veryHidden"):
        book.create_sheet(state).sheet_state = state
    shop.deliver(content(book), "a.xlsx")
    assert shop.load().total("rows_accepted") == 1


def test_of_several_sheets_the_contract_names_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document())
    book = workbook(row("1"))
    book.create_sheet("Notes")["A1"] = "hello"
    shop.deliver(content(book), "a.xlsx")
    assert reason(shop) == "excel: 2 visible sheets ('Sales', 'Notes'); name one as 'sheet' in the contract"
    shop.sign(document(sheet="Sales"))
    assert shop.load().total("rows_accepted") == 1
    shop.sign(document(sheet="Sale"))
    assert reason(shop) == "excel: there is no sheet 'Sale'; the workbook has 'Sales', 'Notes'"


def zip_bomb() -> bytes:
    """A workbook whose sheet is 3 GB of spaces; its directory says so."""
    source = zipfile.ZipFile(io.BytesIO(content(workbook(row("1")))))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name))
        with archive.open("xl/media/bomb.xml", "w", force_zip64=True) as stream:
            for _ in range(9 * 34):
                stream.write(b" " * 10_000_000)
    return target.getvalue()


def far_away() -> bytes:
    """A cell at the far corner of the sheet, which makes a table of 17 billion cells."""
    book = workbook(row("1"))
    active(book)["XFD1048576"] = "x"
    return content(book)


def zip_of_text() -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("a.csv", HEADER)
    return buffer.getvalue()


def twice() -> bytes:
    book = workbook(row())
    active(book)["I1"] = "Order"
    return content(book)


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "text": ("a.xlsx", b"order,line\n", "excel: the content is no workbook"),
    "empty": ("a.xlsx", b"", "empty: "),
    "truncated": ("a.xlsx", content(workbook(row()))[:-500], "excel: "),
    "encrypted": ("a.xlsx", excel._OLE + b"\0" * 4096, "excel: encrypted"),
    "broken old workbook": ("a.xls", excel._OLE + b"\0" * 4096, "excel: "),
    "cell far away": ("a.xlsx", far_away(), "excel: the workbook cannot be parsed"),
    "zip of something else": ("a.xlsx", zip_of_text(), "excel: "),
    "column twice": ("a.xlsx", twice(), "excel: columns 'Order', 'order' more than once in row 1"),
    "no header": ("a.xlsx", content(openpyxl.Workbook()), "excel: row 1 of sheet 'Sheet' is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_workbook_is_refused_with_its_reason(shop: Shop, case: str) -> None:
    name, data, expected = REFUSED[case]
    shop.deliver(data, name)
    started = time.monotonic()
    assert reason(shop).startswith(expected)
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_a_zip_bomb_is_refused_by_its_directory(shop: Shop) -> None:
    shop.deliver(zip_bomb(), "a.xlsx")
    started = time.monotonic()
    assert reason(shop).startswith("inflation: 3,06")
    assert time.monotonic() - started < 10


def test_macros_are_no_fault(shop: Shop) -> None:
    with zipfile.ZipFile(buffer := io.BytesIO(content(workbook(row("1")))), "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\0" * 100)
    shop.deliver(buffer.getvalue(), "a.xlsm")
    shop.sign(document("shop/*.xlsm"))
    assert shop.load().total("rows_accepted") == 1


ODS = (
    '<?xml version="1.0"?><office:document-content'
    ' xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    ' xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"'
    ' xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
    '<office:body><office:spreadsheet><table:table table:name="Sales">{}</table:table></office:spreadsheet>'
    "</office:body></office:document-content>"
)


MANIFEST = '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'


def ods(*rows: str) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr(
            "content.xml", ODS.format("".join(f"<table:table-row{made}</table:table-row>" for made in rows))
        )
    return buffer.getvalue()


def ods_cell(value: Any) -> str:
    if isinstance(value, int | float):
        return f'<table:table-cell office:value-type="float" office:value="{value}"/>'
    text = "" if value is None else value
    return f'<table:table-cell office:value-type="string"><text:p>{text}</text:p></table:table-cell>'


def ods_row(cells: list[Any]) -> str:
    return ">" + "".join(map(ods_cell, cells))


def test_open_document_sheets(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document("shop/*.ods"))
    shop.deliver(ods(ods_row(NAMES), ods_row(row("007", time="2025-03-01T10:00:00"))), "a.ods")
    shop.load()
    assert shop.query("SELECT order_id, quantity FROM accepted") == [("007", 2)]


def test_rows_repeated_without_end_end_the_parser_only(tmp_path: Path) -> None:
    shop = Shop(tmp_path, document("shop/*.ods"))
    many = ' table:number-rows-repeated="1048576"><table:table-cell table:number-columns-repeated="16384"'
    many += ' office:value-type="string"><text:p>x</text:p></table:table-cell>'
    shop.deliver(ods(ods_row(NAMES), many), "a.ods")
    assert "limit exceeded" in reason(shop)


@pytest.mark.slow
def test_the_highest_sheet_there_can_be(shop: Shop) -> None:
    empty = zipfile.ZipFile(io.BytesIO(content(openpyxl.Workbook())))
    path = shop.settings.incoming / "shop" / "a.xlsx"
    kind = "inlineStr"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in empty.namelist():
            if name != "xl/worksheets/sheet1.xml":
                archive.writestr(name, empty.read(name))
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            sheet.write(b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>')
            texts = [NAMES, *([str(n), "1", "2025-03-01T10:00:00", "sale", "2", "9.9", "", f"{n}@b"] for n in range(2))]
            cells = "".join(f'<c t="{kind}"><is><t>{text}</t></is></c>' for text in texts[0])
            sheet.write(f'<row r="1">{cells}</row>'.encode())
            for first in range(2, 1_048_577, 5_000):
                rows = (
                    f'<row r="{n}"><c><v>{n}</v></c><c><v>1</v></c><c t="{kind}"><is><t>2025-03-01T10:00:00</t></is>'
                    f'</c><c t="{kind}"><is><t>sale</t></is></c><c><v>2</v></c><c><v>9.9</v></c></row>'
                    for n in range(first, min(first + 5_000, 1_048_577))
                )
                sheet.write("".join(rows).encode())
            sheet.write(b"</sheetData></worksheet>")
    assert shop.load().total("rows_accepted") == 1_048_575
    assert shop.query("SELECT max(_row) FROM accepted") == [(1_048_576,)]


@pytest.mark.parametrize(
    ("made", "remedy"),
    [
        (document(headerRow=0), "Give the number of the row with the names"),
        (document(headerRow="first"), "Give the number of the row with the names"),
        (contract_document("csv", customProperties=[{"property": "sheet", "value": "A"}]), "set 'format: excel'"),
        (contract_document("csv", path="shop/"), "End it with a pattern"),
    ],
)
def test_the_lint_names_the_remedy(tmp_path: Path, made: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ContractError, match=remedy):
        _ = Shop(tmp_path, made).contract


def test_another_sheet_or_header_reads_the_landed_files_anew(tmp_path: Path) -> None:
    fingerprints = {Shop(tmp_path, document(**given)).contract.fingerprint for given in ({}, {"sheet": "A"})}
    assert len(fingerprints) == 2
