"""The marts of the sample company by a hand-written DuckDB script: the yardstick of the full path.

    python -m tests.benchmarks.yardstick.run <incoming> <home> <as_of>

Reads the incoming files straight and writes ``<home>/warehouse.duckdb``, schema ``marts``. What an analyst would write
for this one company: no contracts, no quarantine, no increments, no memory of ids, no checks, one currency. Purchase
models are fitted by the same code as Watershed's (``transforms.value``), because nobody would write that in SQL.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import duckdb

from transforms.settings import Settings
from transforms.sql import literal, scalars
from transforms.value.run import forecast_value

FOLDER = Path(__file__).parent

# From the most to the least trusted types of identifiers. A value that is seen with more customers than this who have
# an identifier of the other type is shared and joins nobody.
LEVELS: tuple[dict[str, dict[str, int]], ...] = (
    {"app_user_id": {}},
    {"loyalty_id": {"app_user_id": 2}},
    {"email": {"app_user_id": 3, "loyalty_id": 3}, "phone": {"app_user_id": 1, "loyalty_id": 2}},
    {"payment_token": {"app_user_id": 1, "loyalty_id": 1, "email": 1, "phone": 2}},
    {"device_id": {"app_user_id": 1, "loyalty_id": 1, "email": 2, "phone": 2, "payment_token": 3}},
)

Resolve = Callable[[duckdb.DuckDBPyConnection], None]


def build(settings: Settings, incoming: Path, as_of: date, resolve: Resolve | None = None) -> None:
    """Make all tables in ``settings.warehouse``, which must not exist.

    :param resolve: makes ``owners`` and ``known_identifiers`` otherwise than by :func:`resolve_identifiers`.
    """
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with _open(settings, incoming, as_of) as connection:
        connection.execute("CREATE SCHEMA marts; CREATE SCHEMA intermediate")
        _run(connection, "read")
        _run(connection, "identity")
        (resolve or resolve_identifiers)(connection)
        for script in ("facts", "journey", "value"):
            _run(connection, script)
    forecast_value(settings, as_of, "yardstick")
    with _open(settings, incoming, as_of) as connection:
        predictions = literal(settings.lake / "value" / "current" / "predictions.parquet")
        connection.execute(f"CREATE TEMP VIEW predictions AS FROM read_parquet({predictions})")
        _run(connection, "marts")


def resolve_identifiers(connection: duckdb.DuckDBPyConnection) -> None:
    """Join the identifiers of one person, level by level, and name the customers."""
    so_far: list[str] = []
    for limits in LEVELS:
        for kind, beyond in limits.items():
            _find_shared(connection, kind, so_far, beyond)
        so_far += limits
        # What stands in one sighting belongs together: an edge from each of its components to the least of them.
        connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE edges AS
            WITH together AS (
                SELECT sighting, label, min(label) OVER (PARTITION BY sighting) AS least
                FROM held ANTI JOIN shared USING (id) JOIN component USING (id)
                WHERE held.type IN ({_texts(so_far)})
            )
            SELECT DISTINCT label AS a, least AS b FROM together WHERE label <> least
        """)
        _connect(connection)
    _run(connection, "owners")


def _find_shared(connection: duckdb.DuckDBPyConnection, kind: str, stronger: list[str], beyond: dict[str, int]) -> None:
    if not beyond:
        return
    too_many = " OR ".join(f"count(DISTINCT b.label) FILTER (has_{name}) > {most}" for name, most in beyond.items())
    flags = ", ".join(f"bool_or(type = '{name}') AS has_{name}" for name in beyond)
    connection.execute(f"""
        INSERT INTO shared
        WITH unshared AS (FROM component ANTI JOIN shared USING (id) WHERE type IN ({_texts(stronger)})),
        customers AS (SELECT label, {flags} FROM unshared GROUP BY label),
        beside AS (
            SELECT DISTINCT a.id, unshared.label
            FROM held AS a JOIN held AS other USING (sighting) JOIN unshared ON unshared.id = other.id
            WHERE a.type = {literal(kind)}
        )
        SELECT b.id FROM beside AS b JOIN customers USING (label) GROUP BY b.id HAVING {too_many}
    """)


def _connect(connection: duckdb.DuckDBPyConnection) -> None:
    """Give each component that edges connect the least label of them all, round by round."""
    while _count(connection, "edges"):
        connection.execute("""
            CREATE OR REPLACE TEMP TABLE hooks AS
            SELECT node, least(node, min(other)) AS parent
            FROM (SELECT a AS node, b AS other FROM edges UNION ALL SELECT b, a FROM edges) GROUP BY node
        """)
        while _count(
            connection, "hooks AS low JOIN hooks AS high ON low.parent = high.node AND high.parent < high.node"
        ):
            connection.execute("""
                CREATE OR REPLACE TEMP TABLE hooks AS
                SELECT low.node, coalesce(high.parent, low.parent) AS parent
                FROM hooks AS low LEFT JOIN hooks AS high ON low.parent = high.node
            """)
        connection.execute("""
            CREATE OR REPLACE TABLE component AS
            SELECT id, type, coalesce(parent, label) AS label FROM component LEFT JOIN hooks ON label = node
        """)
        connection.execute("""
            CREATE OR REPLACE TEMP TABLE edges AS
            SELECT DISTINCT x.parent AS a, y.parent AS b
            FROM edges JOIN hooks AS x ON a = x.node JOIN hooks AS y ON b = y.node
            WHERE x.parent <> y.parent
        """)


def _count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    return scalars(connection, f"SELECT count(*) FROM {relation}")[0]


def _texts(names: Iterable[str]) -> str:
    return ", ".join(map(literal, names))


def _run(connection: duckdb.DuckDBPyConnection, script: str) -> None:
    connection.execute((FOLDER / f"{script}.sql").read_text(encoding="utf-8"))


def _open(settings: Settings, incoming: Path, as_of: date) -> duckdb.DuckDBPyConnection:
    config = {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        "temp_directory": str(settings.warehouse.parent / "tmp"),
    }
    connection = duckdb.connect(str(settings.warehouse), config=config)
    connection.execute(f"SET VARIABLE incoming = {literal(incoming)}")
    connection.execute(f"SET VARIABLE as_of = DATE {literal(as_of.isoformat())}")
    connection.execute("SET VARIABLE salt = 'yardstick'")
    return connection


if __name__ == "__main__":
    files, home, day = sys.argv[1:]
    build(Settings(home=Path(home)), Path(files), date.fromisoformat(day))
