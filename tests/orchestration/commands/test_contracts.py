"""``watershed contracts``: what it prints, and what its exit code tells a build."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from transforms.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with copies of the shipped contracts."""
    for name, folder in (("entities", Settings().entities), ("sources", Settings().contracts)):
        shutil.copytree(folder, tmp_path / "contracts" / name)
    monkeypatch.setenv("WATERSHED_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WATERSHED_ENTITIES", str(tmp_path / "contracts" / "entities"))
    monkeypatch.setenv("WATERSHED_CONTRACTS", str(tmp_path / "contracts" / "sources"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def checkout(home: Path) -> Path:
    """The same, under git."""
    for command in (
        ["init", "-q"],
        ["add", "contracts"],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *command], cwd=home, check=True)
    return home


def watershed(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["contracts", *map(str, arguments)])


def edit(file: Path, old: str, new: str) -> Path:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return file


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), start=1) if text in line)


def test_two_files_that_are_the_same_differ_in_nothing(home: Path) -> None:
    file = home / "contracts" / "sources" / "pos_sales.odcs.yaml"
    result = watershed("diff", file, file)
    assert (result.exit_code, result.stdout) == (0, "No contract changed.\n")


def test_a_breaking_change_ends_with_5_and_names_file_and_line(home: Path) -> None:
    old = home / "contracts" / "sources" / "pos_sales.odcs.yaml"
    new = edit(Path(shutil.copy(old, home / "new.odcs.yaml")), "physicalName: Menge", "physicalName: Anzahl")
    result = watershed("diff", old, new)
    assert result.exit_code == 5
    assert f"new.odcs.yaml:{line_of(new, 'physicalName: Anzahl')}" in result.stdout
    assert "quantity: Menge → Anzahl" in result.stdout and "a breaking change needs 2.0.0" in result.stdout
    assert "The next load gates all landed files anew: pos_sales." in result.stdout


def test_folders_show_what_an_entity_does_to_its_sources(home: Path) -> None:
    shutil.copytree(home / "contracts", home / "new")
    edit(home / "new" / "entities" / "transactions.odcs.yaml", "maxLength: 200", "maxLength: 100")
    result = watershed("diff", home / "contracts", home / "new", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 5 and found["breaking"]
    [change] = found["changes"]
    assert (change["contract"], change["kind"], change["impact"]) == ("transactions", "entity", "breaking")
    assert (change["subject"], change["message"]) == ("order_id maxLength", "200 → 100")
    assert {"pos_sales", "web_orders"} <= set(found["gated_anew"]) and "hotline_calls" not in found["gated_anew"]


def test_a_compatible_change_ends_with_0_and_strictly_with_6_where_the_version_stays(home: Path) -> None:
    old = home / "contracts" / "sources" / "pos_sales.odcs.yaml"
    new = edit(Path(shutil.copy(old, home / "new.odcs.yaml")), "pos_sales/*.csv.gz", "tills/*.csv.gz")
    assert watershed("diff", old, new).exit_code == 0
    assert watershed("diff", old, new, "--strict").exit_code == 6
    edit(new, "version: 1.0.0", "version: 1.1.0")
    assert watershed("diff", old, new, "--strict").exit_code == 0


def test_against_a_commit(checkout: Path) -> None:
    assert watershed("diff", "--against", "HEAD").stdout == "No contract changed.\n"
    (checkout / "contracts" / "sources" / "store_visits.odcs.yaml").unlink()
    result = watershed("diff", "--against", "HEAD")
    assert result.exit_code == 5
    assert "HEAD:contracts/sources/store_visits.odcs.yaml:" in result.stdout and "contract removed" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--against", "v99"), 1, "'v99' is no commit, branch or tag of"),
        (("nowhere", "nowhere"), 2, "nowhere:1: no contract there."),
        ((), 2, "Name OLD and NEW, or --against GIT_REF."),
        (("a",), 2, "Name OLD and NEW, or --against GIT_REF."),
        (("a", "b", "--against", "HEAD"), 2, "Name OLD and NEW, or --against GIT_REF."),
    ],
)
def test_what_cannot_be_compared_is_said_plainly(
    checkout: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = watershed("diff", *arguments)
    assert result.exit_code == code and message in result.output and "Traceback" not in result.output


def test_without_git_the_other_way_is_named(home: Path) -> None:
    result = watershed("diff", "--against", "HEAD")
    assert result.exit_code == 1
    assert "is in no git checkout: name two folders or files instead of a ref." in result.stderr


def test_control_characters_of_a_contract_do_not_reach_the_terminal(home: Path) -> None:
    old = home / "contracts" / "sources" / "pos_sales.odcs.yaml"
    new = edit(Path(shutil.copy(old, home / "new.odcs.yaml")), "physicalName: Menge", 'physicalName: "\\e[2J[red]x"')
    result = watershed("diff", old, new)
    assert "\x1b" not in result.stdout and "�[2J[red]x" in result.stdout


def test_a_column_that_may_leave_is_said_loudly_and_first(home: Path) -> None:
    shutil.copytree(home / "contracts", home / "new")
    file = home / "new" / "entities" / "transactions.odcs.yaml"
    edit(file, "description: Article number.", "description: Article.")
    edit(file, "tags: [personal_data, identifier]", "tags: [identifier]")
    lines = watershed("diff", home / "contracts", home / "new").stdout.splitlines()
    assert lines[2].split() == ["breaking", "!", "email", "tags:", "personal_data", "removed"]
    assert "PERSONAL DATA MAY NOW LEAVE" in lines[3]
    assert lines[4].strip() == f"{file}:{line_of(file, 'tags: [identifier]')}"


def test_docs_writes_the_pages_where_reports_lie_or_where_it_is_told(home: Path) -> None:
    assert watershed("docs").exit_code == 0
    assert (home / "home" / "reports" / "contracts" / "index.html").is_file()
    assert watershed("docs", "--out", home / "pages").exit_code == 0
    assert (home / "pages" / "source-pos_sales.html").is_file()
    (home / "file").write_text("")
    result = watershed("docs", "--out", home / "file")
    assert result.exit_code == 1 and "The pages cannot be written" in result.stderr


@pytest.mark.parametrize("command", ["lint", "docs", "check"])
def test_a_fault_ends_with_2_and_writes_no_page(home: Path, command: str) -> None:
    file = edit(home / "contracts" / "sources" / "pos_sales.odcs.yaml", "name: quantity", "name: quantiti")
    result = watershed(command)
    assert result.exit_code == 2 and f"{file}:{line_of(file, 'quantiti')}: " in result.stderr
    assert not (home / "home" / "reports").exists()


def test_check_tells_changes_and_does_not_fail_for_them(checkout: Path) -> None:
    edit(checkout / "contracts" / "sources" / "pos_sales.odcs.yaml", "physicalName: Menge", "physicalName: Anzahl")
    started = time.monotonic()
    result = watershed("check")
    assert time.monotonic() - started < 5
    assert result.exit_code == 0
    assert "no faults" in result.stdout and "1 breaking" in result.stdout and "index.html" in result.stdout


@pytest.mark.parametrize("case", ["no checkout", "no commit", "no git"])
def test_check_works_where_there_is_nothing_to_compare_with(
    home: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "no commit":
        subprocess.run(["git", "init", "-q"], cwd=home, check=True)
    if case == "no git":
        monkeypatch.setenv("PATH", "/nonexistent")
    result = watershed("check")
    assert result.exit_code == 0
    assert "Not compared: " in result.stdout and "index.html" in result.stdout


def test_a_setting_that_is_wrong_ends_with_4(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATERSHED_THREADS", "many")
    result = watershed("lint")
    assert result.exit_code == 4 and "WATERSHED_THREADS" in result.stderr


def test_lint_and_check_tell_programs_what_they_tell_people(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    whole = json.loads(watershed("check", "--json").output)
    assert (whole["faults"], whole["changes"]["changes"], whole["not_compared"]) == ([], [], None)
    assert Path(whole["pages"]).is_file() and whole["sources"] == len(list(Settings().contracts.glob("*.odcs.yaml")))
    file = edit(checkout / "contracts" / "sources" / "pos_sales.odcs.yaml", "name: ordered_at", "name: orderd_at")
    for command in ("lint", "check"):
        result = watershed(command, "--json")
        found = json.loads(result.output)
        assert result.exit_code == 2
        fault = next(fault for fault in found["faults"] if "ordered_at" in fault["message"] + fault["remedy"])
        assert fault["file"] == str(file) and fault["line"] > 1
