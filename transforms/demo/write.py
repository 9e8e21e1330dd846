"""Write the sample company: raw files as the sources would send them, and the planted truth."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from transforms.demo.block import BlockResult, Plan, write_block
from transforms.demo.broken import BROKEN_SOURCES
from transforms.demo.broken import broken_files as make_broken_files
from transforms.demo.company import GENERATION, Company
from transforms.demo.files import FORMS, Form, encoded, merged, place
from transforms.demo.randomness import generator
from transforms.demo.truth import population, write_dirt, write_json, write_table
from transforms.settings import Settings

REPLAYED = "pos_sales_2024-09.csv.gz"
"""Sent twice, the second time under another name."""
OVERLAPPED = "app_events_2024-W30.jsonl.gz"
"""Followed by a file with some of its rows again and some that had been missing."""
_MARKER = "company.json"
_PEOPLE, _RECORDS, _DIRT, _POPULATION = "people.parquet", "records.parquet", "dirt.parquet", "population.json"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class CompanySummary:
    """What was written. ``records`` counts the data rows of all files by source, dirt and repeats included."""

    people: int
    seed: int
    records: dict[str, int]
    files: dict[str, int]
    dirty_records: int
    elapsed_seconds: float
    is_new: bool


@dataclass(frozen=True)
class _Written:
    source: str
    name: str
    size: int
    sha256: str
    rows: int


def write_company(
    settings: Settings, progress: Progress | None = None, *, broken_files: bool = False
) -> CompanySummary:
    """Write the sample company of ``demo_people`` people under ``incoming`` and its truth under ``truth``.

    The same seed and size give the same bytes. Where they are already there, nothing is written; files of
    another size or seed are replaced one by one, each in one step, and those left over are removed.
    ``broken_files`` adds files that the gate refuses as a whole.

    Raises:
        OSError: no space, or the folders cannot be written.
    """
    started = time.monotonic()
    say = progress or (lambda _: None)
    plan = Plan(Company(), settings.demo_seed, settings.demo_people)
    recipe = _recipe(plan, broken_files)
    marker = settings.truth / _MARKER
    before = _read_marker(marker)
    if before.get("recipe") == recipe and _complete(settings, before["files"]):
        say("the sample company is there already")
        return _summary(plan, before, time.monotonic() - started, is_new=False)
    settings.truth.mkdir(parents=True, exist_ok=True)
    # without a recipe the next run starts over, and knows what this one may leave behind
    possible = [{"source": form.source, "name": name} for form in FORMS.values() for name in form.names]
    before = {"files": [*before.get("files", []), *possible]}
    write_json(marker, {"recipe": None, **before})
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="demo-", dir=settings.scratch) as name:
        folder = Path(name)
        blocks = _write_blocks(plan, folder, settings.threads, say)
        files, dirt = _write_files(settings, plan, folder, say, broken_files)
        write_table(settings.truth / _PEOPLE, [block.people for block in blocks], ["household_id"])
        write_table(settings.truth / _RECORDS, [block.records for block in blocks], ["source", "person_id"])
    planted = pl.concat([*(block.dirt.with_columns(file=None) for block in blocks), dirt], how="diagonal_relaxed")
    dirty = write_dirt(settings.truth / _DIRT, planted)
    write_json(settings.truth / _POPULATION, population(plan))
    _remove_leftovers(settings, before, files)
    content = {"recipe": recipe, "dirty_records": dirty, "files": [asdict(file) for file in files]}
    write_json(marker, content)
    return _summary(plan, content, time.monotonic() - started, is_new=True)


def _recipe(plan: Plan, broken_files: bool) -> dict[str, object]:
    # another version of a library may draw or encode otherwise
    versions = {"numpy": np.__version__, "polars": pl.__version__}
    return {"generation": GENERATION, "broken_files": broken_files, **versions, **population(plan)}


def _read_marker(marker: Path) -> dict:
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) and "files" in content else {}


def _complete(settings: Settings, files: list[dict]) -> bool:
    if not all((settings.truth / name).is_file() for name in (_PEOPLE, _RECORDS, _DIRT, _POPULATION)):
        return False
    paths = [(settings.incoming / file["source"] / file["name"], file["size"]) for file in files]
    return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def _write_blocks(plan: Plan, folder: Path, threads: int, say: Progress) -> list[BlockResult]:
    results = []
    with ThreadPoolExecutor(threads) as pool:
        for result in pool.map(lambda number: write_block(plan, number, folder), plan.blocks):
            results.append(result)
            done = min(len(results) * plan.people_per_block, plan.people)
            say(f"sample company: {done:,} of {plan.people:,} people")
    return results


def _write_files(
    settings: Settings, plan: Plan, folder: Path, say: Progress, with_broken: bool
) -> tuple[list[_Written], pl.DataFrame]:
    files: list[_Written] = []
    dirt: list[dict] = []
    with ThreadPoolExecutor(settings.threads) as pool:
        for form in FORMS.values():
            done = pool.map(lambda name, form=form: _write_file(settings, plan, folder, form, name), form.names)
            of_source: list[_Written] = []
            for written, planted in done:
                of_source += written
                dirt += planted
            files += of_source
            rows = sum(file.rows for file in of_source)
            say(f"sample company: {form.source}, {len(of_source)} files, {rows:,} records")
    if with_broken:
        good = {source: settings.incoming / source / FORMS[source].names[4] for source in BROKEN_SOURCES}
        for file in make_broken_files({source: path.read_bytes() for source, path in good.items()}):
            files.append(_place(settings, file.source, file.name, file.data, 0))
            dirt.append(_planted(file.source, file.kind, "rejected", file.name, 0))
    return files, pl.DataFrame(dirt)


def _write_file(
    settings: Settings, plan: Plan, folder: Path, form: Form, name: str
) -> tuple[list[_Written], list[dict]]:
    """Write a file and what follows from it; nothing where the company has no rows for it."""
    frame = merged(folder, form, name)
    if frame.is_empty():
        return [], []
    if name == OVERLAPPED:
        return _write_overlapping(settings, plan, form, name, frame)
    data = encoded(form, frame)
    files, dirt = [_place(settings, form.source, name, data, len(frame))], []
    if name == REPLAYED:
        again = _sibling(form, name, "resent")
        files.append(_place(settings, form.source, again, data, len(frame)))
        dirt.append(_planted(form.source, "replayed_file", "replayed", again, len(frame)))
    return files, dirt


def _write_overlapping(
    settings: Settings, plan: Plan, form: Form, name: str, frame: pl.DataFrame
) -> tuple[list[_Written], list[dict]]:
    """Of a week's good rows a twentieth comes late, in a file that repeats another twentieth."""
    rng = generator(plan.seed, 0, "overlap")
    draw = np.where(frame["_plain"].to_numpy(), rng.random(len(frame)), 1.0)
    late, repeated = draw < 0.05, (draw >= 0.05) & (draw < 0.10)
    first, second = frame.filter(~late), frame.filter(late | repeated)
    again = _sibling(form, name, "late")
    files = [_place(settings, form.source, name, encoded(form, first), len(first))]
    if second.is_empty():
        return files, []
    files.append(_place(settings, form.source, again, encoded(form, second), len(second)))
    return files, [_planted(form.source, "overlapping_file", "duplicate", again, int(repeated.sum()))]


def _sibling(form: Form, name: str, suffix: str) -> str:
    return f"{name.removesuffix(form.ending)}_{suffix}{form.ending}"


def _planted(source: str, kind: str, outcome: str, file: str, rows: int) -> dict:
    return {"source": source, "kind": kind, "outcome": outcome, "reason": None, "file": file, "rows": rows}


def _place(settings: Settings, source: str, name: str, data: bytes, rows: int) -> _Written:
    digest = place(settings.incoming / source / name, data)
    return _Written(source, name, len(data), digest, rows)


def _remove_leftovers(settings: Settings, before: dict, files: list[_Written]) -> None:
    """Remove files of an earlier company; files that others put there stay."""
    now = {(file.source, file.name) for file in files}
    for file in before.get("files", []):
        if (file["source"], file["name"]) not in now:
            (settings.incoming / file["source"] / file["name"]).unlink(missing_ok=True)


def _summary(plan: Plan, content: dict, elapsed: float, *, is_new: bool) -> CompanySummary:
    records = dict.fromkeys(FORMS, 0)
    files = dict.fromkeys(FORMS, 0)
    for file in content["files"]:
        records[file["source"]] += file["rows"]
        files[file["source"]] += 1
    return CompanySummary(plan.people, plan.seed, records, files, content["dirty_records"], elapsed, is_new)
