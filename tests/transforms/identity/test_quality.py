"""A run in which a component explodes is held; what is kept apart and joined is shown."""

from __future__ import annotations

import polars as pl
import pytest

from transforms.identity import IdentityHeld
from transforms.settings import Settings

from .town import Row, Town, seen

PEOPLE: list[Row] = [seen("shop", email=f"p{i}@example.com", loyalty_id=f"L-{i:03d}") for i in range(20)]
# One card number that a new till sends with everybody: two of each, so that no value is shared by more than two.
FUSED = [
    seen("till", payment_token=f"tok-{i:06d}", email=f"p{i + more}@example.com")
    for i in range(0, 20, 2)
    for more in (0, 1)
]


def bounded(town: Town, **bounds: object) -> Town:
    town.settings = Settings.model_validate({**town.settings.model_dump(), "publication_small": 10, **bounds})
    return town


def loose(town: Town) -> dict[str, object]:
    from .test_shared_values import policy_with

    return {"policy": policy_with(payment_token={"shared_beyond": {}})}


def test_a_run_that_merges_too_many_is_held_and_the_last_identities_stay(town: Town) -> None:
    before = bounded(town).resolve(PEOPLE)
    for _ in range(2):  # it does not get used to it
        with pytest.raises(
            IdentityHeld, match=r"merged into others: 0.5, bound 0.1; .*WATERSHED_IDENTITY_MERGE_BOUND=0.5"
        ):
            town.resolve([*PEOPLE, *FUSED], **loose(town))
        assert town.read(before.report).assignments == before.assignments
    bounded(town, identity_merge_bound=0.5)
    assert town.resolve([*PEOPLE, *FUSED], **loose(town)).report.customers == 10


def test_a_customer_who_grows_beyond_all_measure_is_held(town: Town) -> None:
    bounded(town, identity_largest_bound=10)
    with pytest.raises(IdentityHeld, match="identifiers of the largest customer: 12, bound 10"):
        town.resolve([seen("app", email="a@example.com", device_id=f"browser-{i}") for i in range(11)])


def test_few_customers_are_not_held_against_a_rate(town: Town) -> None:
    town.resolve(PEOPLE)
    assert town.resolve([*PEOPLE, *FUSED], **loose(town)).report.merged == 10


def test_clusters_say_how_firmly_a_customer_hangs_together(town: Town) -> None:
    firm = seen("shop", email="ann@example.com", phone="015127491836", loyalty_id="L-1")
    chain = [seen("app", email="bob@example.com", device_id="d-1"), seen("web", device_id="d-1", app_user_id="bob")]
    outcome = town.resolve([firm, *chain, seen("hotline", 3, records=4, email="bob@example.com")])
    rows = {row["customer_id"]: row for row in town.table("clusters").rows(named=True)}
    ann, bob = rows[outcome.customer_of(firm) or ""], rows[outcome.customer_of(chain[0]) or ""]
    assert [ann[name] for name in ("identifiers", "edges", "density", "bridges", "records")] == [3, 3, 1.0, 0, 1]
    assert [bob[name] for name in ("identifiers", "edges", "bridges", "deep_bridges")] == [3, 2, 2, 0]
    assert bob["density"] == pytest.approx(2 / 3)
    assert (bob["records"], bob["sources"], bob["observations"]) == (6, 3, 3)


def test_edges_and_refusals_tell_of_what_was_refused_with_whom(town: Town) -> None:
    kiosk = [seen("app", app_user_id=f"u{i}", device_id="kiosk", records=2) for i in range(3)]
    outcome = town.resolve([*kiosk, seen("app", device_id="kiosk")])
    edges = town.table("edges")
    assert edges["status"].to_list() == ["refused"] * 3
    assert edges["customer_id"].null_count() == 3
    refusals = town.table("refusals")
    assert set(refusals["customer_id"]) == {*(outcome.customer_of(row) for row in kiosk), None}
    assert sorted(refusals["records"]) == [1, 2, 2, 2]
    assert set(refusals["reason"]) == {"device_id of more than 1 customers with app_user_id"}


def test_nothing_that_leaves_shows_an_identifier(town: Town) -> None:
    town.decide("always_link,email:ann@example.com,loyalty_id:L-200002")
    town.know({})
    town.resolve(
        [
            seen("shop", email="ann@example.com", phone="015127491836", loyalty_id="L-100001"),
            seen("till", loyalty_id="L-200002", device_id="kiosk-000001"),
            *(seen("app", app_user_id=f"account-{i}", device_id="kiosk-000001") for i in range(3)),
        ]
    )
    for table in ("edges", "clusters", "refusals", "quality", "history"):
        text = str(town.table(table).select(pl.all().cast(pl.String)).rows())
        for value in ("ann@example.com", "+4915127491836", "L-100001", "L-200002", "kiosk-000001", "account-1"):
            assert value not in text, table
    assert town.table("edges").filter(pl.col("rule") == "always_link").height == 1


def test_figures_of_each_day_stay_and_a_second_run_of_a_day_replaces_its_own(town: Town) -> None:
    from datetime import date

    for day, rows in ((1, PEOPLE[:5]), (2, PEOPLE[:7]), (2, PEOPLE[:8])):
        town.resolve(rows, as_of=date(2025, 7, day))
    customers = town.table("quality").filter(pl.col("measure") == "customers").sort("as_of_date")
    assert customers["value"].to_list() == [5.0, 8.0]
