"""What the README shows must run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.orchestration.conftest import Installation
from transforms.publishing.examples import QUERIES
from transforms.publishing.overview import run_query

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def squeezed(sql: str) -> str:
    return re.sub(r"\s+", " ", sql).strip().rstrip(";")


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"(?:\$ |`)make ([a-z-]+)", README))
    assert named and named <= targets


def test_every_command_of_the_readme_is_run_by_ci() -> None:
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    for block in blocks("console"):
        for command in re.findall(r"^\$ ([^#\n]+)", block, flags=re.M):
            assert command.strip() in script, command


def test_files_that_the_readme_links_to_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (PROJECT / target).exists(), target


@pytest.mark.slow
@pytest.mark.xdist_group("installation")
class TestOnAPublishedFile:
    def test_the_readme_shows_the_queries_that_the_demo_prints(self, installation: Installation) -> None:
        shown = {squeezed(block) for block in blocks("sql")}
        assert shown == {squeezed(sql) for _, sql in QUERIES}
        for _, sql in QUERIES:
            columns, rows = run_query(installation.settings.published, sql)
            assert columns and rows, sql

    def test_the_python_lines_run(
        self, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "data").symlink_to(installation.settings.home)
        monkeypatch.chdir(tmp_path)
        for block in blocks("python"):
            names: dict[str, object] = {}
            exec(block, names)  # noqa: S102 - the lines that the README tells people to type
            assert len(names["segments"]) > 5  # type: ignore[arg-type]
