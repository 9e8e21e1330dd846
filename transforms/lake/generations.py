"""Generations: all batches of a source under one contract, shown to readers by one link.

After a change of the contract, or a release of rows, the batches are made anew in a generation of their own; readers
see the old one until the new one is whole, and then the new one, by the exchange of a link. So a run that is killed
in the middle leaves neither half a table nor the rows of two contracts side by side.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from transforms.contracts import Entity, SourceContract
from transforms.durability import sync
from transforms.lake.records import NONE, source_folder
from transforms.lake.releases import Releases
from transforms.settings import Settings

GENERATIONS = "_generations"


def generation_folder(settings: Settings, contract: SourceContract, releases: Releases, late: int = 0) -> Path:
    """Folder of the batches that a contract, the releases and the files that came too late so far make."""
    name = f"{contract.fingerprint}-{len(releases.entries)}" + (f"-{late}" if late else "")
    return settings.lake / GENERATIONS / contract.entity.name / contract.name / name


def shown(settings: Settings, contract: SourceContract) -> Path | None:
    """Folder of the generation that readers see, None before the first load."""
    link = source_folder(settings, contract)
    if not link.is_symlink() or not link.exists():
        return None
    # The link's own words, not resolve(): above it there may be other links.
    return Path(os.path.normpath(link.parent / link.readlink()))


def inherit(
    settings: Settings, contract: SourceContract, releases: Releases, late: int, wanted: Iterable[tuple[str, str]]
) -> None:
    """Take over the batches of the shown generation that the newest releases and late files cannot have changed.

    ``wanted`` are (batch id, file name) in the order in which they count: everything before the first released or
    late file stays as it is, everything from it on may depend on what was let through.
    """
    target = generation_folder(settings, contract, releases, late)
    present = shown(settings, contract)
    if target.exists() or present is None:
        return
    fingerprint, count, *_ = [*present.name.split("-"), ""]
    if fingerprint != contract.fingerprint or not count.isdigit():
        return
    affected = {entry.file for entry in releases.entries[int(count) :]}
    unfinished = settings.scratch / f"generation-{os.getpid()}-{contract.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for batch, file in wanted:
        if file in affected or not (present / batch).is_dir():
            break
        shutil.copytree(present / batch, unfinished / batch, copy_function=os.link)
        sync(unfinished / batch)
    sync(unfinished)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished.rename(target)
    sync(target.parent)


def show(settings: Settings, contract: SourceContract, folder: Path) -> None:
    """Let readers see a generation, from one moment to the next."""
    link = source_folder(settings, contract)
    link.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    goal = os.path.relpath(folder, link.parent)
    if not link.is_symlink() or str(link.readlink()) != goal:
        if link.is_dir() and not link.is_symlink():
            discard(settings, link)
        settings.scratch.mkdir(parents=True, exist_ok=True)
        # Beside the lake: a load that is killed here must not leave a second link where readers look.
        new = settings.scratch / f"link-{os.getpid()}-{link.name}"
        new.unlink(missing_ok=True)
        new.symlink_to(goal, target_is_directory=True)
        new.replace(link)
        sync(link.parent)


def remove_former(settings: Settings, contract: SourceContract, folder: Path) -> None:
    """Remove all generations but ``folder`` and the one that readers see.

    Called at the beginning of a load and not at the end of the one that made a new generation: who then was reading
    the old one can read it to its end.
    """
    kept = {folder, shown(settings, contract)}
    for other in folder.parent.iterdir() if folder.parent.is_dir() else ():
        if other not in kept:
            discard(settings, other)


def drop_former_sources(settings: Settings, entity: Entity, sources: Iterable[str]) -> list[str]:
    """Take out of the lake what no contract feeds into the entity any more; returns the names of those sources.

    The rows of a source that was renamed would else count twice. Its bytes stay in the landing folder.
    """
    current = {NONE, *sources}
    folder = settings.lake / entity.name
    former = sorted(path for path in folder.iterdir() if path.name not in current) if folder.is_dir() else []
    for path in former:
        if path.is_symlink():
            path.unlink()
        else:
            discard(settings, path)
        batches = settings.lake / GENERATIONS / entity.name / path.name
        if batches.exists():
            discard(settings, batches)
    return [path.name for path in former if not path.name.startswith(".")]


def discard(settings: Settings, path: Path) -> None:
    """Remove a folder: first out of sight by one rename, so that a kill leaves all of it or nothing."""
    doomed = settings.scratch / f"former-{os.getpid()}-{path.name}"
    shutil.rmtree(doomed, ignore_errors=True)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    path.rename(doomed)
    shutil.rmtree(doomed)
