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

    ``name`` is a table, a view or a call of a table function with the physical ``columns`` (DuckDB types). Rows that
    are dense and in the order of the file need no number: the first one is row ``first_row`` of the file; else the
    table has a column ``_ws_row``. ``text`` names the column that holds the record as it came; without it the record
    is kept as a JSON object of its columns. ``extra`` is SQL for the unmapped columns as JSON (or NULL), ``fault`` SQL
    for the reason why a row is no record at all (or NULL).
    """

    name: str
    columns: MappingType[str, str]
    first_row: int | None = None
    text: str | None = None
    extra: str | None = None
    fault: str | None = None

    @property
    def row_number(self) -> str | None:
        """SQL for the physical row number within the table, None where it goes by position."""
        return "_ws_row" if self.first_row is None else None

    def payload(self, column: MappingType[str, str] | None = None) -> str:
        """SQL for the record as text; ``column`` says under which SQL the physical columns are found."""
        if self.text is not None:
            return column[self.text] if column else identifier(self.text)
        fields = ", ".join(f"{literal(name)}, {column[name] if column else identifier(name)}" for name in self.columns)
        return f"CAST(json_object({fields}) AS VARCHAR)"

    @property
    def payload_columns(self) -> tuple[str, ...]:
        """Physical columns that ``payload`` reads."""
        return tuple(self.columns) if self.text is None else (self.text,)


@dataclass(frozen=True)
class GateQuery:
    """``rows`` is SQL with a row per raw row, ``constants`` SQL for the columns that are the same in all of them."""

    rows: str
    constants: MappingType[str, str]


def key_hash(contract: SourceContract, prefix: str = "") -> str:
    """SQL for the 64-bit hash of an entity's key; DuckDB's own hash, so see ``hash_version``."""
    dot = f"{prefix}." if prefix else ""
    return f"hash({', '.join(dot + identifier(name) for name in contract.entity.key)})"


def payload_hash(contract: SourceContract) -> str:
    """SQL for a hash of all columns of an entity; rows of one key and the same hash repeat each other."""
    return f"hash(row({', '.join(identifier(column.name) for column in contract.entity.columns)}))"


def gate_query(
    connection: duckdb.DuckDBPyConnection,
    contract: SourceContract,
    raw: RawTable,
    received_at: str,
    types_known: dict[tuple[tuple[str, str], ...], dict[str, str]] | None = None,
    careful: bool = False,
) -> GateQuery:
    """Compile the gate: every column of the entity, ``_extra``, ``_key_hash``, ``_reasons``, ``_raw``.

    Columns that nothing is mapped to, or that an expression without a column fills, are constants: millions of equal
    values need not pass through memory.

    ``_reasons`` is NULL for a good row, else all broken rules joined by '; '; ``_raw`` is the record as it came, for
    rows with reasons only. ``_row`` is there where the raw table numbers its rows. ``received_at`` is an ISO timestamp
    (UTC). A physical column that the file lacks counts as NULL. ``types_known`` remembers what the expressions give
    over columns of some types: files of one source have mostly the same. ``careful`` turns an error of an expression
    into a reason against the row that it fails on; it costs time, and is for files where the query has failed.
    """
    source = _with_absent_columns(contract, raw)
    values = {mapping.column.name: _value(mapping) for mapping in contract.mappings}
    constants: dict[str, str] = {} if raw.extra else {"_extra": "CAST(NULL AS VARCHAR)"}
    types = _types(connection, values, source, raw.columns, {} if types_known is None else types_known)
    mapped = {mapping.column.name: mapping for mapping in contract.mappings}
    typed, reasons = [], []
    computed = {m.column.name: values[m.column.name] for m in contract.mappings if careful and m.expression is not None}
    for name, sql in computed.items():
        # An expression may well give NULL; in a list, that is not the NULL of one that failed.
        values[name] = f"TRY([{sql}])[1]"
        reasons.append((f"t.{identifier('_failed_' + name)}", f"expression:{name}"))
    for column in contract.entity.columns:
        name = identifier(column.name)
        if column.name not in values:
            constants[column.name] = f"CAST(NULL AS {column.physical_type})"
            typed.append(f"{constants[column.name]} AS {name}")
            continue
        value = f"v.{identifier('_v_' + column.name)}"
        cast = strict_cast(value, types[column.name], mapped[column.name])
        if not mapped[column.name].source_columns:
            constant = strict_cast(values[column.name], types[column.name], mapped[column.name])
            constants[column.name] = f"CAST({constant} AS {column.physical_type})"
        typed.append(f"CAST({cast} AS {column.physical_type}) AS {name}")
        reasons += _column_reasons(column, value, types[column.name])
    reasons += [_rule_reason(rule, careful) for rule in (*contract.entity.rules, *contract.rules)]
    kept = {name: f"_p_{position}" for position, name in enumerate(raw.payload_columns)}
    selected = [*([f"{raw.extra} AS _extra"] if raw.extra else []), *_raw_struct(contract)]
    selected += [f"{identifier(name)} AS {alias}" for name, alias in kept.items()]
    selected += [f"{sql} AS {identifier('_v_' + name)}" for name, sql in values.items()]
    selected += [f"TRY([{sql}]) IS NULL AS {identifier('_failed_' + name)}" for name, sql in computed.items()]
    numbered = ""
    if raw.row_number:
        selected.append(f"{raw.row_number} AS _row")
        numbered = "_row, "
    failed = " OR ".join(f"({condition})" for condition, _ in reasons) or "false"
    texts = ", ".join(f"CASE WHEN {condition} THEN {literal(reason)} END" for condition, reason in reasons) or "NULL"
    verdict = f"CASE WHEN {failed} THEN concat_ws('; ', {texts}) END"
    if raw.fault:
        # What is no record breaks every rule; only the first cause is worth a word.
        selected.append(f"({raw.fault}) AS _fault")
        verdict = f"CASE WHEN t._fault IS NOT NULL THEN t._fault WHEN {failed} THEN concat_ws('; ', {texts}) END"
    names = [*(column.name for column in contract.entity.columns), *(["_extra"] if raw.extra else [])]
    varying = "".join(f"{identifier(name)}, " for name in names if name not in constants)
    # The record's text is made for refused rows only: it costs more than all the checks.
    payload = raw.payload(kept)
    rows = f"""
        SELECT {numbered}{varying}{key_hash(contract)} AS _key_hash, _reasons,
               CASE WHEN _reasons IS NOT NULL THEN {payload} END AS _raw
        FROM (
            SELECT t.*, {verdict} AS _reasons
            FROM (
                SELECT v.*, {", ".join(typed)}, CAST({literal(received_at)} AS TIMESTAMP) AS _received_at
                FROM (SELECT {", ".join(selected)} FROM {source}) AS v
            ) AS t
        ) AS u
    """
    return GateQuery(rows, constants)


def _with_absent_columns(contract: SourceContract, raw: RawTable) -> str:
    absent = [name for name in contract.physical_columns if name not in raw.columns]
    nulls = "".join(f", CAST(NULL AS VARCHAR) AS {identifier(name)}" for name in absent)
    return f"(SELECT *{nulls} FROM {raw.name})"


def _value(mapping: Mapping) -> str:
    if mapping.expression is not None:
        return f"({mapping.expression}\n)"
    return identifier(mapping.source_columns[0])


def _types(
    connection: duckdb.DuckDBPyConnection,
    values: dict[str, str],
    source: str,
    columns: MappingType[str, str],
    known: dict[tuple[tuple[str, str], ...], dict[str, str]],
) -> dict[str, str]:
    shape = tuple(columns.items())
    if shape not in known:
        selected = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in values.items())
        rows = connection.execute(f"DESCRIBE SELECT {selected} FROM {source}").fetchall()
        known[shape] = {row[0]: str(row[1]) for row in rows}
    return known[shape]


def _raw_struct(contract: SourceContract) -> list[str]:
    needed = dict.fromkeys(name for rule in contract.rules for name in rule.raw_columns)
    if not needed:
        return []
    return [f"struct_pack({', '.join(f'{identifier(name)} := {identifier(name)}' for name in needed)}) AS raw"]


def _column_reasons(column: Column, value: str, found_type: str) -> list[tuple[str, str]]:
    """Conditions under which a column breaks its rules, with the reasons; NULL is no breach, so it is not asked for."""
    name = f"t.{identifier(column.name)}"
    given = f"t.{value.removeprefix('v.')}"
    filled = f"nullif({given}, '')" if found_type == "VARCHAR" else given
    is_text = column.physical_type == "VARCHAR" and found_type == "VARCHAR"
    reasons = []
    if column.physical_type in {"DATE", "TIMESTAMP"}:
        # Beyond these years Python, and much else that reads the lake, knows no date.
        last = "DATE '9999-12-31'" if column.physical_type == "DATE" else "TIMESTAMP '9999-12-31 23:59:59.999999'"
        known = f"{name} BETWEEN {column.physical_type} '0001-01-01' AND {last}"
        reasons.append((f"{filled} IS NOT NULL AND NOT coalesce({known}, false)", f"type:{column.name}"))
    elif not is_text:
        reasons.append((f"{name} IS NULL AND {filled} IS NOT NULL", f"type:{column.name}"))
    if column.required or column.key_position is not None:
        reasons.append((f"{name if is_text else filled} IS NULL", f"required:{column.name}"))
    if column.enum:
        allowed = ", ".join(literal(value) for value in column.enum)
        reasons.append((f"{name} NOT IN ({allowed})", f"enum:{column.name}"))
    if column.minimum is not None:
        reasons.append((f"{name} < {column.minimum}", f"minimum:{column.name}"))
    if column.maximum is not None:
        reasons.append((f"{name} > {column.maximum}", f"maximum:{column.name}"))
    if column.max_length is not None:
        reasons.append((f"length({name}) > {column.max_length}", f"max_length:{column.name}"))
    if column.pattern is not None:
        reasons.append((f"NOT regexp_matches({name}, {literal(column.pattern)})", f"pattern:{column.name}"))
    return reasons


def _rule_reason(rule: Rule, careful: bool) -> tuple[str, str]:
    expression = f"({rule.expression}\n)"
    # Careful: what cannot be computed is a breach; what is unknown is none.
    broken = f"NOT coalesce(TRY(coalesce({expression}, true)), false)" if careful else f"NOT {expression}"
    return broken, f"rule:{rule.name}"
