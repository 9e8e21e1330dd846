"""``watershed explain``: who a customer is, and why."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestration.commands.common import FAILED, AsJson, print_json, read_contracts, read_settings, stop
from transforms.identity.explain import explain as explain_identity
from transforms.identity.explanation import ExplainError, Explanation, Hop, Known, Subject
from transforms.identity.picture import draw_customer
from transforms.operations.origins import Origin, origins

_FILES = 3


def explain(
    asked: Annotated[
        str,
        typer.Argument(
            metavar="WHO",
            help="A customer id, an identifier as a source writes it (or type:value, or its key), or a record as"
            " source:key.",
        ),
    ],
    other: Annotated[
        str | None, typer.Argument(metavar="[OTHER]", help="What joins WHO with this one?", show_default=False)
    ] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the values of identifiers, not their masks.")] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the customer's graph of identifiers, masked, into this SVG file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say who a customer is: every identifier, where it came from, and what joins two of them.

    Of two the most trustworthy way is shown, each step with its source records, the time, and whether the customer
    would fall apart without it; of two customers what was refused between them. Exit code 1: nothing of that name is
    known.
    """
    settings = read_settings()
    try:
        found = explain_identity(settings, read_contracts(settings).phone_regions, asked, other, reveal)
    except ExplainError as error:
        raise stop(f"{error}.", FAILED) from error
    if picture and found.first.customer_id:
        picture.write_text(draw_customer(settings, found.first.customer_id), encoding="utf-8")
    files = origins(settings, list(found.observations.values()))
    if as_json:
        print_json(_document(found, files))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for subject in (found.first, found.second):
        if subject and not (subject is found.second and subject.customer_id == found.first.customer_id):
            _print_subject(console, subject, found, files)
    if found.second:
        _print_verdict(console, found, files)
    _print_decisions(console, found)


def _print_subject(console: Console, subject: Subject, found: Explanation, files: dict[str, list[Origin]]) -> None:
    if subject.customer_id is None:
        console.print(f"{subject.asked} belongs to no customer: {subject.why_nobody}.")
        return
    name = "" if subject.asked == subject.customer_id else f"{subject.asked} → "
    console.print(f"{name}customer {subject.customer_id}")
    for former in subject.former:
        text = f"  was {former.customer_id} too, until {former.since} (run {former.run_id}: {former.reason})"
        console.print(text)
    for known in subject.identifiers:
        links = "" if known.status == "linked" else f", {known.status}: {known.reason}; joins nobody"
        console.print(
            f"  {known.type} {known.shown}: {_seen(known.records, known.first_seen_at, known.last_seen_at)}{links}"
        )
        for source, records, said in _sources(known, found, files):
            console.print(f"      {source}: {_count(records)}{said}", style="dim")
    console.print()


def _print_verdict(console: Console, found: Explanation, files: dict[str, list[Origin]]) -> None:
    first, second = found.first, found.second
    if second is None:
        return
    if first.customer_id and first.customer_id == second.customer_id:
        if not found.path:
            console.print(f"{first.asked} and {second.asked} are the same identifier or observation.")
            return
        console.print(f"{first.asked} and {second.asked} are one customer, in {len(found.path)} steps:")
        for number, hop in enumerate(found.path, start=1):
            console.print(f"  {number}. {hop.start} — {hop.end}")
            console.print(f"      {_evidence(hop, found, files)}", style="dim")
        return
    console.print(f"{first.asked} and {second.asked} are not one customer.")
    for known in found.between:
        console.print(f"  both were seen with {known.type} {known.shown}, but it is {known.status}: {known.reason}")
    for link in found.refused:
        console.print(f"  a link by {link.rule}{_likely(link.probability)} was refused: {link.reason}")
    if first.customer_id and second.customer_id and not found.between and not found.refused:
        console.print("  No identifier was seen with both.")


def _evidence(hop: Hop, found: Explanation, files: dict[str, list[Origin]]) -> str:
    """What a step rests on."""
    if hop.observation is None:
        text = f"linked by {hop.rule}{_likely(hop.probability)}"
    else:
        at = found.observations[hop.observation]
        seen = _seen(at.records, at.first_seen_at, at.last_seen_at)
        text = f"together in {at.source}: {seen}{_files(files.get(at.key, []))}"
    if hop.is_bridge:
        text += f"; a bridge: without it {hop.bridge_side} identifier{'s' * (hop.bridge_side > 1)} would go"
    return text


def _likely(probability: float | None) -> str:
    return "" if probability is None else f" with a probability of {probability:.3f}"


def _print_decisions(console: Console, found: Explanation) -> None:
    for decided in found.decisions:
        said = f" ({decided.detail})" if decided.detail else ""
        console.print(
            f"Override, line {decided.line}: {decided.action} by {decided.author}, {decided.decided_on}:"
            f" {decided.reason}; {decided.status}{said}"
        )


def _sources(known: Known, found: Explanation, files: dict[str, list[Origin]]) -> list[tuple[str, int, str]]:
    """Of an identifier: source, records in this customer's observations, and the files."""
    by_source: dict[str, list[str]] = {}
    for key in known.observations:
        by_source.setdefault(found.observations[key].source, []).append(key)
    return [
        (
            source,
            sum(found.observations[key].records for key in keys),
            _files(_merged([origin for key in keys for origin in files.get(key, [])])),
        )
        for source, keys in sorted(by_source.items())
    ]


def _merged(found: list[Origin]) -> list[Origin]:
    """Origins of several observations, one per file."""
    files: dict[str, Origin] = {}
    for origin in found:
        had = files.get(origin.file)
        row = origin.row if had is None else min(had.row, origin.row)
        files[origin.file] = Origin(origin.file, origin.records + (had.records if had else 0), row)
    return sorted(files.values(), key=lambda origin: (-origin.records, origin.file))


def _files(found: list[Origin]) -> str:
    if not found:
        return ""
    named = "; ".join(f"{origin.file} from row {origin.row}" for origin in found[:_FILES])
    return f", {named}" + (f" and {len(found) - _FILES} more files" if len(found) > _FILES else "")


def _seen(records: int, first: Any, last: Any) -> str:
    when = f"{first:%Y-%m-%d}" if f"{first:%Y-%m-%d}" == f"{last:%Y-%m-%d}" else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{_count(records)}, {when}"


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"


def _document(found: Explanation, files: dict[str, list[Origin]]) -> dict[str, Any]:
    document = asdict(found)
    # Raw values stay here, whatever was revealed: the identifiers say what may be seen.
    for key, observation in document["observations"].items():
        del observation["values"]
        observation["files"] = [asdict(origin) for origin in files.get(key, [])]
    return document
