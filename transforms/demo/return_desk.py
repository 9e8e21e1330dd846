"""Slips of the return desk: why goods came back, in which state, and what was paid for them."""

from __future__ import annotations

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import DAY, END, moments
from transforms.demo.company import Company
from transforms.demo.people import People
from transforms.demo.purchases import Lines, Orders
from transforms.demo.randomness import Bools, Ints, pick, weighted
from transforms.demo.rows import Rows, money, present, thousandths, truth_columns

SOURCE = "returns_desk"
COLUMNS = [
    "slip", "pos", "booked", "receipt", "sold_on", "sold_pos", "article", "pieces", "reason", "remark", "state",
    "decision", "refund", "currency", "paid", "place", "email", "phone", "card", "account", "token",
]  # fmt: skip
_BOOKED = 0.85  # share of returns that the desk writes a slip for; the others are settled at the till
_REASONS = ["DEFECT", "DAMAGED", "WRONG_ITEM", "NOT_AS_DESCRIBED", "WRONG_SIZE", "LATE", "CHANGED_MIND"]
_REASON_WEIGHTS = [0.16, 0.12, 0.08, 0.14, 0.20, 0.08, 0.22]
_STATES = ["NEW", "OPENED", "USED", "DAMAGED"]
_REMARKS = ["passt nicht", '"Naht offen; links"', "Kratzer", "zu klein", "gefällt nicht", "kam zu spät"]


def slip_rows(
    rng: np.random.Generator,
    company: Company,
    people: People,
    returns: Orders,
    lines: Lines,
    sold: Lines,
    origin: Ints,
    return_id: pl.Series,
    order_id: pl.Series,
) -> Rows:
    """Rows of the slips, one for each returned line.

    ``lines`` are the lines of ``returns``, ``origin`` their positions among ``sold``; ``return_id`` and
    ``order_id`` name the returns and the sales.
    """
    by_desk = rng.random(len(returns)) < _BOOKED
    chosen = np.flatnonzero(by_desk[lines.order])
    order, source_line = lines.order[chosen], origin[chosen]
    size, person, online = len(chosen), returns.person[order], returns.online[order]
    wall = returns.wall[order]
    reason = weighted(rng, size, _REASON_WEIGHTS)
    state = np.where(reason <= 1, 3, weighted(rng, size, [0.4, 0.45, 0.15, 0.0]))
    refused = (state == 2) & (rng.random(size) < 0.2)
    paid = np.minimum(wall + np.where(online, rng.integers(1, 8, size) * DAY, rng.integers(60, 600, size)), END - 1)
    refund = np.where(refused, 0, lines.gross[chosen] - lines.discount[chosen])
    settled = ~refused
    who, named = _identify(rng, people, returns)
    everyone = np.arange(size)
    slip = "R-" + return_id.gather(order)
    position = pl.Series(lines.position[chosen]).cast(pl.String)
    frame = pl.DataFrame(
        {
            "slip": slip,
            "pos": position,
            "booked": _local(wall),
            "receipt": return_id.gather(order),
            "sold_on": order_id.gather(returns.original[order]),
            "sold_pos": pl.Series(sold.position[source_line]).cast(pl.String),
            "article": catalogue.product_ids().gather(lines.product[chosen]),
            "pieces": thousandths(lines.quantity[chosen], "."),
            "reason": pl.Series(_REASONS).gather(reason),
            "remark": pick(pl.Series(_REMARKS), rng.integers(0, len(_REMARKS), size), rng.random(size) < 0.2),
            "state": pl.Series(_STATES).gather(state),
            "decision": pl.Series(["REFUNDED", "REFUSED"]).gather(refused.astype(np.int64)),
            "refund": money(refund, "."),
            "currency": pl.Series(["EUR"]).gather(np.zeros(size, dtype=np.int64)),
            "paid": pick(_local(paid), everyone, settled),
            "place": pick(catalogue.store_ids(company.stores), returns.store[order], ~online),
            **{name: values.gather(order) for name, values in who.items()},
        }
    )
    record = SOURCE + ":" + slip + ":" + position
    return Rows(SOURCE, frame.with_columns(truth_columns(people, person, wall, record, named[order])))


def _identify(rng: np.random.Generator, people: People, returns: Orders) -> tuple[dict[str, pl.Series], Bools]:
    """Parcels carry the address of the account or guest; at the desk it is the card, or the payment card."""
    names, person, size, online = people.names, returns.person, len(returns), returns.online
    shows = ~online & names.has_card[person] & (rng.random(size) < 0.7)
    # couples pay by their joint card too, and the desk cannot tell
    joint = names.has_joint[person] & (rng.random(size) < 0.4)
    by_token = ~online & ~shows & ~joint
    token = pick(names.token, person, by_token)
    shared = np.flatnonzero(~online & ~shows & joint)
    token = token.scatter(shared, names.joint_token.gather(person[shared]))
    email = names.email.at(person, returns.wall, online)
    account = pick(names.account, person, online & names.has_account[person] & (rng.random(size) < 0.6))
    phone = "0" + names.mobile.at(person, returns.wall, rng.random(size) < 0.2)
    card = pick(names.card, person, shows)
    who = {"email": email, "phone": phone, "card": card, "account": account, "token": token}
    return who, present(email) | present(phone) | shows | by_token


def _local(wall: Ints) -> pl.Series:
    return moments(wall).dt.strftime("%Y-%m-%dT%H:%M:%S")
