"""Contracts as they were at some point of a git history."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from transforms.contracts.diff.sets import ENDING, ContractSet, parse_set


class HistoryError(RuntimeError):
    """The past cannot be asked: no git, no checkout, or no such point in its history."""


def contracts_at(ref: str, folders: Sequence[Path]) -> ContractSet:
    """Contracts of the folders at a commit, branch or tag.

    Raises:
        HistoryError: git is not installed, a folder is in no checkout, or the ref is unknown.
        ContractError: a file was no contract then.
    """
    contents: list[tuple[Path, bytes]] = []
    for folder in folders:
        top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
        try:
            commit = (
                _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
            )
        except HistoryError as error:
            message = f"'{ref}' is no commit, branch or tag of {top}. 'git log --oneline' and 'git tag' list them."
            raise HistoryError(message) from error
        inside = folder.resolve().relative_to(top.resolve())
        listed = _git(top, "ls-tree", "-r", "-z", "--name-only", commit, "--", f"{inside}/").decode()
        for name in (name for name in listed.split("\0") if name.endswith(ENDING)):
            contents.append((Path(f"{ref}:{name}"), _git(top, "cat-file", "blob", f"{commit}:{name}")))
    return parse_set(contents)


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError as error:
        missing = "git is not installed" if folder.is_dir() else f"{folder} does not exist"
        raise HistoryError(f"{missing}: name two folders or files instead of a ref.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        message = f"{folder} is in no git checkout: name two folders or files instead of a ref."
        raise HistoryError(said if said and "not a git repository" not in said else message)
    return done.stdout
