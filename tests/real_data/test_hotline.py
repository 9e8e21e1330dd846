"""Service figures of the bank's hotline, call by call and as published."""

from __future__ import annotations

from pathlib import Path

import pytest

from .comparing import one_to_one
from .conftest import Outcome
from .oracles import technion

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.xdist_group("public_runs")]


def test_service_figures_of_the_hotline(after_everything: Outcome, real_data: Path) -> None:
    expected = technion.figures(technion.calls(real_data))
    built = after_everything.built(
        """
        SELECT
            count(*) AS calls,
            count(*) FILTER (is_queued) AS queued,
            count(*) FILTER (outcome = 'answered') AS answered,
            count(*) FILTER (outcome = 'answered' AND is_queued) AS answered_queued,
            count(*) FILTER (outcome = 'answered' AND coalesce(wait_seconds, 0) <= 20) AS answered_within_20,
            count(*) FILTER (outcome = 'answered' AND wait_seconds <= 20) AS answered_queued_within_20,
            count(*) FILTER (outcome = 'abandoned') AS abandoned,
            count(*) FILTER (outcome = 'abandoned' AND is_queued) AS abandoned_queued,
            count(*) FILTER (is_short_abandon) AS short_abandons,
            avg(coalesce(wait_seconds, 0)) FILTER (outcome = 'answered') AS asa_all_answered,
            avg(wait_seconds) FILTER (outcome = 'answered') AS asa_waited,
            count(handle_seconds) AS handled,
            count(*) FILTER (is_handle_excluded) AS handles_excluded,
            avg(handle_seconds) AS mean_handle,
            count(customer_id) AS identified,
            count(*) FILTER (is_repeat_contact) AS repeat_contacts
        FROM intermediate.fct_calls
        """
    ).to_dicts()[0]
    assert built == pytest.approx(vars(expected), rel=1e-12)


def test_published_service_figures_name_their_denominators(after_everything: Outcome, real_data: Path) -> None:
    log = technion.calls(real_data)
    counted = technion.figures(log)
    resolved = list(technion.first_contact_resolutions(log).values())
    not_short = counted.queued - counted.short_abandons
    published = after_everything.read(
        """
        SELECT calls, offered_calls, answered_calls, abandoned_calls, short_abandons, abandon_rate_queued,
            abandon_rate_offered_excl_short, service_level_rate, asa_seconds, asa_waited_seconds, aht_seconds,
            fcr_rate, repeat_contact_rate
        FROM marts.channel_summary WHERE channel = 'hotline'
        """
    ).row(0)
    assert published == pytest.approx(
        (
            counted.calls,
            counted.queued,
            counted.answered,
            counted.abandoned_queued,
            counted.short_abandons,
            counted.abandoned_queued / counted.queued,
            (counted.abandoned_queued - counted.short_abandons) / not_short,
            counted.answered_queued_within_20 / not_short,
            counted.asa_all_answered,
            counted.asa_waited,
            counted.mean_handle,
            sum(resolved) / len(resolved),
            counted.repeat_contacts / counted.identified,
        ),
        rel=1e-12,
    )


def test_repeat_contacts_and_first_contact_resolution_call_by_call(after_everything: Outcome, real_data: Path) -> None:
    log = technion.calls(real_data)
    judged = after_everything.built("SELECT call_id, is_repeat_contact, is_fcr FROM intermediate.fct_calls")
    repeats = {call for call, repeat, _ in judged.iter_rows() if repeat}
    assert repeats == {"-".join(key) for key in technion.repeat_contacts(log)}
    resolved = {call: known for call, _, known in judged.iter_rows() if known is not None}
    assert resolved == {"-".join(key): known for key, known in technion.first_contact_resolutions(log).items()}


def test_callers_are_told_apart_by_their_customer_number(after_everything: Outcome, real_data: Path) -> None:
    callers = {"-".join(call.key): call.customer for call in technion.calls(real_data)}
    built = after_everything.built("SELECT call_id, customer_id FROM intermediate.fct_calls")
    assert all((customer is None) == (callers[call] is None) for call, customer in built.iter_rows())
    assert one_to_one((callers[call], customer) for call, customer in built.iter_rows() if customer)
