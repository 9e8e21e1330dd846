"""Why two identifiers are one person, why two are not, and what cannot be told."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import duckdb
import pytest

from tests.transforms.identity.town import REGIONS, Row, Town, identity_key, seen
from transforms.identity.explain import explain
from transforms.identity.explanation import ExplainError, Explanation
from transforms.identity.picture import draw_customer

ORDER = seen("shop", 1, email="Ann@example.com", phone="0151 27491836", loyalty_id="L-100001")
LOGIN = seen("app", 2, phone="+49 151 27491836", device_id="d-000001", app_user_id="ann-account")
VISIT = seen("app", 3, records=5, device_id="d-000001")
BOB = seen("shop", 4, email="bob@example.com", payment_token="tok-bob-0001")
HOUSEHOLD = [seen("till", n, payment_token="tok-shared-1", app_user_id=f"user-{n}") for n in range(3)]
ROWS: list[Row] = [ORDER, LOGIN, VISIT, BOB, *HOUSEHOLD]


@pytest.fixture
def resolved(town: Town) -> Town:
    town.resolve(ROWS)
    return town


def ask(town: Town, *words: str, reveal: bool = True) -> Explanation:
    return explain(town.settings, REGIONS, *words, reveal=reveal)


def steps(found: Explanation) -> list[tuple[str, str, str]]:
    return [(hop.start, found.observations[hop.observation].source, hop.end) for hop in found.path]


def test_the_path_leads_over_the_identifiers_that_two_sources_share(resolved: Town) -> None:
    found = ask(resolved, "ann@example.com", "d-000001")
    assert steps(found) == [
        ("email ann@example.com", "shop", "phone +4915127491836"),
        ("phone +4915127491836", "app", "device_id d-000001"),
    ]
    assert found.first.customer_id == found.second.customer_id  # type: ignore[union-attr]


def test_an_identifier_is_known_as_any_source_writes_it(resolved: Town) -> None:
    ids = {
        ask(resolved, word).first.customer_id for word in ("ANN@Example.com ", "015127491836", "loyalty_id:l-100001")
    }
    assert len(ids) == 1 and None not in ids


def test_every_identifier_says_how_often_and_where_it_was_seen(resolved: Town) -> None:
    customer = ask(resolved, "ann@example.com").first
    device = next(known for known in customer.identifiers if known.type == "device_id")
    assert (device.records, device.status) == (6, "linked")
    assert set(device.observations) == {identity_key(LOGIN), identity_key(VISIT)}
    assert len(customer.identifiers) == 5


def test_values_are_masked_unless_they_are_asked_for(resolved: Town) -> None:
    shown = {known.shown for known in ask(resolved, "L-100001", reveal=False).first.identifiers}
    assert "***836" in shown
    assert not shown & {"ann@example.com", "+4915127491836", "L-100001", "d-000001", "ann-account"}


def test_what_keeps_two_customers_apart_is_named_with_its_reason(resolved: Town) -> None:
    found = ask(resolved, "user-0", "user-1")
    assert found.path == () and found.first.customer_id != found.second.customer_id  # type: ignore[union-attr]
    assert [(known.shown, known.status, known.reason) for known in found.between] == [
        ("tok-shared-1", "contested", "payment_token of more than 1 customers with app_user_id")
    ]
    assert ask(resolved, "ann@example.com", "bob@example.com").between == ()


def test_an_identifier_that_joins_nobody_says_why(resolved: Town) -> None:
    token = ask(resolved, "tok-shared-1").first
    assert token.customer_id is None
    assert token.why_nobody == "contested: payment_token of more than 1 customers with app_user_id"


def test_a_value_that_joins_nobody_is_no_evidence_however_short_the_way(town: Town) -> None:
    shared = {"payment_token": "tok-shared-1"}
    town.resolve(
        [
            *HOUSEHOLD,
            seen("shop", email="ann@example.com", phone="015127491836"),
            seen("till", phone="015127491836", loyalty_id="L-100001"),
            seen("app", loyalty_id="L-100001", device_id="d-000001"),
            seen("shop", email="ann@example.com", **shared),
            seen("app", device_id="d-000001", **shared),
        ]
    )
    assert [source for _, source, _ in steps(ask(town, "ann@example.com", "d-000001"))] == ["shop", "till", "app"]


def test_a_merged_customer_is_explained_by_the_record_that_merged_it(resolved: Town) -> None:
    ann, bob = (ask(resolved, word).first.customer_id for word in ("ann@example.com", "bob@example.com"))
    assert ann and bob
    resolved.resolve([*ROWS, seen("hotline", 9, email="bob@example.com", phone="015127491836")])
    found = ask(resolved, ann, bob)
    assert found.second and found.first.customer_id == found.second.customer_id
    (former,) = found.first.former
    assert former.run_id == "run-2" and former.reason == "merged" and former.customer_id in {ann, bob}
    assert len(found.path) == 1 and steps(found)[0][1] == "hotline"


def test_a_record_is_found_by_its_source_and_key(resolved: Town) -> None:
    with duckdb.connect(str(resolved.settings.warehouse)) as connection:
        connection.execute("CREATE SCHEMA staging")
        connection.execute("CREATE TABLE staging.stg_transactions (record_id VARCHAR, identity_key VARCHAR)")
        connection.execute(
            "INSERT INTO staging.stg_transactions VALUES ('shop:7', ?), ('shop:8', NULL)", [identity_key(ORDER)]
        )
    found = ask(resolved, "shop:7", "ann-account")
    assert steps(found) == [
        ("record shop:7", "shop", "phone +4915127491836"),
        ("phone +4915127491836", "app", "app_user_id ann-account"),
    ]
    assert ask(resolved, "shop:8").first.why_nobody == "the record holds no identifier"


def test_what_is_not_known_is_said(resolved: Town, new_town) -> None:
    with pytest.raises(ExplainError, match="no customer id, identifier or record"):
        ask(resolved, "nobody@example.com")
    with pytest.raises(ExplainError, match="run: watershed run"):
        ask(new_town(), "ann@example.com")


def test_a_value_of_several_types_has_to_be_named_with_one(town: Town) -> None:
    town.resolve([seen("shop", app_user_id="x-100001"), seen("till", payment_token="x-100001")])
    with pytest.raises(ExplainError, match="write one of app_user_id:…, payment_token:…"):
        ask(town, "x-100001")
    assert ask(town, "payment_token:x-100001").first.identifiers[0].type == "payment_token"


def test_a_run_that_writes_the_warehouse_is_not_disturbed(resolved: Town) -> None:
    path = str(resolved.settings.warehouse)
    code = f"import duckdb, time; c = duckdb.connect({path!r}); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
        assert writer.stdout and writer.stdout.readline()
        with pytest.raises(ExplainError, match=r"a run is writing .*; ask again"):
            ask(resolved, "ann@example.com")
        writer.kill()


def with_records(town: Town) -> Town:
    town.know({"crm:1": ORDER, "crm:2": BOB, "crm:8": None, "crm:9": None})
    return town


def test_a_way_over_a_link_says_how_likely_it_is_and_that_it_is_a_bridge(town: Town) -> None:
    with_records(town).resolve(ROWS, likely=[("crm:1", "crm:2", 0.987)])
    found = ask(town, "ann-account", "bob@example.com")
    (link,) = [hop for hop in found.path if hop.rule != "seen_together"]
    assert (link.rule, link.probability, link.observation) == ("probabilistic", 0.987, None)
    assert link.is_bridge and link.bridge_side == 2
    assert found.path[0].start == "app_user_id ann-account" and found.path[-1].end == "email bob@example.com"


def test_the_way_over_strong_identifiers_is_taken_though_it_is_longer(town: Town) -> None:
    """A device would do it in one step; cards and accounts take two, each worth more."""
    rows = [
        seen("shop", email="ann@example.com", device_id="d-000001"),
        seen("web", device_id="d-000001", phone="015127491836"),
        seen("shop", email="ann@example.com", app_user_id="ann-account"),
        seen("app", app_user_id="ann-account", phone="015127491836"),
    ]
    town.resolve(rows)
    assert [hop.end for hop in ask(town, "ann@example.com", "015127491836").path] == [
        "app_user_id ann-account",
        "phone +4915127491836",
    ]


def test_records_without_identifiers_are_explained_by_the_link_that_made_them_somebodys(town: Town) -> None:
    with_records(town).resolve(ROWS, likely=[("crm:8", "crm:9", 0.95), ("crm:9", "crm:2", 0.99)])
    found = ask(town, "crm:8", "bob@example.com")
    assert [(hop.start, hop.rule) for hop in found.path[:2]] == [
        ("record crm:8", "probabilistic"),
        ("record crm:9", "probabilistic"),
    ]


def test_decisions_about_two_customers_are_told_with_line_author_and_reason(town: Town) -> None:
    with_records(town).decide("never_link,crm:1,email:bob@example.com")
    town.resolve(ROWS, likely=[("crm:1", "crm:2", 0.99)])
    found = ask(town, "ann@example.com", "bob@example.com")
    (decided,) = found.decisions
    assert (decided.line, decided.action, decided.author, decided.reason) == (2, "never_link", "ann", "she said so")
    assert [(link.rule, link.reason) for link in found.refused] == [
        ("probabilistic", "would join what never_link keeps apart")
    ]
    assert ask(town, "user-0", "user-1").decisions == ()


def test_a_picture_shows_identifiers_masked_and_the_same_each_time(town: Town) -> None:
    with_records(town).resolve(ROWS, likely=[("crm:1", "crm:2", 0.99)])
    customer = ask(town, "ann@example.com").first.customer_id
    drawing = draw_customer(town.settings, str(customer))
    assert drawing == draw_customer(town.settings, str(customer))
    root = ElementTree.fromstring(drawing)  # noqa: S314 - our own drawing
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert f"Customer {customer}" in texts and "***836" in texts
    assert "probabilistic" in drawing
    for value in ("ann@example.com", "27491836", "L-100001", "d-000001", "ann-account"):
        assert value not in drawing
