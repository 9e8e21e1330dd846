"""Campaigns: newsletters, notices and coupons, and the opens, clicks and purchases that follow them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from transforms.demo.almanac import DAY, END, calendar, day_of, moments, months, to_utc
from transforms.demo.people import People
from transforms.demo.preferences import Consents
from transforms.demo.purchases import Orders
from transforms.demo.randomness import Ints, hexadecimal, joined, pick, taken
from transforms.demo.rows import Rows, truth_columns

SOURCE = "campaign_messages"
EMAIL, PUSH, POST = 0, 1, 2
_CHANNELS = ["EMAIL", "PUSH", "POST"]
_PREFIXES = ["NL", "PN", "DM"]
_TITLES = ["Newsletter", "Neues in der App", "Gutscheinpost"]
_SENT, _BOUNCED, _OPENED, _CLICKED, _LEFT, _REDEEMED = range(6)
_EVENTS = ["SENT", "BOUNCE", "OPEN", "CLICK", "UNSUBSCRIBE", "REDEEM"]
_PLAIN_A_MONTH = 0.2  # newsletters that nobody clicks, per person and month of consent
_OPENED_SHARE = 0.3  # of those
_COUPONS = 0.012  # share of till receipts with a card that a coupon by post led to
_LETTER = 0.55  # EUR


@dataclass(frozen=True)
class Messages:
    """One entry per message; moments in wall seconds, END for what did not happen; ``order`` -1 for none."""

    person: Ints
    channel: Ints
    sent: Ints
    bounced: Ints
    opened: Ints
    clicked: Ints
    left: Ints
    redeemed: Ints
    order: Ints

    def __len__(self) -> int:
        return len(self.person)


def draw_messages(
    rng: np.random.Generator, people: People, consents: Consents, clicks: Messages, sales: Orders
) -> Messages:
    """All messages to the people of a block: those behind ``clicks`` as far as consent allows, and the others."""
    since, until = consents.newsletter(len(people))
    allowed = (clicks.sent >= since[clicks.person]) & (clicks.sent < until[clicks.person])
    return joined(
        taken(clicks, np.flatnonzero(allowed)),
        _unclicked(rng, since, until),
        _farewells(rng, since, until),
        _coupons(rng, people, sales),
    )


def messages_of_clicks(rng: np.random.Generator, person: Ints, channel: Ints, wall: Ints) -> Messages:
    """What was sent to people whose session began with a click on it at ``wall``."""
    opened = wall - rng.integers(5, 120, len(wall))
    sent = opened - rng.integers(300, 20 * 3600, len(wall))
    return _messages(person, channel, sent, opened=opened, clicked=wall)


def _messages(person: Ints, channel: Ints | int, sent: Ints, **moment: Ints) -> Messages:
    size = len(person)
    never = {name: np.full(size, END) for name in ("bounced", "opened", "clicked", "left", "redeemed")}
    order = moment.pop("order", np.full(size, -1))
    return Messages(person=person, channel=np.full(size, 0) + channel, sent=sent, order=order, **{**never, **moment})


def _unclicked(rng: np.random.Generator, since: Ints, until: Ints) -> Messages:
    stretch = until - since
    person = np.repeat(np.arange(len(since)), rng.poisson(stretch / (30 * DAY) * _PLAIN_A_MONTH))
    size = len(person)
    sent = since[person] + (rng.random(size) * stretch[person]).astype(np.int64)
    bounced = np.where(rng.random(size) < 0.02, sent + rng.integers(1, 60, size), END)
    opened = sent + rng.exponential(9 * 3600, size).astype(np.int64) + 20
    opened = np.where((rng.random(size) < _OPENED_SHARE) & (bounced == END) & (opened < END), opened, END)
    return _messages(person, EMAIL, sent, bounced=bounced, opened=opened)


def _farewells(rng: np.random.Generator, since: Ints, until: Ints) -> Messages:
    """The last newsletter of those who withdraw: they do it by the link at its end."""
    person = np.flatnonzero(until < END)
    opened = until[person] - rng.integers(10, 90, len(person))
    sent = opened - rng.integers(600, 48 * 3600, len(person))
    late = sent >= since[person]
    return _messages(person[late], EMAIL, sent[late], opened=opened[late], left=until[person][late])


def _coupons(rng: np.random.Generator, people: People, sales: Orders) -> Messages:
    by_card = ~sales.online & people.names.has_card[sales.person]
    order = np.flatnonzero(by_card & (rng.random(len(sales)) < _COUPONS))
    person, wall = sales.person[order], sales.wall[order]
    sent = (wall // DAY - rng.integers(3, 21, len(order))) * DAY + 9 * 3600
    known = sent >= day_of(people.behaviour.joined)[person] * DAY
    return _messages(person[known], POST, sent[known], redeemed=wall[known], order=order[known])


def message_rows(
    rng: np.random.Generator, people: People, messages: Messages, order_id: pl.Series, first_message: int
) -> Rows:
    """Rows of what happened to the messages; ids count from ``first_message``."""
    happened = [messages.sent, messages.bounced, messages.opened, messages.clicked, messages.left, messages.redeemed]
    places = [np.flatnonzero(moment < END) for moment in happened]
    message = np.concatenate(places)
    kind = np.repeat(np.arange(len(places)), [len(place) for place in places])
    wall = np.concatenate([moment[place] for moment, place in zip(happened, places, strict=True)])
    size, person, channel = len(message), messages.person[message], messages.channel[message]
    sent, names = messages.sent[message], people.names
    reference = "N" + hexadecimal(np.arange(len(messages)) + first_message, 91).gather(message)
    event = reference + pl.Series([f"-{number}" for number in range(len(_EVENTS))]).gather(kind)
    month, month_names = months()
    of_month = month[sent // DAY]
    starts, ends = _edges_of_months()
    campaign = pl.Series(_PREFIXES).gather(channel) + "-" + pl.Series(month_names).gather(of_month)
    letter = (kind == _SENT) & (channel == POST)
    cents = pl.Series([f"{_LETTER:.2f}"]).cast(pl.Decimal(18, 2))
    variant = rng.integers(0, 2, len(messages))[message]
    frame = pl.DataFrame(
        {
            "event_ref": event,
            "message_ref": reference,
            "happened_at": moments(to_utc(wall)).dt.replace_time_zone("UTC"),
            "event": pl.Series(_EVENTS).gather(kind),
            "channel": pl.Series(_CHANNELS).gather(channel),
            "campaign": campaign,
            "campaign_title": pl.Series(_TITLES).gather(channel) + " " + pl.Series(month_names).gather(of_month),
            "campaign_start": moments(starts[of_month]).dt.replace_time_zone("UTC"),
            "campaign_end": moments(ends[of_month]).dt.replace_time_zone("UTC"),
            "variant": pl.Series(["A", "B"]).gather(variant),
            "recipient": names.email.at(person, sent, channel == EMAIL),
            "device": names.phone_device.at(person, sent, channel == PUSH),
            "account": pick(names.account, person, (channel != POST) & names.has_account[person]),
            "card": pick(names.card, person, channel == POST),
            "url": pick(pl.Series(["/angebote", "/neuheiten"]), variant, kind == _CLICKED),
            "order": pick(order_id, messages.order[message].clip(0), kind == _REDEEMED),
            "cost": pick(cents, np.zeros(size, dtype=np.int64), letter),
            "currency": pick(pl.Series(["EUR"]), np.zeros(size, dtype=np.int64), letter),
        }
    )
    columns = truth_columns(people, person, wall, SOURCE + ":" + event, np.ones(size, dtype=bool))
    return Rows(SOURCE, frame.with_columns(*columns))


def _edges_of_months() -> tuple[Ints, Ints]:
    first = np.array([number for number, day in enumerate(calendar()) if day.day == 1])
    return first * DAY, np.append(first[1:], END // DAY) * DAY - 1
