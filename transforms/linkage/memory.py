"""What a run leaves for the next one with the same model, so that it compares only profiles that are new to it.

The probability of a pair depends on its two profiles and the model alone. So a pair of profiles that have not changed
has the one that it had, and whoever was too unlikely to matter still is.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

FINGERPRINTS = pa.schema([("record_id", pa.string()), ("fingerprint", pa.uint64())])
LIKELY = pa.schema([("left_profile", pa.string()), ("right_profile", pa.string()), ("probability", pa.float64())])

_CHANGED = "changed_profiles"


@dataclass(frozen=True)
class Remembered:
    """``profiles``: fingerprint of each, see :data:`FINGERPRINTS`; ``pairs``: the likely ones, see :data:`LIKELY`."""

    profiles: pa.Table
    pairs: pa.Table


@dataclass(frozen=True)
class Likely:
    """Pairs by profile number, and how probable it is that they are one person."""

    left: Ints
    right: Ints
    probability: Floats

    def __len__(self) -> int:
        return len(self.left)

    def __add__(self, other: Likely) -> Likely:
        return Likely(
            np.concatenate([self.left, other.left]),
            np.concatenate([self.right, other.right]),
            np.concatenate([self.probability, other.probability]),
        )


NONE = Likely(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32), np.empty(0))


def changed_profiles(connection: duckdb.DuckDBPyConnection, remembered: Remembered) -> str:
    """Make a table of the rows of ``profiles`` that are new or have changed.

    :return: its name.
    """
    connection.register("remembered_profiles", remembered.profiles)
    connection.execute(f"""
        CREATE OR REPLACE TABLE {_CHANGED} AS
        SELECT * FROM profiles ANTI JOIN (
            SELECT uid FROM ({_fingerprints()}) JOIN remembered_profiles USING (record_id, fingerprint)
        ) USING (uid)
    """)
    connection.unregister("remembered_profiles")
    return _CHANGED


def kept_pairs(connection: duckdb.DuckDBPyConnection, remembered: Remembered) -> Likely:
    """Likely pairs of two profiles that have not changed. Needs :func:`changed_profiles`."""
    connection.register("remembered_pairs", remembered.pairs)
    rows = connection.execute(f"""
        WITH same AS (SELECT uid, record_id FROM profiles ANTI JOIN {_CHANGED} USING (uid))
        SELECT l.uid AS l, r.uid AS r, probability FROM remembered_pairs p
        JOIN same l ON l.record_id = p.left_profile JOIN same r ON r.record_id = p.right_profile
    """).fetchnumpy()
    connection.unregister("remembered_pairs")
    return Likely(
        np.asarray(rows["l"], dtype=np.int32),
        np.asarray(rows["r"], dtype=np.int32),
        np.asarray(rows["probability"], dtype=np.float64),
    )


def remember(connection: duckdb.DuckDBPyConnection, likely: Likely) -> Remembered:
    """What the next run needs to know of ``profiles`` and their likely pairs."""
    profiles = connection.sql(f"SELECT record_id, fingerprint FROM ({_fingerprints()}) ORDER BY uid").to_arrow_table()
    records = profiles["record_id"].combine_chunks()
    order = np.lexsort((likely.right, likely.left))
    pairs = {
        "left_profile": records.take(pa.array(likely.left[order])),
        "right_profile": records.take(pa.array(likely.right[order])),
        "probability": likely.probability[order],
    }
    return Remembered(profiles.cast(FINGERPRINTS), pa.table(pairs, schema=LIKELY))


def _fingerprints() -> str:
    """Query of a 64-bit ``fingerprint`` of all that a profile holds."""
    return "SELECT uid, record_id, hash(*COLUMNS(* EXCLUDE (uid))) AS fingerprint FROM profiles"
