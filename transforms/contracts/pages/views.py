"""What a page shows of a contract: texts, ready to be set."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from transforms.contracts.document import Document
from transforms.contracts.model import Column, Entity, Mapping, Rule, SourceContract

_LOAD_MODES = {
    "append": "append: every row is new; a second row of a key with other content is refused",
    "upsert": "upsert: a later row of a key replaces the earlier one",
    "snapshot": "snapshot: every file is the whole table, and keys that are gone are deleted",
}


@dataclass(frozen=True)
class Line:
    """A column of an entity, or its mapping by a source."""

    name: str
    type: str
    description: str
    rules: tuple[str, ...]
    tags: tuple[str, ...]
    key_position: int | None = None
    publish: bool = False
    allowed: tuple[tuple[str, str], ...] = ()
    physical: tuple[str, ...] = ()
    expression: str | None = None
    why: str = ""
    reading: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class RuleLine:
    """A rule on rows (SQL) or on the whole load (a sentence)."""

    name: str
    text: str
    description: str
    is_sql: bool
    origin: str
    severity: str = "error"


def entity_lines(entity: Entity, document: Document, sources: tuple[SourceContract, ...]) -> tuple[Line, ...]:
    """Columns of an entity with the sources that fill them."""
    nodes = _nodes(document)
    return tuple(
        Line(
            name=column.name,
            type=column.physical_type,
            description=column.description,
            rules=_rules(column),
            tags=_tags(nodes.get(column.name, {})),
            key_position=column.key_position,
            publish=column.may_leave,
            allowed=_allowed(nodes.get(column.name, {})),
            examples=_texts(nodes.get(column.name, {}).get("examples")),
            sources=tuple(s.name for s in sources if column.name in {m.column.name for m in s.mappings}),
        )
        for column in entity.columns
    )


def mapping_lines(contract: SourceContract, document: Document) -> tuple[Line, ...]:
    """Mappings of a source in the order of the contract."""
    nodes = _nodes(document)
    return tuple(_mapping_line(mapping, nodes.get(mapping.column.name, {})) for mapping in contract.mappings)


def _mapping_line(mapping: Mapping, node: dict[str, Any]) -> Line:
    column = mapping.column
    return Line(
        name=column.name,
        type=column.physical_type,
        description=str(node.get("description") or column.description),
        rules=_rules(column),
        tags=tuple(dict.fromkeys((*column.tags, *_tags(node)))),
        key_position=column.key_position,
        physical=mapping.source_columns,
        expression=mapping.expression,
        why=str(node.get("transformDescription") or ""),
        reading=_reading(mapping, node),
        examples=_texts(node.get("examples")),
    )


def _reading(mapping: Mapping, node: dict[str, Any]) -> tuple[str, ...]:
    """How texts of the provider are read."""
    options = node.get("logicalTypeOptions") or {}
    found = []
    if options.get("format"):
        found.append(f"written {options['format']}")
    if mapping.column.physical_type == "TIMESTAMP" and mapping.time_zone != "UTC":
        found.append(f"clock of {mapping.time_zone}")
    if mapping.decimal_separator != ".":
        found.append(f"decimal separator {mapping.decimal_separator}")
    if node.get("required"):
        found.append("a file without it is refused")
    return tuple(found)


def _rules(column: Column) -> tuple[str, ...]:
    found = []
    if column.required or column.key_position is not None:
        found.append("required")
    if column.minimum is not None:
        found.append(f"≥ {column.minimum}")
    if column.maximum is not None:
        found.append(f"≤ {column.maximum}")
    if column.max_length is not None:
        found.append(f"at most {column.max_length:,} characters")
    if column.pattern is not None:
        found.append(f"matches {column.pattern}")
    if column.enum:
        found.append(f"one of {', '.join(column.enum)}")
    return tuple(found)


def row_rules(rules: tuple[Rule, ...], origin: str) -> tuple[RuleLine, ...]:
    """Rules that a row has to keep."""
    return tuple(RuleLine(rule.name, rule.expression, rule.description, True, origin) for rule in rules)


def dataset_rules(contract: SourceContract) -> tuple[RuleLine, ...]:
    """Rules that a load as a whole has to keep."""
    return tuple(
        RuleLine(rule.name, rule.text, rule.description, False, contract.name, rule.severity)
        for rule in contract.dataset_rules
    )


def entity_facts(entity: Entity, document: Document) -> list[tuple[str, str]]:
    """What an entity is, as pairs of a word and its meaning."""
    facts = [
        ("Grain", entity.grain),
        ("Key", ", ".join(entity.key) + "; unique within a source"),
        ("Moment of a record", entity.occurred_at),
        *_common_facts(document),
    ]
    return [(word, meaning) for word, meaning in facts if meaning]


def source_facts(contract: SourceContract, document: Document) -> list[tuple[str, str]]:
    """What a source promises, and what happens to what breaks the promise."""
    schema = document.data["schema"][0]
    modes = _LOAD_MODES.get(contract.load_mode, contract.load_mode)
    facts = [
        ("Grain", str(schema.get("dataGranularityDescription") or "")),
        ("Key", ", ".join(contract.entity.key)),
        ("Pulled from", _server(document)),
        ("Load mode", modes + (f", by {contract.latest_by}" if contract.load_mode == "upsert" else "")),
        ("A file holds since", contract.delivered_at or ""),
        ("Freshness", f"a file at least every {_duration(contract.freshness)}" if contract.freshness else ""),
        (
            "Quarantine",
            f"warns above {100 * contract.warn_rate:g} % of rows, stops all above {100 * contract.block_rate:g} %",
        ),
        ("Telephone numbers", f"national ones belong to {contract.phone_region}" if contract.phone_region else ""),
        ("Known and not wanted", ", ".join(contract.ignore_columns)),
        *_common_facts(document),
    ]
    return [(word, meaning) for word, meaning in facts if meaning]


def promises(document: Document) -> list[tuple[str, str, str]]:
    """Service levels: what, how much, why."""
    return [
        (str(item.get("property")), f"{item.get('value')} {item.get('unit') or ''}".strip(), _text(item, "description"))
        for item in document.data.get("slaProperties") or []
    ]


def texts(document: Document) -> list[tuple[str, str]]:
    """The paragraphs about a contract."""
    description = document.data.get("description") or {}
    return [
        (word, str(description[key]))
        for word, key in (("", "purpose"), ("How to use it", "usage"), ("What to beware of", "limitations"))
        if description.get(key)
    ]


def owners(document: Document) -> tuple[str, list[tuple[str, str, str]]]:
    """The team's name, and its members with their roles."""
    team = document.data.get("team")
    members = (team.get("members") if isinstance(team, dict) else team) or []
    name = str(team.get("name") or "") if isinstance(team, dict) else ""
    return name, [(_text(m, "username"), _text(m, "role"), _text(m, "description")) for m in members]


def _common_facts(document: Document) -> list[tuple[str, str]]:
    data = document.data
    return [
        ("Domain", str(data.get("domain") or "")),
        ("Tags", ", ".join(data.get("tags") or ())),
        ("Id", str(data["id"])),
    ]


def _server(document: Document) -> str:
    """Where it is pulled from; a contract names secrets and never holds one."""
    node = (document.data.get("servers") or [{}])[0]
    settings = [(key, node[key]) for key in node if key not in {"server", "description", "customProperties", "id"}]
    settings += [(item.get("property"), item.get("value")) for item in node.get("customProperties") or []]
    listed = " · ".join(f"{key} {value}" for key, value in settings if not isinstance(value, dict | list))
    return " · ".join(text for text in (listed, _text(node, "description")) if text)


def _duration(span: dt.timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"


def _nodes(document: Document) -> dict[str, dict[str, Any]]:
    return {str(node.get("name")): node for node in document.data["schema"][0].get("properties") or []}


def _tags(node: dict[str, Any]) -> tuple[str, ...]:
    classification = (str(node["classification"]),) if node.get("classification") else ()
    return (*_texts(node.get("tags")), *classification)


def _allowed(node: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(item.get("value")), _text(item, "description")) for item in node.get("enum") or [])


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def _text(node: dict[str, Any], key: str) -> str:
    return str(node.get(key) or "")
