"""A run that works out what is new gives what a run over everything gives, whatever came before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from transforms.identity import IdentityReport, resolve_identities
from transforms.identity import parts as parts_module
from transforms.identity import reach as reach_module
from transforms.identity import settle as settle_module
from transforms.identity.decisions import LINK_COLUMNS
from transforms.identity.policy import Policy, load_policy
from transforms.identity.public import REASON
from transforms.identity.reach import WHOLE
from transforms.identity.store import SCHEMAS

from .town import AS_OF, REGIONS, Row, Town, seen

Link = tuple[str, str, float]


@dataclass(frozen=True)
class Day:
    """What a run finds: observations, profiles, links of a model, lines of the overrides."""

    rows: tuple[Row, ...]
    records: Mapping[str, Row | None] = field(default_factory=dict)
    links: tuple[Link, ...] | None = None
    decisions: tuple[str, ...] = ()


def public_beyond(most: int) -> Policy:
    """The policy that ships, but a value beside more than so many of any other type is public."""
    policy = load_policy()
    types = {
        kind: of_type.model_copy(update={"public_beyond": {other: most for other in policy.types if other != kind}})
        for kind, of_type in policy.types.items()
    }
    return policy.model_copy(update={"types": types})


def run(town: Town, day: Day, number: int, policy: Policy | None = None) -> IdentityReport:
    town.observe(day.rows)
    town.know(day.records)
    town.decide(*day.decisions)
    table = pa.Table.from_pylist(
        [
            {"left_record": a, "right_record": b, "probability": p, "rule": "names", "model": "m1"}
            for a, b, p in day.links or ()
        ],
        schema=pa.schema(list(LINK_COLUMNS.items())),
    )
    return resolve_identities(
        town.settings,
        REGIONS,
        AS_OF + timedelta(days=number),
        f"run-{number}",
        policy=policy,
        linker=None if day.links is None else lambda: nullcontext(lambda _: table),
    )


def tables(town: Town) -> dict[str, pl.DataFrame]:
    with duckdb.connect() as connection:
        return {
            name: pl.DataFrame(connection.sql(f"FROM {town.store.table(name)} ORDER BY ALL").to_arrow_table())
            for name in SCHEMAS
        }


def assert_equal_histories(
    home: Path, days: Sequence[Day], grown: float = 0.2, policy: Policy | None = None
) -> list[int]:
    """Run some days in two towns, one of which works out everything every day; compare all tables and figures.

    :return: how many observations each run of the other looked at.
    """
    by_reach, whole = Town(home / "reach"), Town(home / "whole")
    resolved: list[int] = []
    for number, day in enumerate(days):
        with patch.object(reach_module, "MOST", 2.0), patch.object(parts_module, "GROWN", grown):
            report = run(by_reach, day, number, policy)
        with patch.object(settle_module, "find_reach", lambda *_: WHOLE):
            expected = run(whole, day, number, policy)
        found, wanted = tables(by_reach), tables(whole)
        for name in SCHEMAS:
            assert found[name].rows() == wanted[name].rows(), (number, name)
        apart = {"resolved", "seconds"}
        told = [
            {name: value for name, value in vars(r).items() if name not in apart}
            | {"remarks": [text.removeprefix(str(town.settings.home)) for text in r.remarks]}
            for town, r in ((by_reach, report), (whole, expected))
        ]
        assert told[0] == told[1], number
        resolved.append(report.resolved)
    return resolved


# Few values, so that they meet: addresses of two, a telephone of many, a card that changes hands, a blocked address.
EMAILS = st.sampled_from([None, *(f"p{n}@example.com" for n in range(7)), "test@test.com", "noreply@example.com"])
PHONES = st.sampled_from([None, *(f"0151 2000000{n}" for n in range(5)), "0000000"])
CARDS = st.sampled_from([None, *(f"L-{n}" for n in range(6))])
ACCOUNTS = st.sampled_from([None, None, *(f"u{n}" for n in range(5))])
DEVICES = st.sampled_from([None, "device-000001", "device-000002", "kiosk-0000001"])
TOKENS = st.sampled_from([None, None, *(f"tok-00000{n}" for n in range(5))])
SOURCES = st.sampled_from(["shop", "till", "app"])
ROWS = st.builds(
    lambda source, day, records, length, email, phone, loyalty, account, device, token: seen(
        source,
        day,
        records,
        day + length if length else None,
        email=email,
        phone=phone,
        loyalty_id=loyalty,
        app_user_id=account,
        device_id=device,
        payment_token=token,
    ),
    SOURCES,
    st.integers(0, 150),
    st.integers(1, 3),
    st.one_of(st.just(0), st.integers(1, 200)),
    EMAILS,
    PHONES,
    CARDS,
    ACCOUNTS,
    DEVICES,
    TOKENS,
)
RECORDS = [f"crm:{n}" for n in range(6)]
SIDES = st.sampled_from(
    [
        *RECORDS[:3],
        "email:p1@example.com",
        "email:p2@example.com",
        "phone:0151 20000001",
        "loyalty_id:L-3",
        "device_id:kiosk-0000001",
    ]
)


@st.composite
def histories(draw: st.DrawFn) -> list[Day]:
    pool = draw(st.lists(ROWS, min_size=8, max_size=40))
    linked = draw(st.booleans())
    decided = draw(st.booleans())
    days: list[Day] = []
    present: list[Row] = []
    for _ in range(draw(st.integers(2, 5))):
        # Most days bring a few rows; some take rows away, or send one again with more records.
        gone = draw(st.sets(st.integers(0, max(len(present) - 1, 0)), max_size=2))
        kept = [row for place, row in enumerate(present) if place not in gone]
        more = draw(st.lists(st.sampled_from(pool), max_size=len(pool) if not days else 5))
        again = [row | {"records": int(row["records"] or 1) + 1, "day": int(row["day"] or 0) + 1} for row in more[:1]]
        present = [*kept, *more, *again]
        owners = st.one_of(st.none(), st.sampled_from(present)) if present else st.none()
        links = draw(
            st.lists(
                st.tuples(
                    st.sampled_from(RECORDS), st.sampled_from(RECORDS), st.sampled_from([0.6, 0.8, 0.95, 0.99])
                ).filter(lambda link: link[0] < link[1]),
                max_size=3,
                unique_by=lambda link: link[:2],
            )
        )
        decisions = draw(
            st.lists(
                st.tuples(st.sampled_from(["always_link", "never_link"]), SIDES, SIDES).filter(lambda d: d[1] != d[2]),
                max_size=2,
            )
        )
        # Profiles mostly stay what they were.
        records = dict(days[-1].records) if days else {}
        for name in draw(st.sets(st.sampled_from(RECORDS), min_size=0 if days else 3)):
            records[name] = draw(owners)
        days.append(
            Day(
                tuple(present),
                records,
                tuple(links) if linked else None,
                tuple(",".join(decision) for decision in decisions) if decided else (),
            )
        )
    return days


def test_a_record_without_identifiers_whose_link_went_brings_its_former_customer_along(tmp_path: Path) -> None:
    alone: dict[str, Row | None] = {"crm:0": None, "crm:1": None, "crm:2": None}
    ann = seen("shop", 3, email="p0@example.com")
    others = tuple(seen("till", 1, loyalty_id=f"L-{number}") for number in range(9))
    days = [
        Day(others, alone, (("crm:0", "crm:1", 0.9),)),
        Day((*others, ann), alone, ()),
        Day((*others, ann), {**alone, "crm:2": ann}, (("crm:0", "crm:2", 0.9),)),
    ]
    assert_equal_histories(tmp_path, days)


def test_a_link_works_from_the_day_on_which_its_record_comes(tmp_path: Path) -> None:
    rows = tuple(seen("till", 1, loyalty_id=f"L-{number}") for number in range(9))
    link = (("crm:0", "crm:2", 0.9), ("crm:1", "crm:3", 0.9))
    days = [
        Day(rows, {"crm:0": None, "crm:1": rows[0]}, link),
        Day(rows, {"crm:0": None, "crm:1": rows[0], "crm:2": None, "crm:3": rows[1]}, link),
    ]
    assert_equal_histories(tmp_path, days)


def test_links_of_records_without_identifiers_have_their_edges_where_nothing_else_is_new(tmp_path: Path) -> None:
    """No identifier is worked out that day, so there is none after which the records could be numbered."""
    rows = tuple(seen("till", 1, loyalty_id=f"L-{number}") for number in range(9))
    alone: dict[str, Row | None] = {"crm:0": None, "crm:1": None, "crm:2": None}
    links = (("crm:0", "crm:1", 0.9), ("crm:0", "crm:2", 0.9))
    assert_equal_histories(tmp_path, [Day(rows, alone, ()), Day(rows, alone, links)])


def test_a_day_at_a_kiosk_works_out_who_was_there_and_no_one_else(tmp_path: Path) -> None:
    everybody = [seen("app", n, app_user_id=f"u{n}", device_id="kiosk-0000001", records=2) for n in range(9)]
    at_home = [seen("app", n, app_user_id=f"u{n}", email=f"p{n}@example.com") for n in range(9)]
    alone = seen("app", 3, device_id="kiosk-0000001")
    again = everybody[4] | {"records": 3, "until": 40}
    few = [*everybody[:3], *at_home, alone]
    days = [
        Day((*everybody[:8], *at_home, alone)),
        Day((*everybody[:4], again, *everybody[5:8], *at_home, alone)),
        Day((*everybody, *at_home, alone)),
        Day((*everybody, *at_home, alone)),
        Day(tuple(few)),  # three people are no public any more: all with whom the tablet stands are one component again
        Day((*few, everybody[3])),
        Day((*everybody, *at_home, alone)),
    ]
    resolved = assert_equal_histories(tmp_path, days, policy=public_beyond(3))
    assert resolved == [18, 2, 4, 0, 13, 9, 10]
    town = Town(tmp_path / "reach")
    kiosk = town.table("identifiers").filter(pl.col("identifier_value") == "kiosk-0000001").row(0, named=True)
    assert (kiosk["status"], kiosk["reason"], kiosk["customer_id"]) == ("contested", REASON, None)
    assert kiosk["records"] == 9 * 2 + 1
    refused = town.table("refusals").filter(pl.col("identifier_key") == kiosk["identifier_key"])
    assert sorted(refused["records"]) == [2] * 9
    assert refused["customer_id"].n_unique() == 9


def test_a_value_that_is_public_no_more_brings_along_who_it_was_before(tmp_path: Path) -> None:
    alone = seen("app", 1, app_user_id="u1")
    one = seen("app", 2, app_user_id="u1", email="p1@example.com")
    other = seen("app", 2, app_user_id="u1", email="p2@example.com")
    # In between nobody owns the account, and only memory tells who did: in a component of its own.
    days = [Day((alone,)), Day((one, other)), Day((one,))]
    assert_equal_histories(tmp_path, days, policy=public_beyond(1))
    town = Town(tmp_path / "reach")
    [first] = town.table("issued").filter(pl.col("created_run") == "run-0")["customer_id"]
    [alias] = town.table("aliases").rows(named=True)
    assert (alias["old_customer_id"], alias["customer_id"]) == (first, town.table("assignments")["customer_id"][0])


def test_only_what_is_new_is_worked_out_and_with_other_rules_everything(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tuple(seen("till", 1, loyalty_id=f"L-{number}", email=f"p{number}@example.com") for number in range(9))
    more = seen("shop", 5, email="p3@example.com", phone="0151 20000001")
    assert run(town, Day(rows), 0).resolved == 9
    assert run(town, Day((*rows, more)), 1).resolved == 2
    assert run(town, Day((*rows, more)), 2).resolved == 0
    # Whoever is gone takes his component along: here the one observation that is left of it.
    assert run(town, Day(rows), 3).resolved == 1
    monkeypatch.setattr("transforms.identity.plan._rules", lambda: "of another version")
    assert run(town, Day(rows), 4).resolved == 9


@pytest.mark.slow
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a run takes a second: shrinking one failure takes an hour
)
@given(histories(), st.sampled_from([0.2, 9.0]), st.sampled_from([None, 1, 2, 3]))
def test_any_history_of_days_gives_what_runs_over_everything_give(
    days: list[Day], grown: float, most: int | None
) -> None:
    with TemporaryDirectory() as home:
        assert_equal_histories(Path(home), days, grown, None if most is None else public_beyond(most))
