from __future__ import annotations

import signal
import subprocess
import sys

WORK = """
import time
from dagster._utils.interrupts import capture_interrupts
from orchestration import cli

def work():
    with capture_interrupts():
        pass
    print("at work", flush=True)
    time.sleep(60)

cli.app = work
cli.main()
"""


def test_a_background_job_of_a_script_can_be_told_to_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORK],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        assert process.stdout and process.stdout.readline() == b"at work\n"
        process.terminate()
        try:
            assert process.wait(20) != 0
        finally:
            process.kill()
