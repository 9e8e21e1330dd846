"""Store visits as sensors see them: entries and exits, in some stores single sightings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import DAY, DAYS, SHOP_HOURS, clock, moments, next_open_day, utc_offset
from transforms.demo.company import Company
from transforms.demo.identifiers import NO_DEVICE, overwrite, uuids
from transforms.demo.people import People
from transforms.demo.purchases import Orders, choose_stores
from transforms.demo.randomness import Bools, Ints, hexadecimal, pick, within
from transforms.demo.rows import Rows, truth_columns
from transforms.demo.touchpoints import Occasions

SOURCE = "store_visits"
COLUMNS = ["visit_ref", "site", "site_type", "seen_from", "seen_until", "sensor", "device", "card", "wifi_login"]
_MEDIAN_DWELL = np.array([1_080, 1_500, 2_700])  # seconds, by type of store
_CLOSING = 22 * 3600
_ANONYMOUS = 0.03  # beside the visits of people
_SIGHTING_EVERY = 20
"""Each twentieth store has old sensors that report sightings instead of visits."""


@dataclass(frozen=True)
class Visits:
    """One entry per visit; ``person`` is -1 for nobody we know."""

    person: Ints
    store: Ints
    entered: Ints
    dwell: Ints
    device: pl.Series
    card: pl.Series
    email: pl.Series
    usable: Bools

    def __len__(self) -> int:
        return len(self.person)


def draw_visits(
    rng: np.random.Generator, company: Company, people: People, occasions: Occasions, sales: Orders
) -> Visits:
    """Visits of the people of a block, and some that are only counted at the door: no device, nobody's."""
    strangers = rng.integers(0, len(occasions), round(len(occasions) * _ANONYMOUS)) if len(occasions) else []
    chosen = np.concatenate([np.arange(len(occasions)), np.asarray(strangers, dtype=np.int64)])
    nobody = np.arange(len(chosen)) >= len(occasions)
    size, person = len(chosen), occasions.person[chosen]
    order = np.where(nobody, -1, occasions.order[chosen])
    with_order, order = order >= 0, order.clip(0)
    store = choose_stores(rng, company, people.behaviour.stores[person])
    store = np.where(with_order, sales.store[order] if len(sales) else 0, store)
    kind = catalogue.store_types(company.stores)[store]
    dwell = np.rint(_MEDIAN_DWELL[kind] * rng.lognormal(0, 0.6, size)).astype(np.int64).clip(120, 4 * 3600)
    # who buys is at the till in the last third of the visit
    entered = occasions.wall[chosen] - np.where(with_order, dwell * rng.uniform(0.65, 0.97, size), 0).astype(np.int64)
    dwell = np.minimum(dwell, entered // DAY * DAY + _CLOSING - entered)

    names = people.names
    has_app, has_card = names.has_app[person], names.has_card[person]
    # beacons know the phones that have the app; other phones are seen when they sign in to the Wi-Fi
    by_email = ~nobody & (rng.random(size) < np.where(has_app, 0.07, np.where(has_card, 0.25, 1.0)))
    by_device = ~nobody & (by_email | (has_app & (rng.random(size) < 0.88)))
    by_card = ~nobody & has_card & (~by_device | (rng.random(size) < 0.18))
    by_device |= ~nobody & ~by_card & ~by_email
    device = names.phone_device.at(person, entered, by_device)
    device, hidden = overwrite(rng, device, company.placeholders, [NO_DEVICE])
    return Visits(
        person=np.where(nobody, -1, person),
        store=store,
        entered=entered,
        dwell=dwell,
        device=device,
        card=pick(names.card, person, by_card),
        email=names.email.at(person, entered, by_email),
        usable=(by_device & ~hidden) | by_card | by_email,
    )


def house_visits(rng: np.random.Generator, company: Company, devices: int) -> Visits:
    """Devices of cleaners and couriers: seen twice in each of sixty stores, owned by nobody of interest."""
    stores = min(company.stores, 60)
    store = np.concatenate([rng.permutation(company.stores)[:stores] for _ in range(devices)])
    store, device = np.tile(store, 2), np.tile(np.repeat(np.arange(devices), stores), 2)
    size = len(store)
    no_text = pl.Series([None], dtype=pl.String).gather(np.zeros(size, dtype=np.int64))
    return Visits(
        person=np.full(size, -1),
        store=store,
        entered=next_open_day(rng.integers(0, DAYS, size)) * DAY + clock(rng, size, SHOP_HOURS),
        dwell=rng.integers(300, 2_400, size),
        device=uuids(device, 71),
        card=no_text,
        email=no_text,
        usable=np.zeros(size, dtype=bool),
    )


def visit_rows(company: Company, people: People, visits: Visits, first_visit: int) -> Rows:
    """Rows of the visits, in local time with its offset; ids count from ``first_visit``."""
    sighting = visits.store % _SIGHTING_EVERY == _SIGHTING_EVERY - 1
    # a sighting every eight minutes: far enough below the half hour that parts two visits
    count = np.where(sighting, 2 + visits.dwell // 480, 1)
    visit = np.repeat(np.arange(len(visits)), count)
    part, parts, seen = within(count), count[visit], sighting[visit]
    size = len(visit)
    begun = visits.entered[visit] + np.where(seen, visits.dwell[visit] * part // np.maximum(parts - 1, 1), 0)
    ended = visits.entered[visit] + visits.dwell[visit]
    stores = visits.store[visit]
    types = pl.Series(catalogue.STORE_TYPES).gather(catalogue.store_types(company.stores))
    number = np.arange(size) + first_visit
    reference = "V" + hexadecimal(number, 63)
    frame = pl.DataFrame(
        {
            "visit_ref": reference,
            "site": catalogue.store_ids(company.stores).gather(stores),
            "site_type": types.gather(stores),
            "seen_from": _with_offset(begun),
            "seen_until": pick(_with_offset(ended), np.arange(size), ~seen),
            "sensor": pl.Series(["beacon", "sighting"]).gather(seen.astype(np.int64)),
            "device": visits.device.gather(visit),
            "card": visits.card.gather(visit),
            "wifi_login": visits.email.gather(visit),
        }
    )
    person = visits.person[visit]
    return Rows(
        SOURCE,
        frame.with_columns(truth_columns(people, person, begun, SOURCE + ":" + reference, visits.usable[visit])),
    )


def _with_offset(wall: Ints) -> pl.Series:
    """ISO 8601 with the offset that the wall clock had."""
    text = moments(wall).dt.strftime("%Y-%m-%dT%H:%M:%S")
    return text + pl.Series(["+01:00", "+02:00"]).gather(utc_offset(wall) // 3600 - 1)
