"""Payment cards that couples share: what else is known of the two keeps them apart."""

from __future__ import annotations

import pytest

from transforms.identity.explain import explain

from .test_shared_values import policy_with
from .town import REGIONS, Row, Town, seen

BESIDE = "only payment_token in common of customers who have others of their own"
EVA, JAN = "eva@example.com", "L-JAN"
JOINT: list[Row] = [
    seen("shop", day=1, app_user_id="eva", email=EVA, payment_token="tok-joint1"),
    seen("till", day=2, loyalty_id=JAN, payment_token="tok-joint1"),
]
EVAS_OWN = seen("shop", day=3, app_user_id="eva", email=EVA, payment_token="tok-evas01")
JANS_OWN = seen("till", day=4, loyalty_id=JAN, payment_token="tok-jans01")


def test_an_account_and_a_card_that_pay_by_one_token_are_one_customer(town: Town) -> None:
    assert town.resolve(JOINT).report.customers == 1


@pytest.mark.parametrize("own", [[EVAS_OWN, JANS_OWN], [EVAS_OWN], [JANS_OWN]], ids=["both", "hers", "his"])
def test_a_couple_that_pays_by_a_joint_card_beside_own_ones_stays_two(town: Town, own: list[Row]) -> None:
    outcome = town.resolve([*JOINT, *own])
    assert outcome.customer("email", EVA) != outcome.customer("loyalty_id", JAN)
    assert (outcome.status("payment_token", "tok-joint1"), outcome.reason("payment_token", "tok-joint1")) == (
        "contested",
        BESIDE,
    )
    assert town.table("refusals").select("customer_id", "reason").rows() == sorted(
        (customer, BESIDE) for customer in {outcome.customer("email", EVA), outcome.customer("loyalty_id", JAN)}
    )
    between = explain(town.settings, REGIONS, EVA, f"loyalty_id:{JAN}", reveal=True).between
    assert [(known.shown, known.reason) for known in between] == [("tok-joint1", BESIDE)]
    assert town.resolve([*JOINT, *own], policy=policy_with(payment_token={"shared_beside": None})).report.customers == 1


def test_how_many_must_have_an_own_card_is_policy(town: Town) -> None:
    both = policy_with(payment_token={"shared_beside": 2})
    assert town.resolve([*JOINT, EVAS_OWN], policy=both).report.customers == 1
    assert town.resolve([*JOINT, EVAS_OWN, JANS_OWN], policy=both).report.customers == 2


def test_two_cards_in_common_are_those_of_one_customer(town: Town) -> None:
    """Wallets renew their tokens: some are seen online and at the till, some in one place only."""
    second = [{**row, "payment_token": "tok-joint2"} for row in JOINT]
    assert town.resolve([*JOINT, *second, EVAS_OWN, JANS_OWN]).report.customers == 1


def test_a_joint_card_does_not_speak_against_the_own_one(town: Town) -> None:
    """Jan's account and his loyalty card are one by his own card, whoever else pays by the joint one."""
    account = seen("shop", day=5, app_user_id="jan", email="jan@example.com", payment_token="tok-jans01")
    outcome = town.resolve([*JOINT, EVAS_OWN, JANS_OWN, account])
    assert outcome.customer("app_user_id", "jan") == outcome.customer("loyalty_id", JAN)
    assert outcome.customer("app_user_id", "eva") != outcome.customer("app_user_id", "jan")
    assert outcome.reason("payment_token", "tok-joint1") == BESIDE
    assert outcome.status("payment_token", "tok-jans01") == "linked"


def test_a_telephone_that_knows_whose_card_it_is_speaks_before_the_joint_card(town: Town) -> None:
    """Nobody has an own payment card; but Jan's telephone carries his loyalty card and his mailbox."""
    telephone = [
        seen("till", day=6, loyalty_id=JAN, device_id="jans-telephone"),
        seen("app", day=7, email="jan@example.com", device_id="jans-telephone"),
    ]
    outcome = town.resolve([*JOINT, *telephone])
    assert outcome.customer("loyalty_id", JAN) == outcome.customer("email", "jan@example.com")
    assert outcome.customer("loyalty_id", JAN) != outcome.customer("email", EVA)
    assert outcome.reason("payment_token", "tok-joint1") == "payment_token of more than 1 customers with email"


def test_whom_a_telephone_shows_to_be_one_may_have_as_many_cards_as_she_likes(town: Town) -> None:
    telephone = [
        seen("till", day=6, loyalty_id=JAN, device_id="telephone"),
        seen("app", day=7, app_user_id="eva", device_id="telephone"),
    ]
    outcome = town.resolve([*JOINT, EVAS_OWN, JANS_OWN, *telephone])
    assert outcome.report.customers == 1
    assert outcome.status("payment_token", "tok-joint1") == "linked"


def test_browsers_that_forget_their_cookies_are_no_couple(town: Town) -> None:
    orders = [
        seen("app", day=day, device_id=browser, payment_token=token)
        for day, (browser, token) in enumerate(
            [("d-0001", "tok-annas1"), ("d-0002", "tok-annas1"), ("d-0002", "tok-annas2")]
        )
    ]
    till = seen("till", day=4, loyalty_id="L-ANNA", payment_token="tok-annas1")
    assert town.resolve([*orders, till]).report.customers == 1


def test_a_card_that_pays_once_for_one_and_months_later_for_another_joins_nobody(town: Town) -> None:
    hers, his = JOINT
    outcome = town.resolve([hers, {**his, "day": 120}])
    assert outcome.report.customers == 2
    reasons = town.table("refusals")["reason"].to_list()
    assert reasons == ["changed hands: not seen for more than 90 days, then with another customer"] * 2
    # Seen with her in between, it was hers all the time, and the loyalty card is hers as well.
    between = seen("shop", day=60, email=EVA, payment_token="tok-joint1")
    assert town.resolve([hers, between, {**his, "day": 120}]).report.customers == 1
