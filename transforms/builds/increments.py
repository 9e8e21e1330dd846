"""How much of an incremental table may stay: what it stands for, beside what the lake holds now.

Incremental tables are sums, minima and joined stretches over rows, so that new rows can be added to what is there. What
was taken away or changed cannot be taken out again; then the rows of that entity are read anew, all of them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import duckdb

from transforms.builds.inputs import Inputs, lake_listing
from transforms.settings import Settings

Step = Literal["same", "added", "rebuilt"]
MARKS = "__contents"
"""Suffix of the table in which a model keeps what it stands for."""
SUPERSEDED = "superseded.parquet"


@dataclass(frozen=True)
class Contents:
    """What the rows of an entity stand for, in the lake or in a table.

    ``basis`` names all that decides how rows become a table, ``batches`` are ``entity/source=generation/batch``.
    """

    basis: str
    as_of: dt.date
    batches: frozenset[str]


def next_step(before: Contents | None, now: Contents, has_history: bool) -> Step:
    """What a table has to do about an entity.

    ``has_history``: some row of the entity has been replaced or deleted, so that new batches or another day may make
    rows appear or disappear anywhere.
    """
    if before is None or before.basis != now.basis:
        return "rebuilt"
    if before == now:
        return "same"
    if has_history or now.as_of < before.as_of or not before.batches <= now.batches:
        return "rebuilt"
    return "added"


def plan_increments(
    settings: Settings, tables: Mapping[str, Iterable[str]], inputs: Inputs, as_of: dt.date, folder: Path
) -> dict[str, dict[str, Step]]:
    """Write ``plan.json`` and ``contents.json`` into ``folder``, for the macros in ``increments.sql``.

    And ``era.txt``, a name that no plan had before, for those in ``reached.sql``.

    ``tables``: incremental model → entities that it is made of. Returns the steps by model and entity.
    """
    present = _lake_contents(settings, inputs, as_of)
    history = _entities_with_history(settings)
    nothing = Contents(_basis(inputs), as_of, frozenset())
    plan: dict[str, dict[str, Any]] = {}
    for model, seen in _seen(settings, tables).items():
        plan[model] = {}
        for entity in tables[model]:
            now, before = present.get(entity, nothing), seen.get(entity)
            step: Step = "rebuilt" if settings.rebuild else next_step(before, now, entity in history)
            added = now.batches - before.batches if before and step == "added" else frozenset()
            plan[model][entity] = {
                "step": step,
                "batches": sorted(batch.rpartition("/")[2] for batch in added),
                "after": before.as_of.isoformat() if before else None,
            }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "era.txt").write_text(uuid4().hex, encoding="utf-8")
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    entities = sorted({entity for wanted in tables.values() for entity in wanted})
    with (folder / "contents.json").open("w", encoding="utf-8") as stream:
        for entity in entities:
            now = present.get(entity, nothing)
            # An entity without a batch has a line too: it has been looked at.
            for batch in sorted(now.batches) or [None]:
                row = {"entity": entity, "batch": batch, "basis": now.basis, "as_of_date": as_of.isoformat()}
                stream.write(json.dumps(row) + "\n")
    return {model: {entity: what["step"] for entity, what in steps.items()} for model, steps in plan.items()}


def _basis(inputs: Inputs) -> str:
    # Who is who is decided behind the increments.
    apart = {"day", "lake", "identity"}
    return " ".join(f"{part}={digest}" for part, digest in sorted(inputs.items()) if part not in apart)


def _lake_contents(settings: Settings, inputs: Inputs, as_of: dt.date) -> dict[str, Contents]:
    batches: dict[str, set[str]] = {}
    for batch in lake_listing(settings.lake):
        batches.setdefault(batch.partition("/")[0], set()).add(batch)
    return {entity: Contents(_basis(inputs), as_of, frozenset(found)) for entity, found in batches.items()}


def _entities_with_history(settings: Settings) -> set[str]:
    """Entities of which some batch has replaced or deleted rows; the empty files of an entity say nothing."""
    files = settings.lake.glob(f"*/*/*/{SUPERSEDED}")
    return {file.relative_to(settings.lake).parts[0] for file in files if not file.parts[-3].startswith("_")}


def _seen(settings: Settings, tables: Mapping[str, Iterable[str]]) -> dict[str, dict[str, Contents]]:
    """What each model stands for, by entity; nothing where the model has never been built, or by hand."""
    seen: dict[str, dict[str, Contents]] = {model: {} for model in tables}
    if not settings.warehouse.exists():
        return seen
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        kept = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE ends_with(table_name, $1)", [MARKS]
        ).fetchall()
        for schema, table in kept:
            model = table.removesuffix(MARKS)
            if model not in seen:
                continue
            rows = connection.execute(
                f'SELECT entity, basis, as_of_date, list(batch) FILTER (batch IS NOT NULL) FROM "{schema}"."{table}"'
                " GROUP BY ALL"
            ).fetchall()
            seen[model] = {entity: Contents(basis, day, frozenset(found or ())) for entity, basis, day, found in rows}
    return seen
