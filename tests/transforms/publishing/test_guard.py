"""What jumped since the last publication waits until a person has looked at it."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from transforms.publishing import (
    Confirmation,
    PublicationError,
    PublicationHeld,
    PublicationReport,
    publish,
    read_held,
)
from transforms.publishing.figures import Figures
from transforms.publishing.guard import judge
from transforms.settings import Settings

from .toy import AS_OF, build_of, change_warehouse, generation_read, marts, plan_of, settings_of, write_warehouse

NEXT = AS_OF + dt.timedelta(days=1)
BOUNDS = {
    "publication_customers_bound": 0.1,
    "publication_revenue_bound": 0.2,
    "publication_segment_bound": 0.05,
    "publication_rows_bound": 0.3,
}


def _settings(home: Path, **changes: Any) -> Settings:
    return settings_of(home, **{**BOUNDS, **changes})


def _figures(**changes: Any) -> Figures:
    figures: dict[str, Any] = {
        "run_id": "r",
        "as_of_date": AS_OF,
        "customers": 1000,
        "revenue": {"EUR": Decimal("5000.00"), "USD": Decimal("80.00")},
        "buyers": {"EUR": 700, "USD": 99},
        "segments": {"Champions": 300, "Lost": 600, "": 100},
        "rows": {"customer_360": 1000, "customer_timeline": 5000, "journey_funnel": 9, "quarantine": 400},
    }
    return Figures(**{**figures, **changes})


def _publish(home: Path, run_id: str, confirmation: Confirmation | None = None, **changes: Any) -> PublicationReport:
    build = build_of(home, run_id, changes.pop("as_of", AS_OF))
    return publish(_settings(home, **changes), plan_of(home), build, "0.1.0", None, confirmation)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"customers": 1100, "segments": {}}, []),
        ({"customers": 900, "segments": {}}, []),
        ({"customers": 1101, "segments": {}}, ["customers 1,000 → 1,101 (+10.1 %, bound 10 %)"]),
        ({"revenue": {"EUR": Decimal(6000), "USD": Decimal(80)}}, []),
        (
            {"revenue": {"EUR": Decimal(-5000), "USD": Decimal(80)}},
            ["net revenue EUR 5,000.00 → -5,000.00 (-200.0 %, bound 20 %)"],
        ),
        # Below a hundred buyers a single one moves the sum.
        ({"revenue": {"EUR": Decimal(5000), "USD": Decimal(800)}}, []),
        (
            {
                "revenue": {"EUR": Decimal(5000), "USD": Decimal(80), "JPY": Decimal(7)},
                "buyers": {"EUR": 700, "JPY": 100},
            },
            ["net revenue JPY 0.00 → 7.00 (there was none, bound 20 %)"],
        ),
        ({"revenue": {"EUR": Decimal(5000)}, "buyers": {"EUR": 700}}, []),
        ({"segments": {"Champions": 350, "Lost": 550, "": 100}}, []),
        (
            {"segments": {"Champions": 351, "Lost": 600, "": 49}},
            [
                "share of customers without segment 10.0 % → 4.9 % (-5.1 points, bound 5 points)",
                "share of segment Champions 30.0 % → 35.1 % (+5.1 points, bound 5 points)",
            ],
        ),
        (
            {"segments": {"Champions": 300, "Gone": 600, "": 100}},
            [
                "share of segment Gone 0.0 % → 60.0 % (+60.0 points, bound 5 points)",
                "share of segment Lost 60.0 % → 0.0 % (-60.0 points, bound 5 points)",
            ],
        ),
        (
            {"rows": {"customer_360": 1000, "customer_timeline": 6501, "journey_funnel": 18, "quarantine": 0}},
            ["rows of customer_timeline 5,000 → 6,501 (+30.0 %, bound 30 %)"],
        ),
        (
            {"rows": {"customer_360": 1000, "journey_funnel": 0, "quarantine": 4000, "new": 10_000}},
            [
                "customer_timeline 5,000 rows → no such table (readers would miss it)",
                "journey_funnel 9 rows → 0 rows (it would be empty)",
            ],
        ),
    ],
)
def test_each_figure_has_its_bound(home: Path, changes: dict[str, Any], found: list[str]) -> None:
    findings = judge(_figures(), _figures(**changes), _settings(home), free={"quarantine"})

    assert [str(finding) for finding in findings] == found


def test_a_small_company_moves_as_it_likes_but_loses_no_mart(home: Path) -> None:
    before = _figures(customers=60, rows={"customer_360": 60, "journey_funnel": 9})
    after = _figures(customers=99, segments={"Champions": 99}, rows={"customer_360": 99, "journey_funnel": 0})

    findings = judge(before, after, _settings(home))

    assert [finding.figure for finding in findings if finding.figure != "net revenue EUR"] == ["journey_funnel"]


def test_an_infinite_bound_is_none(home: Path) -> None:
    after = _figures(customers=9_000, revenue={"EUR": Decimal(1)}, segments={"Lost": 9_000}, rows={"quarantine": 1})
    unbounded = settings_of(home)

    assert judge(_figures(rows={}), after, unbounded) == ()


def test_figures_survive_their_text() -> None:
    figures = _figures(segments={"<script>": 3, "Nö": 1})

    assert Figures.from_json(figures.to_json()) == figures


def test_the_first_publication_has_nothing_to_be_compared_with(home: Path) -> None:
    assert generation_read(_publish(home, "run-1").path) == 1


def test_a_jump_is_held_and_readers_keep_what_they_had(home: Path) -> None:
    path = _publish(home, "run-1").path
    before = path.read_bytes()
    write_warehouse(home, generation=2, people=600)

    with pytest.raises(PublicationHeld) as caught:
        _publish(home, "run-2", as_of=NEXT)

    text = str(caught.value)
    revenue = [f"{sum(i * 1.25 for i in range(people)):,.2f}" for people in (300, 600)]
    assert "\n" not in text
    assert "as of 2025-07-01 is held back" in text and "that of run run-1 as of 2025-06-30" in text
    assert "customers 300 → 600 (+100.0 %, bound 10 %)" in text
    assert f"net revenue {revenue[0]} → {revenue[1]} (+300.7 %, bound 20 %)" in text
    assert "rows of customer_timeline 900 → 1,800 (+100.0 %, bound 30 %)" in text
    held = read_held(_settings(home))
    assert held and held.run_id == "run-2" and len(held.findings) == 3 and held.sentence == text
    assert f"watershed publish --confirm {held.fingerprint[:12]} --reason" in text
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == [".customer360.duckdb.lock", path.name]


@pytest.mark.parametrize("name", ["run", "fingerprint"])
def test_a_confirmed_build_is_published_and_says_who_and_why(home: Path, name: str) -> None:
    _publish(home, "run-1")
    write_warehouse(home, generation=2, people=600)
    with pytest.raises(PublicationHeld) as caught:
        _publish(home, "run-of-the-second")
    held = caught.value.held
    word = Confirmation("run-of-the-second" if name == "run" else held.fingerprint[:12], "ann", "the new shop's own")

    path = _publish(home, "run-of-the-second", word).path

    assert generation_read(path) == 2
    with duckdb.connect(path, read_only=True) as published:
        row = published.execute(
            "SELECT confirmed_by, confirmation_reason, held_for, fingerprint FROM marts.publication"
        ).fetchone()
    assert row == ("ann", "the new shop's own", "; ".join(held.findings), held.fingerprint)
    (line,) = (home / "publication" / "confirmations.jsonl").read_text().splitlines()
    logged = json.loads(line)
    assert (logged["confirmed_by"], logged["reason"], logged["run_id"], logged["fingerprint"]) == (
        "ann",
        "the new shop's own",
        "run-of-the-second",
        held.fingerprint,
    )
    assert logged["findings"] == list(held.findings) and logged["confirmed_at"]
    assert read_held(_settings(home)) is None


def test_a_confirmation_holds_for_that_build_alone(home: Path) -> None:
    _publish(home, "run-1")
    write_warehouse(home, generation=2, people=600)
    with pytest.raises(PublicationHeld) as caught:
        _publish(home, "run-number-2")
    word = Confirmation("run-number-2", "ann", "right")

    change_warehouse(home, "DELETE FROM marts.customer_360 WHERE customer_id = 'C00000599'")
    with pytest.raises(PublicationError, match=f"{caught.value.held.fingerprint[:12]} that was held is gone"):
        _publish(home, "run-number-2", word)

    write_warehouse(home, generation=2, people=600)
    _publish(home, "run-number-2", word)
    write_warehouse(home, generation=3, people=1200)
    with pytest.raises(PublicationHeld):
        _publish(home, "run-number-3")


def test_a_confirmation_is_of_the_step_from_one_publication_to_the_next(home: Path) -> None:
    """Held beside run-1, but by now readers have run-3: nobody has looked at that step."""
    _publish(home, "run-1")
    write_warehouse(home, generation=2, people=600)
    with pytest.raises(PublicationHeld):
        _publish(home, "run-number-2")
    record = (home / "publication" / "held.json").read_text()
    write_warehouse(home, generation=3)
    _publish(home, "run-3")
    write_warehouse(home, generation=2, people=600)
    (home / "publication" / "held.json").write_text(record)

    with pytest.raises(PublicationError, match="beside another publication"):
        _publish(home, "run-number-2", Confirmation("run-number-2", "ann", "right"))


def test_a_confirmed_build_that_is_published_again_stays_confirmed(home: Path) -> None:
    _publish(home, "run-1")
    write_warehouse(home, generation=2, people=600)
    with pytest.raises(PublicationHeld):
        _publish(home, "run-number-2")
    _publish(home, "run-number-2", Confirmation("run-number-2", "ann", "right"))
    query = "SELECT confirmed_by, confirmation_reason FROM marts.publication"

    again = _publish(home, "run-number-2").path

    with duckdb.connect(again, read_only=True) as published:
        assert published.execute(query).fetchone() == ("ann", "right")
    change_warehouse(home, "DELETE FROM marts.customer_360 WHERE customer_id = 'C00000599'")
    with duckdb.connect(_publish(home, "run-3").path, read_only=True) as published:
        assert published.execute(query).fetchone() == (None, None)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (Confirmation("run-number-2", "ann", " "), "needs a reason"),
        (Confirmation("run-number-2", "", "right"), "needs a reason and the name"),
        (Confirmation("run-number-9", "ann", "right"), "'run-number-9' is not the build that is held back"),
        (Confirmation("run-num", "ann", "right"), "is not the build"),
        (Confirmation("", "ann", "right"), "is not the build"),
    ],
)
def test_a_careless_confirmation_is_refused(home: Path, word: Confirmation, message: str) -> None:
    path = _publish(home, "run-1").path
    write_warehouse(home, generation=2, people=600)
    with pytest.raises(PublicationHeld):
        _publish(home, "run-number-2")

    with pytest.raises(PublicationError, match=message):
        _publish(home, "run-number-2", word)

    assert generation_read(path) == 1


def test_nothing_to_confirm_is_said(home: Path) -> None:
    with pytest.raises(PublicationError, match="No build is held back"):
        _publish(home, "run-1", Confirmation("run-1234", "ann", "right"))


def test_the_same_build_is_held_under_the_same_name_again(home: Path) -> None:
    _publish(home, "run-1")
    write_warehouse(home, generation=2, people=600)
    names = set()
    for run_id in ("run-2", "run-3"):
        with pytest.raises(PublicationHeld) as caught:
            _publish(home, run_id)
        names.add(caught.value.held.fingerprint)

    assert len(names) == 1
    with pytest.raises(PublicationHeld) as caught:
        _publish(home, "run-4", as_of=NEXT)
    assert caught.value.held.fingerprint not in names


def test_a_mart_that_is_free_may_become_empty(home: Path) -> None:
    _publish(home, "run-1")
    nodes = marts()
    nodes["customer_timeline"]["config"]["meta"]["publication_guard"] = False
    change_warehouse(home, "DELETE FROM marts.customer_timeline")

    with pytest.raises(PublicationHeld, match="customer_timeline 900 rows → 0 rows"):
        _publish(home, "run-2")
    report = publish(_settings(home), plan_of(home, nodes), build_of(home), "0.1.0")

    assert report.tables["customer_timeline"] == 0


def test_a_publication_names_the_figures_of_the_day_before(home: Path) -> None:
    _publish(home, "run-1")
    change_warehouse(home, "DELETE FROM marts.customer_360 WHERE customer_id = 'C00000007'")
    _publish(home, "run-2", as_of=NEXT)
    # The same day again: still compared with the day before.
    path = _publish(home, "run-3", as_of=NEXT).path

    with duckdb.connect(path, read_only=True) as published:
        row = published.execute("SELECT figures, previous FROM marts.publication").fetchone()
    assert row
    now, previous = (Figures.from_json(text) for text in row)
    assert (now.customers, previous.customers) == (299, 300)
    assert (previous.run_id, previous.as_of_date) == ("run-1", AS_OF)


def test_a_published_file_of_an_older_version_is_compared_too(home: Path) -> None:
    path = _publish(home, "run-1").path
    path.chmod(0o644)
    with duckdb.connect(path) as older:
        for column in ("fingerprint", "figures", "previous", "held_for", "confirmed_by", "confirmation_reason"):
            older.execute(f"ALTER TABLE marts.publication DROP COLUMN {column}")
    write_warehouse(home, generation=2, people=600)

    with pytest.raises(PublicationHeld, match="customers 300 → 600"):
        _publish(home, "run-2")


def test_a_published_file_that_is_broken_is_judged_by_what_was_written_down(home: Path) -> None:
    path = _publish(home, "run-1").path
    path.chmod(0o644)
    path.write_bytes(b"\0" * 4096)
    with pytest.raises(PublicationHeld, match="customers 300 → 600"):
        write_warehouse(home, generation=2, people=600)
        _publish(home, "run-2")

    write_warehouse(home, generation=3)
    assert generation_read(_publish(home, "run-3").path) == 3


def test_a_file_that_nobody_knows_is_not_replaced_unseen(home: Path) -> None:
    target = home / "published" / "customer360.duckdb"
    target.parent.mkdir()
    target.write_bytes(b"\0" * 4096)

    with pytest.raises(PublicationHeld, match="cannot be read to compare"):
        _publish(home, "run-number-1")

    assert generation_read(_publish(home, "run-number-1", Confirmation("run-number-1", "ann", "mine")).path) == 1
