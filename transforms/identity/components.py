"""Connected components of the graph of observations and identifiers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Nodes = npt.NDArray[np.int32]


def connected(nodes: int, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Nodes:
    """Component of each of ``nodes`` nodes under undirected edges ``left[i] – right[i]``.

    Linear in nodes and edges, whatever the shape: a chain of a million costs what a star does (contraction by
    neighbours, as in Splink, takes minutes on chains). Labels are arbitrary; only the partition counts.
    """
    weights = np.ones(len(left), dtype=np.bool_)
    graph = coo_array((weights, (left, right)), shape=(nodes, nodes)).tocsr()
    return connected_components(graph, directed=False)[1].astype(np.int32, copy=False)


def components(matrix: Nodes, nodes: int) -> Nodes:
    """Component of each identifier, where identifiers of one observation belong together.

    :param matrix: observations × types, a node or -1.
    :param nodes: number of nodes.
    :return: component by node; a node that no row holds is alone.
    """
    # Each row is a star around its first identifier: as connected as all pairs, and no vertex for the row itself.
    first = first_held(matrix)
    left: list[Nodes] = []
    right: list[Nodes] = []
    for column in matrix.T:
        linked = (column >= 0) & (column != first)
        left.append(first[linked])
        right.append(column[linked])
    return connected(nodes, np.concatenate(left), np.concatenate(right))


def first_held(matrix: Nodes) -> Nodes:
    """The strongest identifier of each observation, -1 for an observation without any."""
    first = np.full(len(matrix), -1, dtype=np.int32)
    for column in matrix.T[::-1]:
        np.copyto(first, column, where=column >= 0)
    return first
