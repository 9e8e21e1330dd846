"""Writes the pages of all contracts of an installation."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from transforms.contracts.document import Document, read_document
from transforms.contracts.model import Entity, SourceContract
from transforms.contracts.pages import views
from transforms.contracts.pages.lineage import marts_by_entity
from transforms.contracts.registry import Contracts
from transforms.pages import environment as page_environment

INDEX = "index.html"
# Marks our own pages, so that those of contracts that are gone can go as well.
GENERATOR = "watershed contracts docs"


def write_pages(contracts: Contracts, models: Path, folder: Path) -> Path:
    """Write a page for each contract and an index into ``folder``; returns the index.

    Pages of contracts that no longer exist are removed. ``models`` is the folder of dbt models that is searched for
    the marts behind an entity.

    Raises:
        OSError: the folder cannot be written.
        ContractError: a contract's file changed since it was loaded and has a fault now.
    """
    environment = page_environment(Path(__file__).parent / "templates")
    environment.globals["page_name"] = page_name
    environment.globals["generator"] = GENERATOR
    marts = marts_by_entity(models)
    entities = [_entity(contracts, entity, marts) for _, entity in sorted(contracts.entities.items())]
    sources = [_source(source, marts) for _, source in sorted(contracts.sources.items())]
    pages = {page_name("entity", page["name"]): ("entity.html.j2", page) for page in entities}
    pages |= {page_name("source", page["name"]): ("source.html.j2", page) for page in sources}
    pages[INDEX] = ("index.html.j2", {"entities": entities, "sources": sources})
    folder.mkdir(parents=True, exist_ok=True)
    for name, (template, values) in pages.items():
        (folder / name).write_text(environment.get_template(template).render(values), encoding="utf-8")
    _remove_others(folder, set(pages))
    return folder / INDEX


def page_name(kind: str, name: str) -> str:
    """File name of a contract's page; a name that is no plain word cannot lead out of the folder."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if plain != name:
        plain += f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{kind}-{plain}.html"


def _remove_others(folder: Path, written: set[str]) -> None:
    mark = f'content="{GENERATOR}"'
    for file in [*folder.glob("entity-*.html"), *folder.glob("source-*.html")]:
        if file.name not in written and mark in file.read_text(encoding="utf-8", errors="replace"):
            file.unlink()


def _entity(contracts: Contracts, entity: Entity, marts: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    document = read_document(entity.file)
    sources = contracts.sources_of(entity.name)
    return {
        **_common(document, entity.name, "entity"),
        "facts": views.entity_facts(entity, document),
        "columns": views.entity_lines(entity, document, sources),
        "rules": views.row_rules(entity.rules, entity.name),
        "sources": [source.name for source in sources],
        "marts": marts.get(entity.name, ()),
        "is_identified": any(column.is_identifier for column in entity.columns),
        "grain": entity.grain,
    }


def _source(contract: SourceContract, marts: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    document = read_document(contract.file)
    entity = contract.entity
    mapped = {mapping.column.name for mapping in contract.mappings}
    return {
        **_common(document, contract.name, "source"),
        "facts": views.source_facts(contract, document),
        "columns": views.mapping_lines(contract, document),
        "unmapped": [column.name for column in entity.columns if column.name not in mapped],
        "rules": (*views.row_rules(contract.rules, contract.name), *views.row_rules(entity.rules, entity.name)),
        "dataset_rules": views.dataset_rules(contract),
        "promises": views.promises(document),
        "entity": entity.name,
        "marts": marts.get(entity.name, ()),
        "is_identified": any(mapping.column.is_identifier for mapping in contract.mappings),
        "fingerprint": contract.fingerprint,
        "format": contract.server.format,
    }


def _common(document: Document, name: str, kind: str) -> dict[str, Any]:
    team, members = views.owners(document)
    return {
        "name": name,
        "kind": kind,
        "version": str(document.data.get("version") or ""),
        "status": str(document.data.get("status") or ""),
        "texts": views.texts(document),
        "team": team,
        "members": members,
        "file": document.file.name,
    }
