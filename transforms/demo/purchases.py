"""Orders by Pareto/NBD and Gamma-Gamma, their lines from the shelves, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import DAY, DAYS, SCREEN_HOURS, SHOP_HOURS, clock, day_of, next_open_day, open_day
from transforms.demo.company import Company
from transforms.demo.people import People
from transforms.demo.randomness import Bools, Floats, Ints, starts, taken, weighted, within


@dataclass(frozen=True)
class Orders:
    """One entry per order or return; amounts in cents."""

    person: Ints  # position in the block, -1 for nobody we know
    number: Ints  # company-wide, unique
    wall: Ints
    online: Bools
    in_app: Bools
    store: Ints
    till: Ints
    original: Ints  # position among the sales, -1 for a sale

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Lines:
    """One entry per order line, in the order of ``order``."""

    order: Ints  # position in Orders
    position: Ints  # 1, 2, 3 …
    product: Ints
    quantity: Ints  # thousandths
    gross: Ints
    discount: Ints

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True)
class Baskets:
    """Some orders with their lines and ids; ``lines.order`` is the position among these orders."""

    orders: Orders
    lines: Lines
    order_id: pl.Series
    original: pl.Series  # id of the order that a return takes back


def draw_sales(rng: np.random.Generator, company: Company, people: People, first_number: int) -> Orders:
    """All sales to the people of a block.

    In operational time a buyer's repeat purchases are a Poisson process that ends with the lifetime
    (Pareto/NBD); given their count they are uniform over that stretch.
    """
    behaviour = people.behaviour
    buys = behaviour.first_purchase < DAYS
    stretch = np.where(buys, np.minimum(behaviour.lifetime, DAYS - behaviour.first_purchase), 0).clip(0)
    count = np.where(buys, 1 + rng.poisson(behaviour.purchase_rate * stretch), 0)
    person = np.repeat(np.arange(len(people)), count)
    size = len(person)
    repeat = within(count) > 0
    first_purchase = behaviour.first_purchase[person]
    day = day_of(first_purchase + repeat * rng.random(size) * stretch[person])
    online = rng.random(size) < behaviour.online_share[person]
    first_day = day_of(first_purchase)
    day = np.where(online, day, open_day(rng, day, first_day))
    # the first night and the last evening stay free, so that no session leaves the calendar
    night, evening = np.where(day == 0, 4 * 3600, 0), np.where(day == DAYS - 1, 20 * 3600, DAY)
    time = np.where(online, clock(rng, size, SCREEN_HOURS).clip(night, evening - 1), clock(rng, size, SHOP_HOURS))
    app = online & people.names.has_app[person] & (rng.random(size) < 0.6)
    order = np.arange(size)
    return Orders(
        person=person,
        number=first_number + order,
        wall=day * DAY + time,
        online=online,
        in_app=app,
        store=choose_stores(rng, company, behaviour.stores[person]),
        till=rng.integers(1, 7, size),
        original=np.full(size, -1),
    )


def draw_anonymous_sales(rng: np.random.Generator, company: Company, like: Orders, first_number: int) -> Orders:
    """Till receipts of people who leave no trace, spread over days and stores as the others are."""
    till = np.flatnonzero(~like.online)
    share = company.anonymous_receipts
    size = round(len(till) * share / (1 - share))
    model = till[rng.integers(0, len(till), size)] if len(till) else till
    return Orders(
        person=np.full(len(model), -1),
        number=first_number + np.arange(len(model)),
        wall=like.wall[model] // DAY * DAY + clock(rng, len(model), SHOP_HOURS),
        online=np.zeros(len(model), dtype=bool),
        in_app=np.zeros(len(model), dtype=bool),
        store=like.store[model],
        till=like.till[model],
        original=np.full(len(model), -1),
    )


def choose_stores(rng: np.random.Generator, company: Company, usual: Ints) -> Ints:
    """A store for each occasion: mostly one of the three usual ones, now and then any."""
    size = len(usual)
    slot = weighted(rng, size, [0.58, 0.22, 0.12, 0.08])
    anywhere = rng.integers(0, company.stores, size)
    return np.where(slot == 3, anywhere, np.take_along_axis(usual, slot.clip(max=2)[:, None], axis=1)[:, 0])


def draw_values(rng: np.random.Generator, company: Company, people: People, orders: Orders) -> Floats:
    """Gross value of each order in EUR; strangers spend as the population does."""
    stranger_rate = rng.gamma(company.q, 1 / company.gamma, len(orders))
    rate = np.where(orders.person >= 0, people.behaviour.spend_rate[orders.person], stranger_rate)
    return rng.gamma(company.p, 1.0, len(orders)) / rate


def draw_lines(rng: np.random.Generator, orders: Orders, values: Floats) -> Lines:
    """Split each order's value over its lines and take the products whose list price comes closest.

    The list is dense (0.2 % from price to price), so that line values at list prices still add up to
    the drawn order value within about a per cent.
    """
    count = np.where(orders.online, 1 + rng.poisson(1.1, len(orders)), 1 + rng.poisson(4.0, len(orders)))
    order = np.repeat(np.arange(len(orders)), count)
    size = len(order)
    weight = rng.gamma(1.5, 1.0, size) + 0.05
    total = np.add.reduceat(weight, starts(count)) if size else weight
    cents = values[order] * 100 * weight / total[order]
    units = (1 + weighted(rng, size, [0.82, 0.13, 0.05])) * 1000
    online = orders.online[order]
    product = catalogue.nearest_product(cents * 1000 / units)
    by_weight = ~online & (catalogue.categories()[product] == catalogue.WEIGHED) & (rng.random(size) < 0.5)
    quantity = np.where(by_weight, rng.integers(180, 2_400, size), units)
    gross = np.where(by_weight, cents.astype(np.int64).clip(29), catalogue.prices()[product] * units // 1000)
    reduced = rng.random(size) < 0.11
    discount = np.where(reduced, gross * rng.choice([10, 15, 20, 30], size) // 100, 0)
    return Lines(order, within(count) + 1, product, quantity, gross, discount)


def draw_returns(
    rng: np.random.Generator, company: Company, people: People, sales: Orders, lines: Lines, first_number: int
) -> tuple[Orders, Lines, Ints]:
    """Some orders come back in part or whole within four weeks; web orders now and then at a till.

    The third are the positions among ``lines`` that the returned lines take back.
    """
    size = len(sales)
    rate = np.where(sales.online, company.web_return_rate, company.store_return_rate)
    day = sales.wall // DAY + rng.integers(2, 29, size)
    comes_back = (rng.random(size) < rate) & (day < DAYS) & (sales.person >= 0)
    both = people.behaviour.both[sales.person]
    online = sales.online & ~(both & (rng.random(size) < 0.2))
    original = np.flatnonzero(comes_back)
    count = len(original)
    online, day = online[original], day[original]
    day = np.where(online, day, next_open_day(day))
    # a parcel is booked by day, at the hours of the shops
    wall = day * DAY + clock(rng, count, SHOP_HOURS)
    shop = np.where(sales.online[original], people.behaviour.stores[sales.person[original], 1], sales.store[original])
    returns = Orders(
        person=sales.person[original],
        number=first_number + np.arange(count),
        wall=wall,
        online=online,
        in_app=np.zeros(count, dtype=bool),
        store=shop,
        till=np.full(count, 1),
        original=original,
    )
    back = np.full(size, -1)
    back[original] = np.arange(count)
    chosen = (back[lines.order] >= 0) & ((rng.random(len(lines)) < 0.5) | (lines.position == 1))
    places = np.flatnonzero(chosen)
    order = back[lines.order[places]]
    position = within(np.bincount(order, minlength=count)) + 1
    return returns, replace(taken(lines, places), order=order, position=position), places


def order_ids(orders: Orders) -> pl.Series:
    """Receipt numbers of the tills (store, till, number) and order numbers of the shop."""
    columns = {"store": orders.store + 1, "till": orders.till, "number": orders.number, "online": orders.online}
    number = pl.col("number").cast(pl.String).str.zfill(9)
    receipt = pl.format("{}-{}-{}", pl.col("store").cast(pl.String).str.zfill(3), "till", number)
    return pl.DataFrame(columns).select(pl.when("online").then("W" + number).otherwise(receipt)).to_series()


def baskets(orders: Orders, lines: Lines, chosen: Ints, order_id: pl.Series, original: pl.Series) -> Baskets:
    """The chosen orders with their lines."""
    position = np.full(len(orders), -1)
    position[chosen] = np.arange(len(chosen))
    own = taken(lines, np.flatnonzero(position[lines.order] >= 0))
    own = replace(own, order=position[own.order])
    return Baskets(taken(orders, chosen), own, order_id.gather(chosen), original.gather(chosen))
