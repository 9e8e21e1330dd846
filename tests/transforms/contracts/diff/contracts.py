"""Two versions of a contract side by side, for the tests of the comparison."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from transforms.contracts.diff import Comparison, compare
from transforms.contracts.diff.sets import parse_set

Change = Callable[[dict[str, Any]], object]


def entity_document() -> dict[str, Any]:
    """An entity of orders."""
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "urn:test:orders",
        "name": "orders",
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {
                "name": "orders",
                "logicalType": "object",
                "customProperties": [{"property": "occurredAt", "value": "ordered_at"}],
                "properties": [
                    {
                        "name": "order_id",
                        "logicalType": "string",
                        "physicalType": "VARCHAR",
                        "primaryKey": True,
                        "primaryKeyPosition": 1,
                        "required": True,
                    },
                    {"name": "ordered_at", "logicalType": "timestamp", "physicalType": "TIMESTAMP", "required": True},
                    {
                        "name": "quantity",
                        "logicalType": "number",
                        "physicalType": "DECIMAL(18,3)",
                        "logicalTypeOptions": {"minimum": 0, "maximum": 100},
                    },
                    {
                        "name": "channel",
                        "logicalType": "string",
                        "physicalType": "VARCHAR",
                        "description": "Where it was sold.",
                        "enum": [{"value": "web"}, {"value": "store"}],
                        "logicalTypeOptions": {"maxLength": 10, "pattern": "^[a-z]+$"},
                    },
                    {
                        "name": "email",
                        "logicalType": "string",
                        "physicalType": "VARCHAR",
                        "classification": "restricted",
                        "tags": ["personal_data", "identifier"],
                    },
                    {"name": "note", "logicalType": "string", "physicalType": "VARCHAR"},
                ],
                "quality": [
                    {
                        "name": "sold_something",
                        "type": "custom",
                        "engine": "watershed",
                        "implementation": "quantity > 0 or channel = 'store'",
                    }
                ],
            }
        ],
    }


def source_document() -> dict[str, Any]:
    """A shop that fills it."""
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "urn:test:shop",
        "name": "shop",
        "version": "1.0.0",
        "status": "active",
        "servers": [
            {
                "server": "files",
                "type": "local",
                "path": "shop/*.csv",
                "format": "csv",
                "customProperties": [{"property": "delimiter", "value": ";"}],
            }
        ],
        "schema": [
            {
                "name": "orders",
                "logicalType": "object",
                "customProperties": [
                    {"property": "entity", "value": "orders"},
                    {"property": "quarantineBlockRate", "value": 0.2},
                ],
                "properties": [
                    {"name": "order_id", "physicalName": "no", "logicalType": "string"},
                    {
                        "name": "ordered_at",
                        "physicalName": "sold",
                        "logicalType": "timestamp",
                        "logicalTypeOptions": {"format": "dd.MM.yyyy HH:mm", "defaultTimezone": "Europe/Berlin"},
                    },
                    {"name": "quantity", "physicalName": "pieces", "logicalType": "number"},
                    {
                        "name": "channel",
                        "logicalType": "string",
                        "transformSourceObjects": ["kind"],
                        "transformLogic": "case kind when 'W' then 'web' else 'store' end",
                    },
                ],
            }
        ],
        "slaProperties": [{"property": "freshness", "value": 2, "unit": "d"}],
    }


def content(document: dict[str, Any]) -> bytes:
    """The contract as a file."""
    return yaml.safe_dump(document, sort_keys=False, width=1000).encode()


def compared(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Comparison:
    """What the comparison of two states says."""
    sides = [
        parse_set((Path(f"{side}/{document['name']}.odcs.yaml"), content(document)) for document in documents)
        for side, documents in (("old", old), ("new", new))
    ]
    return compare(*sides)


def changed(document: dict[str, Any], change: Change) -> dict[str, Any]:
    """A copy of the contract after a change."""
    result = copy.deepcopy(document)
    change(result)
    return result


def column(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A column of the contract."""
    return next(node for node in document["schema"][0]["properties"] if node["name"] == name)
