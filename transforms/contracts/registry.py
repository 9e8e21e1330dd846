"""All contracts of an installation, read and linted together before anything runs."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from transforms.contracts.document import ContractError, Document, NodePath, Problem, read_document
from transforms.contracts.expressions import ExpressionError, referenced_columns
from transforms.contracts.model import Column, Entity, Mapping, Rule, Server, SourceContract
from transforms.contracts.time_formats import to_strptime

ENTITY_TYPES = ("VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP")
FORMATS = ("csv", "json", "parquet")
# What the gate knows of a row beyond its entity columns.
PLATFORM_COLUMNS = ("_received_at",)
_UNITS = {"d": "days", "day": "days", "days": "days", "h": "hours", "hour": "hours", "hours": "hours"}

Built = TypeVar("Built")


@dataclass(frozen=True)
class Contracts:
    """Entities and sources by name."""

    entities: dict[str, Entity]
    sources: dict[str, SourceContract]

    def sources_of(self, entity: str) -> tuple[SourceContract, ...]:
        """Sources that feed an entity, by name."""
        return tuple(source for _, source in sorted(self.sources.items()) if source.entity.name == entity)

    def may_leave(self, column: str) -> bool:
        """Whether the contract lets ``entity.column`` into the published file although it is personal.

        Raises:
            KeyError: no such entity or column.
        """
        entity, _, name = column.partition(".")
        return self.entities[entity].column(name).may_leave

    @property
    def phone_regions(self) -> dict[str, str]:
        """Source name to the ISO region that its national telephone numbers belong to."""
        return {name: source.phone_region for name, source in self.sources.items() if source.phone_region}


def load_contracts(entities_dir: Path, sources_dir: Path) -> Contracts:
    """Read and lint every contract.

    Raises:
        ContractError: with all faults of all files, each with file, line and remedy.
    """
    problems: list[Problem] = []
    entities = {e.name: e for e in _build_all(entities_dir, _entity, problems)}
    sources = {s.name: s for s in _build_all(sources_dir, lambda d: _source(d, entities), problems)}
    if problems:
        raise ContractError(problems)
    return Contracts(entities, sources)


def _build_all(folder: Path, build: Callable[[Document], Built], problems: list[Problem]) -> list[Built]:
    if not folder.is_dir():
        problems.append(Problem(folder, 1, "no such folder of contracts.", "Create it, or set WATERSHED_CONTRACTS."))
        return []
    built: list[Built] = []
    names: dict[str, Path] = {}
    for file in sorted(folder.glob("*.odcs.yaml")):
        try:
            item = build(read_document(file))
        except ContractError as error:
            problems.extend(error.problems)
            continue
        name = str(getattr(item, "name", ""))
        if name in names:
            remedy = "Each contract of a folder has a name of its own."
            problems.append(Problem(file, 1, f"the name '{name}' is taken by {names[name].name}.", remedy))
        names[name] = file
        built.append(item)
    return built


def _custom(node: dict[str, Any], name: str, default: Any = None) -> Any:
    for item in node.get("customProperties") or []:
        if item.get("property") == name:
            return item.get("value")
    return default


def _closest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}."


def _only_schema(document: Document) -> dict[str, Any]:
    schema = document.data.get("schema") or []
    if len(schema) != 1:
        problem = document.problem(("schema",), f"{len(schema)} schema objects.", "Watershed takes exactly one a file.")
        raise ContractError([problem])
    return schema[0]


def _rules(
    document: Document,
    node: dict[str, Any],
    columns: Iterable[str],
    raw_allowed: bool,
    problems: list[Problem],
) -> tuple[Rule, ...]:
    known = {*columns, *PLATFORM_COLUMNS}
    rules = []
    for index, item in enumerate(node.get("quality") or []):
        at: NodePath = ("schema", 0, "quality", index)
        if item.get("type") != "custom" or item.get("engine") != "watershed":
            continue
        name, expression = item.get("name"), item.get("implementation")
        if not name or not isinstance(expression, str):
            problems.append(document.problem(at, "a row rule needs a name and an SQL expression as implementation."))
            continue
        raw: list[str] = []
        try:
            references = referenced_columns(expression)
        except ExpressionError as error:
            remedy = "Write one boolean SQL expression over the entity's columns."
            problems.append(document.problem((*at, "implementation"), f"rule '{name}': {error}.", remedy))
            continue
        for parts in references:
            if parts[0] == "raw" and raw_allowed and len(parts) == 2:
                raw.append(parts[1])
            elif len(parts) != 1 or parts[0] not in known:
                message = f"rule '{name}' reads '{'.'.join(parts)}', which the entity does not have."
                problems.append(document.problem((*at, "implementation"), message, _closest(parts[-1], known)))
        rules.append(Rule(name, expression, item.get("description", ""), tuple(raw)))
    return tuple(rules)


def _entity(document: Document) -> Entity:
    schema = _only_schema(document)
    problems: list[Problem] = []
    columns = []
    for index, node in enumerate(schema.get("properties") or []):
        at: NodePath = ("schema", 0, "properties", index)
        physical = str(node.get("physicalType", "")).upper()
        if physical not in ENTITY_TYPES and not physical.startswith("DECIMAL("):
            remedy = f"Use one of {', '.join(ENTITY_TYPES)} or DECIMAL(p,s)."
            problems.append(document.problem(at, f"'{node['name']}' has the type '{physical}'.", remedy))
        options = node.get("logicalTypeOptions") or {}
        columns.append(
            Column(
                name=node["name"],
                logical_type=node.get("logicalType", "string"),
                physical_type=physical,
                description=node.get("description", ""),
                required=bool(node.get("required")),
                key_position=node.get("primaryKeyPosition") if node.get("primaryKey") else None,
                enum=tuple(str(item["value"]) for item in node.get("enum") or []),
                minimum=options.get("minimum"),
                maximum=options.get("maximum"),
                max_length=options.get("maxLength"),
                pattern=options.get("pattern"),
                tags=tuple(node.get("tags") or ()),
                may_leave=_custom(node, "publish") == "allowed",
            )
        )
    names = [column.name for column in columns]
    occurred_at = _custom(schema, "occurredAt")
    if occurred_at not in names:
        remedy = "Add the custom property 'occurredAt' with the name of the entity's timestamp."
        problems.append(document.problem(("schema", 0), f"occurredAt is '{occurred_at}', not a column.", remedy))
    if not any(column.key_position is not None for column in columns):
        problems.append(document.problem(("schema", 0), "no primary key.", "Mark columns with primaryKey: true."))
    rules = _rules(document, schema, names, False, problems)
    if problems:
        raise ContractError(problems)
    return Entity(
        name=schema["name"],
        description=(document.data.get("description") or {}).get("purpose", ""),
        grain=schema.get("dataGranularityDescription", ""),
        columns=tuple(columns),
        rules=rules,
        occurred_at=str(occurred_at),
        file=document.file,
    )


def _source(document: Document, entities: dict[str, Entity]) -> SourceContract:
    schema = _only_schema(document)
    problems: list[Problem] = []
    name = str(document.data.get("name") or "")
    if not name.isidentifier() or name != name.lower():
        remedy = "Use lower case letters, digits and underscores."
        problems.append(document.problem(("name",), f"'{name}' cannot name a source.", remedy))
    entity_name = str(_custom(schema, "entity", schema.get("name")))
    if entity_name not in entities:
        message = f"there is no entity '{entity_name}'."
        raise ContractError([*problems, document.problem(("schema", 0), message, _closest(entity_name, entities))])
    entity = entities[entity_name]
    mappings = []
    for index, node in enumerate(schema.get("properties") or []):
        mapping = _mapping(document, ("schema", 0, "properties", index), node, entity, problems)
        if mapping:
            mappings.append(mapping)
    problems += _mapping_gaps(document, entity, mappings)
    server = _server(document, problems)
    rules = _rules(document, schema, [column.name for column in entity.columns], True, problems)
    freshness = _freshness(document, problems)
    rates = {}
    for rate, default in (("quarantineWarnRate", 0.01), ("quarantineBlockRate", 0.2)):
        rates[rate] = _custom(schema, rate, default)
        if not isinstance(rates[rate], int | float) or not 0 <= rates[rate] <= 1:
            problems.append(document.problem(("schema", 0, "customProperties"), f"{rate} is a share from 0 to 1."))
    if problems or server is None:
        raise ContractError(problems)
    return SourceContract(
        name=name,
        version=str(document.data.get("version", "")),
        description=(document.data.get("description") or {}).get("purpose", ""),
        entity=entity,
        server=server,
        mappings=tuple(mappings),
        rules=rules,
        file=document.file,
        owners=_owners(document.data.get("team")),
        phone_region=_custom(schema, "phoneRegion"),
        ignore_columns=tuple(str(column) for column in _custom(schema, "ignoreColumns", [])),
        warn_rate=float(rates["quarantineWarnRate"]),
        block_rate=float(rates["quarantineBlockRate"]),
        freshness=freshness,
    )


def _mapping(
    document: Document, at: NodePath, node: dict[str, Any], entity: Entity, problems: list[Problem]
) -> Mapping | None:
    name = str(node.get("name", ""))
    known = [column.name for column in entity.columns]
    if name not in known:
        message = f"'{name}' is no column of the entity '{entity.name}'."
        problems.append(document.problem(at, message, _closest(name, known)))
        return None
    physical, expression = node.get("physicalName"), node.get("transformLogic")
    reads = tuple(node.get("transformSourceObjects") or ())
    if expression is not None:
        try:
            used = {parts[0] for parts in referenced_columns(expression)}
        except ExpressionError as error:
            remedy = "Write one SQL expression over the columns in transformSourceObjects."
            problems.append(document.problem((*at, "transformLogic"), f"'{name}': {error}.", remedy))
            return None
        reads = reads or ((physical,) if physical else ())
        for column in sorted(used - set(reads)):
            message = f"the expression for '{name}' reads '{column}', which transformSourceObjects does not list."
            problems.append(document.problem((*at, "transformLogic"), message, "Add it there, or mend the spelling."))
    elif physical is None:
        message = f"'{name}' has neither physicalName nor transformLogic."
        problems.append(document.problem(at, message, "Say which column of the provider it comes from."))
        return None
    else:
        reads = (physical,)
    column = entity.column(name)
    options = node.get("logicalTypeOptions") or {}
    time_format = None
    if options.get("format") and column.logical_type in {"timestamp", "date"}:
        try:
            time_format = to_strptime(options["format"])
        except ValueError as error:
            remedy = "Use letters of yyyy MM dd HH mm ss SSS a XXX."
            problems.append(document.problem((*at, "logicalTypeOptions", "format"), f"'{name}': {error}.", remedy))
    zone = options.get("defaultTimezone", "UTC")
    try:
        ZoneInfo(zone)
    except Exception:
        remedy = "Use a name such as Europe/Berlin."
        message = f"'{zone}' is no time zone of the IANA database."
        problems.append(document.problem((*at, "logicalTypeOptions", "defaultTimezone"), message, remedy))
    return Mapping(
        column=column,
        expression=expression,
        source_columns=reads,
        required=column.required or bool(node.get("required")),
        time_format=time_format,
        time_zone=zone,
        decimal_separator=str(_custom(node, "decimalSeparator", ".")),
    )


def _mapping_gaps(document: Document, entity: Entity, mappings: list[Mapping]) -> list[Problem]:
    mapped = [mapping.column.name for mapping in mappings]
    at: NodePath = ("schema", 0, "properties")
    problems = [
        document.problem(at, f"'{name}' is mapped twice.", "Keep one of them.")
        for name in sorted({name for name in mapped if mapped.count(name) > 1})
    ]
    for column in entity.columns:
        if column.name not in mapped and (column.required or column.key_position is not None):
            message = f"'{column.name}' is required by the entity '{entity.name}' and not mapped."
            problems.append(document.problem(at, message, "Map it to a column or give a transformLogic."))
    return problems


def _server(document: Document, problems: list[Problem]) -> Server | None:
    servers = document.data.get("servers") or []
    if len(servers) != 1:
        remedy = "Name exactly one under 'servers:'."
        problems.append(document.problem(("servers",), f"{len(servers)} servers.", remedy))
        return None
    node = servers[0]
    if node.get("type") != "local":
        message = f"servers of type '{node.get('type')}' are not supported yet."
        problems.append(document.problem(("servers", 0), message, "Use 'local' with a path."))
    if node.get("format") not in FORMATS:
        message = f"the format '{node.get('format')}' is not supported."
        problems.append(document.problem(("servers", 0, "format"), message, f"Use one of {', '.join(FORMATS)}."))
    encoding = str(node.get("encoding") or "UTF-8")
    if encoding.upper().replace("-", "") != "UTF8":
        message = f"the encoding '{encoding}' is not supported."
        problems.append(document.problem(("servers", 0, "encoding"), message, "Files are read as UTF-8."))
    delimiter = str(_custom(node, "delimiter", ","))
    if len(delimiter) != 1:
        problems.append(document.problem(("servers", 0), f"the delimiter '{delimiter}' is not one character."))
    return Server(str(node.get("type")), str(node.get("path") or ""), str(node.get("format")), delimiter)


def _freshness(document: Document, problems: list[Problem]) -> dt.timedelta | None:
    for index, item in enumerate(document.data.get("slaProperties") or []):
        if item.get("property") != "freshness":
            continue
        unit = _UNITS.get(str(item.get("unit", "d")))
        if unit is None or not isinstance(item.get("value"), int | float):
            remedy = "Give a number with unit d or h."
            problems.append(document.problem(("slaProperties", index), "freshness cannot be read.", remedy))
            return None
        return dt.timedelta(**{unit: item["value"]})
    return None


def _owners(team: Any) -> tuple[str, ...]:
    members = team.get("members") if isinstance(team, dict) else team
    return tuple(member["username"] for member in members or [] if member.get("username"))
