"""Random histories of a small company, as they reach the lake: late, cut anywhere, corrected, deleted, repeated."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.dbt_project.lake import (
    LOADED_AT,
    SUPERSEDED_COLUMNS,
    write_batch,
    write_empty_lake,
    write_parquet,
)

FIRST_DAY = dt.date(2025, 3, 1)
DAYS = 12
END_OF_TIME = dt.datetime(9999, 12, 31)  # noqa: DTZ001 - the lake holds UTC without a zone
PEOPLE = 12
IDENTIFIERS = ("email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token")
# Entity → source, the column of its moment, whether newer versions replace older ones.
FEEDS = {
    "app_events": ("app", "occurred_at", False),
    "transactions": ("pos", "ordered_at", False),
    "store_visits": ("wifi", "entered_at", False),
    "hotline_calls": ("calls", "started_at", False),
    "messages": ("mail", "occurred_at", False),
    "profiles": ("crm", "updated_at", True),
}


class History:
    """A lake that grows step by step; everything is drawn from one seed.

    ``only_grows``: what customers did is never corrected or taken back, and the day does not go back.
    """

    def __init__(self, lake: Path, seed: int, only_grows: bool = False) -> None:
        self.lake = lake
        self.only_grows = only_grows
        self.doubted: set[tuple[str, str]] = set()
        self.random = random.Random(seed)
        self.number = 0
        self.batches = 0
        self.steps = 0
        self.corrected: set[str] = set()
        self.held: list[tuple[str, dt.datetime, dict[str, str]]] = []
        self.as_of = FIRST_DAY + dt.timedelta(days=4)
        # (entity, source) → key → the batch and row that hold its present version
        self.current: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}
        shutil.rmtree(lake, ignore_errors=True)
        write_empty_lake(lake)

    def step(self) -> list[str]:
        """Let something happen; says what, for the message of a failed test.

        Each kind of change has its turn, what it hits is drawn.
        """
        feeds = list(FEEDS)
        if self.steps == 0:
            said = [self._deliver(entity) for entity in feeds]
        else:
            said = [self._deliver(entity) for entity in (*feeds[:2], self.random.choice(feeds[2:]))]
            changes = {
                1: lambda: [self._correct("profiles"), self._replay(self.random.choice(feeds))],
                2: lambda: [self._release(self.random.choice(feeds[:3]))],
                3: lambda: [self._correct(self.random.choice(feeds[:3]))],
            }
            said += changes[1]() if self.only_grows else changes.get(self.steps % 5, list)()
        days = [1, 2, 0, 3, 0 if self.only_grows else -2]
        self.as_of += dt.timedelta(days=0 if self.steps == 0 else days[self.steps % 5])
        self.steps += 1
        return [*said, f"as of {self.as_of}"]

    def doubt(self) -> str:
        """From now on some identifiers say nothing, and former ones speak again: customers part and come together."""
        values = sorted({held for *_, row in self.held for held in row.items()})
        self.doubted = set(self.random.sample(values, len(values) // 8))
        return f"doubted: {sorted(self.doubted)}"

    def join(self) -> tuple[str, str]:
        """A single new event that makes one of two customers; returns who they were."""
        told = self.identities()["identifiers"]
        owners = {(row["identifier_type"], row["identifier_value"]): row["customer_id"] for row in told}
        devices, users = (sorted(key for key in owners if key[0] == kind) for kind in ("device_id", "app_user_id"))
        one, other = next((one, other) for one in devices for other in users if owners[one] != owners[other])
        key, row = self._row("app_events")
        row |= dict([one, other])
        self.held[-1] = (*self.held[-1][:2], dict([one, other]))
        self._write("app_events", [(key, row)])
        return owners[one], owners[other]

    def _deliver(self, entity: str) -> str:
        """A file with rows of any age, some of them younger than as_of."""
        rows = [self._row(entity) for _ in range(self.random.randint(10, 40))]
        return f"{entity}: {self._write(entity, rows)} with {len(rows)} rows"

    def _replay(self, entity: str) -> str:
        """Bytes that came before: a record of a file without rows."""
        return f"{entity}: {self._write(entity, [])} again"

    def _correct(self, entity: str) -> str:
        """New versions of some rows, and some that are gone."""
        known = self.current.get((entity, FEEDS[entity][0]), {})
        # Once each: a third version that is older than the second is the business of test_known_rows.
        first = sorted(known.keys() - self.corrected)
        keys = self.random.sample(first, min(len(first), 4))
        self.corrected.update(keys)
        replaced, deleted = keys[: len(keys) // 2 + 1], keys[len(keys) // 2 + 1 :]
        versions = [self._row(entity, key) for key in replaced]
        # A version counts from its own moment on, a deletion from the midnight of some day.
        midnight = dt.datetime.combine(FIRST_DAY, dt.time()) + dt.timedelta(self.random.randrange(DAYS))
        since = {key: (row[FEEDS[entity][1]], "replaced") for key, row in versions}
        since |= dict.fromkeys(deleted, (midnight, "deleted"))
        former = {key: known[key] for key in since}
        for key in deleted:
            del known[key]
        batch = self._write(entity, versions)
        rows = [
            {"_batch_id": former[key][0], "_row": former[key][1], "_kind": kind, "_superseded_by": batch}
            | {"_from_at": moment, "_until_at": END_OF_TIME}
            for key, (moment, kind) in since.items()
        ]
        if rows:
            write_parquet(self._folder(entity, batch) / "superseded.parquet", SUPERSEDED_COLUMNS, rows)
        return f"{entity}: {batch} replaces {len(replaced)} and deletes {len(deleted)} rows"

    def _release(self, entity: str) -> str:
        """A batch is made anew under another name, with a row more: another generation."""
        source = FEEDS[entity][0]
        if list((self.lake / entity / source).glob("*/superseded.parquet")):
            return f"{entity}: nothing to release"
        former = self.random.choice(sorted((self.lake / entity / source).iterdir()))
        keys = [key for key, (batch, _) in self.current[entity, source].items() if batch == former.name]
        for key in keys:
            del self.current[entity, source][key]
        shutil.rmtree(former)
        rows = [self._row(entity, key) for key in keys] + [self._row(entity)]
        return f"{entity}: {former.name} is made anew as {self._write(entity, rows)}"

    def _folder(self, entity: str, batch: str) -> Path:
        return self.lake / entity / FEEDS[entity][0] / batch

    def _write(self, entity: str, rows: list[tuple[str, dict[str, Any]]]) -> str:
        self.batches += 1
        batch, source = f"b{self.batches:03}", FEEDS[entity][0]
        write_batch(self.lake, entity, source, [row for _, row in rows], batch)
        known = self.current.setdefault((entity, source), {})
        known.update({key: (batch, number) for number, (key, _) in enumerate(rows, start=2)})
        return batch

    def _row(self, entity: str, key: str | None = None) -> tuple[str, dict[str, Any]]:
        self.number += 1
        key = key or f"{self.number}"
        moment = dt.datetime.combine(FIRST_DAY, dt.time()) + dt.timedelta(
            days=self.random.randrange(DAYS),
            minutes=self.random.choice([600, 615, 630, 645, 659, 660, 661, 1430, 1439]),
        )
        row = getattr(self, f"_{entity}")(key)
        self.held.append((FEEDS[entity][0], moment, {kind: row[kind] for kind in IDENTIFIERS if kind in row}))
        return key, {FEEDS[entity][1]: moment, **row}

    def identities(self) -> dict[str, list[dict[str, Any]]]:
        """Who is who, as an identity run would say after all that has come: the rows of its tables."""
        said = {identity_key(source, moment, held): held for source, moment, held in self.held if held}
        told = {key: dict(held.items() - self.doubted) for key, held in said.items()}
        keys = {key: held for key, held in told.items() if held}
        customers = components(list(keys.values()))
        owners = {
            (kind, value): customer
            for held, customer in zip(keys.values(), customers, strict=True)
            for kind, value in held.items()
        }
        seen = {"first_seen_at": LOADED_AT, "last_seen_at": LOADED_AT, "status": "linked", "sources": "", "records": 1}
        return {
            "assignments": [
                {"identity_key": key, "customer_id": customer} for key, customer in zip(keys, customers, strict=True)
            ],
            "identifiers": [
                {"identifier_type": kind, "identifier_value": value, "identifier_key": f"{kind}:{value}"}
                | {"identifier_masked": "*", "customer_id": customer, **seen}
                for (kind, value), customer in sorted(owners.items())
            ],
        }

    def _who(self, *kinds: str) -> dict[str, str]:
        """Identifiers of a person, often none; now and then those of two, who are one from then on."""
        person = self.random.randrange(PEOPLE)
        held = {kind: f"{kind[0]}{person}" for kind in kinds if self.random.random() < 0.4}
        if held and self.random.random() < 0.008:
            held[kinds[-1]] = f"{kinds[-1][0]}{self.random.randrange(PEOPLE)}"
        return held

    def _app_events(self, key: str) -> dict[str, Any]:
        names = ["product_view", "add_to_cart", "checkout", "purchase", "referral", "search"]
        session = {"session_id": f"s{self.random.randrange(3)}"} if self.random.random() < 0.3 else {}
        event = {
            "event_id": key,
            "event_name": self.random.choice(names),
            "channel": self.random.choice(["app", "web"]),
        }
        return event | session | self._who("device_id", "app_user_id")

    def _transactions(self, key: str) -> dict[str, Any]:
        # Few orders have lines of many people, whom one of them then reaches all.
        order = f"o{self.random.randrange(200 if self.only_grows else 12)}"
        kind = self.random.choices(["sale", "return"], [5, 1])[0]
        line = {"order_id": order, "line_id": key, "line_type": kind, "channel": "store", "quantity": 1}
        amounts = {
            "gross_amount": f"{self.random.randrange(1, 90)}.50",
            "discount_amount": self.random.choice([None, "0.25"]),
        }
        currency = self.random.choices(["EUR", "USD"], [9, 1])[0]
        return line | amounts | {"currency": currency} | self._who("loyalty_id", "email")

    def _store_visits(self, key: str) -> dict[str, Any]:
        visit = {"visit_id": key, "store_id": f"s{self.random.randrange(2)}", "is_ping": self.random.random() < 0.8}
        return visit | self._who("device_id", "email")

    def _hotline_calls(self, key: str) -> dict[str, Any]:
        reason = self.random.choice(["complaint", "enquiry", None])
        call = {"call_id": key, "outcome": "answered", "is_queued": True, "wait_seconds": 15.0, "talk_seconds": 60.0}
        return (
            call
            | {"reason": reason, "is_resolved": self.random.choice([True, False, None])}
            | self._who("phone", "email")
        )

    def _messages(self, key: str) -> dict[str, Any]:
        message = {"event_id": key, "message_id": key, "event_type": "sent", "channel": "email"}
        return message | self._who("app_user_id", "email")

    def _profiles(self, key: str) -> dict[str, Any]:
        return {"profile_id": key} | self._who("email", "loyalty_id", "phone", "app_user_id")


def identity_key(source: str, moment: dt.datetime, held: Mapping[str, str]) -> str:
    """Key of a combination of identifiers, as staging computes it."""
    parts = [source, *(held.get(kind, "") for kind in IDENTIFIERS)]
    if not held.keys() - {"phone", "device_id"}:
        parts.append(f"{moment:%Y-%m-01}")
    return hashlib.md5("\x1f".join(parts).encode()).hexdigest()  # noqa: S324


def components(observed: Sequence[Mapping[str, str]]) -> list[str]:
    """Customer of each combination of identifiers: all that are connected by a shared value are one person."""
    parent: dict[str, str] = {}

    def root(value: str) -> str:
        while parent.setdefault(value, value) != value:
            value = parent[value]
        return value

    keys = [[f"{kind}:{value}" for kind, value in sorted(held.items())] for held in observed]
    for values in keys:
        for value in values[1:]:
            low, high = sorted((root(values[0]), root(value)))
            parent[high] = low
    return [f"C-{root(values[0])}" for values in keys]
