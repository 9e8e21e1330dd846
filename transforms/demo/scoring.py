"""How well customers match the planted people: pairs of records, B-cubed, and whole customers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from transforms.sql import literal

_SCORE = """
    WITH scored AS (
        SELECT truth.record_id, truth.person_id, found.customer_id
        FROM read_parquet({records}) AS truth
        LEFT JOIN {found} AS found ON found.record_id = truth.record_id
        WHERE truth.is_scored
    ),
    cells AS (
        SELECT person_id, customer_id, count(*) AS n FROM scored WHERE customer_id IS NOT NULL GROUP BY ALL
    ),
    people AS (
        SELECT person_id, count(*) AS n, count(*) - count(customer_id) AS unassigned FROM scored GROUP BY person_id
    ),
    customers AS (SELECT customer_id, sum(n) AS n FROM cells GROUP BY customer_id),
    of_cells AS (
        SELECT
            sum(cells.n * (cells.n - 1) // 2) AS pairs_right,
            sum(cells.n * cells.n / customers.n) AS purity,
            sum(cells.n * cells.n / people.n) AS completeness,
            count(*) FILTER (cells.n = customers.n AND cells.n = people.n) AS exact
        FROM cells JOIN people USING (person_id) JOIN customers USING (customer_id)
    )
    SELECT
        (SELECT count(*) FROM read_parquet({records}) WHERE is_scored) AS expected,
        (SELECT coalesce(sum(n), 0) FROM people) AS records,
        (SELECT count(*) FROM people) AS people,
        (SELECT count(*) FROM customers) AS customers,
        (SELECT coalesce(sum(unassigned), 0) FROM people) AS unassigned,
        (SELECT coalesce(sum(n * (n - 1) // 2), 0) FROM customers) AS pairs_found,
        (SELECT coalesce(sum(n * (n - 1) // 2), 0) FROM people) AS pairs_true,
        coalesce(pairs_right, 0),
        coalesce(purity, 0),
        coalesce(completeness, 0) + (SELECT coalesce(sum(unassigned / n), 0) FROM people),
        (SELECT count(*) FROM (SELECT customer_id FROM cells GROUP BY customer_id HAVING count(*) > 1)) AS mixed,
        exact + (SELECT count(*) FROM people WHERE n = 1 AND unassigned = 1)
    FROM of_cells
"""


@dataclass(frozen=True)
class IdentityScore:
    """Agreement of customers with people, each measure from 0 to 1.

    ``people`` are those with at least one scored record, ``customers`` those that hold at least one.
    """

    records: int
    unassigned_records: int
    people: int
    customers: int
    precision: float
    recall: float
    bcubed_precision: float
    bcubed_recall: float
    mixed_customers: int
    """Customers that hold records of more than one person."""
    exact_precision: float
    """Share of customers that are one person, whole; an unassigned record is a customer of its own."""
    exact_recall: float
    """Share of people who are one customer, whole."""

    @property
    def f1(self) -> float:
        """Harmonic mean of pairwise precision and recall."""
        return _harmonic(self.precision, self.recall)

    @property
    def bcubed_f1(self) -> float:
        """Harmonic mean of B-cubed precision and recall."""
        return _harmonic(self.bcubed_precision, self.bcubed_recall)


def score_identity(truth_dir: Path, assignments: duckdb.DuckDBPyRelation | Path | str) -> IdentityScore:
    """Score an assignment of records to customers against ``truth_dir``/records.parquet.

    ``assignments`` has the columns record_id and customer_id: a relation, the path of a Parquet file, or (as
    ``str``) an SQL query. A record that it lacks, or that it gives a null customer, counts as a customer of
    its own; records that the truth does not know are ignored.

    Only records with ``is_scored`` count: those that carry at least one identifier which belongs to a real
    person and to that person alone, spelt so that it can be read. That is the person's own account,
    customer card, e-mail address (not mistyped, not a placeholder), mobile number, payment token, phone or
    browser. Left out are records of nobody (cash, the cashier's card alone, kiosk before login, devices of
    the house) and records with nothing but a shared identifier (the household's landline, tablet or joint
    payment card), a mistyped address, a placeholder or nothing at all: no method could place them. They
    may sit in customers all the same, where they neither help nor harm the score.

    With n_ct the scored records of customer c and person t, n_c and n_t their sums and C(n,2) the pairs:
    precision = sum C(n_ct,2) / sum C(n_c,2), recall = sum C(n_ct,2) / sum C(n_t,2), both 1 where there is no
    pair to judge. B-cubed (Bagga, Baldwin 1998) is the mean over records of n_ct / n_c and n_ct / n_t.

    Raises:
        ValueError: ``assignments`` names a record more than once.
        duckdb.Error: the truth or the assignments cannot be read.
    """
    records = literal(truth_dir / "records.parquet")
    if isinstance(assignments, duckdb.DuckDBPyRelation):
        result = assignments.query("found", _SCORE.format(records=records, found="found"))
        rows = result.fetchall() if result else []
    else:
        query = f"FROM read_parquet({literal(assignments)})" if isinstance(assignments, Path) else assignments
        with duckdb.connect() as connection:
            rows = connection.execute(_SCORE.format(records=records, found=f"({query})")).fetchall()
    [row] = rows
    expected, counted, people, customers, unassigned, pairs_found, pairs_true, pairs_right, purity, whole, *more = row
    mixed, exact = more
    if counted != expected:
        raise ValueError(f"the assignments name records more than once: {counted - expected} times too often")
    return IdentityScore(
        records=int(counted),
        unassigned_records=int(unassigned),
        people=people,
        customers=customers,
        precision=_share(pairs_right, pairs_found),
        recall=_share(pairs_right, pairs_true),
        # an unassigned record is a pure cluster of its own
        bcubed_precision=_share(purity + unassigned, counted),
        bcubed_recall=_share(whole, counted),
        mixed_customers=mixed,
        exact_precision=_share(exact, customers + unassigned),
        exact_recall=_share(exact, people),
    )


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 1.0


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0
