"""What a publication puts into the readers' file, and what it refuses."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

import transforms.publishing.build as build_module
from transforms.publishing import PublicationError, PublicationReport, publish, verify_published
from transforms.publishing.sql import copy_table

from .toy import (
    AS_OF,
    MAIL,
    PHONE,
    PUBLISHER,
    build_of,
    change_warehouse,
    column,
    generation_read,
    marts,
    model,
    plan_of,
    settings_of,
    start,
    write_warehouse,
)


def _publish(home: Path, run_id: str = "run-1", **changes: object) -> PublicationReport:
    return publish(settings_of(home, **changes), plan_of(home), build_of(home, run_id), "0.1.0")


def _read(path: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(path, read_only=True)


def _files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "published").iterdir())


def test_tables_arrive_whole_and_the_publication_names_them(home: Path) -> None:
    report = _publish(home)

    rows = {"channel_summary": 2, "customer_360": 300, "customer_timeline": 900}
    assert report.tables == rows
    with _read(report.path) as published:
        stored = published.execute(
            "SELECT run_id, published_at, as_of_date, watershed_version, duckdb_version, storage_version, tables"
            " FROM marts.publication"
        ).fetchall()
        revenue = published.execute("SELECT sum(net_revenue_amount) FROM marts.customer_360").fetchone()
        last = published.execute("SELECT max(occurred_at)::varchar FROM marts.customer_timeline").fetchone()
    ((run_id, published_at, as_of, version, engine, storage, tables),) = stored
    assert (run_id, as_of, version, engine, storage) == (
        "run-1",
        AS_OF,
        "0.1.0",
        f"v{duckdb.__version__}",
        "v1.4.0",
    )
    assert abs(dt.datetime.now(dt.UTC).replace(tzinfo=None) - published_at) < dt.timedelta(minutes=1)
    assert json.loads(tables) == rows
    assert revenue == (sum(i * 125 for i in range(300)) / 100,)
    assert last == ("2025-01-01 00:14:59",)


def test_no_personal_data_leaves(home: Path) -> None:
    report = _publish(home)

    cells = 0
    with _read(report.path) as published:
        for schema, table, name in published.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns()"
            " WHERE database_name = 'customer360' AND NOT internal AND data_type = 'VARCHAR'"
        ).fetchall():
            for (value,) in published.execute(f'SELECT "{name}" FROM "{schema}"."{table}"').fetchall():
                cells += 1
                assert MAIL not in (value or "") and PHONE not in (value or ""), f"{table}.{name}: {value}"
    assert cells > 1500
    content = report.path.read_bytes()
    assert MAIL.encode() not in content
    assert PHONE.encode() not in content
    assert report.withheld == {"customer_360": ("email", "phone")}
    assert report.undeclared == {"customer_360": ("analyst_note",), "customer_timeline": ("subject",)}


def test_an_allowed_property_leaves(home: Path) -> None:
    plan = plan_of(home, allowed=("transactions.email",))

    report = publish(settings_of(home), plan, build_of(home, "run-1"), "0.1.0")

    with _read(report.path) as published:
        found = published.execute("SELECT count(DISTINCT email) FROM marts.customer_360").fetchone()
    assert found == (300,)


def test_descriptions_become_comments(home: Path) -> None:
    report = _publish(home)

    with _read(report.path) as published:
        tables = dict(published.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        columns = dict(
            published.execute(
                "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'customer_360'"
            ).fetchall()
        )
        uncommented = published.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = 'publication' AND comment IS NULL"
        ).fetchall()
    assert tables["customer_360"] == "One row per customer. It's what marketing opens."
    assert tables["channel_summary"] == "By channel."
    assert tables["publication"].startswith("One row")
    assert columns["customer_id"] == "Customer's number."
    assert columns["segment"] == "RFM segment; it's one of eleven."
    assert columns["p_alive"] is None
    assert uncommented == []


def test_rows_lie_in_the_declared_order(home: Path) -> None:
    write_warehouse(home, people=200_000)

    report = _publish(home)

    with _read(report.path) as published:
        (unsorted,) = published.execute(
            "SELECT count(*) FROM (SELECT customer_id, occurred_at, rowid,"
            " lag(customer_id) OVER w AS last_id, lag(occurred_at) OVER w AS last_at"
            " FROM marts.customer_timeline WINDOW w AS (ORDER BY rowid))"
            " WHERE last_id IS NOT NULL AND (customer_id, occurred_at) < (last_id, last_at)"
        ).fetchone() or (None,)
        first = published.execute("SELECT segment FROM marts.customer_360 LIMIT 1").fetchone()
    assert unsorted == 0
    assert first == ("At Risk",)


def test_the_file_is_read_only_and_alone(home: Path) -> None:
    report = _publish(home)

    assert stat.S_IMODE(report.path.stat().st_mode) == 0o444
    assert report.size_bytes == report.path.stat().st_size
    assert _files(home) == [".customer360.duckdb.lock", "customer360.duckdb"]
    assert list((home / "tmp").iterdir()) == []


def test_readers_cannot_write_to_the_folder(home: Path) -> None:
    before = os.umask(0)
    try:
        path = _publish(home).path
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_the_storage_version_is_what_the_file_says(home: Path) -> None:
    report = _publish(home)

    with _read(report.path) as published:
        tags = published.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'customer360'"
        ).fetchone()
    assert tags == ("v1.4.0+",)


def test_verify_returns_the_publication(home: Path) -> None:
    report = _publish(home)

    info = verify_published(report.path)

    assert (info.run_id, info.as_of_date, info.storage_version) == ("run-1", AS_OF, "v1.4.0")
    assert info.tables == report.tables
    assert info.size_bytes == report.size_bytes


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM marts.customer_360 WHERE customer_id = 'C00000007'",
        "CREATE TABLE marts.more AS SELECT 1 AS a",
        "DROP TABLE marts.channel_summary",
        "DELETE FROM marts.publication",
        "DROP TABLE marts.publication",
    ],
)
def test_verify_refuses_a_changed_file(home: Path, statement: str) -> None:
    path = _publish(home).path
    path.chmod(0o644)
    with duckdb.connect(path) as tampered:
        tampered.execute(statement)

    with pytest.raises(PublicationError):
        verify_published(path)


def test_verify_says_when_nothing_is_published(tmp_path: Path) -> None:
    with pytest.raises(PublicationError, match="Nothing is published"):
        verify_published(tmp_path / "customer360.duckdb")


def test_odd_names_and_run_ids_are_quoted(home: Path) -> None:
    change_warehouse(home, """CREATE TABLE marts."we""ird 'table" AS SELECT 1 AS "a ""b'", 2 AS "select" """)
    odd = model("we\"ird 'table", [column("a \"b'", "it's"), column("select")], "it's", published_order=["a \"b'"])

    report = publish(settings_of(home), plan_of(home, {"m": odd}), build_of(home, "../it's/odd"), "0.1.0")

    with _read(report.path) as published:
        row = published.execute("""SELECT "a ""b'", "select" FROM marts."we""ird 'table" """).fetchone()
    assert row == (1, 2)
    assert verify_published(report.path).run_id == "../it's/odd"


def test_a_path_with_a_quote_in_it_works(tmp_path: Path) -> None:
    home = tmp_path / "it's here"
    home.mkdir()
    write_warehouse(home)

    assert _publish(home).tables["customer_360"] == 300


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("now()", r"TIMESTAMP WITH TIME ZONE; cast it to a UTC TIMESTAMP"),
        ("now()::timestamp_ns", "TIMESTAMP_NS; cast it to TIMESTAMP"),
        ("'a'::ENUM('a', 'b')", "ENUM.*; cast it to VARCHAR"),
        ("[1, 2]", r"INTEGER\[\]; flatten it"),
        ("[1, 2]::INTEGER[2]", r"INTEGER\[2\]; flatten it"),
        ("{'a': 1}", "STRUCT.*; flatten it"),
        ("MAP {'a': 1}", "MAP.*; flatten it"),
        ("1::VARIANT", "VARIANT; cast it to VARCHAR"),
        ("1::HUGEINT", "HUGEINT; cast it to BIGINT or DECIMAL"),
        ("'{}'::JSON", "JSON; cast it to VARCHAR"),
        ("uuid()", "UUID; cast it to VARCHAR"),
        ("INTERVAL 1 DAY", "INTERVAL; cast it to VARCHAR"),
        ("'a'::BLOB", "BLOB; cast it to VARCHAR"),
    ],
)
def test_types_that_bi_clients_cannot_read_are_refused(home: Path, expression: str, message: str) -> None:
    change_warehouse(home, f"CREATE TABLE marts.odd AS SELECT 1 AS fine, {expression} AS bad")
    nodes = {"m": model("odd_model", [column("fine"), column("bad")]) | {"alias": "odd"}}

    with pytest.raises(PublicationError, match=rf"odd_model\.bad is of type {message}"):
        publish(settings_of(home), plan_of(home, nodes), build_of(home, "run-1"), "0.1.0")


def test_types_that_every_client_reads_are_published(home: Path) -> None:
    change_warehouse(
        home,
        "CREATE TABLE marts.plain AS SELECT true AS a, 1::TINYINT AS b, 1::UBIGINT AS c, 1.5::FLOAT AS d,"
        " 1.5::DOUBLE AS e, 1::DECIMAL(18, 2) AS f, 'x' AS g, DATE '2025-01-01' AS h, TIME '12:00' AS i,"
        " TIMESTAMP '2025-01-01 12:00:00' AS j",
    )
    nodes = {"m": model("plain", [column(name) for name in "abcdefghij"])}

    report = publish(settings_of(home), plan_of(home, nodes), build_of(home, "run-1"), "0.1.0")

    assert report.tables == {"plain": 1}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE marts.customer_timeline", r"customer_timeline: the warehouse has no table marts\.cust"),
        ("DELETE FROM marts.customer_360", "customer_360: has no rows"),
        (
            "ALTER TABLE marts.customer_360 DROP COLUMN segment",
            r"customer_360\.segment: declared, but not in",
        ),
        (
            "ALTER TABLE marts.customer_timeline ALTER occurred_at TYPE TIMESTAMPTZ",
            r"customer_timeline\.occurred_at is of type TIMESTAMP WITH TIME ZONE",
        ),
    ],
)
def test_marts_that_are_not_as_planned_are_refused_and_the_old_file_stays(
    home: Path, statement: str, message: str
) -> None:
    path = _publish(home).path
    before = path.read_bytes()
    write_warehouse(home, generation=2)
    change_warehouse(home, statement)

    with pytest.raises(PublicationError, match=message):
        _publish(home, "run-2")

    assert path.read_bytes() == before
    assert _files(home) == [".customer360.duckdb.lock", "customer360.duckdb"]


def test_an_empty_table_other_than_customers_is_news(home: Path) -> None:
    change_warehouse(home, "DELETE FROM marts.customer_timeline")

    assert _publish(home).tables["customer_timeline"] == 0


def test_a_missing_warehouse_is_said(tmp_path: Path) -> None:
    with pytest.raises(PublicationError, match=r"no warehouse at .* run the daily job first"):
        _publish(tmp_path)


def test_a_warehouse_that_is_being_written_is_refused(home: Path) -> None:
    writer = start(
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()",
        home / "warehouse.duckdb",
    )
    try:
        assert writer.stdout and writer.stdout.readline() == "open\n"
        with pytest.raises(PublicationError, match=f"publish when that has ended.*{writer.pid}"):
            _publish(home)
    finally:
        writer.kill()
        writer.communicate()


def test_a_writer_in_this_process_is_refused_too(home: Path) -> None:
    with (
        duckdb.connect(home / "warehouse.duckdb"),
        pytest.raises(PublicationError, match="publish when that has ended"),
    ):
        _publish(home)


def test_a_query_that_fails_while_copying_leaves_the_old_file(home: Path) -> None:
    path = _publish(home).path
    write_warehouse(home, generation=2)
    change_warehouse(
        home,
        "CREATE OR REPLACE VIEW marts.channel_summary AS"
        " SELECT channel, CAST(channel AS integer) AS touchpoints, 2 AS generation"
        " FROM intermediate.int_channels",
    )

    with pytest.raises(PublicationError, match="is not replaced"):
        _publish(home, "run-2")

    assert generation_read(path) == 1
    assert _files(home) == [".customer360.duckdb.lock", "customer360.duckdb"]


def test_a_full_disk_leaves_the_old_file(home: Path) -> None:
    """No file of the second publisher may grow beyond 2 MB; its tables need more."""
    path = _publish(home).path
    write_warehouse(home, generation=2, people=200_000)

    publisher = start(PUBLISHER, home, "run-2", 0, 2_000_000)
    _, errors = publisher.communicate(timeout=60)

    assert publisher.returncode == 1
    assert "PublicationError" in errors and "is not replaced" in errors, errors
    assert generation_read(path) == 1
    assert _files(home) == [".customer360.duckdb.lock", "customer360.duckdb"]


@pytest.mark.parametrize(
    "fault",
    [
        lambda sql: sql + " LIMIT 1",
        lambda sql: sql.replace('"net_revenue_amount"', '"net_revenue_amount" + 0.01 AS net_revenue_amount'),
        lambda sql: sql.replace('"segment",', "replace(\"segment\", 'At Risk', 'At risk') AS segment,", 1),
    ],
)
def test_a_copy_that_differs_from_the_mart_is_not_published(
    home: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[str], str]
) -> None:
    path = _publish(home).path
    write_warehouse(home, generation=2)
    monkeypatch.setattr(build_module, "copy_table", lambda table: fault(copy_table(table)))

    with pytest.raises(PublicationError, match="the copy differs from the mart"):
        _publish(home, "run-2")

    assert generation_read(path) == 1


def test_leftovers_of_a_killed_run_are_removed(home: Path) -> None:
    folder = home / "published"
    folder.mkdir()
    for name in (".customer360.duckdb.dead.tmp", ".customer360.duckdb.dead.tmp.wal", ".other.duckdb.x.tmp"):
        (folder / name).write_bytes(b"x")
    spilled = home / "tmp" / "publishing" / "spilled"
    spilled.parent.mkdir(parents=True)
    spilled.write_bytes(b"x")

    _publish(home)

    assert _files(home) == [".customer360.duckdb.lock", ".other.duckdb.x.tmp", "customer360.duckdb"]
    assert not spilled.exists()


def test_a_folder_that_everyone_may_write_to_is_warned_about(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = home / "published"
    folder.mkdir()
    folder.chmod(0o777)

    with caplog.at_level(logging.WARNING):
        report = _publish(home)

    assert "chmod o-w" in report.warnings[0]
    assert "chmod o-w" in caplog.text


def test_progress_is_told(home: Path) -> None:
    told: list[str] = []

    publish(settings_of(home), plan_of(home), build_of(home, "run-1"), "0.1.0", told.append)

    assert "customer_timeline: 900 rows" in told
    assert told[-1].startswith("published ")


def test_the_toy_holds_what_the_tests_look_for(home: Path) -> None:
    """The marts do hold planted values, so that their absence in the file means something."""
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as warehouse:
        planted = warehouse.execute(
            "SELECT count(*) FILTER (email LIKE '%@planted.example'),"
            " count(*) FILTER (phone LIKE '+4915155%'),"
            " count(*) FILTER (analyst_note LIKE '%@planted.example') FROM marts.customer_360"
        ).fetchone()
    assert planted == (300, 300, 300)
    assert len(marts()) == 4
