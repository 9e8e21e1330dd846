"""What the doctor finds, one ailment at a time, and the remedy that goes with it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import duckdb
import pytest

from tests.conftest import PROJECT
from tests.transforms.lake.shop import NOW, Shop, contract_document, csv_file, line
from transforms.contracts import Contracts, load_contracts
from transforms.locking import exclusive
from transforms.operations import locks, machine
from transforms.operations.findings import Finding, Verdict
from transforms.operations.installation import installation
from transforms.operations.machine import machine as examine_machine
from transforms.operations.software import software
from transforms.settings import Settings

SHIPPED = PROJECT / "orchestration" / "dagster.yaml"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.settings.home.chmod(0o755)
    return shop


def contracts(shop: Shop) -> Contracts:
    return load_contracts(shop.settings.entities, shop.settings.contracts)


def about(subject: str, findings: Iterable[Finding]) -> Finding:
    (found,) = [finding for finding in findings if finding.subject == subject]
    return found


def at_home(shop: Shop, subject: str) -> Finding:
    return about(subject, installation(shop.settings, contracts(shop), SHIPPED))


def at_machine(shop: Shop, subject: str, now: dt.datetime = NOW) -> Finding:
    return about(subject, examine_machine(shop.settings, contracts(shop), now))


def test_every_finding_that_is_not_well_has_a_remedy(shop: Shop) -> None:
    found = [
        *software(shop.settings),
        *examine_machine(shop.settings, contracts(shop), NOW),
        *installation(shop.settings, contracts(shop), SHIPPED),
    ]
    assert all(finding.remedy for finding in found if finding.verdict is not Verdict.OK)
    assert not [finding for finding in found if finding.verdict is Verdict.FAULT]


def test_a_secret_that_is_not_set_is_named_and_no_value_is_shown(shop: Shop) -> None:
    document = contract_document()
    document["servers"][0] = {
        "server": "store",
        "type": "s3",
        "location": "s3://bucket/shop/*.csv",
        "format": "csv",
        "customProperties": [
            {"property": "accessKey", "value": "shop_id"},
            {"property": "secretKey", "value": "shop_key"},
        ],
    }
    shop.sign(document)
    shop.settings = shop.settings.model_copy(update={"secrets": Settings(secrets={"shop_id": "s3cr3t"}).secrets})  # type: ignore[arg-type]
    found = at_home(shop, "secrets")
    assert found.verdict is Verdict.FAULT and "shop_key (of shop)" in found.text
    assert "s3cr3t" not in repr(found) and "shop_id" not in found.text


def test_a_folder_of_a_source_that_is_not_there(shop: Shop) -> None:
    assert at_home(shop, "sources").verdict is Verdict.OK
    (shop.settings.incoming / "shop").rmdir()
    assert str(shop.settings.incoming / "shop") in at_home(shop, "sources").text


def test_a_home_that_everybody_may_write_to(shop: Shop) -> None:
    shop.settings.home.chmod(0o777)
    found = [f for f in installation(shop.settings, None, SHIPPED) if f.verdict is Verdict.WARNING]
    assert f"chmod o-w {shop.settings.home}" in [finding.remedy for finding in found]


def test_an_empty_identifier_key_is_a_fault(shop: Shop) -> None:
    (shop.settings.home / "identifier.key").touch(mode=0o600)
    assert at_home(shop, "identifier key").verdict is Verdict.FAULT


def test_a_published_file_that_can_be_written(shop: Shop) -> None:
    shop.settings.published.parent.mkdir(parents=True)
    shop.settings.published.touch(mode=0o644)
    assert at_home(shop, "published file").remedy.startswith(f"chmod 444 {shop.settings.published}")


def test_another_configuration_of_dagster(shop: Shop) -> None:
    installed = shop.settings.home / "dagster" / "dagster.yaml"
    installed.parent.mkdir()
    installed.write_bytes(SHIPPED.read_bytes())
    assert at_home(shop, "dagster").verdict is Verdict.OK
    installed.write_text("telemetry: {enabled: true}\n")
    assert at_home(shop, "dagster").verdict is Verdict.WARNING


def test_leftovers_of_processes_that_are_gone(shop: Shop) -> None:
    shop.settings.scratch.mkdir()
    (shop.settings.scratch / f"batch-{os.getppid()}-x").mkdir()
    assert at_home(shop, "leftovers").verdict is Verdict.OK, "its process is alive"
    (shop.settings.scratch / "batch-99999999-x").mkdir()
    assert "1 leftovers of killed runs: batch-99999999-x" in at_home(shop, "leftovers").text
    assert (shop.settings.scratch / "batch-99999999-x").exists(), "the doctor only looks"


def test_a_clock_behind_the_newest_file(shop: Shop) -> None:
    shop.deliver(csv_file(line("1")))
    shop.load()
    assert at_machine(shop, "clock", NOW + dt.timedelta(minutes=1)).verdict is Verdict.OK
    found = at_machine(shop, "clock", NOW - dt.timedelta(days=1))
    assert found.verdict is Verdict.FAULT and "2026-01-09 12:00 UTC" in found.text


def test_records_of_the_future_point_at_a_time_zone(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", time="2026-01-10T14:00:00")))
    shop.load()
    found = list(examine_machine(shop.settings, contracts(shop), NOW + dt.timedelta(hours=1)))
    (future,) = [f for f in found if f.subject == "clock" and f.verdict is Verdict.WARNING]
    assert "2026-01-10 14:00 UTC, in the future" in future.text


def test_too_little_room_for_the_next_publication(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_machine(shop, "disk").verdict is Verdict.OK

    def usage(_: Path) -> object:
        return type("Usage", (), {"free": 100_000_000})

    monkeypatch.setattr(machine.shutil, "disk_usage", usage)
    assert at_machine(shop, "disk").verdict is Verdict.FAULT


def test_a_file_with_two_names_takes_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    os.link(tmp_path / "a", tmp_path / "b")
    assert machine.folder_size(tmp_path) == 1000


def test_a_memory_limit_beyond_the_machine(shop: Shop) -> None:
    shop.settings = shop.settings.model_copy(update={"memory_limit": "900TB"})
    assert at_machine(shop, "memory").verdict is Verdict.WARNING
    shop.settings = shop.settings.model_copy(update={"memory_limit": "much"})
    assert "is no size" in at_machine(shop, "memory").text


def test_a_home_on_another_machine_is_warned_of(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_machine(shop, "locks").verdict is Verdict.OK
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {shop.settings.home} nfs4 rw 0 0\n")
    monkeypatch.setattr(machine, "MOUNTS", mounts)
    found = at_machine(shop, "locks")
    assert found.verdict is Verdict.WARNING and "lies on nfs4" in found.text


def test_locks_that_exclude_nobody_are_a_fault(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.fcntl, "flock", lambda *_: None)
    assert at_machine(shop, "locks").verdict is Verdict.FAULT
    assert not list(shop.settings.home.glob(".lock-trial-*"))


def test_storage_versions_are_read_without_opening_the_file(shop: Shop) -> None:
    with duckdb.connect() as connection:
        for name, storage in (("new.duckdb", "v1.5.0"), ("warehouse.duckdb", "v1.4.0")):
            path = shop.settings.home / name
            connection.execute(f"ATTACH '{path}' AS other (STORAGE_VERSION '{storage}')")
            connection.execute("CREATE TABLE other.t AS SELECT 1 AS a")
            connection.execute("DETACH other")
    assert about("warehouse", software(shop.settings)).text.startswith("storage version v1.4.0")
    (shop.settings.home / "new.duckdb").replace(shop.settings.warehouse)
    found = about("warehouse", software(shop.settings))
    assert found.verdict is Verdict.WARNING and "v1.5.0, wanted is v1.4.0" in found.text
    shop.settings.warehouse.write_bytes(b"not a database at all")
    assert about("warehouse", software(shop.settings)).verdict is Verdict.FAULT


def test_packages_are_compared_with_the_lock_file(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=3.11"\ndependencies = ["duckdb>=2", "polars", "no-such-package>=1"]\n'
    )
    locked = {"duckdb": "0.1", "polars": version("polars")}
    entries = [f'[[package]]\nname = "{name}"\nversion = "{number}"\n' for name, number in locked.items()]
    (tmp_path / "uv.lock").write_text("\n".join(entries))
    found = [finding for finding in software(shop.settings, tmp_path) if finding.subject == "packages"]
    assert [(finding.verdict, finding.text) for finding in found] == [
        (Verdict.FAULT, "not installed: no-such-package"),
        (Verdict.WARNING, f"other versions than tested: duckdb {version('duckdb')} (locked: 0.1)"),
    ]


@pytest.mark.parametrize("kernel", ["/proc/locks", "/nowhere/locks"])
def test_who_holds_a_lock_is_told_without_taking_it(shop: Shop, kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "KERNEL_LOCKS", Path(kernel))
    assert locks.lock_states(shop.settings) == []
    with exclusive(shop.settings.run_lock, "the run of these tests", 0):
        (state,) = locks.lock_states(shop.settings)
        assert state.is_held and state.holder and state.holder.name == "the run of these tests"
    (state,) = locks.lock_states(shop.settings)
    assert not state.is_held
    left = {"holder": "run 7", "process": 99_999_999, "since": NOW.isoformat()}
    shop.settings.run_lock.write_text(repr(left).replace("'", '"'))
    assert at_home(shop, "run lock").text.startswith("run 7 (process 99999999) was killed while it held")
