"""``watershed doctor``: is the installation sound, and if not, what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

import orchestration
from orchestration.commands.common import ATTENTION, AsJson, print_json, read_settings
from transforms.contracts import ContractError, Contracts, load_contracts
from transforms.lake.load import utc_now
from transforms.operations.findings import Finding, Verdict, fault, ok
from transforms.operations.installation import installation
from transforms.operations.machine import machine
from transforms.operations.software import software
from transforms.settings import Settings

_STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAULT: "bold red"}


def doctor(as_json: AsJson = False) -> None:
    """Look at versions, contracts, disk, permissions, locks, clock, secrets and leftovers; change nothing.

    Exit codes: 0 sound, warnings apart; 7 a fault that stops runs or spoils results.
    """
    findings = list(_examine(read_settings()))
    counts = Counter(finding.verdict for finding in findings)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings], "counts": counts})
    else:
        console = Console(highlight=False, markup=False, soft_wrap=True)
        for finding in findings:
            line = Text(f"{finding.verdict:<8}", style=_STYLES[finding.verdict])
            line.append(f"{finding.subject}: {finding.text}", style="default")
            if finding.remedy:
                line.append(f"\n        → {finding.remedy}", style="default")
            console.print(line)
        console.print(f"\n{counts[Verdict.FAULT]} faults, {counts[Verdict.WARNING]} warnings.")
    if counts[Verdict.FAULT]:
        raise typer.Exit(ATTENTION)


def _examine(settings: Settings) -> Iterator[Finding]:
    contracts: Contracts | None = None
    yield from software(settings)
    try:
        contracts = load_contracts(settings.entities, settings.contracts)
        yield ok("contracts", f"{len(contracts.entities)} entities and {len(contracts.sources)} sources: no faults")
    except ContractError as error:
        yield fault("contracts", str(error.problems[0]), "watershed contracts lint")
    yield from machine(settings, contracts, utc_now())
    shipped = Path(orchestration.__file__).with_name("dagster.yaml")
    yield from installation(settings, contracts, shipped)
