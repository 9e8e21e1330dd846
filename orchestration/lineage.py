"""Which columns a model's columns come from, read out of the SQL that dbt compiled for the run.

dagster-dbt can fetch this too, but asks the warehouse for the columns of every relation, in a process that holds the
file while it does. Here every column is described in YAML, so that the manifest and the compiled SQL are enough: half
a second for all models, and no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

_TABLES = ("model", "seed", "source")


def column_lineage(
    manifest: Mapping[str, Any],
    target: Path,
    translator: DagsterDbtTranslator,
    known: Mapping[tuple[str, str], Iterable[str]],
    lake: Path,
) -> dict[dg.AssetKey, dg.TableColumnLineage]:
    """Lineage of each model that has compiled SQL below ``target``; what cannot be read is left out.

    ``known`` are the columns of sources by (source, table), where the YAML of the source does not list them. A column
    without any origin (a constant, a count of rows) has an empty list.
    """
    # Half a second of imports that only a run needs.
    from sqlglot.errors import SqlglotError
    from sqlglot.schema import MappingSchema

    nodes = {
        key: node for key, node in (manifest["nodes"] | manifest["sources"]).items() if node["resource_type"] in _TABLES
    }
    keys = {_place(node): translator.get_asset_key(node) for node in nodes.values()}
    columns: dict[str, Any] = {}
    for node in nodes.values():
        schema, table = _place(node)
        if names := node["columns"] or known.get((schema, table)):
            columns.setdefault(schema, {})[table] = dict.fromkeys(names, "VARCHAR")
    described = MappingSchema(columns, dialect="duckdb")
    # A source is compiled to a scan of files: by its name again, its columns can be told.
    scans = {
        node["relation_name"].replace("<lake>", str(lake)): ".".join(_place(node))
        for node in manifest["sources"].values()
    }
    found = {}
    for node in nodes.values():
        file = target / "compiled" / node["package_name"] / node.get("original_file_path", "")
        if node["resource_type"] != "model" or not file.is_file():
            continue
        sql = file.read_text(encoding="utf-8")
        for scan, name in scans.items():
            sql = sql.replace(scan, name)
        try:
            origins = dict(_origins(sql, described))
        except SqlglotError:
            continue
        found[keys[_place(node)]] = dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(keys[place], name) for place, name in sorted(deps) if place in keys]
                for column, deps in origins.items()
            }
        )
    return found


def _place(node: Mapping[str, Any]) -> tuple[str, str]:
    return node.get("source_name") or node["schema"], node.get("alias") or node["name"]


def _origins(sql: str, schema: Any) -> Iterator[tuple[str, set[tuple[tuple[str, str], str]]]]:
    """Each column of a query with the ((schema, table), column) that it is made of."""
    from sqlglot import exp, parse_one
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    query: Any = parse_one(sql, dialect="duckdb")
    for table in query.find_all(exp.Table):
        table.set("catalog", None)
    # Qualified once and not for each column, which would take a hundred times as long.
    query = qualify(query, schema=schema, dialect="duckdb", validate_qualify_columns=False, quote_identifiers=False)
    scope = build_scope(query)
    for column in query.named_selects:
        found = set()
        tree = lineage(column, query, schema=schema, scope=scope, dialect="duckdb", trim_selects=False, copy=False)
        for leaf in tree.walk():
            table = None if leaf.downstream else leaf.expression.find(exp.Table)
            if table is not None:
                found.add(((table.db, table.name), leaf.name.rpartition(".")[2]))
        yield column, found
