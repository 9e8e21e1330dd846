"""Writes the page on value, as the customer report is written: under a fixed name, and one for each publication."""

from __future__ import annotations

import re
from typing import Any

from transforms.publishing.report import wording
from transforms.publishing.report.value import backtest, forecast, names, retention, segments, tiles
from transforms.publishing.report.value.content import ValueReport
from transforms.publishing.report.value.read import read_value_report
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
        "tiles": tiles.tiles(report),
        "forecast_sentence": forecast.forecast_sentence(report),
        "intervals_sentence": backtest.intervals_sentence(report),
        "is_sound": forecast.is_sound(report),
        "forecast_scope": forecast.forecast_scope(report),
        "cells": segments.segment_map(report),
        "causes": segments.CAUSES,
        "matrix": segments.migration(report),
        "distributions": forecast.distributions(report),
        "backtest": list(backtest.backtest(report)),
        "retention": list(retention.retention(report)),
        "cohorts": retention.cohorts(report),
        "cohort_months": max((len(one.rates) - 1 for one in report.cohorts), default=0),
        "models": names.MODELS,
        "reason_of": names.reason_of,
        "number": names.number,
        "say": wording,
    }
    return rendered("value.html.j2", "value.css", values)
