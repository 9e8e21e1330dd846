"""What a load must prove before anything is built on it: one verdict for each promise of the contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from transforms.contracts import SourceContract
from transforms.lake.load import LoadReport

# More than this many names in a check's text help nobody.
MAX_LISTED = 50


@dataclass(frozen=True)
class CheckSpec:
    """A promise that is checked at each load. One that ``blocks`` stops everything downstream when it is broken."""

    name: str
    description: str
    blocks: bool = False


_DELETIONS = CheckSpec("deletions_known", "The last snapshot could tell which records are gone.")


@dataclass(frozen=True)
class CheckResult:
    """How a check ended; ``is_error`` tells a fault from a warning, ``found`` holds the figures behind it."""

    name: str
    passed: bool
    text: str = ""
    is_error: bool = True
    found: Mapping[str, Any] = field(default_factory=dict)


def check_specs(contract: SourceContract) -> list[CheckSpec]:
    """The checks of a source, in the order in which ``check_load`` gives their results."""
    return [
        CheckSpec("rows_accounted_for", "Each row read is accepted, in quarantine or an exact repeat.", blocks=True),
        CheckSpec(
            "quarantine_below_limit",
            f"At most {contract.block_rate:.1%} of the rows break the contract, and no file is held.",
            blocks=True,
        ),
        CheckSpec("rows_keep_the_contract", f"At most {contract.warn_rate:.1%} of the rows break the contract."),
        CheckSpec("files_whole", "No file was refused as a whole, and each could be fetched."),
        CheckSpec("columns_as_agreed", "No column is new or missing."),
        CheckSpec("fresh", "The newest data came within the contract's time."),
        *([_DELETIONS] if contract.load_mode == "snapshot" else []),
    ]


def check_load(report: LoadReport, contract: SourceContract, now: dt.datetime) -> list[CheckResult]:
    """Judge a load; ``now`` is an aware moment."""
    rate = report.worst_quarantine_rate
    held = {record.file: record.reason or "" for record in report.held[:MAX_LISTED]}
    refused = [*((record.file, record.reason or "") for record in report.rejected), *report.unreadable.items()]
    unbalanced = [record.file for record in report.records if not record.balances]
    drift = {
        "new": report.new_columns,
        "absent": report.absent_columns,
        "renamed": {absent: f"to {new}?" for absent, new in report.renamed_columns.items()},
    }
    fresh, freshness = is_fresh(report, contract.freshness, now)
    return [
        CheckResult("rows_accounted_for", not unbalanced, found={"unbalanced": unbalanced[:MAX_LISTED]}),
        CheckResult(
            "quarantine_below_limit",
            rate <= contract.block_rate and not held,
            _sentence(
                f"{rate:.1%} of the rows are in quarantine, allowed are {contract.block_rate:.1%}",
                *(f"{file} is {reason}" for file, reason in list(held.items())[:3]),
            ),
            found={"quarantine_rate": rate, "limit": contract.block_rate, "held": held},
        ),
        CheckResult(
            "rows_keep_the_contract",
            rate <= contract.warn_rate,
            is_error=False,
            found={"quarantine_rate": rate, "limit": contract.warn_rate, "broken_rules_now": report.reasons},
        ),
        CheckResult("files_whole", not refused, found=dict(refused[:MAX_LISTED])),
        CheckResult(
            "columns_as_agreed",
            not report.new_columns and not report.absent_columns,
            is_error=False,
            found=drift,
        ),
        CheckResult("fresh", fresh, freshness, is_error=False, found={"location": report.location}),
        *([_deletions_known(report)] if contract.load_mode == "snapshot" else []),
    ]


def _deletions_known(report: LoadReport) -> CheckResult:
    """Judge the last snapshot alone: a later one that is whole makes up for those before it."""
    last = next((record for record in reversed(report.records) if record.status == "loaded"), None)
    unknown = last.reason or "" if last else ""
    text = f"{last.file} {unknown}; have its keys mended" if last and unknown else ""
    return CheckResult(_DELETIONS.name, not unknown, text, is_error=False)


def is_fresh(report: LoadReport, limit: dt.timedelta | None, now: dt.datetime) -> tuple[bool, str]:
    """Judge a source by the arrival of its newest data; returns the verdict and one sentence about it."""
    if report.newest_arrival is None:
        return False, f"stale: no file at {report.location}; check the provider, or the path in the contract"
    if limit is None:
        return True, f"{len(report.records)} files, no freshness agreed"
    age = now - report.newest_arrival
    verdict = "fresh" if age <= limit else "stale"
    return age <= limit, f"{verdict}: the newest file came {age.total_seconds() / 3600:.1f} h ago, agreed {limit}"


def _sentence(*parts: str) -> str:
    return "; ".join(parts)
