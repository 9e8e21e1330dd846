"""The operator's handbook says what the commands do."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess

import pytest
import typer.main

from orchestration.cli import app
from orchestration.commands import common
from tests.conftest import PROJECT
from tests.transforms.lake import test_kills as loads_killed

PAGE = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
UNITS = ("watershed.service", "watershed-run.service", "watershed-run.timer")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_each_exit_code_has_a_row_and_each_row_a_code() -> None:
    named = ("FAILED", "BAD_CONTRACT", "LOCKED", "BAD_SETTINGS", "BREAKING", "VERSION_BEHIND", "ATTENTION", "HELD")
    codes = {0, *(getattr(common, name) for name in named)}
    assert len(codes) == len(named) + 1, "two meanings of one code"
    assert {int(code) for code in re.findall(r"^\| (\d) \|", section("Exit codes"), flags=re.M)} == codes


def test_the_kills_are_as_many_as_the_tests_make() -> None:
    kills, others = section("What was tried").split("\n| What else happens")
    rows = re.findall(r"^\| (.+?) \| (\d+) \| .+ \| `(tests/.+)` \|$", kills, flags=re.M)
    made = {}
    for what, number, file in rows:
        counts = importlib.import_module(file.removesuffix(".py").replace("/", ".")).KILLS
        made[file] = sum(counts.values()) if isinstance(counts, dict) else counts
        assert int(number) == made[file], what
        if isinstance(counts, dict) and "(" in what:
            assert [int(part) for part in re.findall(r"\((\d+)\)", what)] == list(counts.values()), what
    assert made.keys() == {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "tests").rglob("test_*.py")
        if re.search(r"^KILLS = ", path.read_text(encoding="utf-8"), flags=re.M)
    }
    assert sum(made.values()) >= 200 and made["tests/transforms/lake/test_kills.py"] >= 200
    each_time, loads = sum(loads_killed.KILLS_EACH_TIME.values()), sum(loads_killed.KILLS.values())
    assert f"`make test` makes {sum(made.values()) - loads + each_time} of these kills, {each_time} of them" in kills
    assert f"the other {loads - each_time} of those" in kills
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert f"{sum(made.values())} random kills of every stage" in readme
    assert f"{sum(made.values()) - loads + each_time} of them by `make test`" in readme
    for file in re.findall(r"`(tests/\S+)`", others):
        assert (PROJECT / file).exists(), file


def test_every_command_and_option_that_it_names_exists() -> None:
    command = typer.main.get_command(app)
    names = set(command.commands)  # type: ignore[attr-defined]
    for words in re.findall(r"`watershed ([a-z -]+[a-z])", PAGE):
        first, *rest = words.split()
        assert first in names, words
        options = {option for parameter in command.commands[first].params for option in parameter.opts}  # type: ignore[attr-defined]
        assert {word for word in rest if word.startswith("--")} <= options, words


def test_every_file_and_heading_that_it_links_to_exists() -> None:
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", PAGE, flags=re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        file, _, anchor = target.partition("#")
        assert (PROJECT / "docs" / file).exists() if file else anchor in headings, target


def test_every_setting_that_it_names_is_documented() -> None:
    known = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")
    units = [(PROJECT / "docs" / "deploy" / name).read_text(encoding="utf-8") for name in (*UNITS, "watershed.env")]
    for name in set(re.findall(r"WATERSHED_[A-Z_]+[A-Z]", " ".join([PAGE, *units]))):
        assert name in known or name.startswith("WATERSHED_SECRETS__"), name


def test_the_units_are_what_systemd_understands() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing")
    folder = PROJECT / "docs" / "deploy"
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(folder / name) for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    # The program is not where the example expects it.
    complaints = [line for line in done.stderr.splitlines() if "/opt/watershed/.venv/bin/watershed" not in line]
    assert complaints == []


def test_the_container_copies_everything_that_the_command_needs() -> None:
    lines = (PROJECT / "docs" / "deploy" / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = {word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]}
    assert copied >= {"pyproject.toml", "uv.lock", "orchestration", "transforms", "data_contracts", "dbt_project"}
    assert all((PROJECT / name).exists() for name in copied)
    pinned = re.search(r"^UV_VERSION := (\S+)$", (PROJECT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    assert pinned and any(f"uv=={pinned[1]}" in line for line in lines)
