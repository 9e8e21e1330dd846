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
from transforms.publishing.report.content import Report, read_report
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
    text = render(report)
    settings.reports.mkdir(parents=True, exist_ok=True)
    kept = settings.reports / _name(report)
    latest = settings.reports / LATEST
    write_whole(kept, text)
    write_whole(latest, text)
    ours = sorted(path for path in settings.reports.iterdir() if _KEPT.fullmatch(path.name) and path != kept)
    for path in ours[: max(0, len(ours) + 1 - settings.reports_kept)]:
        path.unlink(missing_ok=True)
    return ReportPages(latest, kept)


def _name(report: Report) -> str:
    # By the moment of publication first, so that the names sort as the publications came.
    publication = report.publication
    run = re.sub(r"[^A-Za-z0-9_-]", "_", publication.run_id)[:8] or "_"
    return f"{publication.published_at:%Y%m%dT%H%M%SZ}-as-of-{publication.as_of_date}-{run}.html"


def render(report: Report) -> str:
    """The page as HTML: no script, no request, and a policy that forbids both."""
    pages = environment(Path(__file__).parent / "templates")
    style = pages.get_template("report.css").render()
    # The policy names this very style sheet; not even a style that a value smuggled in would apply.
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    values: dict[str, Any] = {
        "report": report,
        "publication": report.publication,
        "before": report.publication.previous,
        "tiles": tiles(report),
        "sentences": list(sentences(report)),
        "currencies": list(dict.fromkeys(segment.currency for segment in report.segments)),
        "say": wording,
        "style": Markup(style),  # noqa: S704 - our own file
        "style_hash": digest,
    }
    return pages.get_template("report.html.j2").render(values)
