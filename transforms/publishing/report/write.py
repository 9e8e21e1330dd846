"""Writes the page: the latest under a fixed name, and one for each publication, for a bounded number of them."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from transforms.pages import environment
from transforms.publishing.records import write_whole
from transforms.publishing.report import wording
from transforms.publishing.report.content import Publication, Report, read_report
from transforms.publishing.report.highlights import sentences, tiles
from transforms.settings import Settings

LATEST = "latest.html"
# Our own names alone are ever removed: people may keep other things here.
_KEPT = re.compile(r"\d{8}T\d{6}Z-as-of-\d{4}-\d{2}-\d{2}-[A-Za-z0-9_-]{1,8}\.html")


@dataclass(frozen=True)
class ReportPages:
    """The two files of a report: the name that stays, and the copy of this publication."""

    latest: Path
    kept: Path


def write_report(settings: Settings) -> ReportPages:
    """Write the page of the published file into the reports' folder and remove the oldest beyond the bound.

    Raises:
        PublicationError: nothing is published, or by an older version.
        OSError: the folder cannot be written.
    """
    report = read_report(settings.published)
    return write_pages(settings, render(report), LATEST, f"{publication_name(report.publication)}.html", _KEPT)


def write_pages(settings: Settings, text: str, latest: str, kept: str, ours: re.Pattern[str]) -> ReportPages:
    """Write a page under the name that stays and under that of its publication; of ``ours`` the oldest go."""
    settings.reports.mkdir(parents=True, exist_ok=True)
    pages = ReportPages(settings.reports / latest, settings.reports / kept)
    write_whole(pages.kept, text)
    write_whole(pages.latest, text)
    copies = sorted(path for path in settings.reports.iterdir() if ours.fullmatch(path.name) and path != pages.kept)
    for path in copies[: max(0, len(copies) + 1 - settings.reports_kept)]:
        path.unlink(missing_ok=True)
    return pages


def publication_name(publication: Publication) -> str:
    """Name of a publication's pages, without an ending; the names sort as the publications came."""
    run = re.sub(r"[^A-Za-z0-9_-]", "_", publication.run_id)[:8] or "_"
    return f"{publication.published_at:%Y%m%dT%H%M%SZ}-as-of-{publication.as_of_date}-{run}"


def render(report: Report) -> str:
    """The page as HTML: no script, no request, and a policy that forbids both."""
    values: dict[str, Any] = {
        "report": report,
        "publication": report.publication,
        "before": report.publication.previous,
        "tiles": tiles(report),
        "sentences": list(sentences(report)),
        "currencies": list(dict.fromkeys(segment.currency for segment in report.segments)),
        "say": wording,
    }
    return rendered("report.html.j2", "report.css", values)


def rendered(template: str, style_sheet: str, values: dict[str, Any]) -> str:
    """A page of this folder's templates with its style sheet, which its policy names by its hash."""
    pages = environment(Path(__file__).parent / "templates")
    style = pages.get_template(style_sheet).render()
    # The policy names this very style sheet; not even a style that a value smuggled in would apply.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # The style sheet is our own file.
    return pages.get_template(template).render(values | {"style": Markup(style), "style_hash": digest})  # noqa: S704
