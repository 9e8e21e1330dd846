"""Ask MetricFlow for metrics of the project.

MetricFlow writes the SQL; where it runs is ours to choose. A published file that is attached under the name of the
warehouse answers as the warehouse does, for every table and column that a metric may read is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

Row = dict[str, Any]


@dataclass(frozen=True)
class _Dialect:
    """All that MetricFlow needs of a client to write SQL; running it is ours."""

    sql_engine_type = SqlEngine.DUCKDB
    sql_plan_renderer = DuckDbSqlPlanRenderer()


class Metrics:
    """The semantic layer as dbt parsed it."""

    def __init__(self, semantic_manifest: Path) -> None:
        text = semantic_manifest.read_text(encoding="utf-8")
        self.definitions: Mapping[str, Mapping[str, Any]] = {
            metric["name"]: metric for metric in json.loads(text)["metrics"]
        }
        lookup = SemanticManifestLookup(parse_manifest_from_dbt_generated_manifest(manifest_json_string=text))
        self._engine = MetricFlowEngine(semantic_manifest_lookup=lookup, sql_client=_Dialect())  # type: ignore[arg-type]

    def sql(self, *metrics: str, by: Sequence[str] = ()) -> str:
        """The query that MetricFlow writes: a column for each name of ``by``, then one for each metric."""
        request = MetricFlowQueryRequest.create(metric_names=metrics, group_by_names=by, order_by_names=by)
        return self._engine.explain(request).sql_statement.sql

    def ask(self, connection: duckdb.DuckDBPyConnection, *metrics: str, by: Sequence[str] = ()) -> list[Row]:
        """Rows of the query, on a connection whose catalog ``warehouse`` holds the marts."""
        return rows_of(connection, self.sql(*metrics, by=by))


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    """Rows of a query by column."""
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
