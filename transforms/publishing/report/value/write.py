"""Writes the page on value, as the customer report is written: under a fixed name, and one for each publication."""

from __future__ import annotations

import re
from typing import Any

from transforms.publishing.report import wording
from transforms.publishing.report.value import figures
from transforms.publishing.report.value.content import ValueReport, read_value_report
from transforms.publishing.report.write import ReportPages, publication_name, rendered, write_pages
from transforms.settings import Settings

LATEST = "value.html"
_TAIL = ".value.html"
_KEPT = re.compile(r"\d{8}T\d{6}Z-as-of-\d{4}-\d{2}-\d{2}-[A-Za-z0-9_-]{1,8}\.value\.html")


def write_value_report(settings: Settings) -> ReportPages:
    """Write the page of the published file into the reports' folder and remove the oldest beyond the bound.

    Raises:
        PublicationError: nothing is published, or by an older version.
        OSError: the folder cannot be written.
    """
    report = read_value_report(settings.published)
    name = publication_name(report.publication) + _TAIL
    return write_pages(settings, render(report), LATEST, name, _KEPT)


def render(report: ValueReport) -> str:
    """The page as HTML: no script, no request, and a policy that forbids both."""
    values: dict[str, Any] = {
        "report": report,
        "publication": report.publication,
        "tiles": figures.tiles(report),
        "forecast_sentence": figures.forecast_sentence(report),
        "intervals_sentence": figures.intervals_sentence(report),
        "is_sound": figures.is_sound(report),
        "forecast_scope": figures.forecast_scope(report),
        "cells": figures.segment_map(report),
        "causes": figures.CAUSES,
        "matrix": figures.migration(report),
        "distributions": figures.distributions(report),
        "backtest": list(figures.backtest(report)),
        "retention": list(figures.retention(report)),
        "cohorts": figures.cohorts(report),
        "cohort_months": max((len(one.rates) - 1 for one in report.cohorts), default=0),
        "models": figures.MODELS,
        "reason_of": figures.reason_of,
        "number": figures.number,
        "say": wording,
    }
    return rendered("value.html.j2", "value.css", values)
