"""One small company with broken files and a silent source, run once; the tests look at it from all sides."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from orchestration.pipeline import RunOutcome, run_daily
from tests.orchestration.ready import Command
from tests.transforms.lake.shop import contract_document
from transforms.demo import CompanySummary, write_company
from transforms.settings import Settings


@dataclass(frozen=True)
class Installation:
    """A home after its first run."""

    settings: Settings
    company: CompanySummary
    first: RunOutcome

    def command(self, *arguments: str, **variables: str) -> Command:
        """Start the watershed command on this home."""
        environment = {
            **os.environ,
            "WATERSHED_HOME": str(self.settings.home),
            "WATERSHED_CONTRACTS": str(self.settings.contracts),
            "WATERSHED_LINKAGE": str(self.settings.linkage),
            **variables,
        }
        return Command(arguments, environment)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return installed(tmp_path_factory.mktemp("installation"))


def installed(folder: Path) -> Installation:
    """A small company's home in a folder, run once."""
    # Learning to link profiles takes a tenth of such a run; the public datasets go through it.
    settings = Settings(home=folder / "home", contracts=folder / "contracts", demo_people=400, linkage=False)
    shutil.copytree(Settings().contracts, settings.contracts)
    silent = contract_document()
    silent["name"] = "silent_till"
    silent["servers"][0]["path"] = "silent_till/*.csv"
    (settings.contracts / "silent_till.odcs.yaml").write_text(yaml.safe_dump(silent, sort_keys=False))
    company = write_company(settings, broken_files=True)
    return Installation(settings, company, run_daily(settings))


def dbt_child(parent: int) -> int | None:
    """Process id of the dbt build that a process has started."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
            command = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(words[1]) == parent and b"build" in command:
            return int(path.parent.name)
    return None


def dbt_of(process: Command) -> int:
    """Process id of the dbt of a run, as soon as there is one."""
    while (child := dbt_child(process.pid)) is None:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return child
