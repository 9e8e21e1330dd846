"""Each source comes in the form that its contract describes, and clocks are right."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.demo.conftest import Written
from transforms.contracts.registry import Contracts, load_contracts
from transforms.demo import almanac
from transforms.demo.files import FORMS

# One company serves them all, if one worker has them.
pytestmark = pytest.mark.xdist_group("company")

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def contracts(company: Written) -> Contracts:
    return load_contracts(company.settings.entities, company.settings.contracts)


def _files(company: Written, source: str) -> list[Path]:
    return sorted((company.settings.incoming / source).iterdir())


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


def _columns(company: Written, source: str) -> set[str]:
    path = _files(company, source)[0]
    if path.suffix == ".parquet":
        return set(pq.read_schema(path).names)
    if ".jsonl" in path.name:
        return {name for line in _json_lines(company, source) for name in _dotted(line)}
    delimiter = ";" if FORMS[source].header.count(";") else ","
    return set(next(csv.reader([_text(path).split("\n", 1)[0]], delimiter=delimiter)))


def _dotted(item: dict, prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in item.items():
        names += _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return names


def _json_lines(company: Written, source: str) -> list[dict]:
    files = _files(company, source)
    lines = [line for path in files[-len(files) // 2 :] for line in _text(path).splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


@pytest.mark.parametrize("source", FORMS)
def test_columns_are_those_of_the_contract(company: Written, contracts: Contracts, source: str):
    contract = contracts.sources[source]
    assert _columns(company, source) == {*contract.physical_columns, *contract.ignore_columns}


@pytest.mark.parametrize("source", FORMS)
def test_contracts_say_who_owns_what_and_what_is_personal(contracts: Contracts, source: str):
    contract = contracts.sources[source]
    assert contract.owners
    assert contract.description
    assert contract.freshness
    assert contract.phone_region == (None if source == "product_catalogue" else "DE")
    identifiers = {mapping.column.name for mapping in contract.mappings if mapping.column.is_identifier}
    assert len(identifiers) >= (0 if source == "product_catalogue" else 2)
    document = contract.file.read_text(encoding="utf-8")
    assert document.count("tags: [personal_data, identifier]") == len(identifiers)


@pytest.mark.parametrize(("source", "files"), [(form.source, len(form.names)) for form in FORMS.values()])
def test_a_file_for_each_period(company: Written, source: str, files: int):
    quarterly = {"consents", "surveys", "returns_desk", "product_reviews", "product_catalogue"}
    assert files == {"app_events": 79, **dict.fromkeys(quarterly, 6)}.get(source, 18)
    names = {path.name for path in _files(company, source)}
    assert set(FORMS[source].names) <= names
    extra = {"pos_sales": {"pos_sales_2024-09_resent.csv.gz"}, "app_events": {"app_events_2024-W30_late.jsonl.gz"}}
    assert names - set(FORMS[source].names) == extra.get(source, set())


@pytest.mark.parametrize("source", [form.source for form in FORMS.values() if form.line is not None])
def test_text_files_end_with_a_newline_and_have_no_blank_lines(company: Written, source: str):
    for path in _files(company, source):
        lines = _text(path).split("\n")
        assert lines[-1] == ""
        assert all(lines[:-1])


def test_gzip_headers_carry_no_time(company: Written):
    for source in ("pos_sales", "app_events", "service_cases", "product_catalogue"):
        for path in _files(company, source):
            assert path.read_bytes()[4:8] == b"\0\0\0\0"


def test_web_orders_are_typed(company: Written):
    schema = pq.read_schema(_files(company, "web_orders")[0])
    assert schema.field("created_at").type == pa.timestamp("ms", "UTC")
    assert schema.field("unit_price").type == pa.decimal128(18, 2)
    assert schema.field("quantity").type == pa.int32()
    assert len({str(pq.read_schema(path)) for path in _files(company, "web_orders")}) == 1


def test_categories_with_a_delimiter_are_quoted(company: Written, facts: duckdb.DuckDBPyConnection):
    assert any('"Küche; Bad"' in _text(path) for path in _files(company, "pos_sales"))
    rows = facts.execute("SELECT count(*) FROM pos_sales WHERE Warengruppe = 'Küche; Bad'").fetchone()
    assert rows is not None
    assert rows[0] > 0


def test_rows_lie_in_the_file_of_their_period_in_time_order(company: Written):
    for path in _files(company, "hotline_calls"):
        month = path.stem[-7:]
        times = [line.split(",")[1] for line in _text(path).splitlines()[1:]]
        good = [time for time in times if len(time) == 19 and time < "2026" and "-02-30" not in time]
        assert {time[:7] for time in good} <= {month}
        assert good == sorted(good)


def test_tills_and_hotline_never_tell_a_time_that_is_missing_or_twice(facts: duckdb.DuckDBPyConnection):
    rows = facts.execute(
        """
        SELECT strptime(Zeitpunkt, '%d.%m.%Y %H:%M:%S') FROM pos_sales
        UNION SELECT CAST(received AS TIMESTAMP) FROM hotline_calls
        """
    ).fetchall()
    assert len(rows) > 3_000
    for (moment,) in rows:
        local = moment.replace(tzinfo=BERLIN)
        assert local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset(), moment


def test_visits_carry_the_offset_of_their_moment(facts: duckdb.DuckDBPyConnection):
    rows = facts.execute("SELECT seen_from FROM store_visits UNION SELECT seen_until FROM store_visits").fetchall()
    offsets = set()
    for (text,) in rows:
        if text is None:
            continue
        moment = dt.datetime.fromisoformat(text)
        assert moment.astimezone(BERLIN).isoformat() == text
        offsets.add(text[-6:])
    assert offsets == {"+01:00", "+02:00"}


def test_conversion_to_utc_is_that_of_the_time_zone_database():
    wall = np.concatenate(
        [np.arange(0, almanac.END, 3_571), np.array([day * 86_400 + 7_200 + 1_800 for day in range(almanac.DAYS)])]
    )
    first = dt.datetime.combine(almanac.FIRST_DAY, dt.time())
    found = almanac.to_utc(wall)
    for seconds, utc in zip(wall.tolist(), found.tolist(), strict=True):
        local = (first + dt.timedelta(seconds=seconds)).replace(tzinfo=BERLIN)
        assert local.astimezone(dt.UTC).replace(tzinfo=None) == first + dt.timedelta(seconds=utc)


def test_events_and_sessions_of_clock_change_nights_are_in_utc(facts: duckdb.DuckDBPyConnection):
    """Stamps end in Z, and no session jumps when the clocks do."""
    rows = facts.execute("SELECT ts, session FROM app_events ORDER BY session, ts").fetchall()
    assert all(len(ts) == 24 and ts.endswith("Z") for ts, _ in rows)
    gaps = [
        dt.datetime.fromisoformat(later) - dt.datetime.fromisoformat(earlier)
        for (earlier, session), (later, same) in pairwise(rows)
        if session == same
    ]
    assert max(gaps) < dt.timedelta(minutes=30)
    assert min(gaps) > dt.timedelta(0)
