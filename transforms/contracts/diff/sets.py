"""Contracts to be compared: files or folders, read without the rest of the installation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from transforms.contracts.diff.change import Kind
from transforms.contracts.document import ContractError, Document, Problem, parse_document, read_document
from transforms.contracts.entities import build_entity
from transforms.contracts.model import Entity, SourceContract
from transforms.contracts.parts import custom_property, only_schema
from transforms.contracts.sources import build_source

ENDING = ".odcs.yaml"


@dataclass(frozen=True)
class ContractSet:
    """Contracts by kind and name."""

    documents: dict[tuple[Kind, str], Document] = field(default_factory=dict)

    def with_defaults(self, others: ContractSet) -> ContractSet:
        """These contracts, and of the others those that are not among them."""
        return ContractSet({**others.documents, **self.documents})

    def entities(self) -> dict[str, Entity]:
        """The entities among them that have no fault."""
        built = {}
        for (kind, name), document in self.documents.items():
            if kind is Kind.ENTITY:
                try:
                    built[name] = build_entity(document)
                except ContractError:
                    continue
        return built

    def sources(self, entities: dict[str, Entity]) -> dict[str, SourceContract | None]:
        """The sources among them; None for one that has a fault."""
        built: dict[str, SourceContract | None] = {}
        for (kind, name), document in self.documents.items():
            if kind is Kind.SOURCE:
                try:
                    built[name] = build_source(document, entities)
                except ContractError:
                    built[name] = None
        return built


def read_set(*paths: Path) -> ContractSet:
    """The contracts in files, and all that lie under folders.

    Raises:
        ContractError: nothing there, a file that is no contract, or two contracts of one kind and name.
    """
    files: list[Path] = []
    for path in paths:
        found = [path] if path.is_file() else sorted(path.rglob(f"*{ENDING}"))
        if not found:
            remedy = f"Name a contract, or a folder with files *{ENDING}."
            raise ContractError([Problem(path, 1, "no contract there.", remedy)])
        files += dict.fromkeys(found)
    return parse_set((file, file.read_bytes()) for file in dict.fromkeys(files))


def read_lenient(folders: Iterable[Path]) -> ContractSet:
    """Contracts of folders without those that cannot be read."""
    documents = {}
    for folder in folders:
        for file in sorted(folder.glob(f"*{ENDING}")):
            try:
                documents |= collect([read_document(file)]).documents
            except ContractError:
                continue
    return ContractSet(documents)


def parse_set(contents: Iterable[tuple[Path, bytes]]) -> ContractSet:
    """Contracts from their bytes, each with the name that it is reported under; ContractError as of read_set."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for file, content in contents:
        try:
            documents.append(parse_document(content, file))
        except ContractError as error:
            problems.extend(error.problems)
    if problems:
        raise ContractError(problems)
    return collect(documents)


def collect(documents: Iterable[Document]) -> ContractSet:
    """Contracts by kind and name; ContractError where two have the same."""
    found: dict[tuple[Kind, str], Document] = {}
    problems = []
    for document in documents:
        key = _key(document)
        if key in found:
            message = f"the {key[0]} '{key[1]}' is also in {found[key].file}."
            problems.append(document.problem(("name",), message, "Compare folders that hold each contract once."))
        found[key] = document
    if problems:
        raise ContractError(problems)
    return ContractSet(found)


def _key(document: Document) -> tuple[Kind, str]:
    """Entities say which of their columns is the moment of a record; everything else is a source."""
    schema = only_schema(document)
    if custom_property(schema, "occurredAt") is not None and not document.data.get("servers"):
        return Kind.ENTITY, str(schema.get("name"))
    return Kind.SOURCE, str(document.data.get("name") or schema.get("name"))
