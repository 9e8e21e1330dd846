"""Charts of a model: one HTML file without a network and without a script."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from transforms.linkage.find import Found
from transforms.linkage.model import Model
from transforms.pages import environment

_SCALE = 14.0  # bits to either side that a bar can show
_TITLES = {"given": "given name", "family": "family name", "born": "birth date"}


@dataclass(frozen=True)
class Bar:
    """One level of a comparison as the page draws it; lengths are per cent of half the width."""

    label: str
    m: str
    u: str
    weight: str
    length: float
    is_for: bool


def model_charts(found: Found) -> str:
    """The page of the model of a run: match weights, m and u of each level, what was learned beside them."""
    model = found.model
    if model is None:
        raise ValueError("a run without a model has no charts")
    page = environment(Path(__file__).parent / "templates").get_template("model.html.jinja")
    return page.render(
        version=model.version,
        trained_on=model.trained_on,
        comparisons=[(_TITLES.get(name, name.replace("_", " ")), bars) for name, bars in _bars(model)],
        match_rate=f"{model.rates.matches:.3g}",
        lookalikes={kind: f"{rate:.3g}" for kind, rate in model.rates.lookalikes.items()},
        expected_f1=found.expected_f1,
        rules=[" and ".join(rule) for rule in model.rules],
        candidates=f"{found.scored:,}",
    )


def _bars(model: Model) -> list[tuple[str, list[Bar]]]:
    return [
        (
            role.name,
            [_bar(level.label, m, u) for level, (m, u) in zip(role.levels, model.shares[role.name], strict=True)],
        )
        for role in model.roles
    ]


def _bar(label: str, m: float, u: float) -> Bar:
    weight = math.log2(m / u)
    return Bar(
        label, f"{m:.2%}", f"{u:.3%}", f"{weight:+.1f}", round(min(abs(weight), _SCALE) / _SCALE * 50, 2), weight > 0
    )
