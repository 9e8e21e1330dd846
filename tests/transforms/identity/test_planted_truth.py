"""How well customers match people, on a small town whose truth is planted."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from .town import Row, Town, identity_key, seen

PEOPLE = 1_500


@dataclass
class Truth:
    rows: list[Row] = field(default_factory=list)
    person: dict[str, int] = field(default_factory=dict)

    def add(self, person: int, row: Row) -> None:
        self.rows.append(row)
        # A combination that several people gave (a tablet alone) belongs to none of them.
        key = identity_key(row)
        self.person[key] = person if self.person.get(key, person) == person else -1


def planted(seed: int = 7) -> Truth:
    """People with cards, accounts, addresses, numbers and devices; couples, tablets, a cashier's card, placeholders."""
    rng, truth = random.Random(seed), Truth()
    for person in range(PEOPLE):
        household = person // 2  # couples share the landline, some a tablet and a payment card
        email = f"person{person}@example.com"
        phone = f"+49 151 {20_000_000 + 37 * person}"
        card = f"L{person:06d}" if rng.random() < 0.7 else None
        account = f"user-{person}" if rng.random() < 0.6 else None
        device = f"device-{person}"
        token = f"tok-{household}" if rng.random() < 0.1 else f"tok-own-{person}"
        if account:
            truth.add(person, seen("app", app_user_id=account, device_id=device))
            truth.add(person, seen("app", device_id=device))
            truth.add(person, seen("shop", app_user_id=account, email=email, phone=phone.replace("+49 ", "0")))
        else:
            truth.add(person, seen("shop", email=email, phone=phone))
        truth.add(person, seen("shop", email=email.upper(), payment_token=token))
        if card:
            truth.add(person, seen("till", loyalty_id=card, payment_token=token))
            if rng.random() < 0.8:
                truth.add(person, seen("shop", loyalty_id=card, email=f" {email}"))
        else:
            truth.add(person, seen("till", payment_token=token))
        truth.add(person, seen("hotline", phone=phone.replace(" ", "")))
        if rng.random() < 0.3:
            truth.add(person, seen("hotline", phone=f"030 {5_000_000 + household}", loyalty_id=card))
        if account and rng.random() < 0.2:
            truth.add(person, seen("app", app_user_id=account, device_id=f"tablet-{rng.randrange(3)}"))
            truth.add(person, seen("app", device_id=f"tablet-{rng.randrange(3)}"))
        if account and rng.random() < 0.1:
            truth.add(person, seen("app", app_user_id=account, device_id=f"family-tablet-{household}"))
        if rng.random() < 0.05:
            truth.add(person, seen("till", loyalty_id="CASHIER", email=email))
        if rng.random() < 0.1:
            truth.add(person, seen("shop", email="none@none.com", phone="0000000000", loyalty_id=card))
    return truth


def pairwise(truth: dict[str, int], found: dict[str, str]) -> tuple[float, float]:
    """Precision and recall over pairs of observations: Σ C(n_ct, 2) over Σ C(n_c, 2) and Σ C(n_t, 2)."""

    def pairs(counts: Counter) -> int:
        return sum(n * (n - 1) // 2 for n in counts.values())

    together = pairs(Counter((found[key], truth[key]) for key in truth if key in found))
    return (
        together / pairs(Counter(found[key] for key in truth if key in found)),
        together / pairs(Counter(truth.values())),
    )


@pytest.fixture(scope="module")
def truth() -> Truth:
    return planted()


def test_customers_are_people(town: Town, truth: Truth) -> None:
    outcome = town.resolve(truth.rows)
    own = {key: person for key, person in truth.person.items() if person >= 0}
    precision, recall = pairwise(own, outcome.assignments)
    assert precision > 0.99
    assert recall > 0.93
    assert outcome.report.largest_customer <= 16
    assert abs(outcome.report.customers / PEOPLE - 1) < 0.05


def test_the_measure_knows_a_bad_resolution_from_a_good_one(truth: Truth) -> None:
    own = {key: person for key, person in truth.person.items() if person >= 0}
    perfect = {key: str(person) for key, person in own.items()}
    assert pairwise(own, perfect) == (1, 1)
    precision, recall = pairwise(own, dict.fromkeys(own, "everyone"))
    assert (precision < 0.01, recall) == (True, 1)


def test_rows_in_another_order_give_the_same_customers_and_ids(town: Town, tmp_path_factory, truth: Truth) -> None:
    shuffled = list(truth.rows)
    random.Random(1).shuffle(shuffled)
    other = Town(tmp_path_factory.mktemp("other"))
    assert other.resolve(shuffled).assignments == town.resolve(truth.rows).assignments
