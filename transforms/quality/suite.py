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
        measured, total = (int(metrics["query.table"][0][name]) for name in ("measured", "total"))
        rule = DatasetRule("", (), self.operator, tuple(Fraction(bound) for bound in self.bounds), self.percent)
        share = f" ({measured / total:.2%})" if self.percent and total else ""
        return {
            "success": rule.holds(measured, total),
            "result": {"observed_value": f"{measured:,} of {total:,} rows{share}"},
        }


def expectations(contract: SourceContract) -> list[Expectation]:
    """The rules of the entity's columns, then the dataset rules of entity and source.

    The gate has seen to the columns' rules row by row; here a second engine looks at what was written.
    """
    found = [expectation for column in contract.entity.columns for expectation in _of_column(column, contract)]
    found += _of_key(contract)
    rules = (*contract.entity.dataset_rules, *contract.dataset_rules)
    return found + [_measured(rule, rule.name, contract) for rule in rules]


def _of_column(column: Column, contract: SourceContract) -> list[Expectation]:
    found: list[Expectation] = []
    name = column.name
    if column.required or column.key_position is not None:
        found.append(ExpectColumnValuesToNotBeNull(column=name, meta=_named(f"required:{name}")))
    if column.enum:
        values = list(column.enum)
        found.append(ExpectColumnValuesToBeInSet(column=name, value_set=values, meta=_named(f"enum:{name}")))
    if column.minimum is not None or column.maximum is not None:
        bounds: dict[str, Any] = {"min_value": column.minimum, "max_value": column.maximum}
        found.append(ExpectColumnValuesToBeBetween(column=name, **bounds, meta=_named(f"range:{name}")))
    if column.max_length is not None:
        longest = column.max_length
        meta = _named(f"max_length:{name}")
        found.append(ExpectColumnValueLengthsToBeBetween(column=name, max_value=longest, meta=meta))
    if column.pattern is not None:
        # Its own regex expectations refuse DuckDB.
        rule = DatasetRule("invalidValues", (name,), pattern=column.pattern, **_NONE)
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
        severity=_SEVERITIES[rule.severity],
        description=f"{rule.text}: {rule.description}" if rule.description else rule.text,
        meta=_named(name, rule.severity),
    )


def _template(query: str) -> str:
    """The query as a template of Great Expectations (braces) for SQLAlchemy (colons)."""
    return query.replace("{", "{{").replace("}", "}}").replace(":", "\\:").replace("\0", "{batch}")


def _named(rule: str, severity: str = "error") -> dict[str, str]:
    return {"rule": rule, "severity": severity}
