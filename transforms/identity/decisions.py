"""Decisions of people and links of a model, brought into the graph: what their sides are in it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from transforms.identity.apart import Apart, Marked
from transforms.identity.links import Edges, Ends
from transforms.identity.normalise import normalise_values
from transforms.identity.overrides import KEY, Override, Side, Verdict, weigh
from transforms.identity.policy import Policy
from transforms.identity.records import find_records, observe_records

ALWAYS, PROBABILISTIC = "always_link", "probabilistic"
LINK_COLUMNS = {
    "left_record": pa.string(),
    "right_record": pa.string(),
    "probability": pa.float64(),
    "rule": pa.string(),
    "model": pa.string(),
}
"""Columns of what a :data:`Linker` returns: two source records (``source:key``), how likely they are one person (0–1),
on what grounds, and the version of the model that says so."""

Linking = Callable[[duckdb.DuckDBPyConnection], pa.Table]
"""Finds links that no identifier makes. It is called when the identifiers have made their clusters, with a connection
that holds ``resolved`` (identity_key, cluster: any number that tells it), and must leave its tables alone."""

Linker = Callable[[], AbstractContextManager[Linking]]
"""Opens what finds links. It is opened before the observations are read, so that work which needs no clusters can be
done beside; it may hold the warehouse until it is open, and while it is called."""


@dataclass(frozen=True)
class Thing:
    """What a side stands for: an observation, or a node where ``row`` is -1."""

    row: int
    node: int


@dataclass(frozen=True)
class Decisions:
    """Overrides that hold today, by what they mean in the graph, and what became of the others."""

    apart: Apart
    always: tuple[tuple[Override, Thing, Thing], ...]
    never: tuple[Override, ...]
    verdicts: tuple[Verdict, ...]


def read_decisions(
    connection: duckdb.DuckDBPyConnection,
    warehouse: Path,
    overrides: Sequence[Override],
    policy: Policy,
    phone_regions: Mapping[str, str],
    as_of: dt.date,
) -> Decisions:
    """Find what overrides stand for. Needs ``nodes`` and ``held``, to which it adds the records that they name."""
    sides = {side for override in overrides for side in (override.left, override.right)}
    find_records(connection, warehouse, (side.value for side in sides if side.kind == "record"))
    observe_records(connection)
    found = _find_identifiers(connection, {side for side in sides if side.kind != "record"}, policy, phone_regions)
    for record, row in connection.execute("SELECT record_id, observation FROM record_rows").fetchall():
        found[Side("record", record)] = Thing(row, -1)
    held, verdicts = weigh(overrides, as_of, found.get)
    never = [(override, _thing(left), _thing(right)) for override, left, right in held if _is_never(override)]
    marks = [(thing, 2 * pair + side) for pair, (_, *things) in enumerate(never) for side, thing in enumerate(things)]
    return Decisions(
        apart=Apart(
            rows=Marked.of((thing.row, mark) for thing, mark in marks if thing.row >= 0),
            nodes=Marked.of((thing.node, mark) for thing, mark in marks if thing.row < 0),
        ),
        always=tuple((o, _thing(left), _thing(right)) for o, left, right in held if not _is_never(o)),
        never=tuple(override for override, *_ in never),
        verdicts=tuple(verdicts),
    )


def _is_never(override: Override) -> bool:
    return override.action == "never_link"


def _thing(found: object) -> Thing:
    assert isinstance(found, Thing)  # noqa: S101 - weigh() lets nothing else pass
    return found


def _find_identifiers(
    connection: duckdb.DuckDBPyConnection, sides: Iterable[Side], policy: Policy, phone_regions: Mapping[str, str]
) -> dict[Side, Thing | str]:
    """Nodes that sides name by a spelling or a key; a text where the identifier joins nobody anyway."""
    named = sorted(sides, key=lambda side: (side.kind, side.value))
    if not named:
        return {}
    name_values(connection, [(side.kind, side.value) for side in named if side.kind != KEY], policy, phone_regions)
    rows = connection.execute(
        """
        SELECT n.type, n.raw, d.node, d.status, d.reason FROM normalised n JOIN nodes d USING (type, value)
        UNION ALL
        SELECT $key, k.raw, d.node, d.status, d.reason
        FROM (SELECT unnest($keys) AS raw) k JOIN nodes d ON keyed_hash(d.type || ':' || d.value, 32) = k.raw
        ORDER BY ALL
        """,
        {"key": KEY, "keys": [side.value for side in named if side.kind == KEY]},
    ).fetchall()
    found: dict[Side, Thing | str] = {}
    for kind, raw, node, status, reason in rows:
        side = Side(kind, raw)
        found[side] = Thing(-1, node) if status == "usable" else f"{side.text} is {status} ({reason}) and joins nobody"
    return found


def name_values(
    connection: duckdb.DuckDBPyConnection,
    values: Iterable[tuple[str, str]],
    policy: Policy,
    phone_regions: Mapping[str, str],
) -> None:
    """Make ``normalised`` (type, region, raw, value …) of types and spellings; a telephone number may be of any region.

    :param values: type and spelling.
    """
    regions = [None, *sorted(set(phone_regions.values()))]
    spellings = [(kind, region, raw) for kind, raw in values for region in (regions if kind == "phone" else [None])]
    connection.execute("CREATE OR REPLACE TEMP TABLE raw_values (type VARCHAR, region VARCHAR, raw VARCHAR)")
    if spellings:
        connection.executemany("INSERT INTO raw_values VALUES (?, ?, ?)", spellings)
    normalise_values(connection, policy)
    for table in ("raw_values", "folded", "phone_texts"):
        connection.execute(f"DROP TABLE {table}")


def gather_links(
    connection: duckdb.DuckDBPyConnection, warehouse: Path, decisions: Decisions, likely: pa.Table | None
) -> Edges:
    """Make ``candidate_links``, one row per link in the order in which they are tried, and return them as arrays.

    Decisions come first, then likenesses, the surest first. Adds the records that these name to ``held``.

    :param likely: columns as in :data:`LINK_COLUMNS`.
    """
    schema = pa.schema(list(LINK_COLUMNS.items()))
    links: pa.Table = schema.empty_table() if likely is None else likely.select(list(LINK_COLUMNS)).cast(schema)
    connection.register("likely", links)
    connection.execute("CREATE OR REPLACE TEMP TABLE likely_links AS FROM likely")
    connection.unregister("likely")
    named = connection.execute("SELECT left_record FROM likely_links UNION SELECT right_record FROM likely_links")
    records = [record for (record,) in named.fetchall()]
    held = [*(override for override, *_ in decisions.always), *decisions.never]
    records += [side.value for o in held for side in (o.left, o.right) if side.kind == "record"]
    if links.num_rows:
        find_records(connection, warehouse, records)
        observe_records(connection)
    decided = {
        "line": pa.array([override.line for override, *_ in decisions.always], pa.int64()),
        "left_side": pa.array([override.left.text for override, *_ in decisions.always], pa.string()),
        "right_side": pa.array([override.right.text for override, *_ in decisions.always], pa.string()),
        "rule": pa.array([override.reason for override, *_ in decisions.always], pa.string()),
        "author": pa.array([override.author for override, *_ in decisions.always], pa.string()),
        "decided_on": pa.array([override.date for override, *_ in decisions.always], pa.date32()),
        "left_row": pa.array([left.row for _, left, _ in decisions.always], pa.int64()),
        "left_node": pa.array([left.node for _, left, _ in decisions.always], pa.int64()),
        "right_row": pa.array([right.row for _, _, right in decisions.always], pa.int64()),
        "right_node": pa.array([right.node for _, _, right in decisions.always], pa.int64()),
    }
    connection.register("decided", pa.table(decided))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE candidate_links AS
        SELECT row_number() OVER (ORDER BY line, probability DESC, left_side, right_side, rule) - 1 AS link, *
        FROM (
            SELECT '{ALWAYS}' AS kind, rule, left_side, right_side, CAST(NULL AS DOUBLE) AS probability,
                   CAST(NULL AS VARCHAR) AS model, line, author, decided_on, left_row, left_node, right_row, right_node
            FROM decided
            UNION ALL BY NAME
            SELECT '{PROBABILISTIC}' AS kind, rule, left_record AS left_side, right_record AS right_side, probability,
                   model, coalesce(l.observation, -1) AS left_row, -1 AS left_node,
                   coalesce(r.observation, -1) AS right_row, -1 AS right_node
            FROM likely_links k
            LEFT JOIN record_rows l ON l.record_id = k.left_record
            LEFT JOIN record_rows r ON r.record_id = k.right_record
        )
    """)
    connection.unregister("decided")
    columns = connection.execute(
        f"SELECT left_row, left_node, right_row, right_node, kind = '{ALWAYS}' AS forced FROM candidate_links"
        " ORDER BY link"
    ).fetchnumpy()
    ends = {name: np.asarray(columns[name], dtype=np.int64) for name in columns if name != "forced"}
    return Edges(
        left=Ends(ends["left_row"], ends["left_node"]),
        right=Ends(ends["right_row"], ends["right_node"]),
        forced=np.asarray(columns["forced"], dtype=bool),
    )


def note_links(connection: duckdb.DuckDBPyConnection, refused: Sequence[str | None]) -> None:
    """Make ``tried_links``: ``candidate_links`` with why each was refused."""
    connection.register(
        "refused",
        pa.table({"link": pa.array(range(len(refused)), pa.int64()), "refused": pa.array(refused, pa.string())}),
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE tried_links AS FROM candidate_links JOIN refused USING (link)")
    connection.unregister("refused")


def judged_overrides(decisions: Decisions, links: Sequence[str | None]) -> list[Verdict]:
    """What became of every override, in the order of the file."""
    verdicts = [*decisions.verdicts, *(Verdict(override, "applied") for override in decisions.never)]
    for (override, *_), why in zip(decisions.always, links, strict=False):
        verdicts.append(Verdict(override, "refused" if why else "applied", why))
    return sorted(verdicts, key=lambda verdict: verdict.override.line)
