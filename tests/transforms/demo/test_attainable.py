"""Recall of what identifiers allow, against its definition: pairs of records and the chains between them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.identity.town import REGIONS, TYPES, Row, Town, identity_key, seen
from transforms.demo.attainable import attained_recall
from transforms.demo.report import STAGED

Record = tuple[str, Row, bool]
"""Who left it, what it carries, and whether it is scored."""


def _recall(town: Town, records: dict[str, Record]) -> float:
    town.settings.truth.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(town.settings.warehouse)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS staging")
        connection.execute(
            "CREATE TEMP TABLE given (record_id VARCHAR, identity_key VARCHAR, person_id VARCHAR, ok BOOL)"
        )
        rows = [(record, identity_key(row), person, ok) for record, (person, row, ok) in records.items()]
        connection.executemany("INSERT INTO given VALUES (?, ?, ?, ?)", rows)
        for number, model in enumerate(part.rpartition(" ")[2] for part in STAGED.split(" UNION ALL ")):
            connection.execute(
                f"CREATE OR REPLACE TABLE {model} AS SELECT record_id, identity_key FROM given WHERE {number} = 0"
            )
        connection.execute(
            "COPY (SELECT record_id, person_id, ok AS is_scored FROM given)"
            f" TO '{town.settings.truth / 'records.parquet'}' (FORMAT parquet)"
        )
    return attained_recall(town.settings, REGIONS)


def _by_enumeration(assignments: dict[str, str], records: dict[str, Record]) -> float:
    scored = {record: (person, row) for record, (person, row, ok) in records.items() if ok}
    chained = {record: {record} for record in scored}
    for one, other in combinations(scored, 2):
        (person, row), (another, beside) = scored[one], scored[other]
        shares = any(row.get(kind) and row.get(kind) == beside.get(kind) for kind in TYPES)
        if person == another and shares:
            joint = chained[one] | chained[other]
            for record in joint:
                chained[record] = joint
    allowed = [pair for pair in combinations(scored, 2) if pair[1] in chained[pair[0]]]
    found = {record: assignments.get(identity_key(row)) for record, (_, row) in scored.items()}
    met = [pair for pair in allowed if found[pair[0]] and found[pair[0]] == found[pair[1]]]
    return len(met) / len(allowed) if allowed else 1.0


_RECORDS = st.tuples(
    st.sampled_from("ab"),
    st.builds(
        lambda email, device, card: seen(
            email=email and f"{email}@example.com", device_id=device and f"device-{device}", loyalty_id=card
        ),
        st.sampled_from([None, "ann", "bob", "joint"]),
        st.sampled_from([None, "1", "2", "3"]),
        st.sampled_from(["C-1000001", "C-1000002"]),
    ),
    st.booleans(),
)


@given(st.lists(_RECORDS, min_size=1, max_size=9))
@settings(max_examples=15, deadline=None)
def test_equals_counting_every_pair_that_a_chain_of_identifiers_joins(found: list[Record]) -> None:
    records = {f"shop:{number}": record for number, record in enumerate(found)}
    with TemporaryDirectory() as folder:
        town = Town(Path(folder) / "home")
        outcome = town.resolve([row for _, row, _ in found])
        assert _recall(town, records) == pytest.approx(_by_enumeration(outcome.assignments, records))


def test_a_browser_that_never_gave_a_name_costs_nothing(tmp_path: Path) -> None:
    town = Town(tmp_path / "home")
    named, browser, later = seen(email="a@b.de", device_id="d1"), seen(device_id="d2"), seen(email="a@b.de")
    town.resolve([named, browser, later])
    records = {"shop:1": ("ann", named, True), "shop:2": ("ann", browser, True), "shop:3": ("ann", later, True)}
    assert _recall(town, records) == 1.0


def test_what_a_decision_keeps_apart_is_missed(tmp_path: Path) -> None:
    town = Town(tmp_path / "home")
    one, other, third = seen(email="a@b.de", device_id="d1"), seen(device_id="d1"), seen(email="c@d.de", device_id="d1")
    town.decide("never_link,email:a@b.de,email:c@d.de")
    town.resolve([one, other, third])
    records = {f"shop:{n}": ("ann", row, True) for n, row in enumerate((one, other, third))}
    assert 0 <= _recall(town, records) < 1
