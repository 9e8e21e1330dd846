"""Hive partitions: what a file's path says about all its rows, as columns of the file.

A file ``year=2024/month=03/a.parquet`` has a column ``year`` with the text 2024, for contracts that read it; a
partition that no contract reads stays in the file's name alone. A column of the file itself comes first: it is what
the provider wrote into the row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from transforms.contracts import SourceContract
from transforms.lake.inspection import BrokenFileError
from transforms.lake.landing import LandedFile
from transforms.lake.readers import Staged
from transforms.sql import identifier, literal

# What Hive, Spark and DuckDB write for a missing value.
NULL = "__HIVE_DEFAULT_PARTITION__"
_PARTITION = re.compile(r"([^=]+)=(.*)", re.DOTALL)


def partition_values(file: LandedFile) -> dict[str, str | None]:
    """Partition keys of a file with their values, from the folders of its name; the innermost of a key counts."""
    found: dict[str, str | None] = {}
    for folder in file.name.split("/")[:-1]:
        if match := _PARTITION.fullmatch(folder):
            key, value = unquote(match[1]), unquote(match[2])
            found[key] = None if value == NULL else value
    return found


def read_partitions(contract: SourceContract, file: LandedFile) -> dict[str, str | None]:
    """Those partitions of a file that its contract reads."""
    return {key: value for key, value in partition_values(file).items() if key in contract.physical_columns}


def with_partitions(staged: Staged, values: Mapping[str, str | None]) -> Staged:
    """Add partitions to a staged file as text columns, where the file has no column of that name.

    Raises:
        BrokenFileError: a column of the file differs from a partition in upper and lower case only.
    """
    missing = {key: value for key, value in values.items() if key in staged.absent_columns}
    if not missing:
        return staged
    raw, reread = staged.raw, staged.reread
    lowered = {name.lower(): name for name in raw.columns if name not in staged.absent_columns}
    for key in missing:
        if key.lower() in lowered:
            other = lowered[key.lower()]
            raise BrokenFileError(f"columns: '{other}' and the partition '{key}' differ in case only; rename one")
    texts = {key: "NULL" if value is None else literal(value) for key, value in missing.items()}
    # Readers of JSON bring every column that the contract reads, empty where the file has none.
    known = [key for key in missing if key in raw.columns]
    swapped = ", ".join(f"CAST({texts[key]} AS VARCHAR) AS {identifier(key)}" for key in known)
    added = [f"CAST({texts[key]} AS VARCHAR) AS {identifier(key)}" for key in missing if key not in known]
    star = f"* REPLACE ({swapped})" if known else "*"
    return replace(
        staged,
        raw=replace(
            raw,
            name=f"(SELECT {', '.join([star, *added])} FROM {raw.name})",
            columns={**raw.columns, **dict.fromkeys(missing, "VARCHAR")},
        ),
        absent_columns=tuple(name for name in staged.absent_columns if name not in missing),
        reread=None if reread is None else lambda: with_partitions(reread(), values),
    )
