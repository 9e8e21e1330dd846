"""What models, numbers and reasons are called."""

from __future__ import annotations

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


def number(value: float) -> str:
    """A parameter in four digits that count."""
    return f"{value:.4g}".replace("-", "−")


def reason_of(text: str | None) -> str | None:
    """The sentence of a reason, without its code."""
    return text.partition(": ")[2] or text if text else None
