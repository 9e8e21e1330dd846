"""An installation as its operator sees it: status, doctor, a run that was killed while dbt was writing."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import stat
import time
from typing import Any

import dagster as dg
import pytest

from orchestration.pipeline import dagster_home
from orchestration.runs import close_abandoned, forget_old_runs, last_runs
from tests.orchestration.conftest import Installation, dbt_child
from transforms.locking import LockedError, exclusive
from transforms.operations.locks import lock_states

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


def ask(installation: Installation, *words: str) -> tuple[int, Any]:
    process = installation.command(*words, "--json")
    output, errors = process.communicate(timeout=240)
    assert "Traceback" not in errors, errors
    return process.returncode, json.loads(output)


def test_status_says_what_needs_attention_while_a_run_holds_the_lock(installation: Installation) -> None:
    before = installation.settings.run_lock.read_text()
    with exclusive(installation.settings.run_lock, "run of the night", 0):
        code, found = ask(installation, "status", "--runs", "50")
    assert code == 7 and before == ""
    (lock,) = [lock for lock in found["locks"] if lock["name"] == "run"]
    assert lock["is_held"] and lock["holder"]["name"] == "run of the night"
    sources = {source["source"]: source for source in found["sources"]}
    for name, source in sources.items():
        parts = source["rows_accepted"] + source["rows_quarantined"] + source["rows_duplicate"]
        assert source["rows_read"] == parts == installation.company.records.get(name, 0)
    assert not sources["silent_till"]["is_fresh"] and sources["pos_sales"]["is_fresh"]
    assert sources["pos_sales"]["agreed_hours"] == 35 * 24
    assert any(text.startswith("silent_till is stale: no file at ") for text in found["attention"])
    assert any("half_written" in text and "have it delivered again" in text for text in found["attention"])
    runs = {run["run_id"]: run for run in found["runs"]}
    assert runs[installation.first.run_id]["outcome"] == "success" and runs[installation.first.run_id]["seconds"] > 1
    assert found["published"]["tables"]["customer_360"] > 0


def test_the_doctor_finds_nothing_wrong_with_a_sound_installation(installation: Installation) -> None:
    code, found = ask(installation, "doctor")
    assert (code, found["counts"].get("fault", 0)) == (0, 0)
    subjects = {finding["subject"] for finding in found["findings"]}
    assert subjects >= {"python", "packages", "dbt", "warehouse", "disk", "locks", "clock", "permissions", "secrets"}


def test_a_key_that_others_may_read_is_a_fault_with_its_remedy(installation: Installation) -> None:
    key = installation.settings.home / "identifier.key"
    key.chmod(0o644)
    code, found = ask(installation, "doctor")
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    (fault,) = [finding for finding in found["findings"] if finding["verdict"] == "fault"]
    assert code == 7 and fault["remedy"] == f"chmod 600 {key}"


def test_a_killed_run_keeps_the_lock_until_its_dbt_has_ended(installation: Installation) -> None:
    settings = installation.settings
    process = installation.command("run", WATERSHED_REBUILD="true")
    deadline = time.monotonic() + 300
    while (child := dbt_child(process.pid)) is None:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    # Stopped, so that it is sure to outlive its parent.
    os.kill(child, signal.SIGSTOP)
    process.kill()
    process.wait()
    try:
        still = "it has ended, what it started still works"
        with pytest.raises(LockedError, match=still), exclusive(settings.run_lock, "the next run", 0):
            pytest.fail("two write the warehouse")
        (state,) = [lock for lock in lock_states(settings) if lock.name == "run"]
        assert state.is_held and state.holder and not state.holder.is_alive
    finally:
        os.kill(child, signal.SIGKILL)
    process.communicate()
    (state,) = [lock for lock in lock_states(settings) if lock.name == "run"]
    assert not state.is_held
    home = dagster_home(settings)
    assert last_runs(home, None, 1)[0].outcome == "killed"
    with exclusive(settings.run_lock, "the next run", 10), dg.DagsterInstance.from_config(str(home)) as instance:
        assert len(close_abandoned(instance, None, 600)) == 1
    assert last_runs(home, None, 1)[0].outcome == "failure"


def test_only_runs_that_ended_long_ago_are_forgotten(installation: Installation) -> None:
    with dg.DagsterInstance.from_config(str(dagster_home(installation.settings))) as instance:
        before = len(instance.get_run_records())
        assert forget_old_runs(instance, dt.timedelta(days=1)) == 0
        assert len(instance.get_run_records()) == before > 0
