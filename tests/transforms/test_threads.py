"""Small systems are solved in one thread, unless somebody says otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

CODE = """
import orchestration.commands.common, transforms.value.fitting
import json, threadpoolctl
print(json.dumps([pool["num_threads"] for pool in threadpoolctl.threadpool_info() if "scipy" in pool["filepath"]]))
"""


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("2", 2)])
def test_threads_of_linear_algebra_do_not_wait_for_each_other(given: str | None, threads: int) -> None:
    others = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = others | ({"OPENBLAS_NUM_THREADS": given} if given else {})
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # No library of that name where scipy comes without OpenBLAS.
    assert set(json.loads(done.stdout)) <= {min(threads, os.cpu_count() or 1)}
