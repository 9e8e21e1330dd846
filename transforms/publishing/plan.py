"""What leaves the house: the allow-list that the model YAML declares, read from dbt's manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transforms.publishing.errors import PublicationError

PUBLICATION_TABLE = "publication"
_PROPERTY = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class PublishedColumn:
    """A column that leaves, with its description from the YAML."""

    name: str
    description: str


@dataclass(frozen=True)
class PublishedTable:
    """A mart as readers get it.

    ``name`` is both its relation in the warehouse's ``schema`` and its table in the published file;
    ``withheld`` are declared columns that stay at home because they hold personal data. The rows of one that is not
    ``is_guarded`` may come and go as they like.
    """

    model: str
    schema: str
    name: str
    description: str
    columns: tuple[PublishedColumn, ...]
    published_order: tuple[str, ...]
    withheld: tuple[str, ...]
    is_guarded: bool = True


@dataclass(frozen=True)
class PublicationPlan:
    """All tables that leave, by name."""

    tables: tuple[PublishedTable, ...]


def read_plan(manifest_path: Path, may_leave: Callable[[str], bool]) -> PublicationPlan:
    """Read which models, columns and descriptions are published.

    A model leaves if its YAML says ``config.meta.publish: true``; of its columns only the declared
    ones, in their order, and none whose meta names ``personal_data: <entity>.<property>`` unless
    ``may_leave("<entity>.<property>")`` is true. Both places of a column's meta count, and if they
    name different properties, each of them must be free to leave.

    Raises PublicationError with every fault of the manifest at once.
    """
    tables: list[PublishedTable] = []
    problems: list[str] = []
    for node in _published_nodes(manifest_path, problems):
        found = len(problems)
        table = _read_table(node, may_leave, problems)
        if len(problems) == found:
            tables.append(table)
    problems.extend(_name_clashes(tables))
    if problems:
        raise PublicationError(f"The publication plan in {manifest_path} has faults:", problems)
    if not tables:
        raise PublicationError(
            f"No model in {manifest_path} is published: set config.meta.publish: true in a mart's YAML."
        )
    return PublicationPlan(tuple(sorted(tables, key=lambda table: table.name)))


def _published_nodes(manifest_path: Path, problems: list[str]) -> Iterator[Mapping[str, Any]]:
    try:
        nodes = json.loads(manifest_path.read_text(encoding="utf-8"))["nodes"].values()
    except FileNotFoundError:
        raise PublicationError(f"There is no dbt manifest at {manifest_path}: run `dbt parse` first.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PublicationError(f"{manifest_path} is no dbt manifest ({error!r}): run `dbt parse`.") from error
    for node in nodes:
        if node.get("resource_type") != "model":
            continue
        publish = _meta(node.get("config")).get("publish", False)
        if not isinstance(publish, bool):
            problems.append(f"{node['name']}: config.meta.publish is {publish!r}; write true or false.")
        elif publish:
            yield node


def _read_table(node: Mapping[str, Any], may_leave: Callable[[str], bool], problems: list[str]) -> PublishedTable:
    model = str(node["name"])
    columns: list[PublishedColumn] = []
    withheld: list[str] = []
    for column in node["columns"].values():
        name = str(column["name"])
        if all(may_leave(tag) for tag in _personal_data(model, column, problems)):
            columns.append(PublishedColumn(name, str(column.get("description") or "").strip()))
        else:
            withheld.append(name)
    guarded = _meta(node["config"]).get("publication_guard", True)
    if not isinstance(guarded, bool):
        problems.append(f"{model}: config.meta.publication_guard is {guarded!r}; write true or false.")
    if node["config"].get("materialized") == "ephemeral":
        problems.append(f"{model}: an ephemeral model has no table to publish; materialize it as a table.")
    if not node["columns"]:
        problems.append(f"{model}: declares no columns; list in its YAML the columns that may leave.")
    elif not columns:
        problems.append(f"{model}: every column holds personal data; take config.meta.publish away.")
    return PublishedTable(
        model=model,
        schema=str(node["schema"]),
        name=str(node.get("alias") or model),
        description=str(node.get("description") or "").strip(),
        columns=tuple(columns),
        published_order=_sort_by(model, _meta(node["config"]).get("published_order"), columns, withheld, problems),
        withheld=tuple(withheld),
        is_guarded=guarded is not False,
    )


def _personal_data(model: str, column: Mapping[str, Any], problems: list[str]) -> list[str]:
    """Properties that a column's meta names; dbt 1.11 has it in two places, and either may be filled."""
    tags = {
        repr(tag): tag
        for meta in (_meta(column), _meta(column.get("config")))
        if (tag := meta.get("personal_data")) is not None
    }
    for text, tag in tags.items():
        if not (isinstance(tag, str) and _PROPERTY.fullmatch(tag)):
            problems.append(
                f"{model}.{column['name']}: personal_data is {text}; write <entity>.<property>,"
                " for instance transactions.email, or remove it if the column holds no personal data."
            )
    return [tag for tag in tags.values() if isinstance(tag, str) and _PROPERTY.fullmatch(tag)]


def _sort_by(
    model: str, published_order: Any, columns: list[PublishedColumn], withheld: list[str], problems: list[str]
) -> tuple[str, ...]:
    if published_order is None:
        return ()
    if not (isinstance(published_order, list) and all(isinstance(name, str) for name in published_order)):
        problems.append(f"{model}: config.meta.published_order is {published_order!r}; write a list of column names.")
        return ()
    published = {column.name.lower() for column in columns}
    for name in published_order:
        if name.lower() in published:
            continue
        # The order of the rows would tell what the withheld column says.
        why = "holds personal data" if name in withheld else "is not declared"
        problems.append(f"{model}.{name}: config.meta.published_order names it, but it {why}; sort by another column.")
    return tuple(published_order)


def _name_clashes(tables: list[PublishedTable]) -> Iterator[str]:
    owners: dict[str, str] = {PUBLICATION_TABLE: "the platform's own table"}
    for table in tables:
        owner = owners.setdefault(table.name.lower(), table.model)
        if owner != table.model:
            yield f"{table.model}: its table {table.name} is also {owner}; give it another alias."


def _meta(holder: Any) -> Mapping[str, Any]:
    meta = holder.get("meta") if isinstance(holder, Mapping) else None
    return meta if isinstance(meta, Mapping) else {}
