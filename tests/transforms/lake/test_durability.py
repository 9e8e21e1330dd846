"""Logs that a cut went through, and what killed loads have left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transforms.lake.shop import NOW, Shop, contract_document, csv_file, line
from transforms.durability import append_lines, read_lines
from transforms.lake import landing
from transforms.lake.generations import shown
from transforms.lake.landing import received_files
from transforms.lake.leftovers import remove_leftovers
from transforms.lake.releases import read_releases, write_release
from transforms.sql import scratch_connection


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture(scope="module")
def gone() -> int:
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_log_is_readable_wherever_its_last_line_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    append_lines(log, [{"name": "größe \u2028 数"}, {"name": "b"}])
    whole = log.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first):
        log.write_bytes(whole[:cut])
        # The line itself may be whole without its end.
        known = [{"name": "größe \u2028 数"}] if cut == first - 1 else []
        assert read_lines(log) == known, cut
        append_lines(log, [{"name": "c"}])
        assert read_lines(log) == [*known, {"name": "c"}], cut


def test_a_delivery_whose_entry_was_cut_within_a_letter_is_landed_again(shop: Shop) -> None:
    shop.deliver(csv_file(line("1")), "umsätze.csv")
    shop.load()
    log = shop.settings.landing / "shop" / "received.jsonl"
    content = log.read_bytes()
    log.write_bytes(content[: content.index("ä".encode()) + 1])
    assert shop.load().balances
    assert [file.name for file in received_files(shop.settings, "shop")] == ["umsätze.csv"]
    assert shop.query("SELECT count(*) FROM accepted") == [(1,)]


def test_a_decision_that_was_cut_within_a_letter_does_not_count(shop: Shop) -> None:
    shop.deliver(csv_file(line("1", kind="gift")))
    shop.load()
    (file,) = received_files(shop.settings, "shop")
    write_release(shop.settings, "shop", file, [2], "geprüft", "kim", NOW)
    log = shop.settings.landing / "shop" / "released.jsonl"
    content = log.read_bytes()
    log.write_bytes(content[: content.index("ü".encode()) + 1])
    assert read_releases(shop.settings, "shop").entries == ()
    assert shop.load().balances


def test_what_processes_that_ended_have_left_is_removed(shop: Shop, gone: int) -> None:
    shop.deliver(csv_file(line("1")))
    shop.load()
    scratch, landing = shop.settings.scratch, shop.settings.landing / "shop"
    left = [f"batch-{gone}-0a-1b", f"generation-{gone}-shop", f"former-{gone}-f-0", f"empty-{gone}-transactions"]
    for name in (*left, f"spill-{gone}-1"):
        (scratch / name / "inner").mkdir(parents=True)
    for name in (f"salvage-{gone}-a.csv.csv", f"workbook-{gone}.parquet"):
        (scratch / name).touch()
    (scratch / f"link-{gone}-shop").symlink_to("nowhere")
    half = landing / f".{gone}.tmp"
    half.touch()
    half.chmod(0o444)
    kept = scratch / f"batch-{os.getppid()}-0a-1b"
    kept.mkdir()
    shop.load()
    assert list(scratch.iterdir()) == [kept], "what belongs to a running process stays"
    assert sorted(path.name[0] for path in landing.iterdir()) != ["."] and not half.exists()


def test_what_a_former_process_of_the_same_number_has_left_is_removed(shop: Shop) -> None:
    """In a container each run may be process 1."""
    shop.settings.scratch.mkdir(parents=True)
    mine = shop.settings.scratch / f"batch-{os.getpid()}-0a"
    mine.mkdir()
    assert remove_leftovers(shop.settings, "shop") == [], "made since this process began"


def test_a_copy_that_was_left_closed_to_writing_does_not_stop_a_process_of_the_same_number(shop: Shop) -> None:
    landing = shop.settings.landing / "shop"
    landing.mkdir(parents=True)
    half = landing / f".{os.getpid()}.tmp"
    half.write_text("half")
    half.chmod(stat.S_IRUSR)
    kept = shop.settings.home / "kept"
    os.link(half, kept)
    shop.deliver(csv_file(line("1")))
    assert shop.load().total("rows_accepted") == 1
    assert kept.read_text() == "half", "it was removed, not opened again"


def _disk_fails_at(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve().suffix == suffix:
            raise OSError(5, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)


def test_a_copy_that_has_its_name_and_no_entry_is_removed(
    shop: Shop, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider may never bring those bytes again."""
    monkeypatch.setattr(landing, "_WORTH_READING_AHEAD", 1)
    folder = shop.settings.landing / "shop"
    shop.deliver(csv_file(line("1")))
    with monkeypatch.context() as disk:
        _disk_fails_at(disk, ".csv")
        with pytest.raises(OSError, match="Input/output"):
            shop.load()
    (marker,) = folder.glob(".*")
    marker.rename(folder / marker.name.replace(str(os.getpid()), str(gone)))
    assert (folder / marker.name.split(".tmp.")[1]).exists()
    shop.deliver(csv_file(line("2")))
    assert shop.load().total("rows_accepted") == 1
    assert sorted(folder.iterdir()) == sorted(
        [received_files(shop.settings, "shop")[0].path, folder / "received.jsonl"]
    )


def test_a_copy_that_is_logged_stays_whatever_marks_it(shop: Shop, gone: int) -> None:
    shop.deliver(csv_file(line("1")))
    shop.load()
    (file,) = received_files(shop.settings, "shop")
    marker = file.path.with_name(f".{gone}.tmp.{file.path.name}")
    marker.touch()
    assert remove_leftovers(shop.settings, "shop") == [marker.name]
    assert file.path.exists()


def test_replays_name_the_file_that_was_read_however_the_loads_are_cut(shop: Shop) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        shop.deliver(csv_file(line("1")), name)
        shop.load()
    reasons = shop.query("SELECT file, reason FROM records ORDER BY file")
    assert reasons == [("a.csv", None), ("b.csv", "same bytes as a.csv"), ("c.csv", "same bytes as a.csv")]


def test_who_reads_the_old_generation_can_read_it_to_its_end(shop: Shop) -> None:
    shop.deliver(csv_file(line("1")))
    shop.load()
    old = shown(shop.settings, shop.contract)
    assert old
    document = contract_document()
    document["schema"][0]["properties"][-1]["transformLogic"] = "'E' || 'UR'"
    shop.sign(document)
    shop.load()
    new = shown(shop.settings, shop.contract)
    assert new != old and list(old.glob("*/accepted.parquet"))
    assert shop.query("SELECT count(*) FROM accepted") == [(1,)]
    shop.load()
    assert not old.exists() and list(new.glob("*/accepted.parquet"))  # type: ignore[union-attr]


def test_connections_spill_into_folders_of_their_own(shop: Shop) -> None:
    with scratch_connection(shop.settings) as one, scratch_connection(shop.settings) as other:
        folders = {c.execute("SELECT current_setting('temp_directory')").fetchone() for c in (one, other)}
        assert len(folders) == 2
        for connection in (one, other):
            connection.execute("SET memory_limit = '60MB'")
            connection.execute("CREATE TEMP TABLE numbers AS SELECT i, hash(i) AS h FROM range(8_000_000) AS t (i)")
            assert list(shop.settings.scratch.rglob("*.*"))
        other.close()
        assert one.execute("SELECT count(*), sum(i) FROM numbers WHERE h IS NOT NULL").fetchone() == (
            8_000_000,
            31_999_996_000_000,
        )
    assert not list(shop.settings.scratch.iterdir())
