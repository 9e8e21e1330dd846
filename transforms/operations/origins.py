"""Which files an observation of identifiers came in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.identity.explanation import Observation
from transforms.lake.records import ACCEPTED, SUPERSEDED
from transforms.settings import Settings
from transforms.sql import identifier, literal, scratch_connection


@dataclass(frozen=True)
class Origin:
    """Records of one file that hold an observation's identifiers, and only these; ``row`` is the first of them."""

    file: str
    records: int
    row: int


def origins(settings: Settings, observations: Collection[Observation]) -> dict[str, list[Origin]]:
    """Files of each observation, by its key, the one with the most records first.

    Searches the accepted rows of the sources in question. An observation whose device was left out, because it
    belongs to the shop's own equipment, is not found: the records name the device.
    """
    found: dict[str, list[Origin]] = {}
    with scratch_connection(settings) as connection:
        for source in sorted({observation.source for observation in observations}):
            files = sorted(settings.lake.glob(f"[!_]*/{source}/*/{ACCEPTED}"))
            if not files:
                continue
            of_source = [observation for observation in observations if observation.source == source]
            kinds = sorted({kind for observation in of_source for kind in observation.values})
            carried = _identifier_columns(files, kinds)
            wanted = {"key": [o.key for o in of_source]} | {k: [o.values.get(k) for o in of_source] for k in carried}
            types = pa.schema([(name, pa.string()) for name in wanted])
            connection.register("wanted", pa.table(wanted, schema=types))
            same = " AND ".join(f"{_text(kind)} IS NOT DISTINCT FROM w.{identifier(kind)}" for kind in carried)
            history = [file.with_name(SUPERSEDED) for file in files if file.with_name(SUPERSEDED).exists()]
            current = f"ANTI JOIN {_scan(history)} AS s USING (_batch_id, _row)" if history else ""
            rows = connection.execute(f"""
                SELECT w.key, a._file, count(*), min(a._row)
                FROM {_scan(files)} AS a JOIN wanted w ON {same or "false"} {current}
                GROUP BY ALL ORDER BY 1, 3 DESC, 2
            """).fetchall()
            connection.unregister("wanted")
            for key, file, records, row in rows:
                found.setdefault(key, []).append(Origin(file, records, row))
    return found


def _identifier_columns(files: list[Path], kinds: list[str]) -> list[str]:
    """The identifiers among the columns of a source's rows, all that it may carry."""
    names = set(pq.read_schema(files[-1]).names)
    every = ("email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token")
    return [kind for kind in every if kind in names or kind in kinds]


def _scan(files: list[Path]) -> str:
    return f"read_parquet([{', '.join(map(literal, files))}], union_by_name = true)"


def _text(kind: str) -> str:
    return f"nullif(a.{identifier(kind)}, '')"
