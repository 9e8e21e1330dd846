"""Customer ids over runs: they stay, and where they cannot, it is recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from transforms.identity import settle
from transforms.identity.assignment import _unused_ids
from transforms.identity.keys import keyed_hash
from transforms.identity.store import SCHEMAS
from transforms.settings import Settings

from .town import Outcome, Row, Town, seen


def person(name: str, day: int = 0, size: int = 2) -> list[Row]:
    """A customer with a loyalty card and so many further identifiers."""
    return [seen(day=day + i, loyalty_id=f"L-{name}", payment_token=f"tok-{name}-{i}") for i in range(size - 1)]


def bridge(*names: str, day: int = 100) -> list[Row]:
    """Records that show people to be one: their cards with one address."""
    return [seen(day=day, email="one@example.com", loyalty_id=f"L-{name}") for name in names]


def ids(outcome: Outcome, *names: str) -> list[str | None]:
    return [outcome.customer("loyalty_id", f"L-{name.upper()}") for name in names]


def test_ids_have_their_form_and_follow_from_the_founding_identifier(town: Town) -> None:
    outcome = town.resolve([seen(day=5, app_user_id="u1", email="a@example.com"), seen(day=1, email="a@example.com")])
    # first seen, not strongest: what comes later must not rename a customer in a rebuild
    expected = "C" + keyed_hash(b"a secret of the tests", "customer:email:a@example.com", 16)
    assert set(outcome.assignments.values()) == {expected}


def test_a_second_run_over_the_same_data_changes_nothing(town: Town) -> None:
    rows = [*person("A"), *person("B"), *bridge("A", "B"), *person("C"), seen(phone="030 901820")]
    first = town.resolve(rows)
    before = town.content(*SCHEMAS)
    again = town.resolve(rows)
    after = town.content(*SCHEMAS)
    # Blocked values are summed up in every run, and figures name their run.
    names = ("identifiers.delta.parquet", "superseded.parquet", "quality.parquet")
    apart = {name for name in before if name.endswith(names)}
    assert {name for name in before if before[name] != after[name]} <= apart
    assert again.identifiers.sort("identifier_key").equals(first.identifiers.sort("identifier_key"))
    assert (again.report.new, again.report.merged, again.report.split, again.report.restored) == (0, 0, 0, 0)


def test_a_rebuild_from_nothing_gives_the_same_ids(new_town: Callable[[], Town]) -> None:
    rows = [*person("A"), *person("B", day=3), *bridge("A", "B"), *person("C")]
    one, other = (new_town().resolve(order) for order in (rows, rows[::-1]))
    assert one.assignments == other.assignments


def test_of_customers_who_merge_the_larger_keeps_its_id(town: Town) -> None:
    rows = [*person("A", size=2), *person("B", size=4)]
    a, b = ids(town.resolve(rows), "A", "B")
    outcome = town.resolve([*rows, *bridge("A", "B")], as_of=date(2025, 4, 30))
    assert ids(outcome, "A", "B") == [b, b]
    assert outcome.aliases == {a: b}
    assert outcome.report.merged == 1
    row = town.table("aliases").row(0, named=True)
    assert (row["valid_from"], row["run_id"], row["reason"]) == (date(2025, 4, 30), "run-2", "merged")


def test_of_equals_who_merge_the_older_id_stays(town: Town) -> None:
    old, young = person("Z", size=2), person("A", size=2)
    (z,) = ids(town.resolve(old), "Z")
    (a,) = ids(town.resolve([*old, *young]), "A")
    outcome = town.resolve([*old, *young, *bridge("Z", "A")])
    assert outcome.aliases == {a: z}


def test_merged_and_parted_again_everyone_has_the_old_id(town: Town) -> None:
    rows = [*person("A", size=3), *person("B", size=3), *person("C", size=2)]
    before = town.resolve(rows)
    town.resolve([*rows, *bridge("A", "B")])
    town.resolve([*rows, *bridge("A", "B", "C")])
    parted = town.resolve(rows)
    assert parted.assignments == before.assignments
    assert parted.aliases == {}
    assert parted.report.restored == 2
    assert parted.report.split == 1


def test_aliases_point_straight_at_a_customer(town: Town) -> None:
    """A joins B, then both join C: no chain; and a customer is never an alias."""
    rows = [*person("A", size=2), *person("B", size=3), *person("C", size=9)]
    a, b, c = ids(town.resolve(rows), "A", "B", "C")
    assert town.resolve([*rows, *bridge("A", "B")]).aliases == {a: b}
    outcome = town.resolve([*rows, *bridge("A", "B", "C")])
    assert outcome.aliases == {a: c, b: c}
    assert dict(town.table("aliases").select("old_customer_id", "reason").iter_rows()) == {
        a: "target changed",
        b: "merged",
    }
    back = town.resolve([*rows, *bridge("B", "C")])
    assert back.aliases == {b: c}
    assert ids(back, "A") == [a]


def test_an_alias_goes_where_its_own_identifiers_go(town: Town) -> None:
    """A was merged into B; now B's customer splits, and A's card stays with the smaller part."""
    rows = [*person("A", size=2), *person("B", size=6), *person("C", size=3)]
    a, b, c = ids(town.resolve(rows), "A", "B", "C")
    assert town.resolve([*rows, *bridge("A", "B")]).aliases == {a: b}
    outcome = town.resolve([*rows, *bridge("A", "C")])
    assert ids(outcome, "A", "B", "C") == [c, b, c]
    assert outcome.aliases == {a: c}


def test_an_id_that_goes_leads_to_those_who_first_had_it(town: Town) -> None:
    """P was merged into A. Then A's own go to one customer, P's, who are more, to another."""
    small, large = person("A", size=4), person("P", size=3)
    old, new = person("Y", size=9), person("X", size=9)
    a, p, y, x = ids(town.resolve([*small, *large, *old, *new]), "A", "P", "Y", "X")
    grown = [*large, *(seen(loyalty_id="L-P", payment_token=f"tok-more-{i}") for i in range(4))]
    assert town.resolve([*small, *grown[:2], *old, *new, *bridge("A", "P")]).aliases == {p: a}
    assert town.resolve([*small, *grown, *old, *new, *bridge("A", "P")]).aliases == {p: a}
    parted = [seen(email=f"{w}@example.com", loyalty_id=f"L-{n}") for w, n in zip("yyxx", "AYPX", strict=True)]
    for _ in range(2):  # the same again, now that A is an alias too
        assert town.resolve([*small, *grown, *old, *new, *parted]).aliases == {a: y, p: x}


def test_an_alias_whose_identifiers_are_absent_follows_its_target(town: Town) -> None:
    a_rows, b_rows, c_rows = person("A", size=2), person("B", size=3), person("C", size=9)
    a, b, c = ids(town.resolve([*a_rows, *b_rows, *c_rows]), "A", "B", "C")
    town.resolve([*a_rows, *b_rows, *c_rows, *bridge("A", "B")])
    outcome = town.resolve([*b_rows, *c_rows, *bridge("B", "C")])
    assert outcome.aliases == {a: c, b: c}


def test_a_split_leaves_the_id_with_the_largest_part(town: Town) -> None:
    joined = [*person("A", size=3), *person("B", size=5), *bridge("A", "B", day=0)]
    (whole,) = set(town.resolve(joined).assignments.values())
    outcome = town.resolve([*person("A", size=3), *person("B", size=5)])
    a, b = ids(outcome, "A", "B")
    assert b == whole
    assert a not in (None, whole)
    assert outcome.report.split == outcome.report.new == 1
    assert outcome.aliases == {}


def test_a_part_whose_founders_hash_is_taken_gets_another_id_and_keeps_it(town: Town) -> None:
    """The founding identifier leaves; its hash is the id of those who stay."""
    founder = [seen(day=0, email="one@example.com"), seen(day=1, loyalty_id="L-A", email="one@example.com")]
    others = [*person("B", day=9, size=5), seen(day=9, loyalty_id="L-B", email="one@example.com")]
    (whole,) = set(town.resolve([*founder, *others]).assignments.values())
    assert whole == "C" + keyed_hash(b"a secret of the tests", "customer:email:one@example.com", 16)
    parted = [founder[0], seen(day=1, loyalty_id="L-A"), *person("B", day=9, size=5)]
    first = town.resolve(parted)
    assert first.customer("loyalty_id", "L-B") == whole
    assert first.customer("email", "one@example.com") not in (None, whole)
    assert town.resolve(parted).assignments == first.assignments


def test_an_equal_split_falls_the_same_way_in_any_order(new_town: Callable[[], Town]) -> None:
    joined = [*person("A", size=4), *person("B", size=4), *bridge("A", "B")]
    parted = [*person("A", size=4), *person("B", size=4)]
    outcomes: list[dict[str, str]] = []
    for order in (1, -1):
        town = new_town()
        town.resolve(joined[::order])
        outcomes.append(town.resolve(parted[::order]).assignments)
    assert outcomes[0] == outcomes[1]


def test_customers_whose_hashes_collide_have_ids_of_their_own(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def poor_hash(connection: duckdb.DuckDBPyConnection, secret: bytes) -> None:
        del secret
        connection.execute("""
            CREATE OR REPLACE TEMP MACRO keyed_hash(text, length) AS
            CASE WHEN starts_with(text, 'customer:') THEN lpad(CAST(length(text) % 3 AS VARCHAR), length, '0')
                 ELSE left(md5(text), length) END
        """)

    monkeypatch.setattr(settle, "define_keyed_hash", poor_hash)
    rows = [row for i in range(12) for row in person(f"{'N' * i}")]
    outcome = town.resolve(rows)
    assert outcome.customers["customer_id"].n_unique() == outcome.report.customers == 12
    assert town.resolve(rows).assignments == outcome.assignments


def test_hashes_that_collide_are_told_apart() -> None:
    secret, founder = b"secret", "email:a@example.com"
    ids = ["C" + keyed_hash(secret, f"customer:{founder}{suffix}", 16) for suffix in ("", "#2", "#3", "#4", "#5", "#6")]
    with duckdb.connect() as connection:
        connection.execute("CREATE TEMP TABLE last_issued AS SELECT unnest($ids) AS customer_id", {"ids": ids[:2]})
        connection.execute("CREATE TEMP TABLE customer_of_cluster AS SELECT $id AS customer_id", {"id": ids[3]})
        assert _unused_ids(connection, secret, []) == []
        found = _unused_ids(connection, secret, [founder, "email:b@example.com", founder])
    other = "C" + keyed_hash(secret, "customer:email:b@example.com", 16)
    assert found == [ids[2], other, ids[4]]


def test_who_is_away_for_a_while_comes_back_with_the_same_id(town: Town) -> None:
    """A source that delivers nothing for a day must not cost its customers their ids."""
    rows = [*person("A", size=3), *person("B", size=2)]
    town.resolve([seen(day=50, loyalty_id="L-A"), *rows])  # founded by what was seen later
    late = [*person("A", size=3), seen(day=-9, loyalty_id="L-A", app_user_id="early")]
    a, b = ids(town.resolve([*late, *person("B", size=2)]), "A", "B")
    assert town.resolve(person("B")).report.customers == 1
    back = town.resolve([*late, *person("B", size=2)])
    assert ids(back, "A", "B") == [a, b]
    assert back.report.new == 0


def test_a_run_for_an_earlier_day_and_back_keeps_the_ids(town: Town) -> None:
    rows = [*person("A", size=3), *person("B", size=3)]
    separate = town.resolve(rows)
    town.resolve([*rows, *bridge("A", "B")])
    earlier = town.resolve(rows, as_of=date(2025, 2, 1))
    assert earlier.assignments == separate.assignments
    later = town.resolve([*rows, *bridge("A", "B")])
    assert set(later.aliases) | set(later.assignments.values()) == set(separate.assignments.values())


def test_unaffected_customers_keep_their_ids_through_any_change(town: Town) -> None:
    unaffected = [row for i in range(30) for row in person(f"N{i}")]
    before = town.resolve([*unaffected, *person("A"), *person("B")])
    after = town.resolve([*unaffected, *person("A"), *person("B"), *bridge("A", "B"), *person("C")])
    numbers = [f"n{i}" for i in range(30)]
    assert ids(before, *numbers) == ids(after, *numbers)


def test_a_new_secret_changes_the_keys_and_no_customer(town: Town) -> None:
    rows = [*person("A"), *person("B")]
    before = town.resolve(rows)
    town.settings = Settings.model_validate({"home": town.settings.home, "identifier_key": "another secret"})
    after = town.resolve(rows)
    assert after.assignments == before.assignments
    assert not set(after.identifiers["identifier_key"]) & set(before.identifiers["identifier_key"])
    assert town.resolve(rows).assignments == before.assignments


def test_customers_know_when_they_were_made(town: Town) -> None:
    town.resolve(person("A"))
    outcome = town.resolve([*person("A"), *person("B", day=4, size=3)])
    made = {row["created_run"]: row for row in outcome.customers.iter_rows(named=True)}
    assert set(made) == {"run-1", "run-2"}
    assert made["run-2"]["identifiers"] == 3
    assert made["run-2"]["first_seen_at"].date() == date(2025, 1, 5)
    assert made["run-2"]["last_seen_at"].date() == date(2025, 1, 6)


# Each example is several runs, so that shrinking one would take minutes.
UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]

people = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 99)), min_size=1, max_size=25
)


def observed(records: list[tuple[int, int, int, int]]) -> list[Row]:
    """Records with a card, an address and a device each, or none of them."""
    return [
        seen(
            day=day,
            loyalty_id=f"L-{card}" if card else None,
            email=f"p{address}@example.com" if address else None,
            device_id=f"device-{device}" if device else None,
        )
        for card, address, device, day in records
    ]


@settings(deadline=None, max_examples=8, phases=UNSHRUNK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=people, data=st.data())
def test_increments_end_where_one_batch_does(
    new_town: Callable[[], Town], records: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    """In any order and any batches: the same customers, and every id that ever was leads to one of them."""
    rows = observed(data.draw(st.permutations(records)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    whole = new_town().resolve(observed(records))
    town = new_town()
    ever: set[str] = set()
    outcome = None
    for cut in [*cuts, len(rows)]:
        outcome = town.resolve(rows[:cut])
        ever |= set(outcome.assignments.values())
    assert outcome is not None
    assert outcome.partition() == whole.partition()
    assert set(outcome.assignments) == set(whole.assignments)
    check_ids(town, outcome, ever)


@settings(deadline=None, max_examples=8, phases=UNSHRUNK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=st.lists(people, min_size=2, max_size=3))
def test_ids_hold_their_promises_through_any_history(
    new_town: Callable[[], Town], states: list[list[tuple[int, int, int, int]]]
) -> None:
    """Data that grows, shrinks and changes at will."""
    town = new_town()
    for state in states:
        outcome = town.resolve(observed(state))
        check_ids(town, outcome, set())
        again = town.resolve(observed(state))
        assert (again.assignments, again.aliases) == (outcome.assignments, outcome.aliases)
        assert (again.report.new, again.report.merged, again.report.split, again.report.restored) == (0, 0, 0, 0)


def check_ids(town: Town, outcome: Outcome, ever: set[str]) -> None:
    customers = set(outcome.customers["customer_id"])
    assert customers == set(outcome.assignments.values())
    assert outcome.customers.height == len(customers) == outcome.report.customers
    assert not customers & set(outcome.aliases), "a customer is no alias"
    assert not set(outcome.aliases.values()) & set(outcome.aliases), "aliases have no chains"
    linked = outcome.identifiers.filter(pl.col("customer_id").is_not_null())
    assert set(linked["customer_id"]) == customers
    assert set(linked["status"]) <= {"linked"}
    registry = town.table("registry")
    assert registry["identifier_key"].is_unique().all()
    assert town.table("issued")["customer_id"].is_unique().all()
    # Contested values may leave a former customer without any identifier; else every id resolves.
    homeless = ever - customers - set(outcome.aliases)
    gone = set(registry.filter(pl.col("customer_id").is_in(list(homeless)))["customer_id"])
    assert homeless == gone


def test_installations_give_different_ids(new_town: Callable[[], Town]) -> None:
    found: list[set[str]] = []
    for secret in ("one", "other"):
        town = new_town()
        town.settings = Settings.model_validate({"home": town.settings.home, "identifier_key": secret})
        found.append(set(town.resolve(person("A")).assignments.values()))
    assert not found[0] & found[1]
