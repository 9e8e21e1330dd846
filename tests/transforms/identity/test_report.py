from __future__ import annotations

import polars as pl

from transforms.identity import resolve_identities

from .town import AS_OF, Town, seen

STEPS = ["compare", "read", "normalise", "cluster", "link", "assign", "explain", "write", "judge"]


def test_figures_of_a_run(town: Town) -> None:
    outcome = town.resolve(
        [
            seen("shop", records=3, loyalty_id="L1", email="a@example.com"),
            seen("till", records=2, loyalty_id="L1", phone="030 901820"),
            seen("shop", records=4, email="none@none.com"),
            *(seen("app", app_user_id=f"u{i}", device_id="kiosk") for i in range(3)),
        ]
    )
    report = outcome.report
    assert report.identifiers == {
        "app_user_id": {"linked": 3},
        "device_id": {"contested": 1},
        "email": {"blocked": 1, "linked": 1},
        "loyalty_id": {"linked": 1},
        "phone": {"weak": 1},
    }
    assert (report.observations, report.customers, report.new, report.largest_customer) == (6, 4, 4, 2)
    assert (report.anonymous_observations, report.anonymous_records, report.refused_edges) == (1, 4, 3)


def test_metadata_is_flat_and_numeric(town: Town) -> None:
    metadata = town.resolve([seen(loyalty_id="L1", email="a@example.com")]).report.metadata()
    assert metadata["customers"] == 1
    assert metadata["identifiers/email/linked"] == 1
    assert {name for name in metadata if name.startswith("seconds/")} == {f"seconds/{step}" for step in STEPS}
    assert all(type(value) in (int, float) for value in metadata.values())


def test_identifiers_say_where_and_when_they_were_seen(town: Town) -> None:
    outcome = town.resolve(
        [
            seen("till", day=4, records=2, loyalty_id="L1", email="A@example.com"),
            seen("shop", day=9, records=5, email="a@example.com"),
        ]
    )
    row = outcome.identifiers.row(by_predicate=pl.col("identifier_type") == "email", named=True)
    assert (row["sources"], row["records"]) == ("shop,till", 7)
    assert (row["first_seen_at"].isoformat(), row["last_seen_at"].isoformat()) == (
        "2025-01-05T00:00:00",
        "2025-01-10T01:00:00",
    )
    assert (row["identifier_value"], row["identifier_masked"]) == ("a@example.com", "***@e***.com")
    assert len(row["identifier_key"]) == 32


def test_progress_is_told_step_by_step(town: Town) -> None:
    town.observe([seen(loyalty_id="L1")])
    lines: list[str] = []
    resolve_identities(town.settings, {}, AS_OF, "one", progress=lines.append)
    assert [line.split(":")[0] for line in lines] == STEPS
