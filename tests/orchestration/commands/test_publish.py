"""``watershed publish``: the front door stays the only one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.commands.common import FAILED, HELD
from tests.orchestration.conftest import Installation
from transforms.publishing import checked_build, verify_published

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


@pytest.fixture
def copy(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation somewhere else, to be spoilt; commands go to it."""
    home = tmp_path / "home"
    shutil.copytree(installation.settings.home, home, ignore=shutil.ignore_patterns("dagster", "landing", "truth"))
    monkeypatch.setenv("WATERSHED_HOME", str(home))
    monkeypatch.setenv("WATERSHED_CONTRACTS", str(installation.settings.contracts))
    return replace(installation, settings=installation.settings.model_copy(update={"home": home}))


def _published(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["publish", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_run_leaves_a_checked_build_and_its_report(installation: Installation) -> None:
    build = checked_build(installation.settings)

    info = verify_published(installation.settings.published)
    assert (build.run_id, build.as_of_date) == (info.run_id, info.as_of_date)
    report = (installation.settings.reports / "latest.html").read_text(encoding="utf-8")
    assert info.run_id in report and "pos_sales" in report and "No Purchase" in report


def test_what_passed_its_checks_is_published_again(copy: Installation) -> None:
    before = verify_published(copy.settings.published)
    copy.settings.published.unlink()

    code, output, errors = _published("--json")

    assert code == 0, errors
    result = json.loads(output)
    after = verify_published(copy.settings.published)
    assert result["published"] is True and result["report"] == str(copy.settings.reports / "latest.html")
    assert (after.run_id, after.as_of_date, after.tables) == (before.run_id, before.as_of_date, before.tables)


def test_a_warehouse_that_somebody_touched_has_no_back_door(copy: Installation) -> None:
    before = copy.settings.published.read_bytes()
    with duckdb.connect(copy.settings.warehouse) as connection:
        connection.execute("UPDATE marts.customer_360 SET net_revenue_amount = 0")

    code, _, errors = _published()

    assert code == FAILED and "has not passed its checks" in errors and "Traceback" not in errors
    assert copy.settings.published.read_bytes() == before


def test_a_jump_waits_for_a_person(copy: Installation) -> None:
    """Readers have half of the customers; the build in the warehouse would double them."""
    copy.settings.published.chmod(0o644)
    with duckdb.connect(copy.settings.published) as connection:
        connection.execute("DELETE FROM marts.customer_360 WHERE hash(customer_id) % 2 = 0")
    half = copy.settings.published.read_bytes()

    code, output, errors = _published("--json")

    held = json.loads(output)
    assert code == HELD and held["published"] is False
    assert errors.strip().splitlines()[-1].startswith("The publication as of ")
    assert any(finding.startswith("customers ") for finding in held["held"]["findings"])
    assert copy.settings.published.read_bytes() == half
    name = held["held"]["fingerprint"][:12]
    assert f"watershed publish --confirm {name} --reason" in errors
    status = CliRunner().invoke(app, ["status", "--json"])
    assert [text for text in json.loads(status.stdout)["attention"] if f"--confirm {name}" in text]

    code, _, errors = _published("--confirm", name)
    assert code == FAILED and "needs a reason" in errors
    code, _, errors = _published("--confirm", name, "--reason", "half was lost", "--by", "ann")
    assert code == 0, errors
    with duckdb.connect(copy.settings.published, read_only=True) as connection:
        row = connection.execute("SELECT confirmed_by, confirmation_reason FROM marts.publication").fetchone()
    assert row == ("ann", "half was lost")
    assert "Confirmed by ann" in (copy.settings.reports / "latest.html").read_text(encoding="utf-8")
