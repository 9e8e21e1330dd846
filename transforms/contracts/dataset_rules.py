"""Dataset rules: ODCS ``quality`` items of ``type: library``, numbers measured over all rows of a load."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    # The document explains faults in dataset rules itself.
    from transforms.contracts.document import Document, NodePath, Problem

_OPERATORS = {
    "mustBe": "must be {}",
    "mustNotBe": "must not be {}",
    "mustBeGreaterThan": "must be greater than {}",
    "mustBeGreaterOrEqualTo": "must be at least {}",
    "mustBeLessThan": "must be less than {}",
    "mustBeLessOrEqualTo": "must be at most {}",
    "mustBeBetween": "must be between {} and {}",
    "mustNotBeBetween": "must not be between {} and {}",
}
_MEASURES = {
    "rowCount": "rows",
    "nullValues": "rows in which {} is null",
    "missingValues": "rows in which {} is missing",
    "invalidValues": "rows in which {} is not valid",
    "duplicateValues": "rows that repeat {}",
}
_ARGUMENTS = {
    "rowCount": frozenset[str](),
    "nullValues": frozenset[str](),
    "missingValues": frozenset({"missingValues"}),
    "invalidValues": frozenset({"validValues", "pattern"}),
    "duplicateValues": frozenset({"properties"}),
}
_UNITS = {"rows": False, "percent": True}
_SEVERITIES = ("error", "warning")
REMEDY = (
    f"A dataset rule has one metric ({', '.join(_MEASURES)}) and one operator with its number or numbers"
    f" ({', '.join(_OPERATORS)})."
)


@dataclass(frozen=True)
class DatasetRule:
    """A number of rows, or their share, that the rows of a load have to keep to.

    ``columns`` is empty for rowCount, one column for a rule on a property, several for duplicates of a combination.
    ``bounds`` are rows, or percent of the rows where ``percent`` is set. ``values`` are the valid ones of
    invalidValues, or those that stand for a missing one of missingValues; a ``pattern`` is an RE2 expression that a
    valid value contains.
    """

    metric: str
    columns: tuple[str, ...]
    operator: str
    bounds: tuple[Fraction, ...]
    percent: bool = False
    severity: str = "error"
    name: str = ""
    description: str = ""
    values: tuple[str, ...] = ()
    pattern: str | None = None

    def holds(self, measured: int, rows: int) -> bool:
        """Whether ``measured`` of ``rows`` rows keep the rule; of no rows, every share is as good as another."""
        if self.percent and not rows:
            return True
        value = Fraction(100 * measured, rows) if self.percent else Fraction(measured)
        first, last = self.bounds[0], self.bounds[-1]
        return {
            "mustBe": value == first,
            "mustNotBe": value != first,
            "mustBeGreaterThan": value > first,
            "mustBeGreaterOrEqualTo": value >= first,
            "mustBeLessThan": value < first,
            "mustBeLessOrEqualTo": value <= first,
            "mustBeBetween": first <= value <= last,
            "mustNotBeBetween": not first <= value <= last,
        }[self.operator]

    @property
    def text(self) -> str:
        """The rule as one sentence for people."""
        measure = _MEASURES[self.metric].format(", ".join(self.columns))
        unit = " percent" if self.percent else ""
        bounds = (f"{float(bound):.12g}{unit}" for bound in self.bounds)
        return f"{'share of' if self.percent else 'number of'} {measure} {_OPERATORS[self.operator].format(*bounds)}"


def dataset_rules(
    document: Document, schema_node: dict[str, Any], columns: Iterable[str], problems: list[Problem]
) -> tuple[DatasetRule, ...]:
    """Dataset rules of a schema object and of its properties; faults go to ``problems``.

    ``columns`` are those of the entity: the rules speak of accepted rows, not of what the provider sends.
    """
    known = tuple(columns)
    rules = []
    for at, column, item in _items(schema_node):
        # Library is the standard's own default.
        if item.get("type", "library") != "library":
            continue
        try:
            rules.append(_rule(item, column, known))
        except _Fault as fault:
            name = f"dataset rule '{item['name']}'" if item.get("name") else "dataset rule"
            problems.append(document.problem((*at, fault.key), f"{name}: {fault.message}.", fault.remedy))
    return tuple(rules)


class _Fault(ValueError):
    """What is wrong with a rule, and under which key of it."""

    def __init__(self, key: str, message: str, remedy: str):
        super().__init__(message)
        self.key, self.message, self.remedy = key, message, remedy


def _items(schema_node: dict[str, Any]) -> Iterator[tuple[NodePath, str | None, dict[str, Any]]]:
    for index, item in enumerate(schema_node.get("quality") or []):
        yield ("schema", 0, "quality", index), None, item
    for position, node in enumerate(schema_node.get("properties") or []):
        for index, item in enumerate(node.get("quality") or []):
            yield ("schema", 0, "properties", position, "quality", index), str(node.get("name", "")), item


def _rule(item: dict[str, Any], column: str | None, known: tuple[str, ...]) -> DatasetRule:
    metric = item.get("metric")
    if metric not in _MEASURES:
        raise _Fault("metric", f"the metric '{metric}' is not known" if metric else "no metric", REMEDY)
    arguments = item.get("arguments") or {}
    for name in sorted(arguments.keys() - _ARGUMENTS[metric]):
        remedy = f"Known: {', '.join(sorted(_ARGUMENTS[metric]))}." if _ARGUMENTS[metric] else "Leave it out."
        raise _Fault("arguments", f"{metric} takes no argument '{name}'", remedy)
    if item.get("unit", "rows") not in _UNITS:
        raise _Fault("unit", f"the unit '{item['unit']}' is not known", "Use rows or percent.")
    if item.get("severity", "error") not in _SEVERITIES:
        raise _Fault("severity", f"the severity '{item['severity']}' is not known", "Use error or warning.")
    percent = _UNITS[item.get("unit", "rows")]
    if percent and metric == "rowCount":
        raise _Fault("unit", "the number of rows is no share of itself", "Use unit rows.")
    columns = _columns(metric, arguments, column, known)
    values, pattern = _values(arguments), _pattern(arguments)
    if metric == "invalidValues" and not values and pattern is None:
        raise _Fault("metric", "nothing says which values are valid", "Add arguments: validValues, pattern or both.")
    operator, bounds = _comparison(item, percent)
    return DatasetRule(
        metric=metric,
        columns=columns,
        operator=operator,
        bounds=bounds,
        percent=percent,
        severity=item.get("severity", "error"),
        name=item.get("name") or f"{metric}({', '.join(columns)})",
        description=item.get("description", ""),
        values=values,
        pattern=pattern,
    )


def _columns(metric: str, arguments: dict[str, Any], column: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if metric == "rowCount":
        if column is not None:
            raise _Fault("metric", "rowCount counts rows, not values", "Move it to the quality of the schema object.")
        return ()
    if column is not None:
        if "properties" in arguments:
            raise _Fault("arguments", "a rule on a property is about that property", "Leave properties out.")
        # A column that the entity lacks is reported where the property is mapped.
        return (column,)
    named = arguments.get("properties")
    if metric != "duplicateValues":
        raise _Fault("metric", f"{metric} is about one column", "Move it to the quality of a property.")
    if not isinstance(named, list) or not named:
        raise _Fault("metric", "nothing says what may not repeat", "Add arguments: {properties: [column, ...]}.")
    for name in named:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            remedy = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}."
            raise _Fault("arguments", f"'{name}' is no column of the entity", remedy)
    return tuple(named)


def _comparison(item: dict[str, Any], percent: bool) -> tuple[str, tuple[Fraction, ...]]:
    given = [name for name in _OPERATORS if name in item]
    if len(given) != 1:
        raise _Fault("metric", f"{' and '.join(given) or 'no operator'}", REMEDY)
    operator, value = given[0], item[given[0]]
    two = operator.endswith("Between")
    numbers = value if two else [value]
    if not isinstance(numbers, list) or len(numbers) != 1 + two or not all(_is_number(number) for number in numbers):
        remedy = f"Give {'two numbers, the smaller first' if two else 'one number'}."
        raise _Fault(operator, f"{operator} is {value!r}", remedy)
    # Through its text: 0.1 means a tenth, not the binary fraction next to it.
    bounds = tuple(Fraction(str(number)) for number in numbers)
    if bounds[0] > bounds[-1]:
        raise _Fault(operator, f"{operator} is {value!r}", "The smaller number comes first.")
    if bounds[0] < 0 or (percent and bounds[-1] > 100):
        raise _Fault(operator, f"{operator} is {value!r}", f"Give {'percent from 0 to 100' if percent else 'rows'}.")
    return operator, bounds


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18


def _values(arguments: dict[str, Any]) -> tuple[str, ...]:
    key = "validValues" if "validValues" in arguments else "missingValues"
    values = arguments.get(key) or []
    if not isinstance(values, list):
        raise _Fault("arguments", f"{key} is no list", f"Write {key}: [value, ...].")
    # NULL is missing and never invalid, whether listed or not.
    return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values if value is not None)


def _pattern(arguments: dict[str, Any]) -> str | None:
    pattern = arguments.get("pattern")
    if pattern is None:
        return None
    try:
        with duckdb.connect() as connection:
            connection.execute("SELECT regexp_matches('', ?)", [str(pattern)]).fetchone()
    except duckdb.Error as error:
        raise _Fault("arguments", f"the pattern cannot be read: {error}".splitlines()[0], "Use RE2 syntax.") from error
    return str(pattern)
