"""A contract compiled to expectations. Imports Great Expectations: only for a load that has something to check."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

from great_expectations.expectations.core.expect_column_value_lengths_to_be_between import (
    ExpectColumnValueLengthsToBeBetween,
)
from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
from great_expectations.expectations.expectation import BatchExpectation, Expectation
from great_expectations.expectations.expectation_configuration import parse_result_format
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.validator.validator import ValidationDependencies

from transforms.contracts import Column, SourceContract
from transforms.contracts.dataset_rules import DatasetRule
from transforms.quality.measures import measure_query

_SEVERITIES = {"error": FailureSeverity.CRITICAL, "warning": FailureSeverity.WARNING}
_NONE: dict[str, Any] = {"operator": "mustBe", "bounds": (Fraction(0),)}


class ExpectMeasureToKeepRule(BatchExpectation):
    """A number of rows, or their share, keeps the bounds of a dataset rule.

    Great Expectations has an expectation of its own for some metrics and operators of ODCS, not for most of them, and
    its shares are binary fractions; this one measures all of them in the same way and compares exactly.
    """

    query: str
    operator: str
    bounds: list[str]
    percent: bool = False

    metric_dependencies: ClassVar[tuple[str, ...]] = ("query.table",)
    success_keys: ClassVar[tuple[str, ...]] = ("query", "operator", "bounds", "percent")
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)

    def get_validation_dependencies(self, *arguments: Any, **keywords: Any) -> ValidationDependencies:
        """Keep the counts even where only verdicts are asked for, so that values stay in the database."""
        dependencies = super().get_validation_dependencies(*arguments, **keywords)
        dependencies.result_format = parse_result_format("BASIC")
        return dependencies

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        counts = metrics["query.table"][0]
        measured, total = counts["measured"], counts["total"]
        rule = DatasetRule("", (), self.operator, tuple(Fraction(bound) for bound in self.bounds), self.percent)
        observed = f"{measured:,} rows" if total is None else f"{measured:,} of {total:,} rows"
        if self.percent and total:
            observed += f" ({measured / total:.2%})"
        return {"success": rule.holds(measured, total or 0), "result": {"observed_value": observed}}


def expectations(contract: SourceContract, released: bool = False) -> list[Expectation]:
    """The rules of the entity's columns, then the dataset rules of entity and source.

    The gate has seen to the columns' rules row by row; here a second engine looks at what was written. Where a person
    has ``released`` rows that break rules, those rules only warn.
    """
    severity = "warning" if released else "error"
    found = [item for column in contract.entity.columns for item in _of_column(column, contract, severity)]
    found += _of_key(contract)
    rules = (*contract.entity.dataset_rules, *contract.dataset_rules)
    return found + [_measured(rule, rule.name, contract) for rule in rules]


def _of_column(column: Column, contract: SourceContract, severity: str) -> list[Expectation]:
    found: list[Expectation] = []
    name = column.name
    if column.required or column.key_position is not None:
        # Nobody can release a row without it.
        found.append(ExpectColumnValuesToNotBeNull(column=name, **_about(f"required:{name}", "error")))
    if column.enum:
        about = _about(f"enum:{name}", severity)
        found.append(ExpectColumnValuesToBeInSet(column=name, value_set=list(column.enum), **about))
    if column.minimum is not None or column.maximum is not None:
        bounds: dict[str, Any] = {"min_value": column.minimum, "max_value": column.maximum}
        found.append(ExpectColumnValuesToBeBetween(column=name, **bounds, **_about(f"range:{name}", severity)))
    if column.max_length is not None:
        about = _about(f"max_length:{name}", severity)
        found.append(ExpectColumnValueLengthsToBeBetween(column=name, max_value=column.max_length, **about))
    if column.pattern is not None:
        # Its own regex expectations refuse DuckDB.
        rule = DatasetRule("invalidValues", (name,), pattern=column.pattern, severity=severity, **_NONE)
        found.append(_measured(rule, f"pattern:{name}", contract))
    return found


def _of_key(contract: SourceContract) -> list[Expectation]:
    # A load of versions may bring two of one record.
    if contract.load_mode != "append":
        return []
    # Its own uniqueness joins all columns of all rows to the counts of the keys, twice: not on a large load.
    return [_measured(DatasetRule("duplicateValues", contract.entity.key, **_NONE), "key", contract)]


def _measured(rule: DatasetRule, name: str, contract: SourceContract) -> Expectation:
    return ExpectMeasureToKeepRule(
        query=_template(measure_query(rule, contract.entity, "\0")),
        operator=rule.operator,
        bounds=[str(bound) for bound in rule.bounds],
        percent=rule.percent,
        description=f"{rule.text}: {rule.description}" if rule.description else rule.text,
        **_about(name, rule.severity),
    )


def _template(query: str) -> str:
    """The query as a template of Great Expectations (braces) for SQLAlchemy (colons)."""
    return query.replace("{", "{{").replace("}", "}}").replace(":", "\\:").replace("\0", "{batch}")


def _about(rule: str, severity: str) -> dict[str, Any]:
    """Name and severity of a rule, as Great Expectations knows it and as the report reads it."""
    return {"severity": _SEVERITIES[severity], "meta": {"rule": rule, "severity": severity}}
