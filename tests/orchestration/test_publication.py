"""What a person is told when the last steps of a run fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.publication import PUBLISHED, REPORT
from orchestration.runs import failure_sentence
from transforms.settings import Settings


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([REPORT.to_python_identifier()], "customer360.duckdb is the new one all the same;"),
        ([PUBLISHED.to_python_identifier()], "customer360.duckdb is as it was;"),
        ([PUBLISHED.to_python_identifier(), REPORT.to_python_identifier()], "customer360.duckdb is as it was;"),
        ([], "customer360.duckdb is as it was;"),
    ],
)
def test_a_failed_run_says_what_readers_have(tmp_path: Path, steps: list[str], said: str) -> None:
    assert said in failure_sentence("r1", steps, "why", Settings(home=tmp_path))
