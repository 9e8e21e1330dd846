"""Who came back: cohorts, the time to the second purchase, the repurchase rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transforms.publishing.report import wording
from transforms.publishing.report.value import charts
from transforms.publishing.report.value.charts import Series
from transforms.publishing.report.value.content import ValueReport
from transforms.publishing.report.value.shapes import Chart, Shaded, heat


@dataclass(frozen=True)
class CohortRow:
    """A cohort and its months since; None where a month is not over."""

    month: object
    customers: int
    cells: tuple[Shaded | None, ...]


def cohorts(report: ValueReport) -> list[CohortRow]:
    """Cohorts with the months after the first one."""
    most = max((rate for one in report.cohorts for rate in one.rates[1:] if rate is not None), default=0)
    return [
        CohortRow(
            one.month,
            one.customers,
            tuple(None if rate is None else Shaded(heat(rate, most), rate) for rate in one.rates[1:]),
        )
        for one in report.cohorts
    ]


def retention(report: ValueReport) -> Iterator[Chart]:
    """Time to the second purchase, and the repurchase rate."""
    if len(report.survival) > 1:
        title = "Share of buyers who have bought again, by days since the first purchase"
        curve = report.survival
        yield Chart(
            title,
            charts.lines(
                title,
                [0, *(one.days for one in curve)],
                [Series("bought again", "customers", [0.0, *(1 - one.rate for one in curve)])],
                "days since the first purchase",
                band=(
                    [0.0, *(None if one.high is None else 1 - one.high for one in curve)],
                    [0.0, *(None if one.low is None else 1 - one.low for one in curve)],
                ),
                percent=True,
                steps=True,
            ),
            ("Days", "Bought again", "95 % from", "to"),
            tuple(_survival_rows(report)),
            (("customers", "Kaplan–Meier, with the 95 % interval"),),
        )
    if len(report.repurchase) > 1:
        title = "Repurchase rate of the twelve months before each month's end"
        rates = report.repurchase
        yield Chart(
            title,
            charts.lines(
                title,
                list(range(len(rates))),
                [Series("repurchase rate", "revenue", [one.rate for one in rates])],
                "end of the window",
                percent=True,
                names=[f"{one.end:%b %y}" for one in rates],
            ),
            ("Window to", "Buyers", "Repurchase rate"),
            tuple((wording.date(one.end), wording.count(one.buyers), wording.share(one.rate)) for one in rates),
        )


def _survival_rows(report: ValueReport) -> Iterator[tuple[str, ...]]:
    """The curve at round numbers of days."""
    for days in (7, 14, 30, 60, 90, 180, 365, 730):
        known = [one for one in report.survival if one.days <= days]
        if known and report.survival[-1].days >= days:
            one = known[-1]
            low = None if one.high is None else 1 - one.high
            high = None if one.low is None else 1 - one.low
            yield (str(days), wording.share(1 - one.rate), wording.share(low), wording.share(high))


def days_until_half(report: ValueReport) -> int | None:
    """Days until half of the new buyers have bought again; None where fewer have."""
    return next((one.days for one in report.survival if one.rate <= 0.5), None)
