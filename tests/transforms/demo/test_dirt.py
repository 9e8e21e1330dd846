"""What is planted as dirt is what the gate finds, row by row and file by file."""

from __future__ import annotations

from collections import Counter

import duckdb
import pytest

from tests.transforms.demo.conftest import Written, settings_for
from transforms.contracts.registry import load_contracts
from transforms.demo import write_company
from transforms.demo.dirt import KINDS
from transforms.lake.load import LoadReport, load_source
from transforms.settings import Settings

# One company serves them all, if one worker has them.
pytestmark = pytest.mark.xdist_group("company")


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, LoadReport]]:
    """A company with broken files after its way through the gate."""
    settings = settings_for(tmp_path_factory.mktemp("gated"), people=300)
    write_company(settings, broken_files=True)
    contracts = load_contracts(settings.entities, settings.contracts)
    return settings, {name: load_source(settings, contract) for name, contract in contracts.sources.items()}


def _rows(query: str, *values: object) -> list[tuple]:
    with duckdb.connect() as connection:
        return connection.execute(query, values).fetchall()


def _planted(settings: Settings, outcome: str) -> list[tuple]:
    query = f"SELECT source, kind, reason, file, rows FROM '{settings.truth}/dirt.parquet' WHERE outcome = ?"
    return _rows(query, outcome)


def test_every_kind_is_planted_in_every_company(company: Written):
    found = {(source, kind) for source, kind, *_ in _planted(company.settings, "quarantined")}
    found |= {(source, kind) for source, kind, *_ in _planted(company.settings, "duplicate")}
    assert {(source, kind.name) for source, kinds in KINDS.items() for kind in kinds} <= found


def test_every_rule_of_the_entities_meets_its_dirt(company: Written):
    contracts = load_contracts(company.settings.entities, company.settings.contracts)
    planted = {(source, reason) for source, _, reason, *_ in _planted(company.settings, "quarantined")}
    for source, contract in contracts.sources.items():
        for rule in contract.entity.rules:
            assert (source, f"rule:{rule.name}") in planted
    kinds = {reason.split(":")[0] for _, reason in planted}
    assert kinds == {"type", "required", "enum", "minimum", "maximum", "pattern", "rule", "parse", "duplicate_key"}


def test_dirt_stays_below_the_warning(company: Written):
    planted = Counter[str]()
    for source, _, _, _, rows in _planted(company.settings, "quarantined"):
        planted[source] += rows
    for source in ("pos_sales", "web_orders", "app_events"):
        assert 0.001 <= planted[source] / company.summary.records[source] <= 0.005, source


def test_the_gate_refuses_exactly_the_planted_rows(gated: tuple[Settings, dict[str, LoadReport]]):
    settings, reports = gated
    expected = Counter[tuple[str, str]]()
    for source, _, reason, _, rows in _planted(settings, "quarantined"):
        expected[(source, reason)] += rows
    found = Counter[tuple[str, str]]()
    rows = _rows(f"SELECT _source, reasons FROM '{settings.lake}/*/*/*/quarantine.parquet'")
    for source, reasons in rows:
        found.update((source, reason) for reason in reasons.split("; "))
    assert found == expected
    assert len(rows) == expected.total()  # one reason a row
    assert all(report.balances for report in reports.values())


def test_the_gate_counts_exactly_the_planted_repeats(gated: tuple[Settings, dict[str, LoadReport]]):
    settings, reports = gated
    for source, report in reports.items():
        outcomes = ("duplicate", "replayed", "unchanged")
        repeats = [planted for outcome in outcomes for planted in _planted(settings, outcome)]
        assert report.total("rows_duplicate") == sum(rows for name, *_, rows in repeats if name == source)


def test_the_gate_recognises_the_file_sent_twice(gated: tuple[Settings, dict[str, LoadReport]]):
    settings, reports = gated
    replayed = {
        (s, record.file) for s, report in reports.items() for record in report.records if record.status == "replayed"
    }
    assert replayed == {(source, file) for source, _, _, file, _ in _planted(settings, "replayed")}
    assert replayed == {("pos_sales", "pos_sales_2024-09_resent.csv.gz")}


def test_the_gate_refuses_exactly_the_broken_files(gated: tuple[Settings, dict[str, LoadReport]]):
    settings, reports = gated
    rejected = {(source, record.file) for source, report in reports.items() for record in report.rejected}
    assert rejected == {(source, file) for source, _, _, file, _ in _planted(settings, "rejected")}
    assert len(rejected) == 7


def test_accepted_rows_are_exactly_the_records_of_the_truth(gated: tuple[Settings, dict[str, LoadReport]]):
    settings, _ = gated
    keys = {
        "transactions": "order_id || ':' || line_id",
        "app_events": "event_id",
        "store_visits": "visit_id",
        "hotline_calls": "call_id",
        "profiles": "profile_id",
        "consents": "consent_id",
        "messages": "event_id",
        "surveys": "response_id || ':' || question_id",
        "cases": "case_id || ':' || event_id",
        "returns": "return_id || ':' || line_id",
        "reviews": "review_id",
        "products": "product_id",
    }
    accepted = " UNION ALL ".join(
        f"SELECT _source || ':' || {key} AS record_id FROM '{settings.lake}/{entity}/*/*/accepted.parquet'"
        f" ANTI JOIN (FROM '{settings.lake}/{entity}/*/*/superseded.parquet' WHERE _kind <> 'awaited')"
        " USING (_batch_id, _row)"
        for entity, key in keys.items()
    )
    truth = f"SELECT record_id FROM '{settings.truth}/records.parquet'"
    ((accepted_rows, truth_rows, unknown),) = _rows(
        f"""
        SELECT (SELECT count(*) FROM ({accepted})), (SELECT count(*) FROM ({truth})),
               (SELECT count(*) FROM ({accepted} EXCEPT {truth}))
        """
    )
    assert accepted_rows == truth_rows > 10_000
    assert unknown == 0


def test_the_lake_holds_what_was_meant(gated: tuple[Settings, dict[str, LoadReport]]):
    """Values arrive as the company knew them: cents, kilograms, seconds, UTC."""
    settings, _ = gated
    lake, truth = settings.lake, settings.truth
    ((waits, resolved, grams, negative),) = _rows(
        f"""
        SELECT (SELECT avg(wait_seconds) FROM '{lake}/hotline_calls/*/*/accepted.parquet' WHERE outcome = 'answered'),
               (SELECT count(*) FROM '{lake}/hotline_calls/*/*/accepted.parquet' WHERE is_resolved),
               (SELECT count(*) FROM '{lake}/transactions/*/*/accepted.parquet' WHERE quantity <> floor(quantity)),
               (SELECT count(*) FROM '{lake}/transactions/*/*/accepted.parquet' WHERE gross_amount < discount_amount)
        """
    )
    assert waits == pytest.approx(12.3, abs=1.0)
    assert resolved > 100
    assert grams > 10
    assert negative == 0
    shop_hours = _rows(
        f"""
        SELECT min(hour(timezone('Europe/Berlin', timezone('UTC', ordered_at)))),
               max(hour(timezone('Europe/Berlin', timezone('UTC', ordered_at))))
        FROM '{lake}/transactions/pos_sales/*/accepted.parquet'
        """
    )
    assert shop_hours == [(8, 19)]
    ((planned, found),) = _rows(
        f"""
        SELECT (SELECT sum(orders + returns) FROM '{truth}/people.parquet'),
               (SELECT count(DISTINCT order_id) FROM '{lake}/transactions/*/*/accepted.parquet' AS line
                JOIN '{truth}/records.parquet' AS record
                  ON record.record_id = line._source || ':' || line.order_id || ':' || line.line_id
                WHERE record.person_id IS NOT NULL)
        """
    )
    assert planned == found


def test_broken_files_are_not_in_the_default_company(company: Written):
    assert _planted(company.settings, "rejected") == []
