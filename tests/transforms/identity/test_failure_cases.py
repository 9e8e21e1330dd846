"""What goes wrong with identities elsewhere, and must not here; shared values and ids have tests of their own."""

from __future__ import annotations

from datetime import date

import polars as pl

from .test_shared_values import policy_with
from .town import Row, Town, seen

PHONE = "0151 27491836"


def test_a_mobile_number_that_is_given_out_again_joins_its_two_owners_only_in_turn(town: Town) -> None:
    """Ann gives the number up; three months later it is Bert's. Neither has an account that would tell them apart."""
    ann = [seen(source, day, email="ann@example.com", phone=PHONE) for source, day in (("shop", 0), ("app", 40))]
    bert = [seen("till", 140, email="bert@example.com", phone=PHONE), seen("till", 160, loyalty_id="L-B", phone=PHONE)]
    calls = [seen("hotline", 150, phone=PHONE)]
    outcome = town.resolve([*ann, *bert, *calls])
    assert outcome.customer("email", "ann@example.com") != outcome.customer("email", "bert@example.com")
    assert outcome.customer("loyalty_id", "L-B") == outcome.customer("email", "bert@example.com")
    assert outcome.customer_of(calls[0]) == outcome.customer("phone", "+4915127491836") == outcome.customer_of(bert[0])
    reasons = town.table("refusals").filter(pl.col("reason").str.starts_with("changed hands"))
    assert set(reasons["customer_id"]) == {outcome.customer_of(ann[0]), outcome.customer_of(bert[0])}
    for_ever = town.resolve([*ann, *bert, *calls], policy=policy_with(phone={"idle_days": None}))
    assert for_ever.report.customers == 1


def test_calls_from_a_number_of_two_owners_in_turn_are_nobodys_where_they_cannot_be_told_apart(town: Town) -> None:
    """The hotline's one combination reaches from Ann's days into Bert's: first seen on day 1, last seen with Bert."""
    town.observe([])
    ann, bert = (
        seen("shop", 0, email="ann@example.com", phone=PHONE),
        seen("shop", 200, email="bert@example.com", phone=PHONE),
    )
    outcome = town.resolve([ann, bert, seen("hotline", 100, phone=PHONE)])
    assert outcome.customer_of(seen("hotline", 100, phone=PHONE)) is None
    assert outcome.customer_of(ann) != outcome.customer_of(bert)


def test_a_customer_who_has_been_away_keeps_the_number(town: Town) -> None:
    rows = [seen(source, day, email="ann@example.com", phone=PHONE) for source, day in (("shop", 0), ("app", 300))]
    assert town.resolve([*rows, seen("till", 300, loyalty_id="L-A", phone=PHONE)]).report.customers == 1


def test_a_telephone_that_is_sold_on_belongs_to_the_one_and_then_to_the_other(town: Town) -> None:
    ann = [seen(source, day, app_user_id="ann", device_id="handset") for source, day in (("app", 0), ("shop", 60))]
    bert = [seen(source, day, app_user_id="bert", device_id="handset") for source, day in (("app", 200), ("shop", 230))]
    browsing = {"then": seen("app", 50, device_id="handset"), "now": seen("web", 220, device_id="handset")}
    outcome = town.resolve([*ann, *bert, *browsing.values()])
    assert outcome.report.customers == 2
    assert outcome.customer_of(browsing["then"]) == outcome.customer("app_user_id", "ann")
    assert outcome.customer_of(browsing["now"]) == outcome.customer("device_id", "handset")
    assert outcome.customer("device_id", "handset") == outcome.customer("app_user_id", "bert")


def test_a_sold_telephone_that_is_seen_before_its_new_owner_has_a_name_is_nobodys(town: Town) -> None:
    """Ann sells it after day 20; on day 120 it walks into a shop, and nobody has ordered with it yet."""
    rows = [
        seen("shop", day=10, device_id="device-1", email="ann@example.com"),
        seen("till", day=20, device_id="device-1"),
        seen("app", day=120, device_id="device-1"),
    ]
    outcome = town.resolve(rows)
    ann = outcome.customer("email", "ann@example.com")
    assert [outcome.customer_of(row) for row in rows] == [ann, ann, None]
    refusals = town.table("refusals").select("identifier_type", "customer_id", "reason", "records").rows()
    assert refusals == [("device_id", None, "seen alone, long before or after anybody who is known", 1)]
    assert outcome.report.refused_edges == 1
    # From the first order on it is whose it was sold to; what lies between the two stays nobody's.
    later = town.resolve([*rows, seen("shop", day=125, device_id="device-1", email="bert@example.com")])
    assert later.customer("device_id", "device-1") == later.customer("email", "bert@example.com") != ann
    assert [later.customer_of(row) for row in rows] == [ann, None, None]


def test_whoever_carries_a_telephone_after_a_long_rest_and_never_gives_a_name_is_nobody(town: Town) -> None:
    """Its next owner walks into shops for months, and is not Ann, who was last seen with it in winter."""
    ann = seen("shop", day=10, device_id="device-1", email="ann@example.com")
    hers, theirs = seen("till", day=12, device_id="device-1"), seen("till", day=120, until=148, device_id="device-1")
    later = seen("app", day=151, until=180, records=9, device_id="device-1")
    outcome = town.resolve([ann, hers, theirs, later])
    assert [outcome.customer_of(row) for row in (hers, theirs, later)] == [outcome.customer_of(ann), None, None]
    assert outcome.customer("device_id", "device-1") == outcome.customer_of(ann) is not None
    assert town.table("refusals")["reason"].to_list() == ["seen alone, long before or after anybody who is known"]
    # Somebody who was seen with it in between has carried it all the while; and who comes back has merely been away.
    between = seen("app", day=70, device_id="device-1")
    assert set(map(town.resolve([ann, hers, between, theirs, later]).customer_of, (hers, between, theirs, later))) == {
        outcome.customer_of(ann)
    }
    back = seen("web", day=300, device_id="device-1", email="ann@example.com")
    assert set(map(town.resolve([ann, hers, theirs, later, back]).customer_of, (hers, theirs, later, back))) == {
        outcome.customer_of(ann)
    }


def test_sightings_that_begin_long_before_their_customer_are_nobodys(town: Town) -> None:
    """Whoever carried the telephone in winter, it was not Ann, of whom nothing was heard before spring."""
    visits = seen("till", day=10, until=125, records=4, device_id="device-1")
    ann = seen("app", day=130, device_id="device-1", app_user_id="ann")
    assert town.resolve([visits, ann]).customer_of(visits) is None
    known = seen("shop", day=20, app_user_id="ann", email="ann@example.com")
    outcome = town.resolve([visits, ann, known])
    assert outcome.customer_of(visits) == outcome.customer_of(known) is not None


def test_a_call_long_after_anybody_was_known_by_the_number_is_nobodys(town: Town) -> None:
    ann = seen("shop", day=0, email="ann@example.com", phone=PHONE)
    soon, late = seen("hotline", day=120, phone=PHONE), seen("hotline", day=320, phone=f"+49 {PHONE[1:]}")
    outcome = town.resolve([ann, soon, late])
    assert [outcome.customer_of(row) for row in (soon, late)] == [outcome.customer_of(ann), None]


def test_a_telephone_that_nobody_is_known_by_is_one_customer_however_long_it_rests(town: Town) -> None:
    rows = [seen("app", day=1, device_id="device-1"), seen("till", day=150, device_id="device-1")]
    first, second = map(town.resolve(rows).customer_of, rows)
    assert first == second is not None


def test_spouses_with_one_payment_card_stay_two_and_with_one_mailbox_people_decide(town: Town) -> None:
    own = [seen("app", app_user_id=name, phone=phone) for name, phone in (("eva", PHONE), ("jan", "0151 27491837"))]
    card = [seen("shop", app_user_id=name, payment_token="tok-joint1") for name in ("eva", "jan")]
    assert town.resolve([*own, *card]).report.customers == 2
    mailbox = [seen("shop", app_user_id=name, email="family@example.com") for name in ("eva", "jan")]
    assert town.resolve([*own, *card, *mailbox]).report.customers == 1
    town.decide("never_link,app_user_id:eva,app_user_id:jan")
    outcome = town.resolve([*own, *card, *mailbox])
    assert outcome.customer("app_user_id", "eva") != outcome.customer("app_user_id", "jan")
    assert outcome.reason("email", "family@example.com") == "would join what never_link keeps apart"


def test_parent_and_child_of_one_name_and_address_stay_two_where_each_has_a_card(town: Town) -> None:
    rows: list[Row] = [seen("till", loyalty_id="L-SENIOR"), seen("till", loyalty_id="L-JUNIOR")]
    town.know({"crm:1": rows[0], "crm:2": rows[1]})
    assert town.resolve(rows, likely=[("crm:1", "crm:2", 0.9999)]).report.customers == 2


def test_twins_whom_a_model_takes_for_one_are_parted_by_a_decision(town: Town) -> None:
    rows: list[Row] = [seen("shop", email="lea@example.com"), seen("shop", email="mia@example.com")]
    town.know({"crm:1": rows[0], "crm:2": rows[1]})
    town.decide("never_link,crm:1,crm:2")
    outcome = town.resolve(rows, likely=[("crm:1", "crm:2", 0.9999)])
    assert outcome.report.customers == 2
    assert town.table("links")["reason"].to_list() == ["would join what never_link keeps apart"]


def test_one_open_id_in_two_apps_is_two_people(town: Town) -> None:
    """Ids that a provider gives per app carry the app as a prefix, which the contract writes."""
    rows = [seen("app", app_user_id=f"{app}:oXk92", device_id=f"d-{app}-0001") for app in ("shop", "club")]
    assert town.resolve(rows).report.customers == 2


def test_dots_and_tags_in_a_mailbox_count(town: Town) -> None:
    """Only the provider knows whether they do: a.b@ and ab@ are never joined by a guess."""
    boxes = ("ann.bell@example.com", "annbell@example.com", "annbell+shop@example.com")
    assert town.resolve([seen(email=box, loyalty_id=f"L-{i}") for i, box in enumerate(boxes)]).report.customers == 3


def test_a_mistyped_address_that_bridges_two_people_is_shown_as_a_bridge_and_parted_by_a_decision(town: Town) -> None:
    ann = [
        seen("shop", email="ann@example.com", payment_token="tok-ann001"),
        seen("app", email="ann@example.com", phone=PHONE),
    ]
    bob = [
        seen("shop", email="bob@example.com", payment_token="tok-bob001"),
        seen("app", email="bob@example.com", device_id="d-b"),
    ]
    typo = seen("hotline", email="bob@example.com", phone=PHONE)
    together = town.resolve([*ann, *bob, typo])
    assert together.report.customers == 1
    (bridge,) = town.table("edges").filter(pl.col("bridge_side") >= 3).select("left_type", "right_type").rows()
    assert bridge == ("email", "phone")
    assert town.table("clusters")["deep_bridges"].to_list() == [2]
    town.decide("never_link,email:ann@example.com,email:bob@example.com")
    assert town.resolve([*ann, *bob, typo]).report.customers == 2


def test_late_and_unordered_events_give_what_their_order_gives(town: Town, new_town) -> None:
    days = {
        9: seen("shop", 9, email="a@example.com", phone=PHONE),
        3: seen("app", 3, phone=PHONE, device_id="d-000001"),
        6: seen("till", 6, email="a@example.com", loyalty_id="L1"),
    }
    late = new_town()
    for known in ((9,), (9, 6), (9, 6, 3)):
        outcome = late.resolve([days[day] for day in known])
    assert outcome.partition() == town.resolve(list(days.values())).partition()
    assert len(set(outcome.assignments.values())) == 1


def test_an_erased_record_that_was_a_bridge_parts_the_customers_and_nothing_rises_again(town: Town) -> None:
    ann, bob = seen("shop", 1, email="ann@example.com"), seen("shop", 2, email="bob@example.com")
    bridge = [
        seen("app", 3, email=email, payment_token="tok-000001") for email in ("ann@example.com", "bob@example.com")
    ]
    before = town.resolve([ann, bob])
    town.resolve([ann, bob, *bridge], as_of=date(2025, 7, 1))
    for day in (2, 3):
        erased = town.resolve([ann, bob], as_of=date(2025, 7, day))
        assert erased.assignments == before.assignments
    assert "tok-000001" not in erased.identifiers["identifier_value"].to_list()
    again = town.resolve([ann, bob, bridge[0]], as_of=date(2025, 7, 4))
    assert again.customer_of(ann) == before.customer_of(ann) and again.customer_of(bob) == before.customer_of(bob)


def test_an_alias_never_leads_in_a_circle(town: Town) -> None:
    """Ann's id goes to Bob, then all that was Bob's goes to whom Ann's records found again."""
    ann = [seen("shop", i, email="ann@example.com", payment_token=f"tok-a{i:05d}") for i in range(2)]
    bob = [seen("shop", i, email="bob@example.com", payment_token=f"tok-b{i:05d}") for i in range(4)]
    join = [seen("till", 9, loyalty_id="L1", email=email) for email in ("ann@example.com", "bob@example.com")]
    more = [seen("shop", 10 + i, email="ann@example.com", payment_token=f"tok-c{i:05d}") for i in range(9)]
    for rows in ([*ann, *bob], [*ann, *bob, *join], [*ann, *more, *bob], [*ann, *more, *bob, *join]):
        outcome = town.resolve(rows)
        assert not set(outcome.aliases) & set(outcome.aliases.values())


def test_blocking_a_value_parts_the_past_too(town: Town) -> None:
    rows = [seen("shop", day, email="desk@shop.example", payment_token=f"tok-00000{day}") for day in (1, 2)]
    policy = policy_with()
    blocked = policy.model_copy(
        update={
            "blocked": (
                *policy.blocked,
                policy.blocked[0].model_copy(update={"reason": "the desk's own", "values": ("desk@shop.example",)}),
            )
        }
    )
    assert town.resolve(rows).report.customers == 1
    outcome = town.resolve(rows, policy=blocked)
    assert outcome.report.customers == 2
    assert (outcome.status("email", "desk@shop.example"), outcome.reason("email", "desk@shop.example")) == (
        "blocked",
        "the desk's own",
    )


def test_another_version_of_the_model_shows_as_churn(town: Town) -> None:
    rows: list[Row] = [seen("shop", i, email=f"p{i}@example.com") for i in range(4)]
    town.know({f"crm:{i}": row for i, row in enumerate(rows)})
    assert town.resolve(rows, likely=[("crm:0", "crm:1", 0.99)]).report.quality["id_churn"] is None
    same = town.resolve(rows, likely=[("crm:0", "crm:1", 0.99)])
    upgraded = town.resolve(rows, likely=[("crm:2", "crm:3", 0.99)])
    assert same.report.quality["id_churn"] == 0
    assert upgraded.report.quality["id_churn"] == 0.25
    assert (upgraded.report.merged, upgraded.report.split) == (1, 1)


def test_a_loose_component_of_links_stops_at_the_cap(town: Town) -> None:
    """Thirty profiles in a chain of likenesses, under a policy of ten identifiers a customer."""
    rows: list[Row] = [seen("shop", payment_token=f"tok-{i:06d}") for i in range(30)]
    town.know({f"crm:{i:02d}": row for i, row in enumerate(rows)})
    capped = policy_with().model_copy(update={"identifiers_per_customer": 10})
    chain = [(f"crm:{i:02d}", f"crm:{i + 1:02d}", 0.9 + i / 1000) for i in range(29)]
    outcome = town.resolve(rows, policy=capped, likely=chain)
    assert outcome.report.largest_customer == 10
    assert outcome.report.customers == 3
