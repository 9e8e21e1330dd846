"""The dbt project is parsed once, and every home, day and setting reaches the SQL all the same."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration import dbt_parse
from orchestration.dbt_arguments import dbt_environment
from orchestration.dbt_parse import prepare_manifest, project_digest
from tests.conftest import PROJECT
from transforms.settings import Settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, in which nothing is parsed."""
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(Settings, "dbt_project", property(lambda _: project))
    return project


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Stands in for dbt: notes who had the project parsed, and leaves the files of a parse."""
    seen: list[Settings] = []

    def parse(settings: Settings) -> None:
        seen.append(settings)
        for name in dbt_parse._FILES:
            (settings.home / "dbt" / name).write_text(f"{name}, parse {len(seen)}")

    monkeypatch.setattr(dbt_parse, "_parse", parse)
    return seen


def test_homes_share_a_parse_until_a_file_of_the_project_changes(
    tmp_path: Path, project: Path, parses: list[Settings]
) -> None:
    def read(home: str, timezone: str = "UTC") -> str:
        settings = Settings(home=tmp_path / home, business_timezone=timezone)
        return prepare_manifest(settings).read_text()

    assert read("first") == read("first") == read("second", "Asia/Tokyo") == "manifest.json, parse 1"
    model = next((project / "models").rglob("*.sql"))
    times = model.stat()
    model.write_text(model.read_text() + "\n")
    # As old as before: what counts is what a file holds.
    os.utime(model, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert read("second") == read("first") == "manifest.json, parse 2"
    model.unlink()
    assert read("first") == "manifest.json, parse 3"
    assert [folder.name for folder in (project / "target" / "parsed").iterdir()] == [project_digest(project)]


def test_what_was_lost_is_parsed_again(tmp_path: Path, project: Path, parses: list[Settings]) -> None:
    settings = Settings(home=tmp_path / "home")
    prepare_manifest(settings)
    (settings.home / "dbt" / "partial_parse.msgpack").unlink()
    (project / "target" / "parsed" / project_digest(project) / "manifest.json").unlink()
    assert prepare_manifest(settings).read_text() == "manifest.json, parse 2"


def test_a_project_that_cannot_be_written_to_is_parsed_in_each_home(
    tmp_path: Path, project: Path, parses: list[Settings]
) -> None:
    (project / "target").write_text("no folder")
    for home in ("first", "second", "first"):
        prepare_manifest(Settings(home=tmp_path / home))
    assert [settings.home.name for settings in parses] == ["first", "second"]


def test_a_project_that_dbt_cannot_parse_is_named_with_its_fault(tmp_path: Path, project: Path) -> None:
    (project / "models" / "broken.sql").write_text("select {{ ref('nobody') }}")
    with pytest.raises(RuntimeError, match=r"cannot parse .*dbt_project(.|\n)*nobody"):
        prepare_manifest(Settings(home=tmp_path / "home"))
    assert not (project / "target" / "parsed").exists()


@pytest.mark.slow
def test_lake_zone_and_day_of_each_home_reach_the_sql_whoever_had_the_project_parsed(tmp_path: Path) -> None:
    first = Settings(home=tmp_path / "first", business_timezone="Asia/Tokyo")
    second = Settings(home=tmp_path / "second", business_timezone="America/New_York")
    for settings in (first, second):
        prepare_manifest(settings)
    told = {
        (first.home.name, "2025-03-01"): _compiled(first, dt.date(2025, 3, 1)),
        (second.home.name, "2025-03-01"): _compiled(second, dt.date(2025, 3, 1)),
        (second.home.name, "2025-03-02"): _compiled(second, dt.date(2025, 3, 2)),
    }
    zones = {"first": "Asia/Tokyo", "second": "America/New_York"}
    for (home, day), sql in told.items():
        (other,) = {"first", "second"} - {home}
        (other_day,) = {"2025-03-01", "2025-03-02"} - {day}
        assert f"read_parquet('{tmp_path}/{home}/lake/transactions/*/*/accepted.parquet'" in sql
        assert f"read_parquet('{tmp_path}/{home}/lake/transactions/*/*/superseded.parquet')" in sql
        assert zones[home] in sql and day in sql
        assert zones[other] not in sql and other_day not in sql and f"{tmp_path}/{other}" not in sql
        assert "<lake>" not in sql


def _compiled(settings: Settings, day: dt.date) -> str:
    """SQL of the staging of transactions, by the command that runs use."""
    command = [sys.executable, "-P", "-m", "orchestration.dbt_run", "--log-format", "json", "compile"]
    command += ["--select", "stg_transactions", "--project-dir", str(settings.dbt_project)]
    environment = os.environ | dbt_environment(settings, day) | {"DBT_PROFILES_DIR": str(settings.dbt_project)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=settings.home)
    assert done.returncode == 0, done.stdout
    compiled = [json.loads(line)["data"].get("compiled") for line in done.stdout.splitlines()]
    return next(sql for sql in compiled if sql)
