"""How all commands stop, and what their exit codes mean."""

from __future__ import annotations

import typer
from pydantic import ValidationError
from rich.console import Console

from transforms.settings import Settings

FAILED, BAD_CONTRACT, LOCKED, BAD_SETTINGS, BREAKING, VERSION_BEHIND = 1, 2, 3, 4, 5, 6


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
