"""Who must stay apart: pairs of records or identifiers that people have declared to be two customers.

Each pair ``k`` marks its sides with ``2k`` and ``2k + 1``. A customer that would carry both marks of a pair must not be
made, over whatever path; the marks travel with the customers as these merge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes
from transforms.identity.limits import Ints, distinct_pairs

NEVER = "would join what never_link keeps apart"
_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Marked:
    """Things (rows, nodes, customers or clusters) and the marks that they carry, one per pair."""

    things: Ints = field(default_factory=_NONE.copy)
    marks: Ints = field(default_factory=_NONE.copy)

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Marked:
        """From (thing, mark) pairs."""
        table = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
        return cls(table[:, 0], table[:, 1])

    def where(self, kept: npt.NDArray[np.bool_]) -> Marked:
        """Some of the pairs."""
        return Marked(self.things[kept], self.marks[kept])

    def moved(self, to: npt.NDArray[np.integer]) -> Marked:
        """The same marks on what their things have become; negative is nothing."""
        things = to[self.things].astype(np.int64)
        return Marked(things, self.marks).where(things >= 0)

    def __add__(self, other: Marked) -> Marked:
        return Marked(np.concatenate([self.things, other.things]), np.concatenate([self.marks, other.marks]))

    def __len__(self) -> int:
        return len(self.things)

    def torn(self) -> Ints:
        """Things that carry both marks of a pair."""
        things, marks = distinct_pairs(self.things, self.marks)
        keys = things << 32 | marks
        return np.unique(things[np.isin(keys ^ 1, keys)])

    def by_thing(self) -> dict[int, set[int]]:
        """The marks of each thing."""
        found: dict[int, set[int]] = {}
        for thing, mark in zip(self.things.tolist(), self.marks.tolist(), strict=True):
            found.setdefault(thing, set()).add(mark)
        return found


@dataclass(frozen=True)
class Apart:
    """Marks of rows and of nodes of the graph."""

    rows: Marked = field(default_factory=Marked)
    nodes: Marked = field(default_factory=Marked)

    def __len__(self) -> int:
        return len(self.rows) + len(self.nodes)


def is_torn(marks: Iterable[int]) -> bool:
    """Whether marks hold both sides of a pair."""
    held = set(marks)
    return any(mark ^ 1 in held for mark in held)


def cut_within_rows(matrix: Nodes, apart: Apart) -> tuple[Nodes, Ints, Ints]:
    """Take identifiers out of observations that themselves hold both sides of a pair, the weaker one first.

    :return: the matrix, a copy where anything was taken out, and the rows and nodes of what was.
    """
    if not len(apart):
        return matrix, _NONE, _NONE
    marks_of_node, marks_of_row = apart.nodes.by_thing(), apart.rows.by_thing()
    marked = np.isin(matrix, np.array(sorted(marks_of_node), dtype=matrix.dtype))
    count = marked.sum(axis=1)
    count[list(marks_of_row)] += count[list(marks_of_row)] > 0
    rows: list[int] = []
    nodes: list[int] = []
    for row in np.flatnonzero(count > 1).tolist():
        held = set(marks_of_row.get(row, ()))
        for node in matrix[row][marked[row]].tolist():  # from the strongest type to the weakest
            if is_torn(held | marks_of_node[node]):
                rows.append(row)
                nodes.append(node)
            else:
                held |= marks_of_node[node]
    if not rows:
        return matrix, _NONE, _NONE
    matrix = matrix.copy()
    for row, node in zip(rows, nodes, strict=True):
        matrix[row][matrix[row] == node] = -1
    return matrix, np.array(rows, dtype=np.int64), np.array(nodes, dtype=np.int64)
