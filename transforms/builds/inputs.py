"""Everything that the tables of a build depend on, as digests that can be compared with those of the last build."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from transforms.identity.keys import identifier_secret, secret_fingerprint
from transforms.settings import PROJECT_DIR, Settings

Inputs = Mapping[str, str]
"""Name of a part → digest. Law 2: equal parts give equal tables."""

_MODELS = {".sql", ".yml", ".yaml", ".csv"}
_CODE = {".py", ".yaml", ".json"}
# How a run works, not what it makes; the secret counts by its fingerprint, the day is a part of its own.
_ABOUT_THE_RUN = {
    *("memory_limit", "threads", "lock_timeout_seconds", "retry_seconds", "rebuild"),
    *("demo_people", "demo_seed", "secrets", "identifier_key", "as_of"),
}
_LIBRARIES = (
    *("watershed-cdp", "dbt-core", "dbt-duckdb", "duckdb", "phonenumbers", "idna", "numpy", "scipy", "scikit-learn"),
    *("splink", "pypinyin", "opencc-python-reimplemented"),
)


def read_inputs(settings: Settings, as_of: dt.date | None) -> Inputs:
    """Digests of the lake, the contracts, the models, the code, the settings, what decides who is who, the libraries
    and the day.

    Of the lake it is enough to read the names: a batch is named after its bytes, its place and its contract, a
    generation after its contract and releases, and neither changes once it is there.
    """
    return {
        "day": as_of.isoformat() if as_of else "none",
        "lake": _digest(lake_listing(settings.lake)),
        "contracts": _digest(_contents((settings.entities, settings.contracts), _MODELS)),
        "models": _digest(_contents((settings.dbt_project,), _MODELS)),
        "code": _digest(_contents((PROJECT_DIR / "transforms", PROJECT_DIR / "orchestration"), _CODE)),
        "settings": _digest(
            (settings.model_dump_json(exclude=_ABOUT_THE_RUN), secret_fingerprint(identifier_secret(settings)))
        ),
        "identity": _digest(_files((settings.identity_policy, settings.overrides, settings.linkage_policy))),
        "libraries": _digest(f"{name} {_version(name)}" for name in _LIBRARIES),
    }


def lake_listing(lake: Path) -> list[str]:
    """Every batch that readers see, as ``entity/source=generation/batch``, sorted."""
    found: list[str] = []
    for entity in sorted(path for path in lake.iterdir() if path.is_dir()) if lake.is_dir() else ():
        if entity.name.startswith("_") or entity.name in {"identity", "linkage", "value"}:
            continue
        for source in sorted(entity.iterdir()):
            generation = os.path.basename(source.readlink()) if source.is_symlink() else ""  # noqa: PTH119
            found += sorted(f"{entity.name}/{source.name}={generation}/{batch.name}" for batch in source.iterdir())
    return found


def _contents(folders: Iterable[Path], endings: set[str]) -> Iterable[str]:
    for folder in folders:
        for parent, inside, files in os.walk(folder):
            inside[:] = sorted(name for name in inside if name not in {"target", "logs", "__pycache__"})
            for name in sorted(files):
                path = Path(parent, name)
                if path.suffix in endings:
                    yield f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _files(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        yield hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\n")
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"
