"""The people of one block: how they buy, which channels they use, what they are known by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo import identifiers as ids
from transforms.demo.almanac import DAY, DAYS, END, calendar, day_of
from transforms.demo.catalogue import draw_stores
from transforms.demo.company import Company
from transforms.demo.identifiers import Changing
from transforms.demo.randomness import Bools, Floats, Ints, exact_categories, pick

USES = ["online_only", "both", "offline_only"]


@dataclass(frozen=True)
class Behaviour:
    """One entry per person; times and rates in operational days."""

    use: Ints  # position in USES
    mostly_online: Bools
    buyer: Bools
    joined: Floats
    first_purchase: Floats  # beyond the last day for those who never buy
    purchase_rate: Floats
    dropout_rate: Floats
    lifetime: Floats  # from the first purchase to the silent end of the relationship
    spend_rate: Floats  # nu of Gamma-Gamma: order values are Gamma(p, nu)
    online_share: Floats  # of the person's orders
    active_until: Floats  # last day of any interest
    eagerness: Floats  # multiplies visits, sessions and calls; mean 1
    stores: Ints  # usual supermarket, department store and mall, one column each

    @property
    def both(self) -> Bools:
        """People of both channels."""
        return self.use == 1


@dataclass(frozen=True)
class Names:
    """What people are known by; null where a person has none."""

    account: pl.Series
    card: pl.Series
    email: Changing
    mobile: Changing
    landline: pl.Series  # of the household
    phone_device: Changing
    browser: pl.Series
    tablet: pl.Series  # of the household
    token: pl.Series
    joint_token: pl.Series  # of the household
    has_account: Bools
    has_card: Bools
    card_linked: Bools
    has_app: Bools
    has_tablet: Bools
    has_joint: Bools


@dataclass(frozen=True)
class People:
    """A block of people, ``first`` being the company-wide number of its first one."""

    first: int
    household: Ints
    behaviour: Behaviour
    names: Names

    def __len__(self) -> int:
        return len(self.household)

    @property
    def person_id(self) -> pl.Series:
        """Ids of the planted truth; no source ever shows them."""
        numbers = pl.Series(np.arange(len(self)) + self.first + 1)
        return "P" + numbers.cast(pl.String).str.zfill(7)


def draw_people(rng: np.random.Generator, company: Company, first: int, size: int) -> People:
    """People numbered from ``first``; couples are neighbours, so that a block holds whole households."""
    number = np.arange(size)
    partner_of_previous = (number % 2 == 1) & np.repeat(rng.random((size + 1) // 2) < company.in_couples, 2)[:size]
    household = number - partner_of_previous
    behaviour = _draw_behaviour(rng, company, size, household)
    in_couple = partner_of_previous | np.append(partner_of_previous[1:], [False])
    names = _draw_names(rng, company, first, household, in_couple, behaviour)
    return People(first, household + first, behaviour, names)


def _draw_behaviour(rng: np.random.Generator, company: Company, size: int, household: Ints) -> Behaviour:
    # both channels, mostly online / both, mostly offline / one channel only: shares met exactly
    mostly_online_both = company.mostly_online - company.online_only
    shares = [company.online_only, mostly_online_both, company.both_channels - mostly_online_both, company.offline_only]
    kind = exact_categories(rng, size, shares)
    use = np.array([0, 1, 1, 2])[kind]
    online_share = np.choose(kind, [np.ones(size), rng.beta(9, 2.2, size), rng.beta(2, 7, size), np.zeros(size)])
    buyer = exact_categories(rng, size, [1 - company.buyers, company.buyers]) == 1
    # A third comes with the launch of card, app and shop, the others all along.
    at_launch = rng.random(size) < 0.33
    joined = np.where(at_launch, rng.exponential(35, size), rng.uniform(0, DAYS - 3, size)).clip(0, DAYS - 3)
    first_purchase = np.where(buyer, joined + rng.exponential(10, size), np.inf)
    dropout_rate = rng.gamma(company.s, 1 / company.beta, size)
    lifetime = rng.standard_exponential(size) / dropout_rate.clip(1e-12)
    until_bought = first_purchase + lifetime + rng.exponential(40, size)
    until = np.where(buyer, until_bought, joined + rng.exponential(100, size)).clip(joined + 1, DAYS)
    usual = np.stack([draw_stores(rng, company, kind_of_store, size) for kind_of_store in range(3)], axis=1)
    return Behaviour(
        use=use,
        mostly_online=kind <= 1,
        buyer=buyer,
        joined=joined,
        first_purchase=first_purchase,
        purchase_rate=rng.gamma(company.r, 1 / company.alpha, size),
        dropout_rate=dropout_rate,
        lifetime=lifetime,
        spend_rate=rng.gamma(company.q, 1 / company.gamma, size),
        online_share=online_share,
        active_until=until,
        eagerness=rng.gamma(1.6, 1 / 1.6, size),
        stores=usual[household],
    )


def _draw_names(
    rng: np.random.Generator, company: Company, first: int, household: Ints, in_couple: Bools, behaviour: Behaviour
) -> Names:
    size = len(household)
    index, home = np.arange(size) + first, household + first
    joined = day_of(behaviour.joined) * DAY
    online, offline = behaviour.use <= 1, behaviour.use >= 1
    of_home = rng.random(size)[household]
    has_landline = of_home < company.household_landlines
    has_tablet = in_couple & online & (rng.random(size)[household] < company.couples_with_tablet)
    has_joint = in_couple & (rng.random(size)[household] < company.couples_with_joint_card)
    has_account = online & (rng.random(size) < company.accounts)
    has_card = offline & (rng.random(size) < company.cards)

    email_changes = _moments(rng, joined, company.email_changes)
    mobile_changes = _moments(rng, joined, company.mobile_changes)
    phone_changes = _moments(rng, joined, company.phone_changes)
    twice = np.concatenate([index * 2, index * 2 + 1])
    mobile = _hand_down(rng, ids.mobiles(twice), mobile_changes, joined, company.recycled_numbers)
    device = _hand_down(rng, ids.uuids(twice, 21), phone_changes, joined, company.resold_phones)
    return Names(
        account=pick(ids.accounts(index), np.arange(size), has_account),
        card=pick(ids.card_numbers(index), np.arange(size), has_card),
        email=Changing(ids.emails(rng, index), email_changes),
        mobile=Changing(mobile, mobile_changes),
        landline=pick(ids.landlines(home), np.arange(size), has_landline),
        phone_device=Changing(device, phone_changes),
        browser=pick(ids.uuids(index, 31), np.arange(size), online),
        tablet=pick(ids.uuids(home, 41), np.arange(size), has_tablet),
        token=ids.payment_tokens(index * 2),
        joint_token=pick(ids.payment_tokens(home * 2 + 1), np.arange(size), has_joint),
        has_account=has_account,
        has_card=has_card,
        card_linked=has_account & has_card & (rng.random(size) < company.linked_cards),
        has_app=online & (rng.random(size) < company.apps),
        has_tablet=has_tablet,
        has_joint=has_joint,
    )


def _moments(rng: np.random.Generator, joined: Ints, share: float) -> Ints:
    """When each person changes something: a share of people between joining and the end, the others never."""
    changes = rng.random(len(joined)) < share
    moment = joined + (rng.random(len(joined)) * (END - joined)).astype(np.int64)
    return np.where(changes, moment, END)


def _hand_down(rng: np.random.Generator, values: pl.Series, changes_at: Ints, joined: Ints, share: float) -> pl.Series:
    """Give what some people have given up to people who join 90 days later or more, as their first value."""
    size = len(joined)
    givers = np.flatnonzero(changes_at < END)
    givers = rng.permutation(givers)[: max(1, round(share * size))]
    by_joining = np.argsort(joined, kind="stable")
    earliest = np.searchsorted(joined[by_joining], changes_at[givers] + 90 * DAY)
    possible = earliest < size
    givers, earliest = givers[possible], earliest[possible]
    takers = by_joining[earliest + (rng.random(len(givers)) * (size - earliest)).astype(np.int64)]
    # one taker for each value and one value for each taker
    takers, kept = np.unique(takers, return_index=True)
    return values.scatter(takers, values.gather(givers[kept]))


def truth_of(people: People, company: Company) -> dict[str, pl.Series]:
    """Columns of truth/people.parquet that are known before anything happens.

    Rates are per operational day (almanac.py), which is a calendar day on average; ``lifetime_days`` runs
    from the first purchase, ``mean_order_value`` is p/nu of Gamma-Gamma in EUR, gross. The rest is what
    the person is known by, with the value that a later one replaces first.
    """
    behaviour, names = people.behaviour, people.names
    days = pl.Series(calendar())
    bought = behaviour.first_purchase < DAYS
    ended = behaviour.first_purchase + behaviour.lifetime
    return {
        "person_id": people.person_id,
        "household_id": "H" + pl.Series(people.household + 1).cast(pl.String).str.zfill(7),
        "channel_use": pl.Series(USES).gather(behaviour.use),
        "is_mostly_online": pl.Series(behaviour.mostly_online),
        "is_buyer": pl.Series(bought),
        "joined_on": days.gather(day_of(behaviour.joined)),
        "first_purchase_operational_day": pl.Series(np.where(bought, behaviour.first_purchase, np.nan)).fill_nan(None),
        "purchase_rate": pl.Series(behaviour.purchase_rate),
        "dropout_rate": pl.Series(behaviour.dropout_rate),
        "lifetime_days": pl.Series(behaviour.lifetime),
        "is_alive_at_end": pl.Series(bought & (ended >= DAYS)),
        "mean_order_value": pl.Series(company.p / behaviour.spend_rate),
        "online_order_share": pl.Series(behaviour.online_share),
        "account": names.account,
        "card": names.card,
        "email": names.email.first(),
        "later_email": names.email.second(),
        "mobile": names.mobile.first(),
        "later_mobile": names.mobile.second(),
        "landline": names.landline,
        "phone_device": names.phone_device.first(),
        "later_phone_device": names.phone_device.second(),
        "browser": names.browser,
        "tablet": names.tablet,
        "payment_token": names.token,
        "joint_payment_token": names.joint_token,
    }
