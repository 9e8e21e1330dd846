"""Scores against hand-computed examples and against counting every pair."""

from __future__ import annotations

from dataclasses import astuple
from itertools import combinations
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.demo.scoring import IdentityScore, score_identity
from transforms.sql import literal

# record → (person, customer): Ann's three records sit in two customers, Ben's two are with one of Ann's.
_TOWN = {"r1": ("Ann", "c1"), "r2": ("Ann", "c1"), "r3": ("Ann", "c2"), "r4": ("Ben", "c2"), "r5": ("Ben", "c2")}


def _truth(folder: Path, people: dict[str, str | None], unscored: tuple[str, ...] = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(
        {
            "source": ["till"] * len(people),
            "record_id": list(people),
            "person_id": list(people.values()),
            "is_scored": [record not in unscored and person is not None for record, person in people.items()],
        },
        schema_overrides={"record_id": pl.String, "person_id": pl.String, "is_scored": pl.Boolean, "source": pl.String},
    )
    frame.write_parquet(folder / "records.parquet")
    return folder


def _sql(customers: dict[str, str | None]) -> str:
    names = {record: literal(customer) if customer else "NULL" for record, customer in customers.items()}
    values = ", ".join(f"({literal(record)}, {name})" for record, name in names.items()) or "(NULL, NULL)"
    return f"SELECT * FROM (VALUES {values}) AS found(record_id, customer_id) WHERE record_id IS NOT NULL"


def _score(folder: Path, town: dict[str, tuple[str | None, str | None]], unscored: tuple[str, ...] = ()):
    truth = _truth(folder, {record: person for record, (person, _) in town.items()}, unscored)
    return score_identity(truth, _sql({record: customer for record, (_, customer) in town.items()}))


def test_hand_computed(tmp_path: Path):
    score = _score(tmp_path, _TOWN)
    # customers hold C(2,2) + C(3,2) = 4 pairs, people C(3,2) + C(2,2) = 4, right are r1-r2 and r4-r5
    assert (score.precision, score.recall, score.f1) == (2 / 4, 2 / 4, 0.5)
    # r1, r2: 2/2; r3: 1/3; r4, r5: 2/3
    assert score.bcubed_precision == pytest.approx((1 + 1 + 1 / 3 + 2 / 3 + 2 / 3) / 5)
    # r1, r2: 2/3; r3: 1/3; r4, r5: 2/2
    assert score.bcubed_recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert (score.records, score.people, score.customers, score.unassigned_records) == (5, 2, 2, 0)
    # neither customer is one whole person: c1 lacks r3, c2 has it too many
    assert (score.mixed_customers, score.exact_precision, score.exact_recall) == (1, 0, 0)


def test_one_customer_each_is_perfect(tmp_path: Path):
    score = _score(tmp_path, {record: (person, f"of {person}") for record, (person, _) in _TOWN.items()})
    assert (score.precision, score.recall, score.bcubed_precision, score.bcubed_recall) == (1, 1, 1, 1)
    assert (score.mixed_customers, score.exact_precision, score.exact_recall) == (0, 1, 1)


def test_one_customer_for_all_has_full_recall(tmp_path: Path):
    score = _score(tmp_path, {record: (person, "all") for record, (person, _) in _TOWN.items()})
    assert (score.precision, score.recall) == (4 / 10, 1)


@pytest.mark.parametrize("missing", ["absent", "null"])
def test_unassigned_records_are_customers_of_their_own(tmp_path: Path, missing: str):
    truth = _truth(tmp_path, {record: person for record, (person, _) in _TOWN.items()})
    found = {record: customer for record, (_, customer) in _TOWN.items() if record != "r2"}
    score = score_identity(truth, _sql(found if missing == "absent" else found | {"r2": None}))
    alone = _score(tmp_path / "alone", _TOWN | {"r2": ("Ann", "c9")})
    assert score.unassigned_records == 1
    assert (score.precision, score.recall) == (alone.precision, alone.recall)
    assert score.bcubed_precision == pytest.approx(alone.bcubed_precision)
    assert score.bcubed_recall == pytest.approx(alone.bcubed_recall)


def test_nothing_assigned(tmp_path: Path):
    score = score_identity(_truth(tmp_path, {"r1": "Ann", "r2": "Ann"}), _sql({}))
    assert (score.precision, score.recall, score.f1, score.bcubed_recall) == (1, 0, 0, 0.5)


def test_records_of_nobody_and_unusable_ones_do_not_count(tmp_path: Path):
    crowd = {f"cash{number}": (None, "c1") for number in range(50)} | {"tablet": ("Ben", "c1")}
    crowded, alone = _score(tmp_path, _TOWN | crowd, unscored=("tablet",)), _score(tmp_path / "alone", _TOWN)
    assert astuple(crowded) == pytest.approx(astuple(alone))


def test_records_unknown_to_the_truth_are_ignored(tmp_path: Path):
    truth = _truth(tmp_path, {record: person for record, (person, _) in _TOWN.items()})
    found = {record: customer for record, (_, customer) in _TOWN.items()}
    with_later = score_identity(truth, _sql(found | {"later": "c1"}))
    assert astuple(with_later) == pytest.approx(astuple(score_identity(truth, _sql(found))))


def test_a_record_named_twice_is_an_error(tmp_path: Path):
    truth = _truth(tmp_path, {"r1": "Ann"})
    with pytest.raises(ValueError, match="more than once"):
        score_identity(truth, "SELECT 'r1' AS record_id, unnest(['c1', 'c2']) AS customer_id")


def test_relation_path_and_query_agree(tmp_path: Path):
    query = _sql({record: customer for record, (_, customer) in _TOWN.items()})
    truth = _truth(tmp_path, {record: person for record, (person, _) in _TOWN.items()})
    with duckdb.connect() as connection:
        relation = connection.sql(query)
        relation.write_parquet(str(tmp_path / "it's found.parquet"))
        scores = [score_identity(truth, found) for found in (relation, tmp_path / "it's found.parquet", query)]
    assert all(astuple(score) == pytest.approx(astuple(scores[0])) for score in scores)


@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from([*"wxyz", None])), min_size=1, max_size=14))
@settings(max_examples=25, deadline=None)
def test_equals_counting_every_pair(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str | None]]):
    town = {f"r{number}": cell for number, cell in enumerate(cells)}
    score = _score(tmp_path_factory.mktemp("town"), town)
    assert astuple(score) == pytest.approx(astuple(_by_enumeration(town)))


def _by_enumeration(town: dict[str, tuple[str, str | None]]) -> IdentityScore:
    """The definitions, word for word: all pairs of records, and all records against all records."""
    customer = {record: found or f"alone {record}" for record, (_, found) in town.items()}
    person = {record: who for record, (who, _) in town.items()}
    pairs = list(combinations(town, 2))
    same_customer = {pair for pair in pairs if customer[pair[0]] == customer[pair[1]]}
    same_person = {pair for pair in pairs if person[pair[0]] == person[pair[1]]}
    right = len(same_customer & same_person)
    precision = recall = 0.0
    for record in town:
        cluster = {other for other in town if customer[other] == customer[record]}
        true = {other for other in town if person[other] == person[record]}
        precision += len(cluster & true) / len(cluster) / len(town)
        recall += len(cluster & true) / len(true) / len(town)
    assigned = {found for _, found in town.values() if found}
    clusters, people = (
        {frozenset(r for r in town if label[r] == name) for name in set(label.values())} for label in (customer, person)
    )
    return IdentityScore(
        records=len(town),
        unassigned_records=sum(found is None for _, found in town.values()),
        people=len(set(person.values())),
        customers=len(assigned),
        precision=right / len(same_customer) if same_customer else 1.0,
        recall=right / len(same_person) if same_person else 1.0,
        bcubed_precision=precision,
        bcubed_recall=recall,
        mixed_customers=sum(len({person[r] for r in cluster}) > 1 for cluster in clusters),
        exact_precision=len(clusters & people) / len(clusters),
        exact_recall=len(clusters & people) / len(people),
    )
