"""What linkage reaches on the labelled sets, beside Splink with the settings of its own tutorials.

    python -m tests.benchmarks.linkage [--data FOLDER] [fake_1000 febrl3 historical_50k]

Each set goes through the gate and the identity step by the defaults of the product, and through Splink with the
comparisons and blocking rules of the tutorial for it, as components at 0.5 and at 0.95, in a process of its own each.
The truth is read by the scoring alone. Writes ``docs/benchmark_linkage.md``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from tests.conftest import PROJECT, REAL_DATA
from tests.real_data.linkage_sets import SETS, link, load
from transforms.linkage.scoring import Score, score_clusters

PAGE = PROJECT / "docs" / "benchmark_linkage.md"


def product(name: str, data: Path) -> list[dict[str, Any]]:
    """The set by the defaults of the product; seconds are those of the identity step."""
    with tempfile.TemporaryDirectory(prefix="watershed-benchmark-") as folder:
        settings = load(name, data, Path(folder) / "home")
        started = time.perf_counter()
        linked = link(name, data, settings)
        return [_figures("Watershed", linked.score, time.perf_counter() - started)]


def tutorial(name: str, data: Path) -> list[dict[str, Any]]:
    """The set by Splink's tutorial settings, as components at two thresholds."""
    from splink import DuckDBAPI, Linker

    warnings.simplefilter("ignore")
    logging.getLogger("splink").setLevel(logging.ERROR)
    connection = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "4GB"})
    connection.execute(f"CREATE TABLE records AS FROM '{data / SETS[name].path}'")
    settings, deterministic, recall, training = _tutorial_settings(name)
    started = time.perf_counter()
    linker = Linker(DuckDBAPI(connection).register("records"), settings, log_level=logging.ERROR)
    linker.training.estimate_probability_two_random_records_match(deterministic, recall=recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    for rule in training:
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    predicted = linker.inference.predict(threshold_match_probability=0.5)
    results = []
    scored = time.perf_counter() - started
    for threshold in (0.5, 0.95):
        started = time.perf_counter()
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold)
        taken = time.perf_counter() - started
        rows = connection.execute(f"SELECT cluster_id, {SETS[name].truth} FROM {clusters.physical_name}").fetchall()
        score = score_clusters([str(row[0]) for row in rows], [row[1] for row in rows])
        results.append(_figures(f"Splink, components at {threshold}", score, scored + taken))
    return results


def _tutorial_settings(name: str) -> tuple[Any, list[Any], float, list[Any]]:
    """Settings, rules of certain matches and their recall, training rules: as Splink's documentation has them."""
    import splink.comparison_library as cl
    from splink import SettingsCreator, block_on

    def frequent(comparison: Any) -> Any:
        return comparison.configure(term_frequency_adjustments=True)

    truth = "true_id" if name == "febrl3" else "cluster"
    if name == "fake_1000":
        comparisons = [
            frequent(cl.JaroWinklerAtThresholds("first_name", [0.9, 0.7])),
            cl.JaroAtThresholds("surname", [0.9, 0.7]),
            cl.DateOfBirthComparison("dob", input_is_string=True),
            frequent(cl.ExactMatch("city")),
            cl.EmailComparison("email"),
        ]
        rules = [block_on("first_name"), block_on("surname"), block_on("dob"), block_on("email")]
        certain = [block_on("first_name", "dob"), "l.surname = r.surname AND l.dob = r.dob", block_on("email")]
        return (
            _settings(SettingsCreator, "unique_id", comparisons, rules, truth),
            certain,
            0.7,
            [
                block_on("first_name", "surname"),
                block_on("dob"),
            ],
        )
    if name == "febrl3":
        comparisons = [
            cl.NameComparison("given_name"),
            cl.NameComparison("surname"),
            cl.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
            cl.DamerauLevenshteinAtThresholds("soc_sec_id", [2]),
            frequent(cl.ExactMatch("street_number")),
            frequent(cl.DamerauLevenshteinAtThresholds("postcode", [2])),
        ]
        rules = [
            block_on("soc_sec_id"),
            block_on("given_name"),
            block_on("surname"),
            block_on("date_of_birth"),
            block_on("postcode"),
        ]
        certain = [
            block_on("soc_sec_id"),
            block_on("given_name", "surname", "date_of_birth"),
        ]
        return (
            _settings(SettingsCreator, "rec_id", comparisons, rules, truth),
            certain,
            0.9,
            [
                block_on("date_of_birth"),
                block_on("postcode"),
            ],
        )
    comparisons = [
        cl.ForenameSurnameComparison("first_name", "surname", forename_surname_concat_col_name="first_and_surname"),
        cl.DateOfBirthComparison("dob", input_is_string=True),
        frequent(cl.PostcodeComparison("postcode_fake")),
        frequent(cl.ExactMatch("birth_place")),
        frequent(cl.ExactMatch("occupation")),
    ]
    rules = [
        block_on("substr(first_name, 1, 3)", "substr(surname, 1, 4)"),
        block_on("surname", "dob"),
        block_on("first_name", "dob"),
        block_on("postcode_fake", "first_name"),
        block_on("postcode_fake", "surname"),
        block_on("dob", "birth_place"),
        block_on("substr(postcode_fake, 1, 3)", "dob"),
        block_on("substr(postcode_fake, 1, 3)", "first_name"),
        block_on("substr(postcode_fake, 1, 3)", "surname"),
        block_on("substr(first_name, 1, 2)", "substr(surname, 1, 2)", "substr(dob, 1, 4)"),
    ]
    certain = [
        "l.first_name = r.first_name AND l.surname = r.surname AND l.dob = r.dob",
        "substr(l.first_name, 1, 2) = substr(r.first_name, 1, 2) AND l.surname = r.surname"
        " AND substr(l.postcode_fake, 1, 2) = substr(r.postcode_fake, 1, 2)",
        "l.dob = r.dob AND l.postcode_fake = r.postcode_fake",
    ]
    return (
        _settings(SettingsCreator, "unique_id", comparisons, rules, truth),
        certain,
        0.6,
        [
            "l.first_name = r.first_name AND l.surname = r.surname",
            "l.dob = r.dob",
        ],
    )


def _settings(creator: Any, unique_id: str, comparisons: list[Any], rules: list[Any], truth: str) -> Any:
    return creator(
        link_type="dedupe_only",
        unique_id_column_name=unique_id,
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=rules,
        retain_matching_columns=False,
        additional_columns_to_retain=[truth],
    )


def _figures(label: str, score: Score, seconds: float) -> dict[str, Any]:
    return {"way": label, "seconds": seconds, **vars(score), "f1": score.f1, "b3_f1": score.b3_f1}


def measure(way: str, name: str, data: Path) -> list[dict[str, Any]]:
    """One way over one set in a process of its own, with its peak memory in MB."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.benchmarks.linkage",
        "--data",
        str(data),
        "--one",
        way,
        name,
    ]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"failed: {' '.join(command)}")
    return [{**row, "memory": usage.ru_maxrss / 1024} for row in json.loads(output.splitlines()[-1])]


def page(results: dict[str, list[dict[str, Any]]]) -> str:
    """The page, a row per set and way."""
    lines = [
        f"| {name} | {row['way']} | {row['f1']:.4f} | {row['precision']:.4f} | {row['recall']:.4f}"
        f" | {row['b3_f1']:.4f} | {row['exact_recall']:.3f} | {row['seconds']:.1f} | {row['memory']:,.0f} |"
        for name, rows in results.items()
        for row in rows
    ]
    return f"""# Benchmark of linkage

`python -m tests.benchmarks.linkage` makes this page. Each labelled set goes through its contract, the gate and the
identity step by the defaults of the product: nothing is tuned to a set, and the truth is read by the scoring alone.
Beside it Splink with the comparisons and rules of its tutorials, in the same run. F1, precision and recall are of
pairs; exact is the share of true clusters found as a whole. Records that the gate refuses (10 of fake_1000, born after
the file came) count as missed, for us and not for Splink. Seconds are those of the identity step, or of training,
scoring and clustering in Splink.

{platform.machine()}, {os.cpu_count()} cores, splink {version("splink")}, DuckDB {version("duckdb")} with 2 threads and
4GB; wall seconds on a shared machine vary.

| set | way | F1 | precision | recall | B³ F1 | exact | seconds | peak, MB |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}
"""


def main() -> None:
    """Measure every set both ways and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), help="names of sets")
    parser.add_argument("--data", type=Path, default=REAL_DATA, help="folder of the public datasets")
    parser.add_argument("--one", choices=["product", "tutorial"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        ways = {"product": product, "tutorial": tutorial}
        sys.stdout.write(json.dumps(ways[arguments.one](arguments.sets[0], arguments.data)) + "\n")
        return
    results = {}
    for name in arguments.sets:
        results[name] = measure("product", name, arguments.data) + measure("tutorial", name, arguments.data)
        for row in results[name]:
            sys.stderr.write(
                f"{name}: {row['way']}: F1 {row['f1']:.4f}, B³ {row['b3_f1']:.4f}, {row['seconds']:.1f} s\n"
            )
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
