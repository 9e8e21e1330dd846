"""Contracts of the past, asked from git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.transforms.contracts.diff.contracts import content, entity_document, source_document
from transforms.contracts import ContractError
from transforms.contracts.diff import HistoryError, Kind, contracts_at


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two contracts in its first commit; since then one is gone and one has changed."""
    # Nobody's own settings of git play a part.
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    folder = tmp_path / "über repo"
    (folder / "contracts" / "sources").mkdir(parents=True)
    (folder / "contracts" / "orders.odcs.yaml").write_bytes(content(entity_document()))
    (folder / "contracts" / "sources" / "shop.odcs.yaml").write_bytes(content(source_document()))
    (folder / "contracts" / "notes.txt").write_text("no contract")
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "first"],
        ["tag", "v1"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "contracts" / "sources" / "shop.odcs.yaml").unlink()
    return folder


@pytest.mark.parametrize("ref", ["HEAD", "v1", "main"])
def test_contracts_are_those_of_the_commit(checkout: Path, ref: str) -> None:
    found = contracts_at(ref, [checkout / "contracts"])
    assert {key: str(document.file) for key, document in found.documents.items()} == {
        (Kind.ENTITY, "orders"): f"{ref}:contracts/orders.odcs.yaml",
        (Kind.SOURCE, "shop"): f"{ref}:contracts/sources/shop.odcs.yaml",
    }


def test_a_folder_that_did_not_exist_had_no_contracts(checkout: Path) -> None:
    (checkout / "new").mkdir()
    assert contracts_at("HEAD", [checkout / "new"]).documents == {}


@pytest.mark.parametrize("ref", ["v2", "--upload-pack=touch x", "HEAD:contracts", ""])
def test_an_unknown_ref_is_named(checkout: Path, ref: str) -> None:
    with pytest.raises(HistoryError, match="is no commit, branch or tag"):
        contracts_at(ref, [checkout / "contracts"])


def test_a_folder_without_git_is_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=f"{tmp_path} is in no git checkout"):
        contracts_at("HEAD", [tmp_path])


def test_a_machine_without_git_is_told_the_other_way(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(HistoryError, match="git is not installed: name two folders"):
        contracts_at("HEAD", [checkout / "contracts"])


def test_a_fault_of_the_past_names_the_ref(checkout: Path) -> None:
    (checkout / "contracts" / "orders.odcs.yaml").write_text("name: [")
    subprocess.run(["git", "add", "-A"], cwd=checkout, check=True)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *author, "commit", "-qm", "second"], cwd=checkout, check=True)
    with pytest.raises(ContractError, match=r"^main:contracts/orders.odcs.yaml:1: not YAML"):
        contracts_at("main", [checkout / "contracts"])
