"""Sessions in app and web shop, and their events: often before anybody signs in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import DAY, moments, next_open_day, to_utc
from transforms.demo.company import Company
from transforms.demo.identifiers import NO_DEVICE, uuids
from transforms.demo.people import People
from transforms.demo.purchases import Orders
from transforms.demo.randomness import Bools, Ints, hexadecimal, pick, starts
from transforms.demo.rows import Rows, truth_columns
from transforms.demo.touchpoints import Occasions

SOURCE = "app_events"
# Events of a session in their order; a session has some of each.
_STEPS = [
    "screen_view", "search", "product_view", "login", "product_view", "add_to_cart", "checkout", "purchase", "referral",
]  # fmt: skip
_LOGIN, _CART, _PURCHASE = 3, 5, 7
_PAGES = ["/home", "/search", "/p/", "/login", "/p/", "/cart", "/checkout", "/thank-you", "/invite"]
_NAMES_PRODUCT = np.array([page == "/p/" for page in _PAGES])
_OF_PRODUCT = np.array([False, False, True, False, True, True, False, False, False])
_PLATFORMS = ["ios", "android", "web", "kiosk"]
_CAMPAIGNS = ["newsletter", "search_ad", "instagram", "price_portal", "push", "affiliate"]


@dataclass(frozen=True)
class Sessions:
    """One entry per session; ``wall`` is the start, or the moment of purchase where there is one."""

    person: Ints
    wall: Ints
    order: Ints
    platform: Ints
    device: pl.Series
    device_is_own: Bools  # the device belongs to this person alone
    at_kiosk: Bools
    signed_in: Bools  # from the first event on
    signs_in: Bools  # on the way

    def __len__(self) -> int:
        return len(self.person)


def draw_sessions(
    rng: np.random.Generator,
    company: Company,
    kiosks: int,
    people: People,
    occasions: Occasions,
    sales: Orders,
    order_signed_in: Bools,
) -> Sessions:
    """Decide on which device each session runs and whether the person is, or gets, signed in."""
    names, person, size = people.names, occasions.person, len(occasions)
    has_order = occasions.order >= 0
    order = occasions.order.clip(0)
    # everybody's first session runs on a device of their own, in the app where they have it; accounts are opened in it
    in_time = np.lexsort((occasions.wall, person))
    first = np.zeros(size, dtype=bool)
    first[in_time[np.unique(person[in_time], return_index=True)[1]]] = True
    browses_in_app = names.has_app[person] & (first | (rng.random(size) < 0.6))
    in_app = np.where(has_order, sales.in_app[order] if len(sales) else False, browses_in_app)
    has_account = names.has_account[person]
    on_tablet = ~in_app & ~first & names.has_tablet[person] & (rng.random(size) < 0.45)
    may_kiosk = ~first & people.behaviour.both[person] & has_account & ~has_order
    at_kiosk = may_kiosk & _once_for_some(rng, person, may_kiosk, company.kiosk_users)
    in_app, on_tablet = in_app & ~at_kiosk, on_tablet & ~at_kiosk
    # phones that hide their id report zeros
    hidden = in_app & ~first & (rng.random(size) < company.placeholders * 2)

    stays = ~first & (rng.random(size) < np.where(in_app, 0.55, 0.25))
    with_account = np.where(has_order, order_signed_in[order] if len(sales) else False, has_account)
    signed_in = with_account & stays & ~at_kiosk
    signs_in = with_account & ~signed_in & (first | has_order | at_kiosk | (rng.random(size) < 0.40))

    device = names.browser.gather(person)
    own_phone, kiosk = np.flatnonzero(in_app), np.flatnonzero(at_kiosk)
    device = device.scatter(own_phone, names.phone_device.at(person[own_phone], occasions.wall[own_phone]))
    device = device.scatter(np.flatnonzero(on_tablet), names.tablet.gather(person[on_tablet]))
    device = device.scatter(kiosk, uuids(rng.integers(0, kiosks, len(kiosk)), 51))
    device = device.scatter(np.flatnonzero(hidden), NO_DEVICE)
    ios = (person * 2_654_435_761 % 97) < 45
    platform = np.where(at_kiosk, 3, np.where(in_app, np.where(ios, 0, 1), 2))
    # a kiosk stands in a shop: between nine and seven on an open day
    shop_time = next_open_day(occasions.wall // DAY) * DAY + 9 * 3600 + occasions.wall % (10 * 3600)
    wall = np.where(at_kiosk, shop_time, occasions.wall)
    return Sessions(
        person, wall, occasions.order, platform, device, ~(on_tablet | at_kiosk | hidden), at_kiosk, signed_in, signs_in
    )


def _once_for_some(rng: np.random.Generator, person: Ints, possible: Bools, share: float) -> Bools:
    """One possible session of each of a share of people."""
    places = np.flatnonzero(possible)
    once = places[np.unique(person[places], return_index=True)[1]]
    chosen = np.zeros(len(person), dtype=bool)
    chosen[once] = rng.random(len(once)) < share
    return chosen


def event_rows(
    rng: np.random.Generator, people: People, sessions: Sessions, order_number: pl.Series, first_event: int
) -> Rows:
    """Events of the sessions, in time order within each; ids count from ``first_event``."""
    counts = _steps(rng, sessions)
    per_session = counts.sum(axis=1)
    session = np.repeat(np.arange(len(sessions)), per_session)
    step = np.repeat(np.tile(np.arange(len(_STEPS)), len(sessions)), counts.ravel())
    size = len(session)
    opening = np.zeros(size, dtype=bool)
    opening[starts(per_session)] = True

    elapsed = _elapsed(rng, sessions, session, step, opening)
    begun = to_utc(sessions.wall) * 1000 + rng.integers(0, 1000, len(sessions))
    start = begun[session] + elapsed
    # a login tells what the account has on file; from then on the events carry its id
    login = step == _LOGIN
    verifies = rng.random(len(people)) < 0.65  # by a code to their mobile
    known = sessions.signed_in[session] | (sessions.signs_in[session] & (step >= _LOGIN))
    person = sessions.person[session]
    # people come back to one article, and that is what they put into the cart
    wanted = rng.integers(0, catalogue.PRODUCTS, len(sessions))[session]
    other = (step != _CART) & (rng.random(size) < 0.5)
    article = np.where(other, rng.integers(0, catalogue.PRODUCTS, size), wanted)
    product = pick(catalogue.product_ids(), article, _OF_PRODUCT[step])
    page = pl.Series(_PAGES).gather(step) + pick(product, np.arange(size), _NAMES_PRODUCT[step]).fill_null("")
    campaign = opening & (rng.random(size) < 0.28)
    event_id = hexadecimal(np.arange(size) + first_event, 61)
    order = sessions.order[session]
    frame = pl.DataFrame(
        {
            "id": event_id,
            "ts": moments(start // 1000, start % 1000).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
            "name": pl.Series(_STEPS).gather(step),
            "channel": pl.Series(["app", "app", "web", "web"]).gather(sessions.platform[session]),
            "platform": pl.Series(_PLATFORMS).gather(sessions.platform[session]),
            "device": sessions.device.gather(session),
            "user": pick(people.names.account, person, known),
            "loyalty": pick(people.names.card, person, login & people.names.card_linked[person]),
            "email": people.names.email.at(person, sessions.wall[session], login),
            "phone": "+49" + people.names.mobile.at(person, sessions.wall[session], login & verifies[person]),
            "session": hexadecimal(np.arange(len(sessions)) + first_event, 62).gather(session),
            "page": page,
            "sku": product,
            "order": pick(order_number, order.clip(0), (step == _PURCHASE) & (order >= 0)),
            "campaign": pick(pl.Series(_CAMPAIGNS), rng.integers(0, len(_CAMPAIGNS), size), campaign),
        }
    )
    nobody = sessions.at_kiosk[session] & ~known
    usable = known | sessions.device_is_own[session]
    # files go by the local day of the event
    wall = sessions.wall[session] + elapsed // 1000
    record = SOURCE + ":" + event_id
    return Rows(SOURCE, frame.with_columns(truth_columns(people, np.where(nobody, -1, person), wall, record, usable)))


def _steps(rng: np.random.Generator, sessions: Sessions) -> Ints:
    """How many events of each step every session has."""
    size = len(sessions)
    buys = sessions.order >= 0
    cart = buys | (rng.random(size) < 0.22)
    checkout = buys | (cart & (rng.random(size) < 0.25))
    columns = [
        np.ones(size, dtype=np.int64),
        (rng.random(size) < 0.35).astype(np.int64),
        rng.poisson(1.2, size),
        sessions.signs_in.astype(np.int64),
        rng.poisson(np.where(buys, 1.2, 0.9)),
        np.where(cart, 1 + rng.poisson(0.35, size), 0),
        checkout.astype(np.int64),
        buys.astype(np.int64),
        (~buys & (rng.random(size) < 0.012)).astype(np.int64),
    ]
    return np.stack(columns, axis=1)


def _elapsed(rng: np.random.Generator, sessions: Sessions, session: Ints, step: Ints, opening: Bools) -> Ints:
    """Milliseconds from the start of each session; a session with a purchase starts so that it falls on the order."""
    gap = np.where(opening, 0, 1_200 + np.minimum(rng.exponential(38_000, len(session)), 1_200_000)).astype(np.int64)
    total = np.cumsum(gap)
    first = np.repeat(np.flatnonzero(opening), np.diff(np.append(np.flatnonzero(opening), len(session))))
    elapsed = total - total[first]
    purchase = np.flatnonzero(step == _PURCHASE)
    shift = np.zeros(len(sessions), dtype=np.int64)
    shift[session[purchase]] = elapsed[purchase]
    return elapsed - shift[session]
