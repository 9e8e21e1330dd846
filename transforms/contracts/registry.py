"""All contracts of an installation, read and linted together before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from transforms.contracts.document import ContractError, Document, Problem, read_document
from transforms.contracts.entities import build_entity
from transforms.contracts.model import Entity, SourceContract
from transforms.contracts.sources import build_source

Built = TypeVar("Built")


@dataclass(frozen=True)
class Contracts:
    """Entities and sources by name."""

    entities: dict[str, Entity]
    sources: dict[str, SourceContract]

    def sources_of(self, entity: str) -> tuple[SourceContract, ...]:
        """Sources that feed an entity, by name."""
        return tuple(source for _, source in sorted(self.sources.items()) if source.entity.name == entity)

    def may_leave(self, column: str) -> bool:
        """Whether the contract lets ``entity.column`` into the published file although it is personal.

        Raises:
            KeyError: no such entity or column.
        """
        entity, _, name = column.partition(".")
        return self.entities[entity].column(name).may_leave

    @property
    def phone_regions(self) -> dict[str, str]:
        """Source name to the ISO region that its national telephone numbers belong to."""
        return {name: source.phone_region for name, source in self.sources.items() if source.phone_region}


def load_contracts(entities_dir: Path, sources_dir: Path) -> Contracts:
    """Read and lint every contract.

    Raises:
        ContractError: with all faults of all files, each with file, line and remedy.
    """
    problems: list[Problem] = []
    entities = {e.name: e for e in _build_all(entities_dir, build_entity, problems)}
    sources = {s.name: s for s in _build_all(sources_dir, lambda d: build_source(d, entities), problems)}
    if problems:
        raise ContractError(problems)
    return Contracts(entities, sources)


def _build_all(folder: Path, build: Callable[[Document], Built], problems: list[Problem]) -> list[Built]:
    if not folder.is_dir():
        problems.append(Problem(folder, 1, "no such folder of contracts.", "Create it, or set WATERSHED_CONTRACTS."))
        return []
    built: list[Built] = []
    names: dict[str, Path] = {}
    for file in sorted(folder.glob("*.odcs.yaml")):
        try:
            item = build(read_document(file))
        except ContractError as error:
            problems.extend(error.problems)
            continue
        name = str(getattr(item, "name", ""))
        if name in names:
            remedy = "Each contract of a folder has a name of its own."
            problems.append(Problem(file, 1, f"the name '{name}' is taken by {names[name].name}.", remedy))
        names[name] = file
        built.append(item)
    return built
