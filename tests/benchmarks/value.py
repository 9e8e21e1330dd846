"""Seconds and memory of customer value, beside lifetimes, pymc-marketing and DuckDB's plain GROUP BY.

    python -m tests.benchmarks.value [--millions 1 10] [--transactions 50] [--without pymc]

Writes ``docs/benchmark_value.md``. Each figure is a process of its own, timed after its imports and after the data are
in memory as arrays or on disk. *Fit* is maximum likelihood of BG/NBD (here also of MBG/NBD and Pareto/NBD, five starts
each and standard errors); *predict* is the expected purchases of a year and P(alive) of every customer. *Whole run*
is what a day costs: summary of the purchase days, all models fitted twice, backtest with boosted trees, spend,
predictions with intervals, tables written. *Summary* is the one GROUP BY from purchase days to customers, with all that
the backtest needs, beside a plain one (count, first, last, sum). lifetimes and pymc-marketing run in an environment of
their own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.conftest import PROJECT

PAGE = PROJECT / "docs" / "benchmark_value.md"
LIFETIMES = ["lifetimes==0.11.3", "pandas<3", "numpy<2.3", "scipy<1.16", "pyarrow", "setuptools<80"]
PYMC = ["pymc-marketing==0.19.2", "pyarrow"]

# Customers of a Pareto/NBD world in days, and the same in the purchase days that a warehouse would hold.
ARRAYS = """
import sys
import numpy as np
import pyarrow as pa, pyarrow.parquet as pq
n, path = int(sys.argv[1]), sys.argv[2]
random = np.random.default_rng(1)
t = np.floor(random.uniform(180, 720, n))
rate = random.gamma(0.6, 1 / 60, n)
life = np.minimum(random.exponential(1, n) / random.gamma(0.6, 1 / 60, n), t)
x = random.poisson(rate * life).astype(float)
tx = np.where(x > 0, np.minimum(np.floor(life * random.uniform(0, 1, n) ** (1 / np.maximum(x, 1))) + 1, t), 0)
pq.write_table(pa.table({"x": x, "tx": tx, "t": t}), path)
"""
DAYS = """
import sys
import duckdb
customers, path = int(sys.argv[1]), sys.argv[2]
connection = duckdb.connect(path, config={"memory_limit": "4GB", "threads": 2})
connection.execute("SET preserve_insertion_order = false")
connection.execute("SET enable_progress_bar = false")
connection.execute("SELECT setseed(0.5)")
connection.execute("CREATE SCHEMA intermediate")
connection.execute('''
    CREATE TABLE intermediate.int_customer_purchase_days AS
    SELECT DISTINCT ON (customer_id, purchase_date) * FROM (
        SELECT 'C' || lpad(to_hex(i), 16, '0') AS customer_id,
               DATE '2023-07-11' + CAST(opened + CASE WHEN k = 0 THEN 0 ELSE floor(random() * until) END AS INTEGER)
                   AS purchase_date,
               CAST(mean * (0.5 + random()) AS DECIMAL(18, 2)) AS net_amount, 'EUR' AS currency
        FROM (SELECT *, unnest(range(0, CAST(least(floor(rate * until + random()), 2000) AS BIGINT) + 1)) AS k
              FROM (SELECT *, least(life, 720 - opened) AS until
                    FROM (SELECT i, floor(random() * 540) AS opened, -ln(1 - random()) / {rate} AS rate,
                                 60 * (power(1 - random(), -1 / 0.6) - 1) AS life, 10 + 30 * random() AS mean
                          FROM range({customers}) AS customers(i)))))
'''.replace("{rate}", sys.argv[3]).replace("{customers}", str(customers)))
connection.execute('''
    CREATE TABLE intermediate.int_customer_value AS
    SELECT customer_id, currency, CAST(sum(net_amount) AS DECIMAL(18, 2)) AS net_revenue_amount,
           count(*) AS purchase_days
    FROM intermediate.int_customer_purchase_days GROUP BY ALL
''')
print(connection.execute("SELECT count(*) FROM intermediate.int_customer_purchase_days").fetchone()[0])
"""
CLOCK = """
import json, resource, time
def clock():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), usage.ru_utime + usage.ru_stime
def said(**spans):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({name: [e[0] - s[0], e[1] - s[1]] for name, (s, e) in spans.items()} | {"peak": peak}))
"""
OURS = """
import sys
import numpy as np
import pyarrow.parquet as pq
from transforms.value.fitting import fit_purchases
from transforms.value.models import MODELS, expected_orders
from transforms.value.sample import Sample, grouped
table = pq.read_table(sys.argv[1])
x, tx, t = (table[name].to_numpy() for name in ("x", "tx", "t"))
model = MODELS[sys.argv[2]]
began = clock()
first, place = grouped(x, tx, t)
known = Sample(x[first], tx[first], t[first], np.bincount(place))
parameters = fit_purchases(model, known).parameters
fitted = clock()
orders = expected_orders(model, parameters, known.x, known.tx, known.t, 365.0)[place]
alive = model.p_alive(parameters, known.x, known.tx, known.t)[place]
ended = clock()
assert np.isfinite(orders).all() and len(alive) == len(x)
said(fit=(began, fitted), predict=(fitted, ended))
"""
THEIRS = """
import sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
from lifetimes import BetaGeoFitter
frame = pd.read_parquet(sys.argv[1]) / [1, 7, 7]
began = clock()
fitter = BetaGeoFitter().fit(frame.x, frame.tx, frame.t)
fitted = clock()
orders = fitter.conditional_expected_number_of_purchases_up_to_time(365 / 7, frame.x, frame.tx, frame.t)
alive = fitter.conditional_probability_alive(frame.x, frame.tx, frame.t)
ended = clock()
said(fit=(began, fitted), predict=(fitted, ended))
"""
PYMCS = """
import sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
from pymc_marketing.clv import BetaGeoModel
frame = pd.read_parquet(sys.argv[1]) / [1, 7, 7]
frame.columns = ["frequency", "recency", "T"]
frame["customer_id"] = range(len(frame))
began = clock()
model = BetaGeoModel(data=frame)
model.fit(method="map", progressbar=False)
fitted = clock()
orders = model.expected_purchases(frame, future_t=365 / 7)
alive = model.expected_probability_alive(frame)
ended = clock()
said(fit=(began, fitted), predict=(fitted, ended))
"""
WHOLE = """
import sys, datetime as dt
from pathlib import Path
from transforms.settings import Settings
from transforms.value import forecast_value
import scipy.optimize, sklearn.ensemble
settings = Settings(home=Path(sys.argv[1]), memory_limit="2GB", threads=2)
began = clock()
report = forecast_value(settings, dt.date(2025, 6, 30), "benchmark")
ended = clock()
assert report.model != "historic", report
said(run=(began, ended))
"""
SUMMARY = """
import sys, datetime as dt
from pathlib import Path
from transforms.settings import Settings
from transforms.sql import scratch_connection
from transforms.value.summary import find_window, read_purchase_days, summarise
settings = Settings(home=Path(sys.argv[1]), memory_limit="4GB", threads=2)
connection = scratch_connection(settings)
read_purchase_days(connection, settings.warehouse, dt.date(2025, 6, 30))
window = find_window(connection, dt.date(2025, 6, 30), 365)
began = clock()
if sys.argv[2] == "plain":
    connection.execute('''CREATE TEMP TABLE plain AS SELECT customer_id, count(*) AS n, min(purchase_date) AS first,
        max(purchase_date) AS last, sum(net_amount) AS paid
        FROM warehouse.intermediate.int_customer_purchase_days GROUP BY customer_id''')
else:
    summarise(connection, window)
ended = clock()
said(summary=(began, ended))
"""

Spans = dict[str, list[float]]


def measured(python: Path, script: str, *arguments: object) -> dict | None:
    """Wall and CPU seconds by step and peak MB of a script; None, and the reason on stderr, where it fails."""
    done = subprocess.run(
        [python, "-c", CLOCK + script, *map(str, arguments)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stderr[-1500:])
        return None
    return json.loads(done.stdout.splitlines()[-1])


def environment(folder: Path, packages: list[str]) -> Path | None:
    """Python of a throwaway environment with these packages; None where they cannot be had."""
    uv = next((path for path in (PROJECT / ".tools/bin/uv",) if path.exists()), None)
    make = (
        [[uv, "venv", "--quiet", "--python", sys.executable, folder]]
        if uv
        else [[sys.executable, "-m", "venv", folder]]
    )
    python = folder / "bin" / "python"
    pip = [uv, "pip", "install", "--quiet", "--python", python] if uv else [python, "-m", "pip", "install", "--quiet"]
    for command in (*make, [*pip, *packages]):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(done.stderr[-1500:])
            return None
    return python


def write(script: str, *arguments: object) -> str:
    """Run a script that makes data; returns what it printed."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def cell(found: dict | None, step: str) -> str:
    """Wall / CPU seconds of a step."""
    return f"{found[step][0]:.2f} / {found[step][1]:.2f}" if found else "–"


def models_table(folder: Path, sizes: list[float], lifetimes: Path | None, pymc: Path | None) -> list[str]:
    """Lines of fit and predict."""
    lines = []
    for size in sizes:
        customers = int(size * 1e6)
        path = folder / "customers.parquet"
        write(ARRAYS, customers, path)
        found = {
            f"Watershed {name}": measured(Path(sys.executable), OURS, path, name)
            for name in ("bg_nbd", "mbg_nbd", "pareto_nbd")
        }
        found["lifetimes bg_nbd"] = measured(lifetimes, THEIRS, path) if lifetimes else None
        found["pymc-marketing bg_nbd, MAP"] = measured(pymc, PYMCS, path) if pymc else None
        own = found["Watershed bg_nbd"]
        for name, one in found.items():
            ratio = "–"
            if one and own:
                wall, cpu = (
                    sum(one[s][at] for s in ("fit", "predict")) / sum(own[s][at] for s in ("fit", "predict"))
                    for at in (0, 1)
                )
                ratio = f"{wall:.1f} / {cpu:.1f}"
            peak = f"{one['peak']:,.0f}" if one else "–"
            lines.append(f"| {customers:,} | {name} | {cell(one, 'fit')} | {cell(one, 'predict')} | {ratio} | {peak} |")
            sys.stderr.write(lines[-1] + "\n")
    return lines


def runs_table(folder: Path, sizes: list[float]) -> list[str]:
    """Lines of whole runs."""
    lines = []
    for size in sizes:
        home = folder / f"home-{size}"
        home.mkdir()
        days = write(DAYS, int(size * 1e6), home / "warehouse.duckdb", 90)
        one = measured(Path(sys.executable), WHOLE, home)
        peak = f"{one['peak']:,.0f}" if one else "–"
        lines.append(f"| {int(size * 1e6):,} | {int(days):,} | {cell(one, 'run')} | {peak} |")
        sys.stderr.write(lines[-1] + "\n")
        (home / "warehouse.duckdb").unlink()
    return lines


def summary_line(folder: Path, millions: float) -> str:
    """Line of the summary of many transactions."""
    home = folder / "home-summary"
    home.mkdir()
    days = write(DAYS, int(millions * 1e6 / 12), home / "warehouse.duckdb", 9)
    plain, ours = (measured(Path(sys.executable), SUMMARY, home, what) for what in ("plain", "ours"))
    ratio = (
        f"{ours['summary'][0] / plain['summary'][0]:.2f} / {ours['summary'][1] / plain['summary'][1]:.2f}"
        if plain and ours
        else "–"
    )
    peaks = [f"{one['peak']:,.0f}" if one else "–" for one in (plain, ours)]
    cells = (f"{int(days):,}", cell(plain, "summary"), peaks[0], cell(ours, "summary"), peaks[1], f"**{ratio}**")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure all and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", nargs="+", type=float, default=[1, 10])
    parser.add_argument("--transactions", type=float, default=50)
    parser.add_argument("--without", nargs="*", choices=["lifetimes", "pymc"], default=[])
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watershed-value-") as name:
        folder = Path(name)
        lifetimes = None if "lifetimes" in options.without else environment(folder / "lifetimes", LIFETIMES)
        pymc = None if "pymc" in options.without else environment(folder / "pymc", PYMC)
        models = models_table(folder, options.millions, lifetimes, pymc)
        runs = runs_table(folder, options.millions)
        summary = summary_line(folder, options.transactions)
    options.page.write_text(
        f"""# Benchmark of customer value

`make benchmark-value` makes this page. {(__doc__ or "").strip().partition("``docs/benchmark_value.md``. ")[2]}

Cells are wall seconds / CPU seconds, peak MB. {platform.machine()}, {os.cpu_count()} cores, Python
{platform.python_version()}, NumPy {version("numpy")}, SciPy {version("scipy")}, DuckDB {version("duckdb")} with 2
threads and 4GB, whole runs with 2GB.

## Fit and predict

*Ratio* is fit and predict together over those of Watershed's BG/NBD.

| customers | model | fit | predict | ratio | peak, MB |
|---|---|---|---|---|---|
{chr(10).join(models)}

## A whole run

| customers | purchase days | run | peak, MB |
|---|---|---|---|
{chr(10).join(runs)}

## Summary of transactions

| purchase days | plain GROUP BY | peak, MB | summary | peak, MB | ratio |
|---|---|---|---|---|---|
{summary}
""",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
