"""The forecast: in a sentence, and what buyers are worth by it."""

from __future__ import annotations

from transforms.publishing.report import wording
from transforms.publishing.report.value import charts
from transforms.publishing.report.value.backtest import chosen_forecast
from transforms.publishing.report.value.charts import Series
from transforms.publishing.report.value.content import Distribution, ValueReport
from transforms.publishing.report.value.names import MODELS, reason_of
from transforms.publishing.report.value.shapes import Chart


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
    chosen = chosen_forecast(report)
    if chosen is None or chosen.bias is None:
        return said
    side = "too high" if chosen.bias > 0 else "too low"
    return f"{said} In sum it was {wording.share(abs(chosen.bias))} {side} over the days held out."


def is_sound(report: ValueReport) -> bool:
    """Whether the forecast is that of a model that holds, for most buyers."""
    return bool(report.standings) and report.standings[0].fit_status == "accepted"


def forecast_scope(report: ValueReport) -> str:
    """What the charts of value count."""
    if any(one.is_predicted for one in report.distributions):
        return "Expected net revenue of each buyer over the horizon, discounted. Each currency by itself."
    return "Net revenue of each buyer up to today. Each currency by itself."


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
