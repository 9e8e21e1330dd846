"""Values that several people share, and values that nobody has: whom they may not join."""

from __future__ import annotations

from typing import Any

import yaml

from transforms.identity.policy import DEFAULT_POLICY, Policy
from transforms.identity.public import REASON

from .town import Row, Town, seen

ZERO_ID = "00000000-0000-0000-0000-000000000000"


def policy_with(**types: dict[str, Any]) -> Policy:
    document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    for kind, changes in types.items():
        document["types"][kind].update(changes)
    return Policy.model_validate(document)


def test_a_kiosk_with_500_users_joins_nobody(town: Town) -> None:
    at_kiosk = [seen("app", app_user_id=f"u{i}", device_id="kiosk") for i in range(500)]
    at_home = [seen("app", app_user_id=f"u{i}", device_id=f"phone-{i}") for i in range(500)]
    passers_by = seen("app", device_id="kiosk", records=70)
    outcome = town.resolve([*at_kiosk, *at_home, passers_by])
    assert outcome.report.customers == 500
    assert outcome.report.largest_customer == 2
    assert outcome.status("device_id", "kiosk") == "contested"
    assert outcome.reason("device_id", "kiosk") == REASON
    assert outcome.customer_of(at_kiosk[7]) == outcome.customer_of(at_home[7]) is not None
    assert outcome.customer_of(passers_by) is None
    assert (outcome.report.anonymous_observations, outcome.report.anonymous_records) == (1, 70)
    assert outcome.report.refused_edges == 501


def test_a_tablet_of_a_few_users_is_shared_and_not_public(town: Town) -> None:
    """A person may stand beside a few others; that they are several is for the guard to find."""
    outcome = town.resolve([seen("app", app_user_id=f"u{i}", device_id="tablet") for i in range(20)])
    assert outcome.report.customers == 20
    assert outcome.reason("device_id", "tablet") == "device_id of more than 1 customers with app_user_id"


def test_a_kiosk_without_accounts_is_found_by_its_addresses(town: Town) -> None:
    outcome = town.resolve([seen("app", email=f"p{i}@example.com", device_id="kiosk") for i in range(20)])
    assert outcome.report.customers == 20
    assert outcome.status("device_id", "kiosk") == "contested"


def test_a_cashiers_card_joins_nobody(town: Town) -> None:
    card = [seen("till", day=i, email=f"p{i}@example.com", loyalty_id="CASHIER") for i in range(60)]
    own = [seen("till", email=f"p{i}@example.com", loyalty_id=f"L{i}") for i in range(60)]
    outcome = town.resolve([*card, *own])
    assert outcome.report.customers == 60
    assert outcome.reason("loyalty_id", "CASHIER") == REASON


def test_a_cashiers_card_beside_payment_cards_is_known_by_their_owners(town: Town) -> None:
    card = [seen("till", loyalty_id="CASHIER", payment_token=f"tok_{i}") for i in range(20)]
    online = [seen("shop", email=f"p{i}@example.com", payment_token=f"tok_{i}") for i in range(10)]
    outcome = town.resolve([*card, *online])
    assert outcome.status("loyalty_id", "CASHIER") == "contested"
    assert outcome.report.customers == 20
    assert outcome.customer_of(card[3]) == outcome.customer_of(online[3])


def test_a_card_whose_wallet_renews_its_tokens_is_one_customer(town: Town) -> None:
    till = [seen("till", loyalty_id="L1", payment_token=f"tok_{i}") for i in range(40)]
    online = [seen("shop", email="anna@example.com", payment_token=f"tok_{i}") for i in range(40)]
    assert town.resolve([*till, *online]).report.customers == 1


def test_a_card_seen_at_a_kiosk_is_not_blamed_for_it(town: Town) -> None:
    """The kiosk leads to hundreds of addresses, but it is the kiosk that is shared."""
    crowd = [seen("app", email=f"p{i}@example.com", device_id="kiosk") for i in range(50)]
    anna = [seen("till", loyalty_id="L1", device_id="kiosk"), seen(loyalty_id="L1", email="anna@example.com")]
    outcome = town.resolve([*crowd, *anna])
    assert outcome.status("loyalty_id", "L1") == "linked"
    assert outcome.status("device_id", "kiosk") == "contested"
    assert outcome.report.customers == 51


def test_a_familys_landline_joins_nobody(town: Town) -> None:
    family = [seen(phone="030 901820", loyalty_id=f"L{i}", email=f"p{i}@example.com") for i in range(4)]
    caller = seen(phone="+49 30 901820")
    outcome = town.resolve([*family, caller])
    assert outcome.report.customers == 4
    assert outcome.status("phone", "+4930901820") == "weak"
    assert outcome.customer_of(caller) is None


def test_a_number_of_three_accounts_is_nobodys(town: Town) -> None:
    """The number that the assistant types in when a customer gives none."""
    owners = [seen(day=10 * i, app_user_id=f"u{i}", phone="0151 20304050") for i in range(3)]
    outcome = town.resolve(owners)
    assert outcome.report.customers == 3
    assert outcome.status("phone", "+4915120304050") == "contested"


def test_placeholders_join_nobody(town: Town) -> None:
    rows: list[Row] = []
    for i in range(5):
        rows += [
            seen(loyalty_id=f"L{i}", phone="13800138000"),
            seen(loyalty_id=f"L{i}", email="none@none.com"),
            seen(loyalty_id=f"L{i}", device_id=ZERO_ID),
            seen(loyalty_id=f"L{i}", app_user_id="null", payment_token="0000"),
        ]
    alone = seen(email="noreply@example.com", device_id=ZERO_ID)
    outcome = town.resolve([*rows, alone])
    assert outcome.partition() == {frozenset({("loyalty_id", f"L{i}")}) for i in range(5)}
    assert outcome.customer_of(alone) is None
    assert outcome.status("device_id", ZERO_ID) == "blocked"


def test_a_shared_mailbox_joins_nobody(town: Town) -> None:
    staff = [seen(email="info@firm.example", loyalty_id=f"L{i}") for i in range(8)]
    outcome = town.resolve([*staff, seen(email="info@firm.example", payment_token="tok_1")])
    assert outcome.status("email", "info@firm.example") == "contested"
    assert outcome.partition() == {
        *(frozenset({("loyalty_id", f"L{i}")}) for i in range(8)),
        frozenset({("payment_token", "tok_1")}),
    }


def test_a_trades_mailbox_is_one_customer(town: Town) -> None:
    outcome = town.resolve([seen(email="info@meier.example", payment_token=f"tok_{i}") for i in range(4)])
    assert outcome.report.customers == 1


def test_written_forms_of_one_number_are_one(town: Town) -> None:
    forms = ["０１５１ ２０３０４０５０", "004915120304050", "+49 (0)151 20304050", "0151/20304050"]
    outcome = town.resolve([seen(phone=form, loyalty_id="L1", day=i) for i, form in enumerate(forms)])
    assert outcome.partition() == {frozenset({("phone", "+4915120304050"), ("loyalty_id", "L1")})}


def test_a_source_of_no_country_is_read_by_international_numbers(town: Town) -> None:
    abroad = seen("elsewhere", phone="+49 151 20304050", payment_token="tok_1")
    national = seen("elsewhere", phone="0151 20304050", payment_token="tok_2")
    outcome = town.resolve([seen("shop", phone="0151 20304050", loyalty_id="L1"), abroad, national])
    assert outcome.customer_of(abroad) == outcome.customer("loyalty_id", "L1")
    assert outcome.customer_of(national) != outcome.customer("loyalty_id", "L1")


def test_two_accounts_with_one_address_are_one_customer_unless_the_policy_forbids(town: Town) -> None:
    rows = [seen(email="anna@example.com", app_user_id="u1"), seen(email="anna@example.com", app_user_id="u2")]
    assert town.resolve(rows).report.customers == 1
    one_account = policy_with(app_user_id={"per_customer": 1})
    outcome = town.resolve(rows, policy=one_account)
    assert outcome.report.customers == 2
    assert outcome.reason("email", "anna@example.com") == "would join customers beyond the limits of one customer"
    assert outcome.report.refused_merges == 1


def test_two_halves_within_limits_are_not_joined_by_a_late_edge_beyond_them(town: Town) -> None:
    def half(name: str) -> list[Row]:
        return [seen(email=f"{name}@example.com", app_user_id=f"{name}{i}") for i in (1, 2)]

    halves = [*half("anna"), *half("bert")]
    apart = town.resolve(halves)
    bridge = [
        seen(day=90, email="anna@example.com", payment_token="tok_1"),
        seen(day=90, email="bert@example.com", payment_token="tok_1"),
    ]
    outcome = town.resolve([*halves, *bridge])
    assert outcome.report.customers == 2
    assert outcome.status("payment_token", "tok_1") == "contested"
    assert [outcome.customer("app_user_id", f"anna{i}") for i in (1, 2)] == [apart.customer("app_user_id", "anna1")] * 2
    assert outcome.aliases == {}


def test_what_stronger_types_have_joined_counts_once(town: Town) -> None:
    """Two accounts of one person, joined by her address, may share a telephone that two strangers may not."""
    anna = [seen(email="anna@example.com", app_user_id=f"u{i}", device_id="phone") for i in (1, 2)]
    strangers = [seen(app_user_id=f"s{i}", device_id="tablet") for i in (1, 2)]
    outcome = town.resolve([*anna, *strangers])
    assert outcome.status("device_id", "phone") == "linked"
    assert outcome.status("device_id", "tablet") == "contested"
    assert outcome.report.customers == 3


def test_empty_and_blank_never_link(town: Town) -> None:
    outcome = town.resolve(
        [
            seen(loyalty_id="L1", email="", phone=" ", device_id="\t"),
            seen(loyalty_id="L2", email="", phone=" ", device_id="\t"),
            seen(email=" ", app_user_id="\u00a0"),
            seen(loyalty_id="L3", email=None),
        ]
    )
    assert outcome.partition() == {frozenset({("loyalty_id", f"L{i}")}) for i in (1, 2, 3)}
    assert outcome.identifiers.height == 3
    assert outcome.report.anonymous_observations == 1


def test_equal_values_of_different_types_are_different(town: Town) -> None:
    outcome = town.resolve([seen(loyalty_id="4711-A"), seen(app_user_id="4711-A"), seen(payment_token="4711-A")])
    assert outcome.report.customers == 3
    assert outcome.identifiers["identifier_key"].n_unique() == 3


def test_a_tightened_limit_splits_history_and_loosening_it_restores_the_ids(town: Town) -> None:
    rows = [
        seen(day=1, email="anna@example.com", app_user_id="u1", phone="0151 20304050"),
        seen(day=2, email="anna@example.com", app_user_id="u2"),
    ]
    before = town.resolve([rows[0], seen(day=2, app_user_id="u2")])
    joined = town.resolve(rows)
    tightened = town.resolve(rows, policy=policy_with(app_user_id={"per_customer": 1}))
    again = town.resolve(rows)
    u1, u2 = before.customer("app_user_id", "u1"), before.customer("app_user_id", "u2")
    assert joined.aliases == {u2: u1}
    assert (tightened.customer("app_user_id", "u1"), tightened.customer("app_user_id", "u2")) == (u1, u2)
    assert tightened.aliases == {}
    assert again.aliases == {u2: u1}
