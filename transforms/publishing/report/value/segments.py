"""Segments: the map of scores, and who went from one to another."""

from __future__ import annotations

from dataclasses import dataclass

from transforms.publishing.report import wording
from transforms.publishing.report.value.content import ValueReport
from transforms.publishing.report.value.shapes import Shaded, heat

CAUSES = {
    "new_data": "purchases and returns since, or late ones",
    "time_passed": "the last purchase grew older, or left the window",
    "identity_changed": "records passed from one customer to another",
    "cut_points_moved": "the others bought more or less",
    "definition_changed": "window, grid or pinned cut points",
}


@dataclass(frozen=True)
class MatrixRow:
    """Where the customers of a segment went."""

    name: str
    customers: int
    cells: tuple[Shaded, ...]


@dataclass(frozen=True)
class Matrix:
    """Segments from (rows) to (columns)."""

    columns: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


def segment_map(report: ValueReport) -> dict[tuple[int, int], Shaded]:
    """Cells by recency score and frequency-and-money score."""
    everybody = sum(cell.customers for cell in report.cells)
    most = max((cell.customers for cell in report.cells), default=0)
    return {
        (cell.r_score, cell.fm_score): Shaded(
            heat(cell.customers, most), cell.customers / everybody, cell.customers, cell.segment
        )
        for cell in report.cells
    }


def migration(report: ValueReport) -> Matrix:
    """Moves of the latest month, segments in the order of the report."""
    order = list(wording.SEGMENTS)

    def place(name: str) -> tuple[int, str]:
        return (order.index(name) if name in order else len(order), name)

    columns = sorted({move.to_segment for move in report.moves}, key=place)
    rows = []
    for name in sorted({move.from_segment for move in report.moves}, key=place):
        to = {move.to_segment: move for move in report.moves if move.from_segment == name}
        cells = tuple(
            Shaded(heat(to[column].share, 1), to[column].share, stays=column == name)
            if column in to
            else Shaded(0, stays=column == name)
            for column in columns
        )
        rows.append(MatrixRow(name, sum(move.customers for move in to.values()), cells))
    return Matrix(tuple(columns), tuple(rows))
