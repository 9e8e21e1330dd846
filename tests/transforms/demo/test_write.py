"""Writing: same bytes for the same seed, in one step, and nothing but what is ours."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import duckdb
import pytest

from tests.transforms.demo.conftest import Written, settings_for
from transforms.demo import write_company
from transforms.demo.block import Plan
from transforms.settings import Settings

# One company serves them all, if one worker has them.
pytestmark = pytest.mark.xdist_group("company")


def _digests(settings: Settings) -> dict[str, str]:
    """Digest of every file of the company by its path under the home."""
    paths = [path for root in (settings.incoming, settings.truth) for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(settings.home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_same_seed_same_bytes_whatever_the_threads(tmp_path: Path):
    first, second = settings_for(tmp_path / "a", 300), settings_for(tmp_path / "b", 300, threads=1)
    assert write_company(first).records == write_company(second).records
    assert _digests(first) == _digests(second)


def test_another_seed_gives_other_bytes(tmp_path: Path):
    first, second = settings_for(tmp_path / "a", 100), settings_for(tmp_path / "b", 100, seed=8)
    write_company(first)
    write_company(second)
    one, other = _digests(first), _digests(second)
    assert not [name for name in one.keys() & other.keys() if one[name] == other[name]]


def test_negative_seed_is_a_seed(tmp_path: Path):
    assert write_company(settings_for(tmp_path, 100, seed=-1)).seed == -1


def test_written_again_is_left_alone(tmp_path: Path):
    settings = settings_for(tmp_path, 100)
    first = write_company(settings)
    times = {path: path.stat().st_mtime_ns for path in settings.home.rglob("*") if path.is_file()}
    again = write_company(settings)
    assert (first.is_new, again.is_new) == (True, False)
    assert (again.records, again.files, again.dirty_records) == (first.records, first.files, first.dirty_records)
    assert times == {path: path.stat().st_mtime_ns for path in settings.home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("lost", ["incoming/hotline_calls/hotline_calls_2024-05.csv", "truth/records.parquet"])
def test_a_lost_file_comes_back(tmp_path: Path, lost: str):
    settings = settings_for(tmp_path, 100)
    write_company(settings)
    before = _digests(settings)
    (settings.home / lost).unlink()
    assert write_company(settings).is_new
    assert _digests(settings) == before


def test_an_interrupted_write_is_done_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = settings_for(tmp_path / "a", 100)
    write_company(settings)
    bigger = settings_for(tmp_path / "a", 150)
    with monkeypatch.context() as patched:

        def _no_space(*_: object) -> None:
            raise OSError("no space left on device")

        patched.setattr("transforms.demo.write.write_dirt", _no_space)
        with pytest.raises(OSError, match="no space"):
            write_company(bigger)
    assert write_company(bigger).is_new
    clean = settings_for(tmp_path / "b", 150)
    write_company(clean)
    assert _digests(bigger) == _digests(clean)
    assert not list(bigger.scratch.iterdir())


def test_another_size_replaces_ours_and_leaves_theirs(tmp_path: Path):
    settings = settings_for(tmp_path / "a", 200)
    write_company(settings, broken_files=True)
    theirs = settings.incoming / "pos_sales" / "bought_elsewhere.csv.gz"
    theirs.write_bytes(b"not ours")
    smaller = settings_for(tmp_path / "a", 100)
    write_company(smaller)
    assert theirs.read_bytes() == b"not ours"
    theirs.unlink()
    clean = settings_for(tmp_path / "b", 100)
    write_company(clean)
    assert _digests(smaller) == _digests(clean)


def test_records_grow_with_people(company: Written, tmp_path: Path):
    small = write_company(settings_for(tmp_path, 250))
    for source, records in company.summary.records.items():
        times = 1 if source == "product_catalogue" else 4
        assert records / small.records[source] == pytest.approx(times, rel=0.3), source


def test_default_volume_per_person(company: Written):
    """About 3.5 million records at 50,000 people: 34 events, 22 order lines, 6 visits, 1.2 calls, 5.5 others each."""
    records = {source: count / company.summary.people for source, count in company.summary.records.items()}
    assert records["pos_sales"] + records["web_orders"] == pytest.approx(22, rel=0.15)
    assert records["app_events"] == pytest.approx(34, rel=0.15)
    assert records["store_visits"] == pytest.approx(6, rel=0.15)
    assert records["hotline_calls"] == pytest.approx(1.2, rel=0.15)
    around = ("crm_profiles", "consents", "campaign_messages", "surveys", "service_cases", "returns_desk")
    assert sum(records[source] for source in (*around, "product_reviews")) == pytest.approx(5.5, rel=0.15)
    assert company.summary.records["product_catalogue"] == pytest.approx(24_200, rel=0.01)


def test_progress_names_people_and_sources(tmp_path: Path):
    heard: list[str] = []
    write_company(settings_for(tmp_path, 100), heard.append)
    assert heard[0] == "sample company: 100 of 100 people"
    assert [line.split()[2].rstrip(",") for line in heard[1:]] == [
        "pos_sales", "web_orders", "app_events", "store_visits", "hotline_calls", "crm_profiles", "consents",
        "campaign_messages", "surveys", "service_cases", "returns_desk", "product_reviews", "product_catalogue",
    ]  # fmt: skip


def test_blocks_share_one_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Many blocks: keys stay unique, files stay in time order, the truth covers every block."""
    monkeypatch.setattr("transforms.demo.write.Plan", functools.partial(Plan, people_per_block=100))
    settings = settings_for(tmp_path, 450)
    write_company(settings)
    with duckdb.connect() as connection:
        truth = f"'{settings.truth}/records.parquet'"
        row = connection.execute(f"SELECT count(*) = count(DISTINCT record_id) FROM {truth}").fetchone()
        assert row == (True,)
        people = connection.execute(f"SELECT count(DISTINCT person_id) FROM {truth} WHERE is_scored").fetchone()
        assert people == (450,)
        ids = connection.execute(f"SELECT min(person_id), max(person_id) FROM '{settings.truth}/people.parquet'")
        assert ids.fetchone() == ("P0000001", "P0000450")
        files = settings.incoming / "web_orders" / "web_orders_2024-12.parquet"
        times = connection.execute(f"SELECT created_at FROM '{files}' WHERE created_at < '2090-01-01'").fetchall()
        assert times == sorted(times)


def test_the_smallest_company_has_every_source(tmp_path: Path):
    summary = write_company(settings_for(tmp_path, 100, seed=3))
    assert all(count > 0 for count in summary.records.values())


def test_sources_may_lie_elsewhere(tmp_path: Path):
    settings = settings_for(tmp_path / "home", 100).model_copy(update={"sources_root": tmp_path / "elsewhere"})
    write_company(settings)
    assert (tmp_path / "elsewhere" / "pos_sales").is_dir()
    assert not (tmp_path / "home" / "incoming").exists()
