"""Bridges: edges of the graph without which a customer falls into two.

Every edge outside a spanning forest gets a random number; the exclusive or of the numbers at the nodes below a tree
edge is zero if and only if none of them leads past it, but for a chance of 2⁻⁶⁴ (Pritchard, Thurimella 2011, Fast
computation of small cuts via cycle space sampling). All in arrays: linear in nodes and edges, whatever the shape.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from transforms.identity.components import connected
from transforms.identity.limits import Ints


def smaller_sides(nodes: int, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Ints:
    """For each edge that is a bridge the number of nodes on its smaller side, 0 for others.

    An edge that is there twice, or leads from a node to itself, is no bridge.
    """
    sides = np.zeros(len(left), dtype=np.int64)
    if not len(left):
        return sides
    low, high = np.minimum(left, right).astype(np.int64), np.maximum(left, right).astype(np.int64)
    keys, first, times = np.unique(low << 32 | high, return_index=True, return_counts=True)
    low, high = keys >> 32, keys & 0xFFFFFFFF
    order, parent = _forest(nodes, low, high)
    # The tree edge above a node, by the node below; those whose edge is there once.
    is_tree = (parent[high] == low) | (parent[low] == high)
    below = np.where(parent[high] == low, high, low)
    signs = np.random.default_rng(7).integers(0, 1 << 63, size=len(keys), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    around = np.zeros(nodes + 1, dtype=np.uint64)
    loose = ~is_tree & (low != high)
    for end in (low, high):
        np.bitwise_xor.at(around, end[loose], signs[loose])
    size = np.ones(nodes + 1, dtype=np.int64)
    for level in reversed(_levels(order, parent)):
        np.bitwise_xor.at(around, parent[level], around[level])
        np.add.at(size, parent[level], size[level])
    label = connected(nodes, low, high)
    whole = np.bincount(label, minlength=int(label.max()) + 1)[label]
    is_bridge = is_tree & (around[below] == 0) & (times == 1)
    found = np.minimum(size[below], whole[below] - size[below])
    sides[first[is_bridge]] = found[is_bridge]
    return sides


def _forest(nodes: int, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """A spanning forest, hung up at one root behind all nodes: order of visit without the root, and parents."""
    roots = np.unique(connected(nodes, low, high), return_index=True)[1]
    starts = np.concatenate([low, np.full(len(roots), nodes)])
    ends = np.concatenate([high, roots])
    graph = coo_array((np.ones(len(starts), dtype=np.int8), (starts, ends)), shape=(nodes + 1, nodes + 1)).tocsr()
    order, parent = breadth_first_order(graph, nodes, directed=False)
    return order[1:].astype(np.int64), parent.astype(np.int64)


def _levels(order: Ints, parent: Ints) -> list[Ints]:
    """The nodes by their distance from the root."""
    place = np.full(len(parent), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    above = place[parent[order]]  # never falls along the order, because nearer nodes are visited first
    levels: list[Ints] = []
    start, end = 0, int(np.searchsorted(above, 0))
    while start < len(order):
        levels.append(order[start:end])
        start, end = end, int(np.searchsorted(above, end))
    return levels
