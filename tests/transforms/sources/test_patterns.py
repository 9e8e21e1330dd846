"""Which names a glob of a contract stands for, in folders and in object stores alike."""

from __future__ import annotations

import time

import pytest

from transforms.sources.patterns import matcher, split_pattern


@pytest.mark.parametrize(
    ("pattern", "base", "rest"),
    [
        ("shop/*.csv", "shop", "*.csv"),
        ("/data/shop/day.csv", "/data/shop", "day.csv"),
        ("/*.csv", "/", "*.csv"),
        ("*.csv", "", "*.csv"),
        ("day.csv", "", "day.csv"),
        ("sales/year=*/month=*/*.parquet", "sales", "year=*/month=*/*.parquet"),
        ("sales/year=2024/*.parquet", "sales", "year=2024/*.parquet"),
        ("shop/[ab]/x.csv", "shop", "[ab]/x.csv"),
    ],
)
def test_names_begin_where_the_pattern_does_or_at_the_first_partition(pattern: str, base: str, rest: str) -> None:
    assert split_pattern(pattern) == (base, rest)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.csv", "a.csv"),
        ("*.csv", "_a.csv"),
        ("*.csv", "line\nbreak.csv"),
        ("*/*.csv", "a/b.csv"),
        ("**/*.csv", "a.csv"),
        ("**/*.csv", "a/b/c.csv"),
        ("**", "a/b/c"),
        ("a/**/z/*.csv", "a/z/x.csv"),
        ("a/**/z/*.csv", "a/b/c/z/x.csv"),
        ("day?.csv", "day1.csv"),
        ("day[0-9].csv", "day1.csv"),
        ("day[!0-9].csv", "dayx.csv"),
        ("day[]x].csv", "day].csv"),
        ("day[.csv", "day[.csv"),
        ("[[]a].csv", "[a].csv"),
        ("a+b(c).csv", "a+b(c).csv"),
        ("**/*.csv", "_year=2024/a.csv"),
        ("_own/*.csv", "_own/a.csv"),
    ],
)
def test_matches(pattern: str, name: str) -> None:
    assert matcher(pattern)(name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*.csv", "a/b.csv"),
        ("*.csv", "a.csv.gz"),
        ("*.csv", "A.CSV"),
        ("a?b.csv", "a/b.csv"),
        ("a[!x]b.csv", "a/b.csv"),
        ("**/*.csv", "a/b.txt"),
        ("*", ".hidden"),
        ("*", "a.csv.tmp"),
        ("*", "a.csv.part"),
        ("**", ".git/a.csv"),
        ("**/*.parquet", "_temporary/0/a.parquet"),
        ("**/*.parquet", "_delta_log/a.parquet"),
    ],
)
def test_does_not_match(pattern: str, name: str) -> None:
    assert not matcher(pattern)(name)


def test_many_stars_cost_no_time() -> None:
    started = time.monotonic()
    assert not matcher("*" * 50 + "b.csv")("a" * 200 + ".csv")
    assert time.monotonic() - started < 1
