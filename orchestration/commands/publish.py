"""``watershed publish``: what stands in the warehouse goes to the readers, with the same checks as in a run."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated

import typer

from orchestration.commands.common import BAD_CONTRACT, FAILED, HELD, LOCKED, AsJson, read_settings, stop
from transforms import publishing
from transforms.contracts import ContractError, load_contracts
from transforms.locking import LockedError, exclusive
from transforms.publishing import Confirmation, PublicationError, PublicationHeld, checked_build, read_plan
from transforms.publishing.report import write_report
from transforms.publishing.report.value import write_value_report


def publish(
    confirm: Annotated[
        str | None, typer.Option(help="Run or fingerprint of the build that is held back and may go out.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why it is right, for those who come after you.")] = None,
    by: Annotated[str | None, typer.Option(help="Who confirms; default the user of this shell.")] = None,
    as_json: AsJson = False,
) -> None:
    """Publish what stands in the warehouse, if it passed its checks; --confirm lets a build pass that was held."""
    # Dagster takes seconds to import.
    from orchestration.dbt_parse import prepare_manifest

    settings = read_settings()
    confirmation = Confirmation(confirm, by or getpass.getuser(), reason or "") if confirm is not None else None
    try:
        contracts = load_contracts(settings.entities, settings.contracts)
        with exclusive(settings.run_lock, "watershed publish", settings.lock_timeout_seconds):
            build = checked_build(settings)
            plan = read_plan(prepare_manifest(settings), contracts.may_leave)
            report = publishing.publish(settings, plan, build, version("watershed-cdp"), _say, confirmation)
            page = write_report(settings).latest
            write_value_report(settings)
    except ContractError as error:
        raise stop(str(error), BAD_CONTRACT) from error
    except LockedError as error:
        raise stop(str(error), LOCKED) from error
    except PublicationHeld as error:
        if as_json:
            typer.echo(json.dumps({"published": False, "held": asdict(error.held)}, ensure_ascii=False))
        raise stop(str(error), HELD) from error
    except PublicationError as error:
        raise stop(str(error), FAILED) from error
    for warning in report.warnings:
        _say(warning)
    if as_json:
        typer.echo(json.dumps({"published": True, **asdict(report), "report": page}, default=str, ensure_ascii=False))
        return
    typer.echo(f"Published: {report.path}\nReport: {page}")


def _say(text: str) -> None:
    typer.echo(text, err=True)
