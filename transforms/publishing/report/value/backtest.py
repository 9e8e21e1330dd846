"""How good the forecast was over the days held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from transforms.publishing.report import wording
from transforms.publishing.report.value import charts
from transforms.publishing.report.value.charts import Series
from transforms.publishing.report.value.content import Calibration, Metrics, ValueReport
from transforms.publishing.report.value.names import MODELS
from transforms.publishing.report.value.shapes import Chart

# Intervals that hold so much less than they should are called too narrow.
_NARROW = 0.05


def chosen_forecast(report: ValueReport) -> Metrics | None:
    """Errors of the forecast behind the published figures; None without a backtest."""
    return next((metric for metric in report.metrics if metric.role == "chosen"), None)


def intervals_sentence(report: ValueReport) -> str | None:
    """How many customers bought as often as their interval said; None where the forecast has no intervals."""
    chosen = chosen_forecast(report)
    if chosen is None or chosen.within is None or chosen.expected_within is None:
        return None
    said = (
        f"{wording.share(chosen.within)} of the customers bought as often as their interval of likely purchase days"
        f" said; {wording.share(chosen.expected_within)} were expected to, 80 % or more because counts are whole."
    )
    if chosen.within < chosen.expected_within - _NARROW:
        said += " The intervals were too narrow: customers changed their habits by more than the forecast knows."
    return said


def backtest(report: ValueReport) -> Iterator[Chart]:
    """Calibration and tracking of the chosen forecast."""
    chosen = next((metric.model for metric in report.metrics if metric.role == "chosen"), None)
    name = MODELS.get(chosen, chosen) if chosen else ""
    for groups, what, below, label in (
        (report.by_decile, "tenth of the forecast", "tenth of the customers by forecast, 10 the highest", str),
        (report.by_repeats, "repeat purchases before", "repeat purchase days before the holdout", _repeats),
    ):
        if groups:
            yield _calibration(f"Purchase days in the holdout by {what}: {name}", groups, below, label)
    if report.weeks:
        title = "Repeat purchase days, added up week by week"
        cut = next((week.number for week in report.weeks if week.is_holdout), None)
        yield Chart(
            title,
            charts.lines(
                title,
                [week.number for week in report.weeks],
                [
                    Series("real", "customers", [week.actual for week in report.weeks]),
                    Series("forecast", "revenue", [week.predicted for week in report.weeks]),
                ],
                "week since the first purchase; held out right of the mark",
                mark=None if cut is None else cut - 0.5,
            ),
            ("Week", "Real", "Forecast"),
            tuple(
                (
                    f"{week.number}{', held out' if week.is_holdout else ''}",
                    wording.count(week.actual),
                    wording.count(week.predicted),
                )
                for week in report.weeks
            ),
            (("customers", "real"), ("revenue", "forecast")),
        )


def _repeats(repeats: int) -> str:
    return "7+" if repeats == 7 else str(repeats)


def _calibration(title: str, groups: Sequence[Calibration], below: str, label: Callable[[int], str]) -> Chart:
    return Chart(
        title,
        charts.bars(
            title,
            [label(one.group) for one in groups],
            [
                Series("real", "customers", [one.actual for one in groups]),
                Series("forecast", "revenue", [one.predicted for one in groups]),
            ],
            below,
        ),
        ("Group", "Customers", "Real", "Forecast"),
        tuple(
            (label(one.group), wording.count(one.customers), f"{one.actual:.3f}", f"{one.predicted:.3f}")
            for one in groups
        ),
        (("customers", "real"), ("revenue", "forecast")),
    )
