"""What entity and source contracts have in common."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from transforms.contracts.document import ContractError, Document, NodePath, Problem
from transforms.contracts.expressions import ExpressionError, referenced_columns
from transforms.contracts.model import Rule

# What the gate knows of a row beyond its entity columns.
PLATFORM_COLUMNS = ("_received_at",)


def custom_property(node: dict[str, Any], name: str, default: Any = None) -> Any:
    """Value of an ODCS custom property, or the default."""
    for item in node.get("customProperties") or []:
        if item.get("property") == name:
            return item.get("value")
    return default


def closest(name: str, known: Iterable[str]) -> str:
    """The way out of a misspelt name."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}."


def only_schema(document: Document) -> dict[str, Any]:
    """The one schema object of a contract; ContractError where there are none or several."""
    schema = document.data.get("schema") or []
    if len(schema) != 1:
        problem = document.problem(("schema",), f"{len(schema)} schema objects.", "Watershed takes exactly one a file.")
        raise ContractError([problem])
    return schema[0]


def row_rules(
    document: Document,
    node: dict[str, Any],
    columns: Iterable[str],
    raw_allowed: bool,
    problems: list[Problem],
) -> tuple[Rule, ...]:
    """Row rules under ``quality``, which may read ``raw.<column>`` where allowed; faults go to ``problems``."""
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
        if ";" in name:
            problems.append(document.problem((*at, "name"), f"rule '{name}': no ';' in a name, it parts the reasons."))
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
                problems.append(document.problem((*at, "implementation"), message, closest(parts[-1], known)))
        rules.append(Rule(name, expression, item.get("description", ""), tuple(raw)))
    return tuple(rules)
