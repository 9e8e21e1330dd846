"""Edges of people and models: the weakest of all, within limits, and gone without a trace when they are."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from transforms.identity.policy import DEFAULT_POLICY, Policy

from .town import Outcome, Row, Town, seen

ANN = seen("shop", 1, payment_token="tok-00000a", email="ann@example.com")
ANNA = seen("shop", 2, payment_token="tok-00000b", email="anna@example.com")
BOB = seen("shop", 3, payment_token="tok-00000c", email="bob@example.com")
ROWS: list[Row] = [ANN, ANNA, BOB]
RECORDS: dict[str, Row | None] = {"crm:1": ANN, "crm:2": ANNA, "crm:3": BOB, "crm:8": None, "crm:9": None}


@pytest.fixture
def known(town: Town) -> Town:
    town.know(RECORDS)
    return town


def strict(**types: dict[str, Any]) -> Policy:
    """The policy with some changes, and without limits on what a model may link."""
    document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    document["links"] = {}
    for kind, changes in types.items():
        document["types"][kind].update(changes)
    return Policy.model_validate(document)


def ids(outcome: Outcome) -> list[str | None]:
    return [outcome.customer_of(row) for row in ROWS]


def statuses(town: Town, table: str = "links") -> list[tuple[str, str | None]]:
    why = "reason" if table == "links" else "detail"
    return town.table(table).select("status", why).rows()


def test_a_link_of_a_model_joins_two_customers_and_says_so(known: Town) -> None:
    before = ids(known.resolve(ROWS))
    outcome = known.resolve(ROWS, likely=[("crm:1", "crm:2", 0.98)])
    a, b, c = ids(outcome)
    assert a == b and a in before[:2] and c == before[2]
    row = known.table("links").row(0, named=True)
    assert (row["kind"], row["rule"], row["probability"], row["model"]) == ("probabilistic", "names", 0.98, "m1")
    assert row["left_customer_id"] == row["right_customer_id"] == a
    assert (row["status"], outcome.report.links) == ("linked", 1)


def test_a_link_that_is_gone_leaves_everybody_as_they_were(known: Town) -> None:
    before = known.resolve(ROWS)
    assert known.resolve(ROWS, likely=[("crm:1", "crm:2", 0.98), ("crm:2", "crm:3", 0.97)]).report.merged == 2
    after = known.resolve(ROWS)
    assert after.assignments == before.assignments
    assert after.aliases == {}


def test_the_surest_link_comes_first_and_a_limit_stops_the_others(known: Town) -> None:
    one_card = strict(payment_token={"per_customer": 2})
    outcome = known.resolve(ROWS, policy=one_card, likely=[("crm:1", "crm:2", 0.96), ("crm:2", "crm:3", 0.99)])
    a, b, c = ids(outcome)
    assert a != b == c
    assert statuses(known) == [
        ("refused", "would join customers beyond the limits of one customer"),
        ("linked", None),
    ]
    assert outcome.report.refused_edges == 1


def test_records_without_identifiers_become_somebody_by_a_link(known: Town) -> None:
    alone = known.resolve(ROWS, likely=[("crm:8", "crm:9", 0.95)])
    of_record = dict(known.table("linked_records").select("record_id", "customer_id").rows())
    assert of_record["crm:8"] == of_record["crm:9"] not in ids(alone)
    assert alone.customers.height == 4
    joined = known.resolve(ROWS, likely=[("crm:8", "crm:9", 0.95), ("crm:9", "crm:1", 0.99)])
    assert dict(known.table("linked_records").select("record_id", "customer_id").rows())["crm:8"] == joined.customer_of(
        ANN
    )
    assert set(joined.identifiers["identifier_type"]) == {"email", "payment_token"}
    assert "crm:8" not in joined.assignments


def test_a_record_without_identifiers_keeps_its_customer_id(known: Town) -> None:
    first = known.resolve(ROWS, likely=[("crm:8", "crm:9", 0.95)])
    again = known.resolve(ROWS, likely=[("crm:9", "crm:8", 0.95)])
    assert again.report.new == again.report.split == again.report.merged == 0
    assert again.customers.equals(first.customers)


def test_a_link_to_a_record_that_is_gone_is_refused(known: Town) -> None:
    outcome = known.resolve(ROWS, likely=[("crm:1", "crm:77", 0.99)])
    assert statuses(known) == [("refused", "an end of it joins nobody today")]
    assert outcome.report.customers == 3


def test_always_link_joins_whatever_the_limits_say_and_is_undone_exactly(known: Town) -> None:
    policy = strict(payment_token={"per_customer": 1})
    before = known.resolve(ROWS, policy=policy)
    known.decide("always_link,crm:1,email:BOB@example.com")
    joined = known.resolve(ROWS, policy=policy)
    a, b, c = ids(joined)
    assert a == c != b
    assert statuses(known, "overrides") == [("applied", None)]
    known.decide()
    parted = known.resolve(ROWS, policy=policy)
    assert parted.assignments == before.assignments
    assert parted.aliases == {}


def test_never_link_parts_whom_the_rules_join_and_is_undone_exactly(known: Town) -> None:
    shared = [
        *ROWS,
        seen("app", 9, email="ann@example.com", device_id="d1"),
        seen("app", 9, email="anna@example.com", device_id="d1"),
    ]
    policy = strict(device_id={"shared_beyond": {}})
    before = known.resolve(shared, policy=policy)
    assert ids(before)[0] == ids(before)[1]
    known.decide("never_link,crm:1,crm:2")
    parted = known.resolve(shared, policy=policy)
    assert ids(parted)[0] != ids(parted)[1]
    assert parted.reason("device_id", "d1") == "would join what never_link keeps apart"
    known.decide()
    assert known.resolve(shared, policy=policy).assignments == before.assignments


def test_never_link_holds_over_a_path_of_others(known: Town) -> None:
    """Ann – Anna – Bob, each step by another identifier: the last step is refused, and so is a model's shortcut."""
    path = [
        *ROWS,
        seen("app", 5, email="ann@example.com", phone="015127491836"),
        seen("app", 5, email="anna@example.com", phone="015127491836"),
        seen("till", 6, email="anna@example.com", payment_token="tok-000001"),
        seen("till", 6, email="bob@example.com", payment_token="tok-000001"),
    ]
    one_card = {"shared_beyond": {}, "shared_beside": None}
    joined = known.resolve(path, policy=strict(loyalty_id={"shared_beyond": {}}, payment_token=one_card))
    assert len(set(ids(joined))) == 1
    known.decide("never_link,crm:1,email:bob@example.com")
    outcome = known.resolve(path, policy=strict(payment_token=one_card), likely=[("crm:3", "crm:2", 0.99)])
    a, b, c = ids(outcome)
    assert a == b != c
    assert outcome.reason("payment_token", "tok-000001") == "would join what never_link keeps apart"
    assert statuses(known) == [("refused", "would join what never_link keeps apart")]


def test_never_link_of_two_identifiers_in_one_record_takes_the_weaker_out_of_it(town: Town) -> None:
    both = seen("shop", 1, email="ann@example.com", phone="015127491836")
    bob = seen("app", 2, phone="015127491836", device_id="d-bob")
    town.decide("never_link,email:ann@example.com,phone:0151 27491836")
    outcome = town.resolve([both, bob])
    assert outcome.customer_of(both) == outcome.customer("email", "ann@example.com")
    assert outcome.customer_of(bob) == outcome.customer("phone", "+4915127491836") != outcome.customer_of(both)


def test_always_against_never_is_reported_with_both_lines_and_neither_is_applied(known: Town) -> None:
    plain = known.resolve(ROWS)
    known.decide("always_link,crm:1,crm:2", "never_link,email:anna@example.com,crm:3", "never_link,crm:2,crm:1")
    outcome = known.resolve(ROWS)
    assert outcome.assignments == plain.assignments
    assert statuses(known, "overrides") == [
        ("contradiction", "line 2 contradicts line 4"),
        ("applied", None),
        ("contradiction", "line 4 contradicts line 2"),
    ]
    assert any("identity_overrides.csv:4: never_link not applied" in remark for remark in outcome.report.remarks)


def test_a_chain_of_always_links_contradicts_a_never_link_of_its_ends(known: Town) -> None:
    known.decide("always_link,crm:1,crm:2", "always_link,crm:2,crm:3", "never_link,crm:1,crm:3")
    outcome = known.resolve(ROWS)
    assert len(set(ids(outcome))) == 3
    assert statuses(known, "overrides")[2] == ("contradiction", "line 4 contradicts line 2, 3")


def test_an_override_waits_for_its_record_and_ends_with_its_day(known: Town) -> None:
    known.decide(
        "always_link,crm:1,crm:2,2025-06-29", "always_link,crm:1,crm:404", "always_link,crm:1,crm:3,2025-06-30"
    )
    a, b, c = ids(known.resolve(ROWS))
    assert a == c != b
    assert [status for status, _ in statuses(known, "overrides")] == ["expired", "not found", "applied"]


def test_what_cannot_be_told_apart_is_said_and_not_guessed(known: Town) -> None:
    known.know({"crm:1": ANN, "crm:2": ANN})
    known.decide("never_link,crm:1,crm:2", "always_link,crm:1,email:none@none.com")
    rows = [*ROWS, seen("shop", 5, email="none@none.com", loyalty_id="L-Z")]
    known.resolve(rows)
    (twins, why), (blocked, reason) = statuses(known, "overrides")
    assert twins == blocked == "not applicable"
    assert why and "cannot be told apart" in why
    assert reason == "email:none@none.com is blocked (invented mailbox) and joins nobody"


def test_an_identifier_is_named_by_its_key_without_telling_it(known: Town) -> None:
    before = known.resolve(ROWS)
    key = before.identifiers.filter(identifier_value="bob@example.com")["identifier_key"][0]
    known.decide(f"always_link,crm:1,key:{key}")
    a, _, c = ids(known.resolve(ROWS))
    assert a == c


def test_a_model_does_not_join_two_who_have_accounts_of_their_own_but_people_may(town: Town) -> None:
    rows: list[Row] = [seen("app", day=i, app_user_id=f"account-{i}", email=f"p{i}@example.com") for i in (1, 2)]
    town.know({"crm:1": rows[0], "crm:2": rows[1]})
    assert town.resolve(rows, likely=[("crm:1", "crm:2", 0.999)]).report.customers == 2
    assert statuses(town) == [("refused", "both ends have accounts or cards of their own")]
    town.decide("always_link,crm:1,crm:2")
    assert town.resolve(rows).report.customers == 1


def test_records_without_identifiers_may_be_named_by_people_and_by_a_model_at_once(known: Town) -> None:
    """Each has one observation of its own, numbered without a gap."""
    known.decide("always_link,crm:8,email:ann@example.com")
    outcome = known.resolve(ROWS, likely=[("crm:8", "crm:9", 0.95), ("crm:9", "crm:2", 0.9)])
    of_record = dict(known.table("linked_records").select("record_id", "customer_id").rows())
    assert of_record["crm:8"] == of_record["crm:9"] == outcome.customer_of(ANN) == outcome.customer_of(ANNA)
