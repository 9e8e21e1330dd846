"""The first things to read: a few figures and sentences, all taken from the tables below them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transforms.publishing.report import wording
from transforms.publishing.report.content import Report

_BEST = ("Champions", "Loyal Customers")


@dataclass(frozen=True)
class Tile:
    """One figure: what it is, how much, how it changed, what it means. The figure may break after its currency."""

    name: str
    figure: str
    change: str
    note: str


def tiles(report: Report) -> list[Tile]:
    """The figures at the top of the page."""
    before = report.publication.previous
    found = [
        Tile(
            "Customers",
            wording.count(report.customers),
            wording.change(report.customers, before.customers if before else None),
            "people with a touchpoint in any channel",
        ),
        Tile(
            "Buyers",
            wording.count(report.buyers),
            "",
            f"{wording.share(report.buyers / report.customers if report.customers else None)} of customers",
        ),
    ]
    for value in report.values:
        old = before.revenue.get(value.currency or "") if before else None
        found.append(
            Tile(
                "Net revenue",
                wording.money(value.historic, value.currency, unbroken=False),
                wording.change(float(value.historic), float(old) if old else None),
                f"of {wording.count(value.buyers)} buyers since their first purchase",
            )
        )
        if value.predicted is not None:
            horizon = wording.days(value.horizon_days) if value.horizon_days else "the forecast's horizon"
            found.append(
                Tile(
                    "Expected",
                    wording.money(value.predicted, value.currency, unbroken=False),
                    "",
                    f"net revenue in {horizon}",
                )
            )
    online_and_offline = report.multi_channel / report.customers if report.customers else None
    found.append(Tile("Multi-channel", wording.share(online_and_offline), "", "use online and offline channels"))
    return found


def sentences(report: Report) -> Iterator[str]:
    """What stands out, one sentence each."""
    yield from _best_segments(report)
    yield from _tenths(report)
    yield from _leaving(report)
    yield from _rows(report)


def _best_segments(report: Report) -> Iterator[str]:
    for currency in dict.fromkeys(segment.currency for segment in report.segments):
        best = [s for s in report.segments if s.currency == currency and s.name in _BEST and s.revenue_share]
        if best:
            customers = wording.share(sum(segment.customer_share for segment in best))
            revenue = wording.share(sum(segment.revenue_share or 0 for segment in best))
            where = f" in {currency}" if len(report.values) > 1 else ""
            names = " and ".join(segment.name for segment in best)
            bring = "bring" if len(best) > 1 or best[0].name.endswith("s") else "brings"
            yield (
                f"{names} are {customers} of all customers and {bring} {revenue} of the past twelve months' net"
                f" revenue{where}."
            )


def _tenths(report: Report) -> Iterator[str]:
    for value in report.values:
        if value.buyers >= 10 and value.tenths[0] > 0:
            where = f" in {value.currency}" if len(report.values) > 1 else ""
            part = wording.share(value.tenths[0])
            yield f"The best tenth of the buyers has brought {part} of all net revenue{where}."


def _leaving(report: Report) -> Iterator[str]:
    leaving = [stage for stage in report.stages if stage.name in {"at_risk", "dormant"}]
    if customers := sum(stage.now for stage in leaving):
        amounts = " and ".join(wording.money(amount, currency) for currency, amount in report.leaving_revenue)
        brought = f", who have brought {amounts} so far" if amounts else ""
        yield f"{wording.count(customers)} customers are at risk or dormant{brought}."


def _rows(report: Report) -> Iterator[str]:
    read = sum(source.read for source in report.sources)
    waiting = sum(source.quarantined for source in report.sources)
    if read:
        files = sum(source.files_refused for source in report.sources)
        refused = f"; {wording.count(files)} file{'s' if files != 1 else ''} refused or held" if files else ""
        part = f"{wording.count(waiting)} of them ({wording.share(waiting / read)})"
        yield f"{wording.count(read)} records were read, {part} wait in quarantine{refused}."
