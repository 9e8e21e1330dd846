"""Orders of web shop and app: typed columns, UTC."""

from __future__ import annotations

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import moments, to_utc
from transforms.demo.company import Company
from transforms.demo.identifiers import PLACEHOLDER_EMAILS, PLACEHOLDER_PHONES, mistype, overwrite, spell_phones
from transforms.demo.people import People
from transforms.demo.purchases import Baskets, Orders
from transforms.demo.randomness import Bools, Ints, pick
from transforms.demo.rows import Rows, present, truth_columns

SOURCE = "web_orders"


def by_account(rng: np.random.Generator, people: People, orders: Orders) -> Bools:
    """Orders that people place signed in; the others are guest orders."""
    return orders.online & people.names.has_account[orders.person] & (rng.random(len(orders)) < 0.85)


def web_rows(rng: np.random.Generator, company: Company, people: People, sold: Baskets, signed_in: Bools) -> Rows:
    """Rows of orders placed online; ``signed_in`` says which of them by an account."""
    orders, lines, order = sold.orders, sold.lines, sold.lines.order
    who, usable = _identify(rng, company, people, orders, signed_in)
    is_return = (orders.original[order] >= 0).astype(np.int64)
    quantity = lines.quantity // 1000
    channel = orders.in_app[order].astype(np.int64)
    frame = pl.DataFrame(
        {
            "order_number": sold.order_id.gather(order),
            "line_no": pl.Series(lines.position, dtype=pl.Int32),
            "created_at": moments(to_utc(orders.wall)).dt.replace_time_zone("UTC").gather(order),
            "sales_channel": pl.Series(["WEBSHOP", "APP"]).gather(channel),
            "kind": pl.Series(["order", "return"]).gather(is_return),
            "sku": catalogue.product_ids().gather(lines.product),
            "category": catalogue.category_names().gather(lines.product),
            "quantity": pl.Series(quantity, dtype=pl.Int32),
            "unit_price": _decimals(lines.gross // quantity),
            "discount": _decimals(lines.discount),
            "currency": pl.Series(["EUR"]).gather(np.zeros(len(lines), dtype=np.int64)),
            "return_of": sold.original.gather(order),
            "account_id": who["account"].gather(order),
            "customer_email": who["email"].gather(order),
            "customer_phone": who["phone"].gather(order),
            "loyalty_number": who["card"].gather(order),
            "payment_token": who["token"].gather(order),
        }
    )
    record = frame.select(pl.format(SOURCE + ":{}:{}", "order_number", "line_no")).to_series()
    return Rows(
        SOURCE,
        frame.with_columns(truth_columns(people, orders.person[order], orders.wall[order], record, usable[order])),
    )


def _decimals(cents: Ints) -> pl.Series:
    # from text: a cast from float would leave the last digit to binary fractions
    text = pl.Series(cents // 100).cast(pl.String) + "." + pl.Series(cents % 100).cast(pl.String).str.zfill(2)
    return text.cast(pl.Decimal(18, 2))


def _identify(
    rng: np.random.Generator, company: Company, people: People, orders: Orders, signed_in: Bools
) -> tuple[dict[str, pl.Series], Bools]:
    size, names, person = len(orders), people.names, orders.person
    joint = names.has_joint[person] & (rng.random(size) < 0.40)
    by_card = rng.random(size) < 0.82  # the others pay by invoice
    account = pick(names.account, person, signed_in)
    card = pick(names.card, person, signed_in & names.card_linked[person])
    # guests type their address and slip now and then, accounts have it on file
    email = names.email.at(person, orders.wall, ~signed_in | (rng.random(size) < 0.97))
    slipped = ~signed_in & (rng.random(size) < company.mistyped_emails * 2)
    email = mistype(rng, email, slipped)
    email, faked = overwrite(rng, email, company.placeholders, PLACEHOLDER_EMAILS)
    email = _odd_case(rng, email)
    phone = spell_phones(rng, names.mobile.at(person, orders.wall, rng.random(size) < 0.55))
    phone, no_phone = overwrite(rng, phone, company.placeholders, PLACEHOLDER_PHONES)
    token = pick(names.token, person, by_card & ~joint)
    shared = np.flatnonzero(by_card & joint)
    token = token.scatter(shared, names.joint_token.gather(person[shared]))
    usable = signed_in | (present(email) & ~slipped & ~faked) | (present(phone) & ~no_phone) | (by_card & ~joint)
    return {"account": account, "card": card, "email": email, "phone": phone, "token": token}, usable


def _odd_case(rng: np.random.Generator, addresses: pl.Series) -> pl.Series:
    """Some addresses in capitals or with a blank at the end, as forms let them through."""
    style = rng.random(len(addresses))
    frame = pl.DataFrame({"text": addresses, "style": style})
    return frame.select(
        pl.when(pl.col("style") < 0.02)
        .then(pl.col("text").str.to_uppercase())
        .when(pl.col("style") < 0.03)
        .then(pl.col("text") + " ")
        .otherwise("text")
    ).to_series()
