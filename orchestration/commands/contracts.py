"""``watershed contracts``: lint, diff and pages of the data contracts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.commands.common import (
    BAD_CONTRACT,
    BREAKING,
    FAILED,
    VERSION_BEHIND,
    AsJson,
    print_json,
    read_settings,
    stop,
)
from transforms.contracts import ContractError, Contracts, load_contracts
from transforms.contracts.diff import Comparison, HistoryError, compare, contracts_at, read_lenient, read_set
from transforms.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Data contracts.")


Out = Annotated[
    Path | None, typer.Option(help="Folder of the pages; default <home>/reports/contracts.", show_default=False)
]


@app.command()
def lint(as_json: AsJson = False) -> None:
    """Check every contract; each fault is printed with file, line and remedy.

    Exit codes: 0 no faults, 2 faults.
    """
    settings = read_settings()
    if as_json:
        _, found = _lint_as_json(settings)
        print_json(found)
        if found["faults"]:
            raise typer.Exit(BAD_CONTRACT)
        return
    _lint(settings)


@app.command()
def diff(
    old: Annotated[
        Path | None, typer.Argument(help="A contract, or a folder of contracts.", show_default=False)
    ] = None,
    new: Annotated[Path | None, typer.Argument(help="What it became.", show_default=False)] = None,
    against: Annotated[
        str | None, typer.Option(metavar="GIT_REF", help="Compare the installed contracts with this commit instead.")
    ] = None,
    as_json: AsJson = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 6 where a version number does not rise as it should.")
    ] = False,
) -> None:
    """Say what changed in contracts, whom it breaks, and what the next load gates anew.

    Exit codes: 0 nothing breaks, 5 something breaks, 2 a contract cannot be read, 1 there is nothing to compare with.
    """
    # The printing needs rich's tables, which the other commands do without.
    from orchestration.commands.contract_changes import as_text, print_changes

    if (against is None) == (old is None or new is None) or (against is not None and old is not None):
        raise typer.BadParameter("Name OLD and NEW, or --against GIT_REF.")
    settings = read_settings()
    try:
        found = _against(settings, against) if against is not None else _between(settings, old, new)
    except ContractError as error:
        raise stop(str(error), BAD_CONTRACT) from error
    except HistoryError as error:
        raise stop(str(error), FAILED) from error
    if as_json:
        typer.echo(as_text(found))
    else:
        print_changes(found)
    if found.is_breaking:
        raise typer.Exit(BREAKING)
    if strict and found.version_faults:
        raise typer.Exit(VERSION_BEHIND)


@app.command()
def docs(out: Out = None) -> None:
    """Write one page per contract and an index: plain HTML files that need no network."""
    settings = read_settings()
    _write_pages(settings, _load(settings), out)


@app.command()
def check(
    against: Annotated[str, typer.Option(metavar="GIT_REF", help="What the contracts are compared with.")] = "HEAD",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Lint, then say what changed since the last commit, then write the pages.

    Only faults of contracts stop it: changes are told, whatever they break, and a folder without git has none.
    """
    from orchestration.commands.contract_changes import print_changes

    settings = read_settings()
    if as_json:
        _check_as_json(settings, against, out)
        return
    contracts = _lint(settings)
    try:
        print_changes(_against(settings, against))
    except HistoryError as error:
        typer.echo(f"Not compared: {error}")
    except ContractError as error:
        typer.echo(f"Not compared, a contract of {against} cannot be read: {error.problems[0]}")
    _write_pages(settings, contracts, out)


def _load(settings: Settings) -> Contracts:
    try:
        return load_contracts(settings.entities, settings.contracts)
    except ContractError as error:
        raise stop(str(error), BAD_CONTRACT) from error


def _lint(settings: Settings) -> Contracts:
    contracts = _load(settings)
    typer.echo(f"{len(contracts.entities)} entities and {len(contracts.sources)} sources: no faults.")
    return contracts


def _lint_as_json(settings: Settings) -> tuple[Contracts | None, dict[str, Any]]:
    """The contracts, None where one has a fault; and what the lint found."""
    try:
        contracts = load_contracts(settings.entities, settings.contracts)
    except ContractError as error:
        return None, {"entities": None, "sources": None, "faults": [asdict(fault) for fault in error.problems]}
    return contracts, {"entities": len(contracts.entities), "sources": len(contracts.sources), "faults": []}


def _check_as_json(settings: Settings, against: str, out: Path | None) -> None:
    from orchestration.commands.contract_changes import as_document

    contracts, found = _lint_as_json(settings)
    if contracts is None:
        print_json(found | {"changes": None, "not_compared": None, "pages": None})
        raise typer.Exit(BAD_CONTRACT)
    changes, not_compared = None, None
    try:
        changes = as_document(_against(settings, against))
    except (HistoryError, ContractError) as error:
        not_compared = str(error)
    print_json(found | {"changes": changes, "not_compared": not_compared, "pages": _pages(settings, contracts, out)})


def _pages(settings: Settings, contracts: Contracts, out: Path | None) -> Path:
    from transforms.contracts.pages import write_pages

    try:
        return write_pages(contracts, settings.dbt_project / "models", out or settings.home / "reports" / "contracts")
    except OSError as error:
        raise stop(f"The pages cannot be written: {error}. Name another folder with --out.", FAILED) from error


def _write_pages(settings: Settings, contracts: Contracts, out: Path | None) -> None:
    index = _pages(settings, contracts, out)
    typer.echo(f"Pages of {len(contracts.entities) + len(contracts.sources)} contracts: {index}")


def _against(settings: Settings, ref: str) -> Comparison:
    folders = (settings.entities, settings.contracts)
    before = contracts_at(ref, folders)
    return compare(before, read_set(*folders))


def _between(settings: Settings, old: Path | None, new: Path | None) -> Comparison:
    installed = read_lenient((settings.entities, settings.contracts))
    return compare(read_set(Path(old or "")), read_set(Path(new or "")), installed)
