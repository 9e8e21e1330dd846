"""What lifetimes and pymc-marketing forecast for three public shops, beside the forecast that the product takes.

    python -m tests.benchmarks.holdout

Writes ``docs/benchmark_holdout.md``, and ``tests/real_data/library_forecasts.json``, which the product's tests read.

Each shop is cut twice: where the product's own backtest cuts it, and on a day before, up to which alone the product
then sees the purchases, so that its choice of a forecast knows nothing of the days that judge it. The libraries are
fitted to the same customers (purchase days after the first, age of the last and of the first, in weeks) with their
defaults, pymc-marketing by MAP, each in an environment of its own. MAE is per customer, in purchase days; the bias
that of the sum. A fit that raises an error or forecasts something that is no number stands as failed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from tests.benchmarks.value import LIFETIMES, PYMC, environment
from tests.conftest import PROJECT, REAL_DATA
from tests.transforms.value.shops import CUTS, REAL, histories, run

PAGE = PROJECT / "docs" / "benchmark_holdout.md"
FORECASTS = PROJECT / "tests" / "real_data" / "library_forecasts.json"

READ = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
frame = pd.read_parquet(sys.argv[1])
weeks = float(sys.argv[2]) / 7
x, tx, t, later = frame.x, frame.tx / 7, frame.t / 7, frame.later
def tell(model, forecast):
    try:
        orders = np.asarray(forecast(), dtype=float)
        if not np.isfinite(orders).all():
            raise ValueError(f"no number for {(~np.isfinite(orders)).sum()} customers")
        found = {"mae": round(float(np.abs(orders - later).mean()), 6),
                 "bias": round(float(orders.sum() / later.sum() - 1), 6), "failure": None}
    except Exception as fault:
        found = {"mae": None, "bias": None, "failure": " ".join(f"{type(fault).__name__}: {fault}".split())}
    print(json.dumps({"model": model} | found))
"""
THEIR_MODELS = {
    "lifetimes 0.11.3": """
import lifetimes
for model, fitter in (("bg_nbd", "BetaGeoFitter"), ("mbg_nbd", "ModifiedBetaGeoFitter"),
                      ("pareto_nbd", "ParetoNBDFitter")):
    def forecast():
        fitted = getattr(lifetimes, fitter)().fit(x, tx, t)
        return fitted.conditional_expected_number_of_purchases_up_to_time(weeks, x, tx, t)
    tell(model, forecast)
""",
    "pymc-marketing 0.19.2": """
from pymc_marketing import clv
data = pd.DataFrame({"customer_id": range(len(x)), "frequency": x, "recency": tx, "T": t})
for model, name in (("bg_nbd", "BetaGeoModel"), ("mbg_nbd", "ModifiedBetaGeoModel"), ("pareto_nbd", "ParetoNBDModel")):
    def forecast():
        fitted = getattr(clv, name)(data=data)
        fitted.fit(method="map", progressbar=False)
        return fitted.expected_purchases(data, future_t=weeks).mean(("chain", "draw"))
    tell(model, forecast)
""",
}


def watershed(folder: Path, name: str) -> list[tuple[dict, dict]]:
    """Both cuts of a shop, each with the line of the product's forecast."""
    days, end = REAL[name](REAL_DATA)
    metrics = run(folder / f"{name}-whole", days, end).table("backtest_metrics")
    (chosen,) = metrics.filter(pl.col("role") == "chosen").to_dicts()
    own = {"shop": name, "kind": "its own backtest", "cut": chosen["cut_date"], "days": int(chosen["holdout_days"])}
    cut, length = CUTS[name]
    told = run(folder / f"{name}-before", days, cut, value_horizon_days=length).table("predictions")
    both = histories(days, cut, length).join(told, on="customer_id", validate="1:1")
    line = scored(both["model"][0], both["predicted_orders"], both["later"])
    return [(own, chosen), ({"shop": name, "kind": "days unseen", "cut": cut, "days": length}, line)]


def scored(model: str, forecast: pl.Series, later: pl.Series) -> dict:
    """A line of errors."""
    error = np.abs(forecast.to_numpy() - later.to_numpy()).mean()
    return {"model": model, "mae": float(error), "bias": forecast.sum() / later.sum() - 1}


def theirs(python: Path, library: str, path: Path, days: int) -> list[dict]:
    """One line of errors per model of a library."""
    command = [python, "-c", READ + THEIR_MODELS[library], str(path), str(days)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"model"')]
    return [{"library": library, **line} for line in lines]


def row(at: dict, line: dict) -> str:
    """A row of the page."""
    library, mae = line.get("library"), line["mae"]
    model = f"{library}, {line['model']}" if library else line["model"]
    cells = (f"{mae:.4f}", f"{line['bias']:+.1%}") if mae is not None else ("failed", line["failure"])
    return f"| {at['shop']} | {at['cut']}, {at['kind']} | {at['days']} | {model} | {' | '.join(cells)} |"


def main() -> None:
    """Run all and write page and figures."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    found: list[dict] = []
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="watershed-holdout-") as name:
        folder = Path(name)
        pythons: dict[str, Path] = {}
        for library, packages in zip(THEIR_MODELS, (LIFETIMES, PYMC), strict=True):
            python = environment(folder / library.split()[0], packages)
            if python is None:
                raise SystemExit(f"{library} could not be installed")
            pythons[library] = python
        for shop in REAL:
            days, _ = REAL[shop](REAL_DATA)
            for at, taken in watershed(folder, shop):
                known = histories(days, at["cut"], at["days"])
                path = folder / "customers.parquet"
                known.select("x", "tx", "t", "later").write_parquet(path)
                libraries = [
                    line for library, python in pythons.items() for line in theirs(python, library, path, at["days"])
                ]
                found += [at | line for line in libraries]
                rules = [scored(rule, known[rule], known["later"]) for rule in ("last_period", "own_rate")]
                said = [taken | {"model": f"**taken: {taken['model']}**"}, *libraries, *rules]
                lines += [row(at, line) for line in said]
                sys.stderr.write("\n".join(lines[-len(said) :]) + "\n")
    FORECASTS.write_text(json.dumps(found, indent=1, default=dt.date.isoformat) + "\n", encoding="utf-8")
    told = (__doc__ or "").partition("tests read.\n")[2].strip()
    PAGE.write_text(
        f"""# Forecasts beside those of the libraries

`make benchmark-holdout` makes this page.

{told}

| shop | cut | days after it | forecast | MAE | bias |
|---|---|---|---|---|---|
{chr(10).join(lines)}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
