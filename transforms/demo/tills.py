"""Receipts of the tills: German headers, decimal comma, local time."""

from __future__ import annotations

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import moments
from transforms.demo.company import Company
from transforms.demo.identifiers import PLACEHOLDER_CARDS, card_numbers, overwrite
from transforms.demo.people import People
from transforms.demo.purchases import Baskets, Orders
from transforms.demo.randomness import Bools, pick
from transforms.demo.rows import Rows, money, present, thousandths, truth_columns

SOURCE = "pos_sales"
COLUMNS = [
    "Bon_Nr", "Position", "Zeitpunkt", "Filiale", "Kasse", "Vorgang", "Artikel", "Warengruppe", "Menge", "Bruttobetrag",
    "Rabatt", "Kundenkarte", "Zahlungstoken", "Ursprungsbon",
]  # fmt: skip
_CASHIER_CARDS_FROM = 10**9
"""Numbers of the cashiers' own cards begin here, beyond those of any customer."""


def till_rows(rng: np.random.Generator, company: Company, cashier_cards: int, people: People, sold: Baskets) -> Rows:
    """Rows of orders placed at the tills."""
    orders, lines, order = sold.orders, sold.lines, sold.lines.order
    card, token, usable = _identify(rng, company, cashier_cards, people, orders)
    is_return = orders.original[order] >= 0
    frame = pl.DataFrame(
        {
            "Bon_Nr": sold.order_id.gather(order),
            "Position": pl.Series(lines.position).cast(pl.String),
            "Zeitpunkt": moments(orders.wall).dt.strftime("%d.%m.%Y %H:%M:%S").gather(order),
            "Filiale": catalogue.store_ids(company.stores).gather(orders.store[order]),
            "Kasse": pl.Series(orders.till[order]).cast(pl.String),
            "Vorgang": pl.Series(["VERKAUF", "RETOURE"]).gather(is_return.astype(np.int64)),
            "Artikel": catalogue.product_ids().gather(lines.product),
            "Warengruppe": _quoted_categories().gather(lines.product),
            "Menge": thousandths(lines.quantity, ","),
            "Bruttobetrag": money(lines.gross, ","),
            "Rabatt": money(lines.discount, ","),
            "Kundenkarte": card.gather(order),
            "Zahlungstoken": token.gather(order),
            "Ursprungsbon": sold.original.gather(order),
        }
    )
    record = frame.select(pl.format(SOURCE + ":{}:{}", "Bon_Nr", "Position")).to_series()
    return Rows(
        SOURCE,
        frame.with_columns(truth_columns(people, orders.person[order], orders.wall[order], record, usable[order])),
    )


def _quoted_categories() -> pl.Series:
    names = catalogue.category_names()
    return (
        pl.DataFrame({"name": names})
        .select(pl.when(pl.col("name").str.contains(";")).then(pl.format('"{}"', "name")).otherwise("name"))
        .to_series()
    )


def _identify(
    rng: np.random.Generator, company: Company, cashier_cards: int, people: People, orders: Orders
) -> tuple[pl.Series, pl.Series, Bools]:
    """Customer card and payment token of each order, and where they name their person.

    Who forgets the card pays by payment card, who pays cash shows the customer card; strangers pay
    cash, and now and then the cashier passes their own card over the till to collect the points.
    """
    size, names = len(orders), people.names
    known = orders.person >= 0
    person = orders.person.clip(0)
    shows = known & names.has_card[person] & (rng.random(size) < 0.80)
    joint = known & names.has_joint[person] & (rng.random(size) < 0.40)
    by_token = known & (~shows | (rng.random(size) < 0.60))
    card = pick(names.card, person, shows)
    token = pick(names.token, person, by_token & ~joint)
    shared = np.flatnonzero(by_token & joint)
    token = token.scatter(shared, names.joint_token.gather(person[shared]))
    card, faked = overwrite(rng, card, company.placeholders, PLACEHOLDER_CARDS)
    # of strangers one in ten gets the cashier's card, of customers without theirs one in thirty
    lent = ~shows & (rng.random(size) < np.where(known, 1 / 30, 1 / 10))
    cards = card_numbers(_CASHIER_CARDS_FROM + np.arange(cashier_cards))
    places = np.flatnonzero(lent)
    card = card.scatter(places, cards.gather(rng.integers(0, cashier_cards, len(places))))
    usable = (shows & ~faked) | (present(token) & ~joint)
    return card, token, usable
