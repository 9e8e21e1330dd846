"""A contract compiled to the SQL of the gate: canonical columns and the reasons against a row, in one scan."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass

import duckdb

from transforms.contracts.casts import strict_cast
from transforms.contracts.model import Column, Mapping, Rule, SourceContract
from transforms.sql import identifier, literal


@dataclass(frozen=True)
class RawTable:
    """What a reader made of a file: one row per record, physical columns as they came.

    ``name`` is a table or view of the connection with a column ``_ws_row`` (physical row number in the file) and the
    physical ``columns`` with their DuckDB types; ``payload`` is an SQL expression for the record as text, kept when
    the row is refused, ``extra`` one for the unmapped columns as JSON (or NULL).
    """

    name: str
    columns: MappingType[str, str]
    payload: str
    extra: str = "CAST(NULL AS VARCHAR)"


def gate_query(connection: duckdb.DuckDBPyConnection, contract: SourceContract, raw: RawTable, received_at: str) -> str:
    """SQL with a row per raw row: ``_row``, every column of the entity, ``_extra``, ``_reasons``.

    ``_reasons`` is NULL for a good row, else all broken rules joined by '; '. ``received_at`` is an ISO timestamp
    (UTC). A physical column that the file lacks counts as NULL.
    """
    source = _with_absent_columns(contract, raw)
    values = {mapping.column.name: _value(mapping) for mapping in contract.mappings}
    types = _types(connection, values, source)
    mapped = {mapping.column.name: mapping for mapping in contract.mappings}
    typed, reasons = [], []
    for column in contract.entity.columns:
        name = identifier(column.name)
        if column.name not in mapped:
            typed.append(f"CAST(NULL AS {column.physical_type}) AS {name}")
            continue
        value = f"v.{identifier('_v_' + column.name)}"
        cast = strict_cast(value, types[column.name], mapped[column.name])
        typed.append(f"CAST({cast} AS {column.physical_type}) AS {name}")
        reasons += _column_reasons(column, value, types[column.name])
    reasons += [_rule_reason(rule) for rule in (*contract.entity.rules, *contract.rules)]
    selected = ["_ws_row AS _row", f"{raw.extra} AS _extra", *_raw_struct(contract)]
    selected += [f"{sql} AS {identifier('_v_' + name)}" for name, sql in values.items()]
    failed = " OR ".join(f"({condition})" for condition, _ in reasons) or "false"
    texts = ", ".join(f"CASE WHEN {condition} THEN {literal(reason)} END" for condition, reason in reasons) or "NULL"
    names = ", ".join(f"t.{identifier(column.name)}" for column in contract.entity.columns)
    return f"""
        SELECT t._row, {names}, t._extra,
               CASE WHEN {failed} THEN concat_ws('; ', {texts}) END AS _reasons
        FROM (
            SELECT v.*, {", ".join(typed)}, CAST({literal(received_at)} AS TIMESTAMP) AS _received_at
            FROM (SELECT {", ".join(selected)} FROM {source}) AS v
        ) AS t
    """


def _with_absent_columns(contract: SourceContract, raw: RawTable) -> str:
    absent = [name for name in contract.physical_columns if name not in raw.columns]
    nulls = "".join(f", CAST(NULL AS VARCHAR) AS {identifier(name)}" for name in absent)
    return f"(SELECT *{nulls} FROM {raw.name})"


def _value(mapping: Mapping) -> str:
    if mapping.expression is not None:
        return f"({mapping.expression}\n)"
    return identifier(mapping.source_columns[0])


def _types(connection: duckdb.DuckDBPyConnection, values: dict[str, str], source: str) -> dict[str, str]:
    selected = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in values.items())
    rows = connection.execute(f"DESCRIBE SELECT {selected} FROM {source}").fetchall()
    return {row[0]: str(row[1]) for row in rows}


def _raw_struct(contract: SourceContract) -> list[str]:
    needed = dict.fromkeys(name for rule in contract.rules for name in rule.raw_columns)
    if not needed:
        return []
    return [f"struct_pack({', '.join(f'{identifier(name)} := {identifier(name)}' for name in needed)}) AS raw"]


def _column_reasons(column: Column, value: str, found_type: str) -> list[tuple[str, str]]:
    name = f"t.{identifier(column.name)}"
    given = f"t.{value.removeprefix('v.')}"
    is_given = f"nullif({given}, '') IS NOT NULL" if found_type == "VARCHAR" else f"{given} IS NOT NULL"
    reasons = []
    if not (column.physical_type == "VARCHAR" and found_type == "VARCHAR"):
        reasons.append((f"{name} IS NULL AND {is_given}", f"type:{column.name}"))
    if column.required or column.key_position is not None:
        reasons.append((f"NOT ({is_given})", f"required:{column.name}"))
    if column.enum:
        allowed = ", ".join(literal(value) for value in column.enum)
        reasons.append((f"{name} IS NOT NULL AND {name} NOT IN ({allowed})", f"enum:{column.name}"))
    if column.minimum is not None:
        reasons.append((f"{name} IS NOT NULL AND {name} < {column.minimum}", f"minimum:{column.name}"))
    if column.maximum is not None:
        reasons.append((f"{name} IS NOT NULL AND {name} > {column.maximum}", f"maximum:{column.name}"))
    if column.max_length is not None:
        condition = f"{name} IS NOT NULL AND length({name}) > {column.max_length}"
        reasons.append((condition, f"max_length:{column.name}"))
    if column.pattern is not None:
        condition = f"{name} IS NOT NULL AND NOT regexp_matches({name}, {literal(column.pattern)})"
        reasons.append((condition, f"pattern:{column.name}"))
    return reasons


def _rule_reason(rule: Rule) -> tuple[str, str]:
    return f"NOT coalesce(({rule.expression}\n), true)", f"rule:{rule.name}"
