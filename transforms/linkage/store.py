"""Where linkage lies: ``<lake>/linkage``.

- ``runs/<run>``: ``links.parquet``, ``clusters.parquet`` and ``state.json``; ``profiles.parquet`` and
  ``likely.parquet`` for the next run with the same model. ``current`` names the run that holds.
- ``models/<version>.json`` and ``.parquet``, the terms, with its charts ``.html``: every model that a run has used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.durability import sync
from transforms.linkage.memory import FINGERPRINTS, LIKELY, Remembered
from transforms.linkage.model import Model
from transforms.run_folders import RunFolders
from transforms.settings import Settings

LINKS = pa.schema(
    [
        ("left_profile", pa.string()),
        ("right_profile", pa.string()),
        ("probability", pa.float64()),
        ("match_weight", pa.float64()),
        ("model", pa.string()),
    ]
)
CLUSTERS = pa.schema([("record_id", pa.string()), ("cluster", pa.string())])


class LinkageStore(RunFolders):
    """The folder of linkage of one lake."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.lake / "linkage")
        self.models = self.folder / "models"

    def state(self) -> dict[str, Any] | None:
        """What the current run wrote of itself, None before the first."""
        return self.state_of(self.current) if self.exists() else None

    def links(self) -> pa.Table:
        """Links of the current run."""
        return pq.read_table(self.current / "links.parquet", schema=LINKS)

    def models_used(self) -> list[str]:
        """Versions of the models that runs have used, the last one last."""
        return (self.state() or {}).get("models_used", [])

    def model(self, version: str | None = None) -> Model | None:
        """A model that some run had, or that of the current run; None if there is none that this release can read.

        :raises ValueError: if its files were changed by hand.
        """
        version = version or (self.state() or {}).get("model")
        file, terms = self.models / f"{version}.json", self.models / f"{version}.parquet"
        if not version or not file.exists() or not terms.exists():
            return None
        return Model.from_json(file.read_text(encoding="utf-8"), pq.read_table(terms))

    def remembered(self) -> Remembered | None:
        """What the current run has left for the next one, None if it found nothing to compare."""
        profiles, pairs = self.current / "profiles.parquet", self.current / "likely.parquet"
        if not profiles.exists() or not pairs.exists():
            return None
        return Remembered(pq.read_table(profiles, schema=FINGERPRINTS), pq.read_table(pairs, schema=LIKELY))

    def keeps(self, version: str) -> bool:
        """Whether a model and its charts are there."""
        return all((self.models / f"{version}.{ending}").exists() for ending in ("html", "parquet", "json"))

    def keep_model(self, model: Model, charts: str) -> None:
        """Write a model and its charts, as far as they are not there."""
        self.models.mkdir(parents=True, exist_ok=True)
        terms = pa.BufferOutputStream()
        pq.write_table(model.frequencies.terms, terms, compression="zstd")
        contents = {
            "html": charts.encode(),
            "parquet": terms.getvalue().to_pybytes(),
            "json": model.to_json().encode(),
        }
        for ending, content in contents.items():
            name = f"{model.version}.{ending}"
            if not (self.models / name).exists():
                draft = self.models / f".{name}"
                draft.write_bytes(content)
                sync(draft)
                draft.replace(self.models / name)
        sync(self.models)

    def write_run(self, run_id: str, tables: Mapping[str, pa.Table], state: Mapping[str, Any]) -> None:
        """Write the tables of a run and make it current."""
        with self.new_run(run_id, state) as folder:
            for name, table in tables.items():
                pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
