"""Sessions and people of the web tracker, against the oracle and the vendor."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from .conftest import Outcome
from .oracles import snowplow

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("public_runs")]


def test_sessions_are_runs_of_a_persons_events(after_everything: Outcome, real_data: Path) -> None:
    people = dict(
        after_everything.built(
            """
            SELECT events.event_id, coalesce(assignments.customer_id, events.device_id)
            FROM staging.stg_app_events AS events LEFT JOIN assignments USING (identity_key)
            """
        ).iter_rows()
    )
    expected = snowplow.sessions(people, snowplow.events(real_data))
    built = after_everything.built("SELECT customer_id, started_at, ended_at, events FROM intermediate.fct_sessions")
    assert sorted(built.iter_rows()) == sorted(
        (person, run[0].occurred_at.replace(tzinfo=None), run[-1].occurred_at.replace(tzinfo=None), len(run))
        for person, runs in expected.items()
        for run in runs
    )


def test_sessions_agree_with_the_vendors_where_the_tracker_keeps_to_thirty_minutes(
    after_everything: Outcome, real_data: Path
) -> None:
    events = snowplow.events(real_data)
    users_of: dict[str | None, set[str | None]] = defaultdict(set)
    for event in events:
        users_of[event.cookie].add(event.user)
    plain = {cookie for cookie in snowplow.cookies_with_plain_sessions(events) if len(users_of[cookie]) == 1}
    compared = {c: n for c, n in snowplow.vendor_sessions_by_cookie(real_data).items() if c in plain}
    built = after_everything.built(
        """
        SELECT people.device_id, count(*)
        FROM intermediate.fct_sessions AS sessions
        JOIN (
            SELECT DISTINCT events.device_id, assignments.customer_id
            FROM staging.stg_app_events AS events JOIN assignments USING (identity_key)
        ) AS people USING (customer_id)
        GROUP BY ALL
        """
    )
    assert len(compared) >= 5
    assert {cookie: count for cookie, count in built.iter_rows() if cookie in compared} == compared


def test_a_signed_in_user_with_three_cookies_is_one_person_and_the_test_rig_is_not(
    after_everything: Outcome, real_data: Path
) -> None:
    customers: dict[str, set[str]] = defaultdict(set)
    for event, customer in after_everything.built(
        "SELECT event_id, customer_id FROM staging.stg_app_events JOIN assignments USING (identity_key)"
    ).iter_rows():
        customers[event].add(customer)
    raw = snowplow.deliveries(real_data).unique("event_id").select("event_id", "user_id", "domain_userid")
    rotating = raw.filter(pl.col("user_id") == "Rotating domain_userid per session")
    assert rotating["domain_userid"].n_unique() > 1
    assert len(set().union(*(customers[event] for event in rotating["event_id"]))) == 1
    rig = raw.filter(pl.col("user_id") == "consent_accel")
    people = set().union(*(customers[event] for event in rig["event_id"]))
    assert len(people) == rig["domain_userid"].n_unique() > 1
