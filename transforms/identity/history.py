"""Who was who on any day: the intervals in which a customer id stood for itself, or for another.

One row per id and interval of days, without gaps or overlaps since the id was first given. An id whose identifiers
have left the data stands for itself, as absent. A second run for one day replaces what the first said of it; a run for
an earlier day than the last says nothing of ids that are known.
"""

from __future__ import annotations

from datetime import date

import duckdb


def make_history(connection: duckdb.DuckDBPyConnection, as_of: date, run_id: str, is_look_back: bool) -> None:
    """Make ``history`` as :mod:`transforms.identity.store` describes it.

    :param is_look_back: the run is for an earlier day than what is remembered.

    Reads ``last_history`` and of this run ``issued``, ``aliases`` and ``outcome_customers``.
    """
    given = {"as_of": as_of, "run_id": run_id}
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE standing AS
        SELECT i.customer_id AS known_as, coalesce(a.customer_id, i.customer_id) AS customer_id,
               CASE WHEN a.customer_id IS NOT NULL THEN 'merged'
                    WHEN i.customer_id IN (SELECT customer_id FROM outcome_customers) THEN 'customer'
                    ELSE 'absent' END AS status
        FROM issued i LEFT JOIN aliases a ON a.old_customer_id = i.customer_id
    """)
    # What was said before this day, with the last of it open again.
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE before AS
        SELECT known_as, customer_id, status, valid_from_date,
               CASE WHEN valid_to_date < $as_of - 1 THEN valid_to_date END AS valid_to_date, run_id
        FROM last_history WHERE valid_from_date < $as_of
        """,
        {"as_of": as_of},
    )
    if is_look_back:
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE history AS
            FROM last_history
            UNION ALL BY NAME
            SELECT known_as, customer_id, status, $as_of AS valid_from_date, $run_id AS run_id FROM standing
            WHERE known_as NOT IN (SELECT known_as FROM last_history)
            """,
            given,
        )
        return
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE history AS
        SELECT b.known_as, b.customer_id, b.status, b.valid_from_date,
               CASE WHEN b.valid_to_date IS NOT NULL THEN b.valid_to_date
                    WHEN s.customer_id <> b.customer_id OR s.status <> b.status THEN $as_of - 1 END AS valid_to_date,
               b.run_id
        FROM before b LEFT JOIN standing s USING (known_as)
        UNION ALL
        SELECT s.known_as, s.customer_id, s.status, $as_of, NULL, coalesce(l.run_id, $run_id)
        FROM standing s LEFT JOIN before b ON b.known_as = s.known_as AND b.valid_to_date IS NULL
        -- What a former run of this very day has found stays its finding.
        LEFT JOIN last_history l
            ON l.known_as = s.known_as AND l.customer_id = s.customer_id AND l.status = s.status
            AND l.valid_from_date = $as_of
        WHERE b.known_as IS NULL OR s.customer_id <> b.customer_id OR s.status <> b.status
        """,
        given,
    )
