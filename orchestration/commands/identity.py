"""``watershed identity``: what a change of policy or overrides would do, before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestration.commands.common import (
    BAD_SETTINGS,
    FAILED,
    AsJson,
    print_json,
    read_contracts,
    read_settings,
    stop,
)
from transforms.identity import OverrideError, PolicyError
from transforms.identity.dry_run import DryRun, Money, Move
from transforms.identity.dry_run import dry_run as dry_run_identity
from transforms.identity.explanation import ExplainError

app = typer.Typer(no_args_is_help=True, help="Who is who: what a change would do.")

_SHOWN = 20


@app.callback()
def _identity() -> None:
    """Keeps ``dry-run`` a command of its own while it is the only one."""


@app.command("dry-run")
def dry_run(
    policy: Annotated[
        Path | None, typer.Option(help="Policy to try; default that of the settings.", dir_okay=False)
    ] = None,
    overrides: Annotated[
        Path | None, typer.Option(help="Overrides to try; default those of the settings.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the customers that a policy or overrides would merge and split, and the revenue that moves; write nothing.

    Without options it shows what the next run would do. Exit codes: 1 nothing to compare with, 4 the policy or the
    overrides have a fault.
    """
    settings = read_settings(identity_policy=policy, identity_overrides=overrides)
    contracts = read_contracts(settings)
    try:
        found = dry_run_identity(settings, contracts.phone_regions)
    except (PolicyError, OverrideError) as error:
        raise stop(str(error), BAD_SETTINGS) from error
    except ExplainError as error:
        raise stop(f"{error}.", FAILED) from error
    if as_json:
        print_json(_document(found))
    else:
        _print(Console(highlight=False, markup=False, soft_wrap=True), found)


def _print(console: Console, found: DryRun) -> None:
    console.print(
        f"As of {found.as_of}: {found.customers_before:,} customers now, {found.customers_after:,} then."
        f" {found.records_moved:,} records move, with {_money(found.net_revenue_moved)}."
    )
    _print_moves(console, "Merged", "takes in", found.merged)
    _print_moves(console, "Split", "gives", found.split)
    for remark in found.remarks:
        console.print(f"Override not applied: {remark}")
    console.print("Nothing was written.")


def _print_moves(console: Console, title: str, verb: str, moves: Sequence[Move]) -> None:
    console.print(f"\n{title}: {len(moves):,} customers")
    for move in moves[:_SHOWN]:
        others = ", ".join(move.customers)
        console.print(f"  {move.customer_id} {verb} {others} ({move.records:,} records, {_money(move.net_revenue)})")
    if len(moves) > _SHOWN:
        console.print(f"  … and {len(moves) - _SHOWN:,} more; --json lists them all")


def _money(amounts: Money) -> str:
    return " + ".join(f"{amount:,.2f} {currency}".strip() for currency, amount in amounts.items()) or "no revenue"


def _document(found: DryRun) -> dict[str, Any]:
    return _plain(asdict(found))


def _plain(value: Any) -> Any:
    """Amounts as texts: JSON knows no decimals."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Decimal) else value
