"""The whole path, as a data engineer meets it: good days, bad files, two runs at once, a kill."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import dagster as dg
import duckdb
import pytest

from orchestration.pipeline import dagster_home
from tests.orchestration.conftest import Installation, dbt_of
from transforms.contracts import load_contracts
from transforms.demo.attainable import attained_recall
from transforms.demo.broken import BROKEN_SOURCES
from transforms.demo.report import score_run
from transforms.identity.store import IdentityStore
from transforms.locking import exclusive
from transforms.publishing import verify_published
from transforms.publishing.overview import read_overview
from transforms.warehouse import row_counts

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


def contents(path: Path) -> dict[str, tuple[int, int]]:
    """Rows and hash of each mart."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
        found = {}
        for (table,) in tables:
            if table not in {"publication", "identity_quality"}:  # these tell of the runs themselves
                row = connection.execute(
                    f"SELECT count(*), coalesce(sum(hash(t)), 0) FROM marts.{table} AS t"
                ).fetchone()
                assert row
                found[table] = (row[0], int(row[1]))
        return found


def test_the_run_ends_well_in_spite_of_broken_files(installation: Installation) -> None:
    outcome = installation.first
    assert outcome.success and not outcome.failed_steps
    refused = {name.split(":")[0] for name in outcome.failed_checks if name.endswith("files_whole")}
    assert refused == {f"sources/{source}" for source in BROKEN_SOURCES}
    assert "sources/silent_till: fresh" in outcome.failed_checks
    found = next(
        finding for finding in outcome.findings if finding.startswith("ERROR sources/store_visits files_whole")
    )
    assert "half_written" in found and "the last line has no end" in found


def test_each_broken_file_has_its_reason_in_the_published_audit(installation: Installation) -> None:
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        rows = connection.execute(
            "SELECT source, file, reason FROM marts.load_audit WHERE status = 'rejected' ORDER BY ALL"
        ).fetchall()
    reasons = {file: reason.split(":")[0] for _, file, reason in rows}
    found = {kind: reason for file, reason in reasons.items() for kind in KINDS if kind in file}
    assert found == KINDS
    assert len(rows) == len(KINDS)


KINDS = {
    "truncated_gzip": "compression",
    "wrong_columns": "columns",
    "text_instead_of_parquet": "parquet",
    "empty_file": "empty",
    "text_named_gz": "compression",
    "half_written": "half-written",
    "latin_1": "encoding",
}


def test_every_row_is_accounted_for(installation: Installation) -> None:
    overview = read_overview(installation.settings.published)
    for source, files, read, accepted, quarantined, duplicate in overview.sources:
        assert read == accepted + quarantined + duplicate, source
        assert files > 0 and read > 0
    read = {source: read for source, _, read, *_ in overview.sources}
    assert read == installation.company.records


def test_dagster_lists_what_waits_in_quarantine(installation: Installation) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home(installation.settings))) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["lake", "quarantine"]))
    assert event and event.asset_materialization
    metadata = event.asset_materialization.metadata
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        waiting = connection.execute(
            "SELECT source, reasons, count(*), count(DISTINCT file) FROM marts.quarantine GROUP BY ALL"
        ).fetchall()
    assert waiting and metadata["dagster/row_count"] == dg.MetadataValue.int(sum(row[2] for row in waiting))
    table = metadata["waiting"]
    assert isinstance(table, dg.TableMetadataValue)
    listed = [record.data for record in table.records]
    found = {(row["source"], row["reasons"], row["rows"], row["files"]) for row in listed}
    assert len(found) == min(50, len(waiting)) and found <= set(waiting)


def test_the_figures_are_plausible(installation: Installation) -> None:
    overview = read_overview(installation.settings.published)
    assert 0.8 * 400 < overview.customers < 2.0 * 400
    assert sum(row[1] for row in overview.segments) == overview.customers
    assert sum(row[1] for row in overview.funnel) == overview.customers
    settings = installation.settings
    contracts = load_contracts(settings.entities, settings.contracts)
    # 0.99999 of 3,000 people and more; among 400 too few meet at a tablet for it to be told from anybody's.
    assert score_run(settings).precision >= 0.998
    # Of what identifiers allow: nobody can tell whose a browser is that never gave a name.
    assert attained_recall(settings, contracts.phone_regions) >= 0.95


def test_readers_find_a_description_of_every_table_and_column(installation: Installation) -> None:
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        described = connection.execute("SELECT count(*) FROM duckdb_columns() WHERE comment IS NOT NULL").fetchall()
        undescribed = connection.execute(
            "SELECT table_name, NULL FROM duckdb_tables() WHERE comment IS NULL"
            " UNION ALL SELECT table_name, column_name FROM duckdb_columns()"
            " WHERE schema_name = 'marts' AND comment IS NULL"
        ).fetchall()
    assert described[0][0] > 300
    assert undescribed == []


def test_no_personal_value_is_in_the_published_file(installation: Installation) -> None:
    """Every e-mail, phone number and card that the company planted, searched in every text of the file."""
    identifiers = IdentityStore(installation.settings).table("identifiers")
    with duckdb.connect(str(installation.settings.published), read_only=True) as connection:
        connection.execute(
            f"CREATE TEMP TABLE secret AS SELECT DISTINCT identifier_value AS value FROM {identifiers}"
            " WHERE length(identifier_value) > 5"
        )
        assert connection.execute("SELECT count(*) > 500 FROM secret").fetchone() == (True,)
        texts = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'marts' AND data_type = 'VARCHAR'"
        ).fetchall()
        assert len(texts) > 20
        for table, column in texts:
            found = connection.execute(
                f'SELECT count(*) FROM marts.{table} AS t JOIN secret AS s ON t."{column}" = s.value'
            ).fetchone()
            assert found == (0,), f"{table}.{column}"


def test_dagster_keeps_row_counts_and_checks(installation: Installation) -> None:
    counts = row_counts(installation.settings.warehouse)
    with dg.DagsterInstance.from_config(str(dagster_home(installation.settings))) as instance:
        for path in (["sources", "pos_sales"], ["lake", "transactions"], ["marts", "customer_360"]):
            event = instance.get_latest_materialization_event(dg.AssetKey(path))
            assert event and event.asset_materialization
            rows = event.asset_materialization.metadata["dagster/row_count"].value
            assert rows == counts[path[0], path[1]] if path[0] == "marts" else rows > 0
        run = instance.get_run_by_id(installation.first.run_id)
        assert run and run.status == dg.DagsterRunStatus.SUCCESS


@contextmanager
def every_file_open(home: Path) -> Iterator[dict[Path, BinaryIO]]:
    """Every file of a home, as a backup or a virus scanner holds them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with ExitStack() as stack:
        yield {path: stack.enter_context(path.open("rb")) for path in sorted(home.rglob("*")) if path.is_file()}


def test_a_second_run_changes_nothing_and_readers_are_not_disturbed(installation: Installation) -> None:
    settings = installation.settings
    before = contents(settings.published)
    with every_file_open(settings.home) as held:
        never_changed = [path for path in held if path.is_relative_to(settings.landing) and path.suffix != ".jsonl"]
        never_changed += [settings.published, *(path for path in held if path.is_relative_to(settings.lake))]
        assert len(never_changed) > 500
        was = {path: path.read_bytes() for path in never_changed}
        process = installation.command("run")
        reads = 0
        while process.poll() is None:
            assert contents(settings.published) == before
            reads += 1
            time.sleep(0.5)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert [path for path in never_changed if held[path].read() != was[path]] == []
    assert reads > 5
    assert contents(installation.settings.published) == before
    published = verify_published(installation.settings.published).run_id
    # Whoever killed a run before this one left no whole build; by now there is one.
    process = installation.command("run")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    # Nothing is new, so nothing is made again: the file is still that of the run before, and checks keep their results.
    assert "model: nothing that it is made of has changed" in errors and "emitted no result" not in errors
    assert verify_published(installation.settings.published).run_id == published


def test_a_second_run_is_told_who_holds_the_installation(installation: Installation) -> None:
    with exclusive(installation.settings.run_lock, "run of the night", 0):
        process = installation.command("run", WATERSHED_LOCK_TIMEOUT_SECONDS="1")
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 3
    assert "run of the night" in errors


def test_a_contract_with_a_fault_stops_before_anything_runs(installation: Installation, tmp_path: Path) -> None:
    broken = (installation.settings.contracts / "pos_sales.odcs.yaml").read_text().replace("ordered_at", "orderd_at")
    (tmp_path / "pos_sales.odcs.yaml").write_text(broken)
    for arguments in (("run",), ("contracts", "lint")):
        process = installation.command(*arguments, WATERSHED_CONTRACTS=str(tmp_path))
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 2
        assert f"{tmp_path}/pos_sales.odcs.yaml:" in errors and "Did you mean 'ordered_at'?" in errors
        assert "Traceback" not in errors


# Of whole runs, and of the dbt that a run has started: it ends with the run, or the run without it.
KILLS = {"run": 2, "dbt": 1}


def test_kills_at_random_moments_leave_the_published_file_whole(installation: Installation) -> None:
    before = contents(installation.settings.published)
    moments = random.Random(3)
    for victim in [name for name, count in KILLS.items() for _ in range(count)]:
        # A run with nothing new would have nothing to kill.
        process = installation.command("run", WATERSHED_REBUILD="true")
        dbt_of(process)
        time.sleep(moments.uniform(0, 6))
        # One dbt follows the other.
        os.kill(process.pid if victim == "run" else dbt_of(process), signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode == (-signal.SIGKILL if victim == "run" else 1), errors[-3000:]
        assert contents(installation.settings.published) == before
    process = installation.command("run")
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert contents(installation.settings.published) == before
