"""A contract file as plain data that remembers its line numbers, checked against the ODCS schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from transforms.contracts.dataset_rules import REMEDY
from transforms.yaml_text import compose_yaml

NodePath = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One fault of a contract: where it is and what to do about it."""

    file: Path
    line: int
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


class ContractError(ValueError):
    """Raised with every fault that was found, so that one edit can mend them all."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True)
class Document:
    """Content of one contract file."""

    file: Path
    data: dict[str, Any]
    lines: dict[NodePath, int]

    def problem(self, path: Iterable[str | int], message: str, remedy: str = "") -> Problem:
        """Describe a fault at ``path``, or at the nearest parent whose line is known."""
        at = tuple(path)
        while at and at not in self.lines:
            at = at[:-1]
        return Problem(self.file, self.lines.get(at, 1), message, remedy)


def read_document(file: Path) -> Document:
    """Read a contract file.

    Raises:
        ContractError: the file is not UTF-8, not YAML, has a key twice or breaks the ODCS schema.
    """
    return parse_document(file.read_bytes(), file)


def parse_document(content: bytes, file: Path) -> Document:
    """Read a contract from its bytes; ``file`` is the name that faults are reported under.

    Raises:
        ContractError: see :func:`read_document`.
    """
    try:
        return replace(_parsed(content), file=file)
    except ContractError as error:
        raise ContractError([replace(problem, file=file) for problem in error.problems]) from error


@lru_cache(maxsize=1024)
def _parsed(content: bytes) -> Document:
    # The same text is asked for more than once, by the lint, the diff and the pages, and checking it takes a while.
    file = Path()
    try:
        node = compose_yaml(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ContractError([Problem(file, 1, f"not UTF-8: {error}.", "Save the file as UTF-8.")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ContractError(
            [Problem(file, line, f"not YAML: {error.problem or error.context}.", "Check indents and quotes.")]
        ) from error
    except yaml.YAMLError as error:
        raise ContractError([Problem(file, 1, f"not YAML: {error}.", "Look for control characters.")]) from error
    lines: dict[NodePath, int] = {}
    repeated: list[Problem] = []
    try:
        data = _plain(node, (), lines, repeated, file)
    except RecursionError as error:
        raise ContractError([Problem(file, 1, "nested without end.", "Let no alias stand within itself.")]) from error
    if not isinstance(data, dict):
        repeated.append(Problem(file, 1, "a contract is a YAML mapping.", "Begin with 'apiVersion: v3.2.0'."))
    if repeated:
        raise ContractError(repeated)
    document = Document(file, data, lines)
    if not _is_valid(data) and (faults := [document.problem(*_explain(error)) for error in _errors(data)]):
        raise ContractError(sorted(faults, key=lambda fault: fault.line))
    return document


def _is_valid(data: dict[str, Any]) -> bool:
    """Whether a contract keeps to the ODCS schema; most do, and this tells it far quicker than finding errors."""
    try:
        return _quick_validator().is_valid(data)
    except ValueError:  # a number that JSON does not have, or nested too deep for it
        return False


def _errors(data: dict[str, Any]) -> Iterator[jsonschema.ValidationError]:
    return jsonschema.Draft201909Validator(_schema()).iter_errors(data)


def _plain(node: Any, path: NodePath, lines: dict[NodePath, int], repeated: list[Problem], file: Path) -> Any:
    if node is None:
        return None
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            lines[(*path, key)] = line
            if key in result:
                repeated.append(Problem(file, line, f"'{key}' occurs twice here.", "Keep one of them."))
            result[key] = _plain(value_node, (*path, key), lines, repeated, file)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines, repeated, file) for index, item in enumerate(node.value)]
    value = yaml.SafeLoader("")
    try:
        plain = value.construct_object(node)  # pyright: ignore[reportUnknownMemberType]
    finally:
        value.dispose()
    # YAML turns an unquoted date into an object that JSON schema has no word for.
    return plain if isinstance(plain, str | int | float | bool | None) else str(node.value)


def _explain(error: jsonschema.ValidationError) -> tuple[Iterable[str | int], str, str]:
    where = ".".join(str(part) for part in error.absolute_path) or "contract"
    kind = error.instance.get("type") if isinstance(error.instance, dict) else None
    if "quality" in error.absolute_path and kind not in {"custom", "sql", "text"}:
        # The standard's schema only knows that none of its eight forms fits.
        return error.absolute_path, f"{where}: {error.message}.", REMEDY
    return error.absolute_path, f"{where}: {error.message}.", "See the Open Data Contract Standard v3.2."


@cache
def _quick_validator() -> jsonschema_rs.Draft201909Validator:
    return jsonschema_rs.Draft201909Validator(_schema())


@cache
def _schema() -> dict[str, Any]:
    return json.loads(OpenDataContractStandard.json_schema())
