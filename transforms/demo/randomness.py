"""Seeded draws, exact shares and unique-looking identifiers, all on whole columns."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Columns = TypeVar("Columns", bound=Any)
"""A frozen dataclass of columns: arrays and series of one length."""


def generator(seed: int, block: int, stage: str) -> np.random.Generator:
    """Generator of one stage of one block.

    Each stage has its own stream, so that a new draw in one stage leaves the numbers of all the
    others (and the figures that people remember from them) as they are.
    """
    words = np.frombuffer(hashlib.sha256(stage.encode()).digest()[:16], dtype="<u4")
    entropy = [seed % 2**64, block, *(int(word) for word in words)]
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def exact_categories(rng: np.random.Generator, size: int, shares: list[float]) -> Ints:
    """Category of each of ``size`` members, each share met to within one member, in random order.

    Drawing each member on its own would leave the planted shares to chance, and a small company
    would miss them by several points.
    """
    bounds = np.cumsum(shares)
    # one random offset for all members is systematic sampling: every share within one member
    positions = (np.arange(size) + rng.random()) / max(size, 1)
    return rng.permutation(np.searchsorted(bounds, positions, side="right").clip(max=len(shares) - 1))


def strata(rng: np.random.Generator, size: int) -> Floats:
    """One point in each of ``size`` equal slices of (0, 1), ascending."""
    return (np.arange(size) + rng.uniform(0.25, 0.75, size)) / max(size, 1)


def scatter(index: Ints, modulus: int, step: int) -> Ints:
    """Numbers below ``modulus`` without a visible order, unique for unique ``index`` below it.

    ``step`` must be prime and no divisor of ``modulus``: multiplication is then a permutation.
    """
    return (index % modulus) * step % modulus


def hexadecimal(index: Ints, salt: int) -> pl.Series:
    """Sixteen hexadecimal digits for each number, unique for unique numbers of one salt.

    The mixing is the finaliser of SplitMix64 (Steele, Lea, Flood 2014), which is a bijection of
    64-bit words, so that two different numbers never meet.
    """
    with np.errstate(over="ignore"):
        word = index.astype(np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B97F4A7C15)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        word = word ^ (word >> np.uint64(31))
    raw = pa.Array.from_buffers(pa.binary(8), len(word), [None, pa.py_buffer(word.astype(">u8").tobytes())])
    return pl.Series(raw, dtype=pl.Binary).bin.encode("hex")


def pick(values: pl.Series, index: Ints, where: Bools | None = None) -> pl.Series:
    """``values[index]``, null where ``where`` is false."""
    if where is None:
        return values.gather(index)
    positions = pa.array(index, mask=~where)
    return values.gather(pl.Series(positions, dtype=pl.Int64))


def weighted(rng: np.random.Generator, size: int, weights: npt.ArrayLike) -> Ints:
    """Indices drawn in proportion to ``weights``."""
    bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.searchsorted(bounds, rng.random(size) * bounds[-1], side="right")


def starts(counts: Ints) -> Ints:
    """Position at which each group begins when groups of these sizes stand one after another."""
    return np.cumsum(counts) - counts


def within(counts: Ints) -> Ints:
    """0, 1, 2 … inside each group, for groups of these sizes standing one after another."""
    return np.arange(int(counts.sum())) - np.repeat(starts(counts), counts)


def joined(*parts: Columns) -> Columns:
    """One set of columns from several, one after another."""

    def stacked(name: str) -> Any:
        columns = [getattr(part, name) for part in parts]
        return pl.concat(columns) if isinstance(columns[0], pl.Series) else np.concatenate(columns)

    return type(parts[0])(**{field.name: stacked(field.name) for field in fields(parts[0])})


def taken(columns: Columns, index: Ints) -> Columns:
    """The entries of a set of columns at these positions."""
    picked = {field.name: getattr(columns, field.name)[index] for field in fields(columns)}
    return type(columns)(**picked)
