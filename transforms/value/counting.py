"""Many counts of days by age in few sums.

A count with a FILTER costs as much as all of a plain GROUP BY's bookkeeping for a row. But each day lies in one class
between the edges of the ranges that are counted: a row adds 2^(w·class) to a sum, w bits hold the count of a class, and
what a range holds is read from the sum once for each group. Sums are of DOUBLE, exact up to 2^53 in any order of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_EXACT_BITS = 52

Ranges = Mapping[str, tuple[int, int | None]]


def counts_by_age(ranges: Ranges, most_rows: int) -> tuple[dict[str, str], dict[str, str]]:
    """SQL that counts the rows of a group whose whole number ``age`` lies in each range [low, high).

    Returns aggregates by name, and for each range an expression over these names. No age is negative.

    :param most_rows: rows that a group has at most.
    :raises ValueError: if so many rows cannot be counted exactly.
    """
    bits = most_rows.bit_length()
    if bits > _EXACT_BITS:
        raise ValueError(f"{most_rows} rows of a group are more than the {_EXACT_BITS} bits of a sum can count")
    edges = sorted({edge for low, high in ranges.values() for edge in (low, high) if edge})
    a_sum = _EXACT_BITS // bits
    starts = [0, *edges]
    sums = {
        f"packed_{first // a_sum}": _packed(edges, range(first, min(first + a_sum, len(starts))), bits)
        for first in range(0, len(starts), a_sum)
    }
    return sums, {
        name: _unpacked([place for place, start in enumerate(starts) if _within(start, *bounds)], bits, a_sum)
        for name, bounds in ranges.items()
    }


def _within(start: int, low: int, high: int | None) -> bool:
    return start >= low and (high is None or start < high)


def _packed(edges: Sequence[int], classes: range, bits: int) -> str:
    """Sum of the classes' powers; a class outside adds nothing."""
    powers = [f"{1 << bits * place}::DOUBLE" for place in range(len(classes))]
    steps = [
        f"WHEN age < {edges[place]} THEN {power}"
        for place, power in zip(classes, powers, strict=True)
        if place < len(edges)
    ]
    below = [f"WHEN age < {edges[classes.start - 1]} THEN 0::DOUBLE"] if classes.start else []
    last = "0::DOUBLE" if classes.stop <= len(edges) else powers[-1]
    return f"sum(CASE {' '.join([*below, *steps])} ELSE {last} END)" if below or steps else f"sum({last})"


def _unpacked(classes: Sequence[int], bits: int, a_sum: int) -> str:
    parts = [
        f"((packed_{place // a_sum}::BIGINT >> {bits * (place % a_sum)}) & {(1 << bits) - 1})" for place in classes
    ]
    return f"CAST({' + '.join(parts) or '0'} AS INTEGER)"
