"""Values that change hands: a mobile number that is given out again, a telephone that is sold on.

Between two owners such a value rests. Where it has not been seen for longer than the policy allows, and the customers
before and after the pause have nothing in common, it belonged to the one and then to the other, and joins neither with
the other. A customer who is seen on both sides of the pause has merely been away. Observations that hold nothing else
and reach over a pause are nobody's: the value's records of that time cannot be told apart. Nor does anybody own those
that hold nothing else and that a pause parts from all who are known by it, or that lie long before any of these was
seen at all: a telephone that was sold shows up in a shop, and its new owner may never give a name. That such an
observation reaches over a pause itself is unlikely: it is of one calendar month (the macro ``identity_key``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.identity.components import Nodes
from transforms.identity.limits import Ints, Tenure, distinct_pairs

_DAYS = 1 << 20  # more days than any calendar holds


@dataclass(frozen=True)
class Days:
    """First and last day on which each observation was seen, as days since 1970."""

    first: Ints
    last: Ints

    @classmethod
    def always(cls, rows: int) -> Days:
        """Of observations without times: all seen on one day."""
        return cls(np.zeros(rows, np.int64), np.zeros(rows, np.int64))

    def of(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Days:
        """Those of some observations."""
        return Days(self.first[rows], self.last[rows])


def _stays(values: Nodes, days: Days, idle_days: int) -> tuple[Ints, Ints]:
    """Order observations by value and day, and number the times between pauses, over all values.

    :return: the order, and the number of each observation in it.
    """
    order = np.lexsort((days.last, days.first, values))
    value = values[order].astype(np.int64)
    new_value = np.empty(len(order), dtype=bool)
    new_value[:1] = True
    new_value[1:] = value[1:] != value[:-1]
    # The days of each value lie above those of the value before, so one running maximum serves all.
    base = (np.cumsum(new_value) - 1) * _DAYS
    until = np.maximum.accumulate(base + days.last[order])
    pause = np.zeros(len(order), dtype=bool)
    pause[1:] = base[1:] + days.first[order][1:] - until[:-1] > idle_days
    return order.astype(np.int64), np.cumsum(new_value | pause, dtype=np.int64)


def values_with_pauses(column: Nodes, strongest: Nodes, days: Days, idle_days: int) -> npt.NDArray[np.integer]:
    """Values of one type that may have changed hands.

    :param strongest: a stronger identifier of each observation, -1 where it holds none.
    """
    rows = np.flatnonzero((column >= 0) & (strongest >= 0))
    if not len(rows):
        return np.empty(0, dtype=column.dtype)
    rows = rows[_span(column[rows], days.of(rows)) > idle_days]
    order, stay = _stays(column[rows], days.of(rows), idle_days)
    rows = rows[order]
    # Several times, and several customers who could have had it in turn.
    return np.intersect1d(_several(column[rows], stay), _several(column[rows], strongest[rows]))


def _span(values: Nodes, days: Days) -> Ints:
    """Of each observation the longest pause that its value could have; most are too short to be looked at."""
    earliest_end = np.full(int(values.max()) + 1, np.iinfo(np.int64).max)
    latest_start = np.full(len(earliest_end), np.iinfo(np.int64).min)
    np.minimum.at(earliest_end, values, days.last)
    np.maximum.at(latest_start, values, days.first)
    return latest_start[values] - earliest_end[values]


def _several(values: npt.NDArray[np.integer], others: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Values that stand beside more than one other."""
    found, times = np.unique(distinct_pairs(values, others)[0], return_counts=True)
    return found[times > 1]


def seen_alone(column: Nodes, owner: npt.NDArray[np.integer], days: Days, alone_days: int) -> npt.NDArray[np.int64]:
    """Observations without an owner that are none of those who are known by their value.

    Pauses of the value part them from all observations that have an owner, and not the same one was seen before and
    after; or they begin too long before any observation of the owners. A value that nobody is known by has no owner to
    be far from.

    :param owner: of each observation the customer, or a stronger identifier; -1 for none.
    """
    rows = np.flatnonzero((column >= 0) & np.isin(column, column[(column >= 0) & (owner >= 0)]))
    rows = rows[np.isin(column[rows], column[rows[owner[rows] < 0]])]
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    order, stay = _stays(column[rows], days.of(rows), alone_days)
    rows = rows[order]
    value, of_row = column[rows], owner[rows]
    is_owned = of_row >= 0
    is_parted = (np.bincount(stay, weights=is_owned) == 0)[stay]
    place = np.arange(len(rows))
    before = np.maximum.accumulate(np.where(is_owned, place, 0))
    after = np.minimum.accumulate(np.where(is_owned, place, len(rows) - 1)[::-1])[::-1]
    was_away = (value[before] == value) & (value[after] == value) & (of_row[before] == of_row[after])
    of_owner = _least(owner[owner >= 0], days.first[owner >= 0])
    known = _least(value[is_owned], of_owner[of_row[is_owned]])[value]
    is_early = known - days.first[rows] > alone_days
    return np.sort(rows[~is_owned & (is_parted & ~was_away | is_early)])


def _least(things: npt.NDArray[np.integer], numbers: Ints) -> Ints:
    """The least number of each thing."""
    least = np.full(int(things.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, things, numbers)
    return least


def split(column: Nodes, of_row: Ints, days: Days, idle_days: int, next_node: int) -> tuple[Nodes, list[Tenure], Ints]:
    """Give the tenures of values that changed hands nodes of their own.

    :param of_row: customer of each observation by stronger types, -1 for none.
    :param next_node: number of the first new node.
    :return: the column with the new nodes, -1 where a value is nobody's; the tenures; and the rows of the latter.
    """
    candidates = values_with_pauses(column, of_row.astype(np.int32), days, idle_days)
    if not len(candidates):
        return column, [], np.empty(0, np.int64)
    column = column.copy()
    tenures: list[Tenure] = []
    nobodys: list[int] = []
    held = np.flatnonzero(np.isin(column, candidates))
    held = held[np.argsort(column[held], kind="stable")]
    for rows in np.split(held, np.flatnonzero(np.diff(column[held])) + 1):
        node = int(column[rows[0]])
        owned = rows[of_row[rows] >= 0]
        parts = list(_owners(owned, column, of_row, days, idle_days))
        if len(parts) < 2:
            continue
        found = [
            Tenure(node, next_node + len(tenures) + i, int(days.first[part].min()), int(days.last[part].max()))
            for i, part in enumerate(parts)
        ]
        for tenure, part in zip(found, parts, strict=True):
            column[part] = tenure.own
        for row in rows[of_row[rows] < 0].tolist():
            own = next((t.own for t in found if t.first_day <= days.first[row] and days.last[row] <= t.last_day), -1)
            column[row] = own
            if own < 0:
                nobodys.append(row)
        tenures += found
    return column, tenures, np.array(nobodys, dtype=np.int64)


def _owners(rows: Ints, column: Nodes, of_row: Ints, days: Days, idle_days: int) -> Iterator[Ints]:
    """Observations of one value, in times that have no customer in common."""
    order, stay = _stays(column[rows], days.of(rows), idle_days)
    stays = [rows[order[stay == number]] for number in np.unique(stay)]
    last_with = {int(customer): i for i, part in enumerate(stays) for customer in of_row[part]}
    open_until, begin = 0, 0
    for i, part in enumerate(stays):
        open_until = max(open_until, *(last_with[int(customer)] for customer in of_row[part]))
        if open_until == i:
            yield np.concatenate(stays[begin : i + 1])
            begin = i + 1
