"""The figures at the top of the page."""

from __future__ import annotations

from transforms.publishing.report import wording
from transforms.publishing.report.highlights import Tile
from transforms.publishing.report.value.content import ValueReport
from transforms.publishing.report.value.retention import days_until_half


def tiles(report: ValueReport) -> list[Tile]:
    """The figures at the top of the page."""
    found = []
    buyers = sum(cell.customers for cell in report.cells)
    found.append(Tile("Buyers of the year", wording.count(buyers), "", "customers with a purchase day in the window"))
    for one in report.distributions[:2]:
        found.append(
            Tile(
                "Expected" if one.is_predicted else "Brought so far",
                wording.money(one.total, one.currency, unbroken=False),
                "",
                f"{wording.money(one.mean, one.currency, 2)} on average, {wording.money(one.median, one.currency, 2)}"
                " in the middle",
            )
        )
    if report.repurchase and report.repurchase[-1].rate is not None:
        last = report.repurchase[-1]
        before = report.repurchase[-2].rate if len(report.repurchase) > 1 else None
        found.append(
            Tile(
                "Repurchase rate",
                wording.share(last.rate),
                wording.points(last.rate, before) if last.rate is not None else "",
                "of the buyers of the year bought on two days or more",
            )
        )
    if (days := days_until_half(report)) is not None:
        found.append(Tile("Second purchase", wording.days(days), "", "until half of the new buyers have bought again"))
    return found
