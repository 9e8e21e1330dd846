"""Entity contracts: what the platform holds."""

from __future__ import annotations

from transforms.contracts.dataset_rules import dataset_rules
from transforms.contracts.document import ContractError, Document, NodePath, Problem
from transforms.contracts.model import Column, Entity
from transforms.contracts.parts import custom_property, only_schema, row_rules

ENTITY_TYPES = ("VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP")


def build_entity(document: Document) -> Entity:
    """Build an entity; ContractError with all faults of the file."""
    schema = only_schema(document)
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
                may_leave=custom_property(node, "publish") == "allowed",
            )
        )
    names = [column.name for column in columns]
    occurred_at = custom_property(schema, "occurredAt")
    if occurred_at not in names:
        remedy = "Add the custom property 'occurredAt' with the name of the entity's timestamp."
        problems.append(document.problem(("schema", 0), f"occurredAt is '{occurred_at}', not a column.", remedy))
    if not any(column.key_position is not None for column in columns):
        problems.append(document.problem(("schema", 0), "no primary key.", "Mark columns with primaryKey: true."))
    rules = row_rules(document, schema, names, False, problems)
    measured = dataset_rules(document, schema, names, problems)
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
        dataset_rules=measured,
    )
