"""From what was read to what is shown: charts with their tables, maps with their shades, sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from transforms.publishing.report import wording
from transforms.publishing.report.highlights import Tile
from transforms.publishing.report.value import charts
from transforms.publishing.report.value.charts import Series
from transforms.publishing.report.value.content import Calibration, Distribution, Metrics, ValueReport

_SHADES = 5
# Intervals that hold so much less than they should are called too narrow.
_NARROW = 0.05
_PURCHASES = {"pareto_nbd": "Pareto/NBD", "mbg_nbd": "MBG/NBD", "nbd": "NBD, nobody leaves"}
_BY_COHORT = _PURCHASES | {f"{name}_cohorts": f"{said}, rates by cohort" for name, said in _PURCHASES.items()}
MODELS = {
    **_BY_COHORT,
    **{f"{name}+last_period": f"{said}; mean with the last period" for name, said in _BY_COHORT.items()},
    "bg_nbd": "BG/NBD",
    "pooled": "Pooled rates",
    "last_period": "As many as in the last period",
    "own_rate": "The customer's own rate",
    "boosted_trees": "Boosted trees",
    "gamma_gamma": "Gamma-Gamma",
    "mean": "Mean of the customer",
    "pooled_mean": "Mean of all",
    "historic": "No model",
}
CAUSES = {
    "new_data": "purchases and returns since, or late ones",
    "time_passed": "the last purchase grew older, or left the window",
    "identity_changed": "records passed from one customer to another",
    "cut_points_moved": "the others bought more or less",
    "definition_changed": "window, grid or pinned cut points",
}


@dataclass(frozen=True)
class Chart:
    """A picture, what its colours stand for, and its figures as a table."""

    title: str
    picture: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Shaded:
    """A cell of a map: 0 (lightest) to 5."""

    heat: int
    share: float | None = None
    customers: int = 0
    segment: str = ""
    stays: bool = False


@dataclass(frozen=True)
class MatrixRow:
    """Where the customers of a segment went."""

    name: str
    customers: int
    cells: tuple[Shaded, ...]


@dataclass(frozen=True)
class Matrix:
    """Segments from (rows) to (columns)."""

    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class CohortRow:
    """A cohort and its months since; None where a month is not over."""

    month: object
    customers: int
    cells: tuple[Shaded | None, ...]


def number(value: float) -> str:
    """A parameter in four digits that count."""
    return f"{value:.4g}".replace("-", "−")


def reason_of(text: str | None) -> str | None:
    """The sentence of a reason, without its code."""
    return text.partition(": ")[2] or text if text else None


def _heat(share: float | None, most: float) -> int:
    return 0 if not share or not most else max(1, min(_SHADES, round(share / most * _SHADES)))


def segment_map(report: ValueReport) -> dict[tuple[int, int], Shaded]:
    """Cells by recency score and frequency-and-money score."""
    everybody = sum(cell.customers for cell in report.cells)
    most = max((cell.customers for cell in report.cells), default=0)
    return {
        (cell.r_score, cell.fm_score): Shaded(
            _heat(cell.customers, most), cell.customers / everybody, cell.customers, cell.segment
        )
        for cell in report.cells
    }


def migration(report: ValueReport) -> Matrix:
    """Moves of the latest month, segments in the order of the report."""
    order = list(wording.SEGMENTS)

    def place(name: str) -> tuple[int, str]:
        return (order.index(name) if name in order else len(order), name)

    columns = sorted({move.to_segment for move in report.moves}, key=place)
    rows = []
    for name in sorted({move.from_segment for move in report.moves}, key=place):
        to = {move.to_segment: move for move in report.moves if move.from_segment == name}
        cells = tuple(
            Shaded(_heat(to[column].share, 1), to[column].share, stays=column == name)
            if column in to
            else Shaded(0, stays=column == name)
            for column in columns
        )
        rows.append(MatrixRow(name, sum(move.customers for move in to.values()), cells))
    return Matrix(tuple(columns), tuple(rows))


def cohorts(report: ValueReport) -> list[CohortRow]:
    """Cohorts with the months after the first one."""
    most = max((rate for one in report.cohorts for rate in one.rates[1:] if rate is not None), default=0)
    return [
        CohortRow(
            one.month,
            one.customers,
            tuple(None if rate is None else Shaded(_heat(rate, most), rate) for rate in one.rates[1:]),
        )
        for one in report.cohorts
    ]


def forecast_sentence(report: ValueReport) -> str:
    """Which forecast stands behind the figures, in one sentence that also says when there is none."""
    if not report.standings:
        return "Nobody has bought yet, so there is nothing to forecast."
    buyers = sum(standing.customers for standing in report.standings)
    main = report.standings[0]
    said = f"{wording.count(main.customers)} of {wording.count(buyers)} buyers"
    who = "" if main.customers == buyers else f" for {said}"
    why = reason_of(main.reason)
    because = f": {why.rstrip('.')}" if why else ""
    model = MODELS.get(main.model, main.model)
    if main.fit_status == "not_fitted":
        return f"Nothing is predicted in this publication{who}{because}. What customers have brought is shown instead."
    if main.fit_status == "fallback":
        return f"A lesser model stands in{who}: {model}{f' ({why})' if why else ''}."
    if main.fit_status == "naive":
        return f"No model did better than a plain rule, so the rule is used{who}: {model}{f' ({why})' if why else ''}."
    said = f"The forecast{who} is that of {model}, which passed its diagnostics and was chosen by the backtest."
    chosen = _chosen(report)
    if chosen is None or chosen.bias is None:
        return said
    side = "too high" if chosen.bias > 0 else "too low"
    return f"{said} In sum it was {wording.share(abs(chosen.bias))} {side} over the days held out."


def intervals_sentence(report: ValueReport) -> str | None:
    """How many customers bought as often as their interval said; None where the forecast has no intervals."""
    chosen = _chosen(report)
    if chosen is None or chosen.within is None or chosen.expected_within is None:
        return None
    said = (
        f"{wording.share(chosen.within)} of the customers bought as often as their interval of likely purchase days"
        f" said; {wording.share(chosen.expected_within)} were expected to, 80 % or more because counts are whole."
    )
    if chosen.within < chosen.expected_within - _NARROW:
        said += " The intervals were too narrow: customers changed their habits by more than the forecast knows."
    return said


def _chosen(report: ValueReport) -> Metrics | None:
    return next((metric for metric in report.metrics if metric.role == "chosen"), None)


def is_sound(report: ValueReport) -> bool:
    """Whether the forecast is that of a model that holds, for most buyers."""
    return bool(report.standings) and report.standings[0].fit_status == "accepted"


def forecast_scope(report: ValueReport) -> str:
    """What the charts of value count."""
    if any(one.is_predicted for one in report.distributions):
        return "Expected net revenue of each buyer over the horizon, discounted. Each currency by itself."
    return "Net revenue of each buyer up to today. Each currency by itself."


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
    if (days := _days_until_half(report)) is not None:
        found.append(Tile("Second purchase", wording.days(days), "", "until half of the new buyers have bought again"))
    return found


def _days_until_half(report: ValueReport) -> int | None:
    return next((one.days for one in report.survival if one.rate <= 0.5), None)


def distributions(report: ValueReport) -> list[Chart]:
    """How many buyers are worth how much, by currency."""
    return [_distribution(one) for one in report.distributions]


def _distribution(one: Distribution) -> Chart:
    names = [_band_name(band.low, band.high) for band in one.bands]
    counts = [band.customers for band in one.bands]
    what = "Expected value" if one.is_predicted else "Value so far"
    title = f"{what} of {wording.count(one.customers)} buyers, {one.currency}"
    below = f"{one.currency}, up to the figure named"
    return Chart(
        title,
        charts.bars(title, names, [Series("buyers", "customers", counts)], below),
        ("Value", "Buyers", "Share"),
        tuple(
            (name, wording.count(count), wording.share(count / one.customers))
            for name, count in zip(names, counts, strict=True)
        ),
    )


def _band_name(low: float | None, high: float | None) -> str:
    return f"{high:,g}" if high is not None and low is None else f"{high:,g}" if high is not None else f"{low:,g}+"


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
