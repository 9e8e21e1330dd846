"""A block of people and everything they leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from transforms.demo import (
    assortment,
    campaigns,
    crm,
    hotline,
    opinions,
    preferences,
    purchases,
    return_desk,
    screens,
    surveys,
    tickets,
    tills,
    visits,
    webshop,
)
from transforms.demo.civil import draw_civil, registered
from transforms.demo.company import Company
from transforms.demo.dirt import UNCHANGED, plant
from transforms.demo.files import FORMS, spill
from transforms.demo.people import People, draw_people, truth_of
from transforms.demo.randomness import Ints, generator, joined, pick, taken
from transforms.demo.rows import Rows
from transforms.demo.touchpoints import draw_touchpoints

# Each block numbers its orders and records from its own start; a block has some 70,000 orders.
_ORDERS_PER_BLOCK = 400_000
_RECORDS_PER_BLOCK = 2**36


@dataclass(frozen=True)
class Plan:
    """What all blocks share."""

    company: Company
    seed: int
    people: int

    people_per_block: int = 10_000
    """Bounds memory. Even, so that couples stay together; part of the recipe."""

    @property
    def blocks(self) -> range:
        """Numbers of the blocks."""
        return range(-(-self.people // self.people_per_block))

    @property
    def kiosks(self) -> int:
        """Devices that stand in the stores for everybody."""
        return max(2, self.people // self.company.people_per_kiosk)

    @property
    def cashier_cards(self) -> int:
        """Customer cards of cashiers that customers' receipts are booked on."""
        return max(3, self.people // self.company.people_per_cashier_card)

    @property
    def house_devices(self) -> int:
        """Devices of cleaners and couriers, seen in stores all over."""
        return max(2, self.people // self.company.people_per_house_device)


@dataclass(frozen=True)
class BlockResult:
    """What a block planted: dirt by kind, and where its people and the owners of its records are."""

    people: Path
    records: Path
    dirt: pl.DataFrame


def write_block(plan: Plan, number: int, folder: Path) -> BlockResult:
    """Draw a block, spill its rows by source and file under ``folder`` and return its truth."""
    first = number * plan.people_per_block
    size = min(plan.people_per_block, plan.people - first)
    people = draw_people(generator(plan.seed, number, "people"), plan.company, first, size)
    story = _Story(plan, number, people)
    owners, dirt = [], []
    for part in story.rows():
        owners.append(_owners(part))
        rate, at_least = plan.company.dirt_rate, 1 if number == 0 else 0
        frame, planted = plant(generator(plan.seed, number, f"dirt {part.source}"), part, rate, at_least)
        dirt += [planted, _unchanged(part, planted)]
        spill(folder, FORMS[part.source], frame, number)
    result = BlockResult(folder / f"people-{number:05d}.arrow", folder / f"records-{number:05d}.arrow", pl.concat(dirt))
    story.people_truth().write_ipc(result.people, compression="uncompressed")
    pl.concat(owners).write_ipc(result.records, compression="uncompressed")
    return result


def _unchanged(rows: Rows, like: pl.DataFrame) -> pl.DataFrame:
    """Rows that the source sends again as they were, in the form of the planted dirt."""
    if "_unchanged" not in rows.frame.columns:
        return like.clear()
    again = int(rows.frame["_unchanged"].sum())
    return pl.DataFrame([(rows.source, "sent_again", UNCHANGED, None, again)], schema=like.schema, orient="row")


def _owners(rows: Rows) -> pl.DataFrame:
    person = pl.col("_person")
    identity = "P" + (person + 1).cast(pl.String).str.zfill(7)
    frame = rows.frame.filter("_current") if "_current" in rows.frame.columns else rows.frame
    return frame.select(
        source=pl.lit(rows.source, dtype=pl.String),
        record_id="_record_id",
        person_id=pl.when(person >= 0).then(identity),
        is_scored="_usable",
    )


class _Story:
    """All that happens to the people of one block, drawn stage by stage."""

    def __init__(self, plan: Plan, number: int, people: People) -> None:
        self._plan, self._number, self._people = plan, number, people
        company, orders_from = plan.company, number * _ORDERS_PER_BLOCK
        rng = self._generator("sales")
        self._sales = purchases.draw_sales(rng, company, people, orders_from)
        strangers = purchases.draw_anonymous_sales(rng, company, self._sales, orders_from + len(self._sales))
        all_sales = joined(self._sales, strangers)
        rng = self._generator("lines")
        sold = purchases.draw_lines(rng, all_sales, purchases.draw_values(rng, company, people, all_sales))
        rng = self._generator("returns")
        returns_from = orders_from + len(all_sales)
        self._returns, returned, self._origin = purchases.draw_returns(
            rng, company, people, all_sales, sold, returns_from
        )
        self._sold, self._returned = sold, returned
        self._orders = joined(all_sales, self._returns)
        self._lines = joined(sold, replace(returned, order=returned.order + len(all_sales)))
        self._calls = hotline.draw_calls(self._generator("calls"), company, people)
        self._calls_of = np.bincount(self._calls.person, minlength=len(people))
        rng = self._generator("touchpoints")
        self._touchpoints = draw_touchpoints(rng, people, self._sales, self._returns, self._calls_of)
        self._civil = draw_civil(self._generator("civil"), people)

    def _generator(self, stage: str) -> np.random.Generator:
        return generator(self._plan.seed, self._number, stage)

    def rows(self) -> Iterator[Rows]:
        """Rows of each source, one source after another to keep only one in memory."""
        plan, people, orders, lines = self._plan, self._people, self._orders, self._lines
        company, records_from = plan.company, self._number * _RECORDS_PER_BLOCK
        order_id = purchases.order_ids(orders)
        original = pick(order_id, orders.original.clip(0), orders.original >= 0)
        signed_in = webshop.by_account(self._generator("accounts"), people, orders)
        at_till, web = np.flatnonzero(~orders.online), np.flatnonzero(orders.online)
        rng = self._generator("tills")
        sold = purchases.baskets(orders, lines, at_till, order_id, original)
        yield tills.till_rows(rng, company, plan.cashier_cards, people, sold)
        rng = self._generator("webshop")
        sold = purchases.baskets(orders, lines, web, order_id, original)
        yield webshop.web_rows(rng, company, people, sold, signed_in[web])
        rng = self._generator("screens")
        occasions = self._touchpoints.sessions
        sessions = screens.draw_sessions(rng, company, plan.kiosks, people, occasions, self._sales, signed_in)
        events = screens.event_rows(rng, people, sessions, order_id, records_from)
        clicks = self._clicks(events)
        yield events
        del events
        rng = self._generator("visits")
        seen = visits.draw_visits(rng, company, people, self._touchpoints.visits, self._sales)
        if self._number == 0:
            seen = joined(seen, visits.house_visits(rng, company, plan.house_devices))
        yield visits.visit_rows(company, people, seen, records_from)
        yield hotline.call_rows(self._generator("hotline"), company, people, self._calls, records_from)
        yield from self._rows_around(order_id, clicks, records_from)

    def _clicks(self, events: Rows) -> campaigns.Messages:
        """Messages behind the sessions that a newsletter or a notice of the app brought."""
        brought = events.frame.filter((pl.col("_person") >= 0) & pl.col("campaign").is_in(["newsletter", "push"]))
        person = brought["_person"].to_numpy() - self._people.first
        by_push = (brought["campaign"] == "push").to_numpy()
        channel = np.where(by_push, campaigns.PUSH, campaigns.EMAIL)
        wall = brought["_at"].to_numpy()
        messages = campaigns.messages_of_clicks(self._generator("clicks"), person, channel, wall)
        return taken(messages, np.flatnonzero(~by_push | self._people.names.has_app[person]))

    def _rows_around(self, order_id: pl.Series, clicks: campaigns.Messages, records_from: int) -> Iterator[Rows]:
        """What is known around purchases, sessions and calls: profiles, consents, messages, opinions, cases."""
        company, people, civil = self._plan.company, self._people, self._civil
        yield crm.profile_rows(self._generator("crm"), company, people, civil)
        consents = preferences.draw_consents(self._generator("consents"), people)
        yield preferences.consent_rows(people, consents, records_from)
        rng = self._generator("campaigns")
        messages = campaigns.draw_messages(rng, people, consents, clicks, self._sales)
        yield campaigns.message_rows(rng, people, messages, order_id, records_from)
        calls = hotline.call_references(self._calls, records_from)
        rng = self._generator("surveys")
        answers = surveys.draw_answers(rng, people, self._calls, self._sales)
        yield surveys.answer_rows(rng, people, answers, calls, order_id, records_from)
        rng = self._generator("cases")
        yield tickets.case_rows(rng, people, tickets.draw_cases(rng, people, self._calls), calls, records_from)
        sold, returned, returns = self._sold, self._returned, self._returns
        sales, return_id = len(order_id) - len(returns), order_id.tail(len(returns))
        rng = self._generator("return desk")
        yield return_desk.slip_rows(
            rng, company, people, returns, returned, sold, self._origin, return_id, order_id.head(sales)
        )
        rng, orders = self._generator("reviews"), taken(self._orders, np.arange(sales))
        yield opinions.review_rows(rng, people, civil, orders, sold, self._origin, order_id, records_from)
        if self._number == 0:
            yield assortment.product_rows()

    def people_truth(self) -> pl.DataFrame:
        """Truth of the block's people with what they did."""
        size = len(self._people)
        counts: dict[str, Ints] = {
            "orders": np.bincount(self._sales.person, minlength=size),
            "returns": np.bincount(self._returns.person, minlength=size),
            "calls": self._calls_of,
            "online_touchpoints": self._touchpoints.online,
            "offline_touchpoints": self._touchpoints.offline,
        }
        columns = {**truth_of(self._people, self._plan.company), **registered(self._civil)}
        return pl.DataFrame({**columns, **counts})
