"""Source contracts: what a provider sends, mapped to an entity."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from transforms.contracts.dataset_rules import dataset_rules
from transforms.contracts.document import ContractError, Document, NodePath, Problem
from transforms.contracts.expressions import ExpressionError, referenced_columns
from transforms.contracts.model import LOAD_MODES, RECEIVED_AT, Entity, Mapping, SourceContract
from transforms.contracts.parts import closest, custom_property, only_schema, row_rules
from transforms.contracts.servers import build_server
from transforms.contracts.time_formats import to_strptime

_UNITS = {"d": "days", "day": "days", "days": "days", "h": "hours", "hour": "hours", "hours": "hours"}


def build_source(document: Document, entities: dict[str, Entity]) -> SourceContract:
    """Build a source contract over the entities; ContractError with all faults of the file."""
    schema = only_schema(document)
    problems: list[Problem] = []
    name = str(document.data.get("name") or "")
    if not name.isidentifier() or name != name.lower():
        remedy = "Use lower case letters, digits and underscores."
        problems.append(document.problem(("name",), f"'{name}' cannot name a source.", remedy))
    entity_name = str(custom_property(schema, "entity", schema.get("name")))
    if entity_name not in entities:
        message = f"there is no entity '{entity_name}'."
        raise ContractError([*problems, document.problem(("schema", 0), message, closest(entity_name, entities))])
    entity = entities[entity_name]
    mappings = []
    for index, node in enumerate(schema.get("properties") or []):
        mapping = _mapping(document, ("schema", 0, "properties", index), node, entity, problems)
        if mapping:
            mappings.append(mapping)
    problems += _mapping_gaps(document, entity, mappings)
    server = build_server(document, schema, problems)
    load_mode, latest_by = _load_mode(document, schema, entity, problems)
    delivered_at = _delivered_at(document, schema, load_mode, latest_by, problems)
    rules = row_rules(document, schema, [column.name for column in entity.columns], True, problems)
    measured = dataset_rules(document, schema, [column.name for column in entity.columns], problems)
    freshness = _freshness(document, problems)
    rates = {}
    for rate, default in (("quarantineWarnRate", 0.01), ("quarantineBlockRate", 0.2)):
        rates[rate] = custom_property(schema, rate, default)
        if not isinstance(rates[rate], int | float) or not 0 <= rates[rate] <= 1:
            problems.append(document.problem(("schema", 0, "customProperties"), f"{rate} is a share from 0 to 1."))
    max_deleted = custom_property(schema, "maxDeletedShare", 0.2)
    if not isinstance(max_deleted, int | float) or not 0 <= max_deleted <= 1:
        problems.append(document.problem(("schema", 0, "customProperties"), "maxDeletedShare is a share from 0 to 1."))
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
        phone_region=custom_property(schema, "phoneRegion"),
        ignore_columns=tuple(str(column) for column in custom_property(schema, "ignoreColumns", [])),
        warn_rate=float(rates["quarantineWarnRate"]),
        block_rate=float(rates["quarantineBlockRate"]),
        freshness=freshness,
        load_mode=load_mode,
        latest_by=latest_by,
        max_deleted_share=max_deleted,
        delivered_at=delivered_at,
        physical_types={
            str(node["physicalName"]): str(node["physicalType"]).upper()
            for node in schema.get("properties") or []
            if node.get("physicalName") and node.get("physicalType")
        },
        dataset_rules=measured,
    )


def _load_mode(document: Document, schema: dict[str, Any], entity: Entity, problems: list[Problem]) -> tuple[str, str]:
    """What a second row of a key means, and the column that says which version is the latest."""
    at: NodePath = ("schema", 0, "customProperties")
    mode = str(custom_property(schema, "loadMode", "append"))
    if mode not in LOAD_MODES:
        problems.append(document.problem(at, f"loadMode is '{mode}'.", f"Use one of {', '.join(LOAD_MODES)}."))
    latest_by = str(custom_property(schema, "latestBy", RECEIVED_AT))
    known = [RECEIVED_AT, *(column.name for column in entity.columns)]
    if latest_by not in known:
        message = f"latestBy is '{latest_by}', which the entity does not have."
        problems.append(document.problem(at, message, closest(latest_by, known)))
    elif latest_by != RECEIVED_AT and mode != "upsert":
        message = "latestBy orders versions, and only loadMode 'upsert' has any."
        problems.append(document.problem(at, message, "Add 'loadMode: upsert', or leave latestBy out."))
    return mode, latest_by


def _delivered_at(
    document: Document, schema: dict[str, Any], load_mode: str, latest_by: str, problems: list[Problem]
) -> str | None:
    """Expression over the file's name for the moment since which its content holds; None where there is none."""
    at: NodePath = ("schema", 0, "customProperties")
    written = custom_property(schema, "deliveredAt")
    if written is None:
        return None
    expression = str(written)
    remedy = "Write one SQL expression over _file, such as strptime(_file, 'stock_%Y-%m-%d.csv')."
    try:
        used = {parts[0] for parts in referenced_columns(expression)}
    except ExpressionError as error:
        problems.append(document.problem(at, f"deliveredAt: {error}.", remedy))
        return None
    if used != {"_file"}:
        problems.append(document.problem(at, "deliveredAt has to read _file and nothing else.", remedy))
    if load_mode == "append" or latest_by != RECEIVED_AT:
        message = "deliveredAt orders files, and only of a snapshot or an upsert by arrival the order counts."
        problems.append(document.problem(at, message, "Leave it out."))
    return expression


def _mapping(
    document: Document, at: NodePath, node: dict[str, Any], entity: Entity, problems: list[Problem]
) -> Mapping | None:
    name = str(node.get("name", ""))
    known = [column.name for column in entity.columns]
    if name not in known:
        message = f"'{name}' is no column of the entity '{entity.name}'."
        problems.append(document.problem(at, message, closest(name, known)))
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
        decimal_separator=str(custom_property(node, "decimalSeparator", ".")),
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
