"""How all commands stop, and what their exit codes mean."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from transforms.contracts import ContractError, Contracts, load_contracts
from transforms.settings import Settings

# docs/operations.md explains them to people.
FAILED, BAD_CONTRACT, LOCKED, BAD_SETTINGS, BREAKING, VERSION_BEHIND, ATTENTION, HELD = 1, 2, 3, 4, 5, 6, 7, 8

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def stop(message: str, code: int) -> typer.Exit:
    """Say why on stderr; the caller raises what comes back."""
    Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(message)
    return typer.Exit(code)


def read_settings(**overrides: object) -> Settings:
    """Settings of the environment; a command's options come first.

    Raises:
        typer.Exit: a setting is not what it should be; each is named on stderr.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"WATERSHED_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise stop("\n".join(lines), BAD_SETTINGS) from error


def read_contracts(settings: Settings) -> Contracts:
    """All contracts of the installation.

    Raises:
        typer.Exit: a contract has a fault; each is named on stderr.
    """
    try:
        return load_contracts(settings.entities, settings.contracts)
    except ContractError as error:
        raise stop(str(error), BAD_CONTRACT) from error


def print_json(document: Any) -> None:
    """Print one JSON document on stdout: moments as ISO 8601, UTC where they have no zone, paths as texts."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=_as_text))


def _as_text(value: object) -> str:
    if isinstance(value, dt.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).isoformat()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")
