"""Visits cut from Wi-Fi pings, against the visits that the publisher cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Outcome
from .oracles import hokuriku

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("public_runs")]


def test_visits_cut_from_pings_are_the_publishers(after_everything: Outcome, real_data: Path) -> None:
    complete = hokuriku.complete_venues(real_data)
    published = {visit for visit in hokuriku.published_visits(real_data) if visit.venue in complete}
    built = after_everything.built(
        """
        SELECT
            CAST(replace(store_id, 'hokuriku-', '') AS BIGINT) AS venue,
            device_id,
            entered_at + INTERVAL '9' HOUR AS entered_at,
            dwell_seconds
        FROM intermediate.fct_store_visits
        WHERE source = 'hokuriku_pings'
        """
    )
    visits = [hokuriku.Visit(*row) for row in built.iter_rows() if row[0] in complete]
    assert len(visits) == len(set(visits))
    assert set(visits) == hokuriku.joined_over_midnight(published)


def test_every_ping_is_in_a_visit(after_everything: Outcome, real_data: Path) -> None:
    built = after_everything.built(
        "SELECT sum(pings) FROM intermediate.fct_store_visits WHERE source = 'hokuriku_pings'"
    )
    assert built.item() == hokuriku.pings(real_data).height


def test_devices_at_forty_venues_are_no_people(after_everything: Outcome, real_data: Path) -> None:
    flagged = after_everything.built(
        """
        SELECT DISTINCT device_id, customer_id, is_infrastructure
        FROM intermediate.fct_store_visits
        WHERE source = 'hokuriku_pings'
        """
    )
    infrastructure = hokuriku.infrastructure(real_data)
    assert {device for device, _, flag in flagged.iter_rows() if flag} == infrastructure
    assert {device for device, customer, _ in flagged.iter_rows() if customer is None} == infrastructure
