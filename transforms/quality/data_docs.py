"""Data Docs: the pages that Great Expectations renders, in a site of plain HTML that needs no network.

The project's own site would take styles, scripts and its logo from six hosts and an index that a script fills. Kept
are the sections of its pages, as rendered; frame, style and index are written here.
"""

from __future__ import annotations

import datetime as dt
import html
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from transforms.quality.report import QualityReport, RuleResult
from transforms.settings import Settings

# A page has some 40 kB; a source that loads daily keeps a month of them.
RUNS_KEPT = 30
INDEX = "index.html"

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --good: #2b7a3d; --bad: #c62828; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 68rem; padding: 1.5rem; }
h1, h5 { margin: 0 0 .3rem; } h1 { font-size: 1.5rem; } h5 { font-size: 1.05rem; } ul { margin: .2rem 0; }
a { color: inherit; }
table { border-collapse: collapse; width: 100%; margin: .3rem 0 1.5rem; }
.ge-section table { table-layout: fixed; }
.ge-section th:first-child { width: 5rem; } .ge-section th:last-child { width: 14rem; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top; }
.alert { background: var(--soft); border-radius: 4px; padding: .4rem .6rem; margin-top: 1rem; }
.badge { background: var(--soft); border-radius: 4px; padding: 0 .35rem; }
.good, .text-success { color: var(--good); } .bad, .text-danger { color: var(--bad); }
i { font-style: normal; font-weight: bold; }
.fa-check-circle::before { content: "✓"; } .fa-times::before { content: "✗"; }
.fa-exclamation-triangle::before { content: "!"; }
.collapse, pre, code { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { :root { --good: #7fd18f; --bad: #ff8a80; } }
"""


def data_docs_folder(settings: Settings, source: str) -> Path:
    """Folder of a source's Data Docs."""
    return settings.home / "reports" / "data_docs" / source


def latest_report(settings: Settings, source: str) -> QualityReport | None:
    """The report of the newest run, None before the first."""
    runs = sorted((data_docs_folder(settings, source) / "runs").glob("*.json"))
    return _read(runs[-1]) if runs else None


def add_run(report: QualityReport, validation: Any) -> None:
    """Write the page of a run, forget all but the last ``RUNS_KEPT`` runs, and list them in the index.

    ``validation`` is Great Expectations' result of the suite. A run of the same load is replaced.
    """
    runs = report.data_docs.parent / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    name = f"{report.loaded_at:%Y%m%dT%H%M%S%f}"
    _write(runs / f"{name}.html", _page(f"{report.source}: load of {_moment(report)}", _run_body(report, validation)))
    # The load counts as checked from here on.
    facts = {**asdict(report), "loaded_at": report.loaded_at.isoformat(), "data_docs": None, "is_new": False}
    _write(runs / f"{name}.json", json.dumps(facts))
    kept = sorted(runs.glob("*.json"), reverse=True)[:RUNS_KEPT]
    for path in runs.iterdir():
        if path.with_suffix(".json") not in kept:
            path.unlink()
    _write(report.data_docs, _page(f"{report.source}: dataset checks", _index_body(kept)))


def _read(path: Path) -> QualityReport:
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["loaded_at"] = dt.datetime.fromisoformat(facts["loaded_at"])
    facts["results"] = tuple(RuleResult(**result) for result in facts["results"])
    return QualityReport(**{**facts, "data_docs": path.parent.parent / INDEX})


def _run_body(report: QualityReport, validation: Any) -> Iterable[str]:
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

    yield f'<p><a href="../{INDEX}">All runs</a></p><p>{report.rows:,} rows accepted. {_verdict(report)}</p>'
    document: dict[str, Any] = ValidationResultsPageRenderer().render(validation).to_json_dict()
    # The first section is an overview with links to pages that are not written.
    for number, section in enumerate(document["sections"][1:], start=1):
        page = _section_view().render({"section": section, "section_loop": {"index": number}})
        # What it makes of a verdict without counts.
        yield page.replace("unknown % not null", "--")


@cache
def _section_view() -> Any:
    """One for all sections of all sources: each view compiles the templates for itself."""
    from great_expectations.render.view.view import DefaultJinjaSectionView

    return DefaultJinjaSectionView()


def _index_body(runs: Iterable[Path]) -> Iterable[str]:
    yield "<table><thead><tr><th>Load</th><th>Rows accepted</th><th>Rules</th></tr></thead><tbody>"
    for path in runs:
        report = _read(path)
        link = f'<a href="runs/{path.with_suffix(".html").name}">{_moment(report)}</a>'
        yield f"<tr><td>{link}</td><td>{report.rows:,}</td><td>{_verdict(report)}</td></tr>"
    yield "</tbody></table>"


def _moment(report: QualityReport) -> str:
    return f"{report.loaded_at:%Y-%m-%d %H:%M:%S} UTC"


def _verdict(report: QualityReport) -> str:
    if report.passed:
        return f'<span class="good">✓ all {len(report.results)} rules kept</span>'
    broken = html.escape(", ".join(result.name for result in report.failed))
    return f'<span class="bad">✗ {len(report.failed)} of {len(report.results)} rules broken</span>: {broken}'


def _page(title: str, body: Iterable[str]) -> str:
    title = html.escape(title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{''.join(body)}</body></html>\n"
    )


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
