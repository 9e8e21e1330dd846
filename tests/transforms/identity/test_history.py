"""Who was who on any day, and that every id that was ever given can be resolved."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .town import Row, Town, seen

ANN, BOB = seen("shop", 1, email="ann@example.com"), seen("shop", 2, email="bob@example.com")
JOIN = [seen("till", 3, loyalty_id="L1", email=email) for email in ("ann@example.com", "bob@example.com")]
FIRST = date(2025, 7, 1)


def day(number: int) -> date:
    return FIRST + timedelta(number - 1)


def told(town: Town) -> list[tuple[str, str, str, int, int | None]]:
    def number(value: date | None) -> int | None:
        return None if value is None else (value - FIRST).days + 1

    rows = town.table("history").select("known_as", "customer_id", "status", "valid_from_date", "valid_to_date").rows()
    return [(known, is_now, status, number(start) or 0, number(end)) for known, is_now, status, start, end in rows]


def test_a_merge_and_its_undoing_are_told_by_their_days(town: Town) -> None:
    before = town.resolve([ANN, BOB], as_of=day(1))
    town.resolve([ANN, BOB], as_of=day(2))
    merged = town.resolve([ANN, BOB, *JOIN], as_of=day(3))
    town.resolve([ANN, BOB], as_of=day(5))
    kept = merged.customer_of(ANN)
    (lost,) = {before.customer_of(ANN), before.customer_of(BOB)} - {kept}
    assert [row[1:] for row in told(town) if row[0] == kept] == [(kept, "customer", 1, None)]
    assert [row[1:] for row in told(town) if row[0] == lost] == [
        (lost, "customer", 1, 2),
        (kept, "merged", 3, 4),
        (lost, "customer", 5, None),
    ]


def test_a_second_run_that_finds_the_same_leaves_the_history_as_it_is(town: Town) -> None:
    for number in (1, 2):
        town.resolve([ANN, BOB], as_of=day(number))
    town.resolve([ANN, BOB, *JOIN], as_of=day(3))
    before = town.content("history")
    town.resolve([ANN, BOB, *JOIN], as_of=day(3))
    assert town.content("history") == before


def test_a_second_run_of_a_day_replaces_what_the_first_said(town: Town) -> None:
    before = town.resolve([ANN, BOB], as_of=day(1))
    town.resolve([ANN, BOB, *JOIN], as_of=day(2))
    town.resolve([ANN, BOB], as_of=day(2))
    assert told(town) == sorted((c, c, "customer", 1, None) for c in before.assignments.values() if c)


def test_an_id_whose_records_have_gone_is_absent_and_still_resolves(town: Town) -> None:
    gone = town.resolve([ANN, BOB], as_of=day(1)).customer_of(BOB)
    town.resolve([ANN], as_of=day(2))
    assert [row[1:] for row in told(town) if row[0] == gone] == [(gone, "customer", 1, 1), (gone, "absent", 2, None)]
    town.resolve([ANN, BOB], as_of=day(4))
    assert [row[2:] for row in told(town) if row[0] == gone][1:] == [("absent", 2, 3), ("customer", 4, None)]


def test_a_look_back_tells_nothing_of_ids_that_are_known(town: Town) -> None:
    town.resolve([ANN, BOB], as_of=day(9))
    known = told(town)
    town.resolve([ANN, BOB, *JOIN], as_of=day(3))
    assert told(town) == known
    town.resolve([ANN, BOB], as_of=day(9))
    assert told(town) == known


def test_an_id_that_a_look_back_gives_for_the_first_time_is_told_from_its_day_on(town: Town) -> None:
    """Somebody whom the later day did not know: the records are gone since, or a model finds other links."""
    town.resolve([ANN], as_of=day(9))
    known = told(town)
    given = town.resolve([ANN, BOB], as_of=day(3)).customer_of(BOB)
    assert [row for row in told(town) if row not in known] == [(given, given, "customer", 3, None)]
    assert set(known) < set(told(town))


NAMES = ("a", "b", "c", "d")
DAYS = st.lists(
    st.tuples(st.integers(0, 2), st.sets(st.sampled_from(NAMES)), st.sets(st.tuples(*[st.sampled_from(NAMES)] * 2))),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=DAYS)
def test_every_id_stands_for_one_customer_on_each_day_since_it_was_given(new_town, days) -> None:
    town: Town = new_town()
    now, given_since = FIRST, {}
    for later, names, joins in days:
        now += timedelta(later)
        rows: list[Row] = [seen("shop", email=f"{name}@example.com") for name in sorted(names)]
        rows += [
            seen("till", payment_token=f"tok-{one}{other}-0001", email=f"{name}@example.com")
            for one, other in sorted(joins)
            for name in (one, other)
        ]
        outcome = town.resolve(rows, as_of=now)
        for customer in outcome.customers["customer_id"]:
            given_since.setdefault(customer, now)
        history = town.table("history")
        for known, since in given_since.items():
            own = history.filter(pl.col("known_as") == known).sort("valid_from_date")
            starts, ends = own["valid_from_date"].to_list(), own["valid_to_date"].to_list()
            assert starts[0] <= since and ends[-1] is None
            assert [end + timedelta(1) for end in ends[:-1]] == starts[1:]
            (stands_for,) = own.filter(pl.col("valid_to_date").is_null())["customer_id"].to_list()
            assert stands_for in {*outcome.customers["customer_id"], known} | set(outcome.aliases.values())
