"""What dbt is told: pure functions, tested without running it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from transforms.settings import Settings

# Models that the identity step reads: it stands between them and all others.
READ_BY_IDENTITY = frozenset({"int_identity_observations", "int_profile_attributes"})
# Names the variable with the place of the parsed project, for orchestration.dbt_run.
PARSED = "WATERSHED_PARSED"
# Tables that tell of the days that were run, by the tail of their names.
_LOG = "_log"


def dbt_build() -> list[str]:
    """Arguments of a build. Unit tests judge the code, not the data: they run in the tests, not each night.

    Nor does dbt write the manifest again, which is what it has been given: half a second each time.
    """
    return ["build", "--no-write-json", "--exclude-resource-type", "unit_test"]


def dbt_environment(settings: Settings, as_of: dt.date | None = None, increments: Path | None = None) -> dict[str, str]:
    """Environment variables of the dbt process. Without data there is no day, and nothing to count.

    ``increments`` is the folder of a plan for the incremental models; without it all are built in full.
    """
    environment = {
        PARSED: str(settings.home / "dbt" / "partial_parse.msgpack"),
        "WATERSHED_WAREHOUSE": str(settings.warehouse),
        "WATERSHED_LAKE_PATH": str(settings.lake),
        "WATERSHED_TIMEZONE": settings.business_timezone,
        "WATERSHED_MEMORY_LIMIT": settings.memory_limit,
        "WATERSHED_THREADS": str(settings.threads),
        "DBT_TARGET_PATH": str(settings.home / "dbt"),
        "DBT_LOG_PATH": str(settings.home / "dbt"),
        # Each statement of SQL, which is the default, would be 10 MB that nobody reads.
        "DBT_LOG_LEVEL_FILE": "info",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    if as_of:
        environment["WATERSHED_AS_OF_DATE"] = as_of.isoformat()
    if increments:
        environment["WATERSHED_INCREMENTS"] = str(increments)
    return environment


def incremental_models(manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """Name of each model that grows with the lake, with the entities that it takes up."""
    return {
        node["name"]: list(node["config"]["meta"]["increment_of"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "increment_of" in node["config"]["meta"]
    }


def split_at(manifest: Mapping[str, Any], models: Collection[str], source: str) -> tuple[str, str, str]:
    """Selections of the models, seeds and sources up to ``models``, of what stands on ``source``, and of the rest.

    In the order in which they run: first what ``models`` need, then the rest, then ``source`` and all that needs it,
    with whatever a test compares to one of those: before, there would be nothing to compare, and after, nobody to ask.

    Spelled out instead of excluded, because dbt excludes a test as soon as one of its models is excluded: a test
    that compares models of both parts would be in neither.
    """
    nodes = _nodes(manifest)
    upstream = _upstream(nodes, models)
    names = _names(nodes)
    used = {source for key in upstream for source in nodes[key]["depends_on"]["nodes"] if source not in nodes}
    sources = {key: "source:" + ".".join(node["fqn"][-2:]) for key, node in sorted(manifest["sources"].items())}
    last = _downstream(nodes, {key for key, node in manifest["sources"].items() if node["fqn"][-2] == source})
    tests = [node["depends_on"]["nodes"] for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    while compared := {key for test in tests if last & set(test) for key in test if key in nodes} - last:
        needed = _upstream(nodes, {nodes[key]["name"] for key in last if key in nodes})
        if not compared - needed:
            break
        last = _downstream(nodes, last | (compared - needed))
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for key, name in (names | sources).items():
        parts[0 if key in upstream | used else 2 if key in last else 1].append(name)
    before, rest, after = (" ".join(part) for part in parts)
    return before, rest, after


def history_selections(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Selections of what the history needs of a day: the models before identity, and those from there to its logs."""
    nodes = _nodes(manifest)
    names = _names(nodes)
    before = _upstream(nodes, READ_BY_IDENTITY)
    logs = [node["name"] for node in nodes.values() if node["name"].endswith(_LOG)]
    after = set().union(*(_upstream(nodes, {log}) for log in logs)) - before
    return " ".join(names[key] for key in sorted(before)), " ".join(names[key] for key in sorted(after))


def _nodes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] in {"model", "seed"}}


def _names(nodes: Mapping[str, Any]) -> dict[str, str]:
    return {key: "fqn:" + ".".join(node["fqn"]) for key, node in sorted(nodes.items())}


def _downstream(nodes: Mapping[str, Any], found: set[str]) -> set[str]:
    """Some sources and all models that stand on them."""
    found = set(found)
    while True:
        more = {key for key, node in nodes.items() if found & set(node["depends_on"].get("nodes", ()))} - found
        if not more:
            return found
        found |= more


def _upstream(nodes: Mapping[str, Any], models: Collection[str]) -> set[str]:
    """Some models and all models and seeds that they stand on."""
    found: set[str] = set()
    waiting = [key for key, node in nodes.items() if node["name"] in models]
    while waiting:
        key = waiting.pop()
        if key in nodes and key not in found:
            found.add(key)
            # Seeds stand on nothing.
            waiting += nodes[key]["depends_on"].get("nodes", ())
    return found
