"""Only a build that passed its checks as a whole, and that nobody touched since, can be published."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from transforms.publishing import PublicationError, checked_build, known_build, note_failed, note_passed, publish
from transforms.settings import Settings

from .toy import AS_OF, build_of, change_warehouse, generation_read, plan_of, settings_of, start, write_warehouse


def _built(settings: Settings, *parts: str, is_whole: bool = True, as_of: dt.date | None = AS_OF) -> None:
    for part in parts:
        before = known_build(settings)
        change_warehouse(settings.home, f"CREATE OR REPLACE TABLE main.{part}_built AS SELECT 1 AS a")
        note_passed(settings, before, part, is_whole, as_of, "run-1")


def test_a_whole_build_is_known_by_its_run_and_day(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")

    build = checked_build(settings)

    assert (build.run_id, build.as_of_date) == ("run-1", AS_OF)
    assert generation_read(publish(settings, plan_of(home), build, "0.1.0").path) == 1


def test_a_warehouse_without_checks_is_not_published(home: Path) -> None:
    with pytest.raises(PublicationError, match=r"has not passed its checks.*watershed run"):
        checked_build(settings_of(home))


def test_half_a_build_is_not_published(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "observe")

    with pytest.raises(PublicationError, match="built up to 'observe' only"):
        checked_build(settings)


def test_models_on_observations_that_nobody_checked_are_not_published(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "model")

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)


def test_a_part_for_another_day_is_not_published(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", as_of=AS_OF - dt.timedelta(days=1))
    _built(settings, "model")

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)


def test_some_models_alone_make_no_checked_build(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")
    _built(settings, "model", is_whole=False)

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)


def test_a_failed_check_counts_even_where_no_table_changed(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")
    note_failed(settings)

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)


def test_a_change_by_hand_is_seen(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")
    change_warehouse(home, "UPDATE marts.customer_360 SET net_revenue_amount = 0 WHERE customer_id = 'C00000007'")

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)


def test_a_change_that_lies_in_the_log_is_seen(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")
    writer = start(
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]);"
        " c.execute('UPDATE marts.customer_360 SET net_revenue_amount = 0'); os._exit(9)",
        settings.warehouse,
    )
    writer.communicate(timeout=60)
    assert settings.warehouse.with_name("warehouse.duckdb.wal").exists()

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)


def test_a_change_between_question_and_publication_is_seen(home: Path) -> None:
    build = build_of(home)
    change_warehouse(home, "DELETE FROM marts.customer_360 WHERE customer_id = 'C00000007'")

    with pytest.raises(PublicationError, match="changed after its checks"):
        publish(settings_of(home), plan_of(home), build, "0.1.0")

    assert not (home / "published" / "customer360.duckdb").exists()


def test_reading_and_copying_change_nothing(home: Path, tmp_path: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")
    publish(settings, plan_of(home), checked_build(settings), "0.1.0")

    moved = tmp_path / "elsewhere"
    shutil.copytree(home, moved, ignore=shutil.ignore_patterns("elsewhere", "published"))

    assert checked_build(settings) == checked_build(settings_of(moved))


def test_another_warehouse_of_the_same_content_is_another(home: Path) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")
    write_warehouse(home)

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"run_id": "r"', "\0"])
def test_a_record_that_cannot_be_read_is_none(home: Path, content: str) -> None:
    settings = settings_of(home)
    _built(settings, "observe", "model", "value_marts")
    (settings.publication_records / "checked.json").write_text(content)

    with pytest.raises(PublicationError, match="has not passed its checks"):
        checked_build(settings)
