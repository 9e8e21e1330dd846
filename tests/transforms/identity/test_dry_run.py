"""What a change of policy or overrides would do, told before it is done."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from transforms.identity.dry_run import DryRun, dry_run
from transforms.identity.explanation import ExplainError
from transforms.identity.policy import Policy

from .test_shared_values import policy_with
from .town import REGIONS, Row, Town, identity_key, seen

ANNA: list[Row] = [
    seen("shop", 1, records=3, email="anna@example.com", app_user_id="u1"),
    seen("shop", 2, records=2, email="anna@example.com", app_user_id="u2"),
]
OTHERS: list[Row] = [seen("shop", 5, records=7, loyalty_id=f"L-{i}", payment_token=f"tok-00000{i}") for i in range(3)]
ONE_ACCOUNT = policy_with(app_user_id={"per_customer": 1})


@pytest.fixture
def sold(town: Town) -> Town:
    town.resolve([*ANNA, *OTHERS])
    with duckdb.connect(str(town.settings.warehouse)) as connection:
        connection.execute(
            "CREATE TABLE intermediate.int_order_parts"
            " (identity_key VARCHAR, currency VARCHAR, net_amount DECIMAL(38, 2))"
        )
        for row, amount in zip([*ANNA, *OTHERS], ("10.00", "20.50", "1.00", "2.00", "4.00"), strict=True):
            connection.execute(
                "INSERT INTO intermediate.int_order_parts VALUES (?, 'EUR', ?)", [identity_key(row), amount]
            )
    return town


def compare(town: Town, policy: Policy | None = None) -> DryRun:
    return dry_run(town.settings, REGIONS, policy)


def test_a_tighter_policy_lists_whom_it_splits_and_the_revenue_that_moves(sold: Town) -> None:
    found = compare(sold, ONE_ACCOUNT)
    (split,) = found.split
    assert (found.customers_before, found.customers_after, len(split.customers)) == (4, 5, 1)
    assert split.net_revenue == {"EUR": Decimal("30.50")}
    assert (found.records_moved, found.net_revenue_moved) in [
        (3, {"EUR": Decimal("10.00")}),
        (2, {"EUR": Decimal("20.50")}),
    ]
    assert found.merged == ()


def test_a_looser_policy_lists_whom_it_merges(sold: Town) -> None:
    sold.resolve([*ANNA, *OTHERS], policy=ONE_ACCOUNT)
    found = compare(sold)
    (merged,) = found.merged
    assert (len(merged.customers), merged.records, merged.net_revenue) == (1, 5, {"EUR": Decimal("30.50")})


def test_it_says_what_the_next_run_then_does_and_leaves_nothing(sold: Town) -> None:
    sold.know({"crm:1": OTHERS[0], "crm:2": OTHERS[1]})
    sold.decide("always_link,crm:1,crm:2", "always_link,crm:1,crm:404")
    before = {path: path.stat().st_mtime_ns for path in sold.settings.lake.rglob("*")}
    found = compare(sold)
    assert {path: path.stat().st_mtime_ns for path in sold.settings.lake.rglob("*")} == before
    assert found.remarks == ("line 3: not found: no record of today holds crm:404",)
    outcome = sold.resolve([*ANNA, *OTHERS])
    (merged,) = found.merged
    assert outcome.aliases == {merged.customers[0]: merged.customer_id}


def test_nothing_changes_nothing(sold: Town) -> None:
    found = compare(sold)
    assert (found.merged, found.split, found.records_moved, found.net_revenue_moved) == ((), (), 0, {})


def test_before_the_first_run_there_is_nothing_to_compare_with(town: Town) -> None:
    with pytest.raises(ExplainError, match="run: watershed run"):
        compare(town)
