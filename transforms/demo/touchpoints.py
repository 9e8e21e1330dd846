"""How often people look in: sessions and store visits besides those that come with an order.

Whether somebody uses both channels and is mostly online is planted, so the counts are topped up until
the touchpoints say so too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transforms.demo.almanac import DAY, DAYS, SCREEN_HOURS, SHOP_HOURS, clock, day_of, open_day
from transforms.demo.people import People
from transforms.demo.purchases import Orders
from transforms.demo.randomness import Floats, Ints

# Mean number in a year of interest, beside those of orders: mostly online people, the others.
_SESSIONS = (6.4, 3.6)
_VISITS = (1.7, 6.6)
_SEEN_AT_TILL = 0.55  # share of till purchases whose visit a sensor saw


@dataclass(frozen=True)
class Occasions:
    """Sessions or visits: ``order`` is the position of the order they belong to, -1 for none."""

    person: Ints
    wall: Ints  # start of a session, entry of a visit; the moment of the order where there is one
    order: Ints

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Touchpoints:
    """Sessions and visits of a block, and the touchpoints of each person by side, calls left out."""

    sessions: Occasions
    visits: Occasions
    online: Ints
    offline: Ints


def draw_touchpoints(
    rng: np.random.Generator, people: People, sales: Orders, returns: Orders, calls: Ints
) -> Touchpoints:
    """Sessions and visits of all people of a block; ``calls`` counts the calls of each person."""
    size, behaviour = len(people), people.behaviour
    may_online, may_offline = behaviour.use <= 1, behaviour.use >= 1
    online_order = np.flatnonzero(sales.online)
    seen_order = np.flatnonzero(~sales.online & (rng.random(len(sales)) < _SEEN_AT_TILL))
    bought_online = _count(sales.person[sales.online], size) + _count(returns.person[returns.online], size)
    bought_offline = _count(sales.person[~sales.online], size) + _count(returns.person[~returns.online], size)

    years = (behaviour.active_until - behaviour.joined) / 365
    mean = years * behaviour.eagerness
    sessions = rng.poisson(mean * np.where(behaviour.mostly_online, *_SESSIONS)) * may_online
    visits = rng.poisson(mean * np.where(behaviour.mostly_online, *_VISITS)) * may_offline

    with_orders = bought_online + _count(sales.person[online_order], size)
    visits_with_orders = _count(sales.person[seen_order], size)
    # both sides at least once
    sessions = np.where(may_online & (with_orders + sessions == 0), 1, sessions)
    visits = np.where(may_offline & (bought_offline + visits_with_orders + visits == 0), 1, visits)
    offline = bought_offline + visits_with_orders + visits
    online = with_orders + sessions
    # mostly online: more online than offline, calls included; else at least as much offline without calls
    lacking = np.where(behaviour.mostly_online & behaviour.both, offline + calls + 1 - online, 0).clip(0)
    surplus = np.where(~behaviour.mostly_online & behaviour.both, online - offline, 0).clip(0)

    return Touchpoints(
        sessions=_occasions(rng, people, sessions + lacking, sales, online_order, SCREEN_HOURS, shops=False),
        visits=_occasions(rng, people, visits + surplus, sales, seen_order, SHOP_HOURS, shops=True),
        online=online + lacking,
        offline=offline + surplus,
    )


def _count(person: Ints, size: int) -> Ints:
    return np.bincount(person, minlength=size).astype(np.int64)


def _occasions(
    rng: np.random.Generator,
    people: People,
    count: Ints,
    sales: Orders,
    order: Ints,
    hours: list[float] | list[int],
    *,
    shops: bool,
) -> Occasions:
    person = np.repeat(np.arange(len(people)), count)
    day = day_of(_interest(rng, people, person))
    time = clock(rng, len(person), hours)
    if shops:
        day = open_day(rng, day, day_of(people.behaviour.joined[person]))
    else:
        # the last evening stays free, so that no session runs past the last day
        time = np.where(day == DAYS - 1, np.minimum(time, 20 * 3600), time)
    return Occasions(
        person=np.concatenate([person, sales.person[order]]),
        wall=np.concatenate([day * DAY + time, sales.wall[order]]),
        order=np.concatenate([np.full(len(person), -1), order]),
    )


def _interest(rng: np.random.Generator, people: People, person: Ints) -> Floats:
    """Moments of interest in operational days: some shortly before the first order, the rest at any time."""
    behaviour = people.behaviour
    size = len(person)
    joined, first_purchase = behaviour.joined[person], behaviour.first_purchase[person]
    any_time = joined + rng.random(size) * (behaviour.active_until[person] - joined)
    before = np.maximum(first_purchase - rng.exponential(4, size), joined)
    return np.where((rng.random(size) < 0.15) & (first_purchase < DAYS), before, any_time)
