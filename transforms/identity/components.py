"""Connected components of the graph of observations and identifiers."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Nodes = npt.NDArray[np.int32]
Found = TypeVar("Found")


def connected(nodes: int, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Nodes:
    """Component of each of ``nodes`` nodes under undirected edges ``left[i] – right[i]``, numbered from 0."""
    least = least_connected(nodes, left, right)
    is_least = least == np.arange(nodes, dtype=np.int32)
    return (np.cumsum(is_least, dtype=np.int32) - np.int32(1))[least]


def least_connected(nodes: int, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Nodes:
    """The least node of the component of each of ``nodes`` nodes under undirected edges ``left[i] – right[i]``.

    Each round hooks the greater end of an edge to the lesser one, flattens what hangs together, and goes on with the
    edges between the trees that are left (Shiloach, Vishkin 1982). An edge is looked at once or twice, whatever the
    shape: contraction by neighbours, as in Splink, takes minutes on a chain of a hundred thousand.
    """
    above = np.arange(nodes, dtype=np.int32)
    is_first = True
    while len(left):
        # Of several edges that hook one root, any may win, whichever thread comes last: all of them lead downwards.
        _by_blocks(partial(_hook, above, left, right), len(left))
        # In the first round any node may have been hooked, later few roots have.
        _flatten(above, _deep(above) if is_first else np.maximum(left, right))
        kept = _by_blocks(partial(_still_apart, above, left, right), len(left))
        left, right = (np.concatenate([pair[side] for pair in kept]) for side in (0, 1))
        is_first = False
    _flatten(above, _deep(above))
    return above


def _hook(above: Nodes, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer], block: slice) -> None:
    above[np.maximum(left[block], right[block])] = np.minimum(left[block], right[block])


def _deep(above: Nodes) -> npt.NDArray[np.intp]:
    """Nodes whose parent is no root: whoever's parent is one stays where it is."""

    def deep(block: slice) -> npt.NDArray[np.intp]:
        parent = above[block]
        return np.flatnonzero(above[parent] != parent) + block.start

    return np.concatenate([np.empty(0, np.intp), *_by_blocks(deep, len(above))])


def _flatten(above: Nodes, nodes: npt.NDArray[np.integer]) -> None:
    """Point some nodes at their roots, in place; all on the way there must be among them."""
    while len(nodes):
        parent = above[nodes]
        higher = above[parent]
        above[nodes] = higher
        nodes = nodes[higher != parent]


def _still_apart(
    above: Nodes, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer], block: slice
) -> tuple[Nodes, Nodes]:
    low, high = above[left[block]], above[right[block]]
    apart = low != high
    return low[apart], high[apart]


def _by_blocks(work: Callable[[slice], Found], length: int) -> list[Found]:
    """Do some work for every block of a length, in order or, where there is much of it, by all processors.

    A block stays within the processor's cache, and NumPy lets other threads go on while it indexes, sorts or computes.
    """
    blocks = [slice(start, min(start + _BLOCK, length)) for start in range(0, length, _BLOCK)]
    if len(blocks) < _MANY:
        return [work(block) for block in blocks]
    with ThreadPoolExecutor(_PROCESSORS) as pool:
        return list(pool.map(work, blocks))


_BLOCK = 1 << 17
# What one thread works on by many small steps must leave room for all of them in its own cache.
_CACHED = 1 << 14
_MANY = 8
_PROCESSORS = os.cpu_count() or 1


def clusters_of_edges(connection: duckdb.DuckDBPyConnection, edges: str, left: str, right: str) -> None:
    """Make ``clusters`` (node, cluster) of the nodes of a table of edges, named by any 64-bit integers."""
    [(count,)] = connection.execute(f"SELECT count(*) FROM {edges}").fetchall()
    ends = _plain_pages(2 * count, np.int64).reshape(2, count)
    read = 0
    # By batches: a whole column more would have to be copied.
    for batch in connection.sql(f"SELECT {left}, {right} FROM {edges}").to_arrow_reader(_BLOCK):
        for side in (0, 1):
            ends[side, read : read + len(batch)] = batch.column(side).to_numpy()
        read += len(batch)
    nodes, index = numbered(ends.reshape(-1))
    del ends
    cluster = least_connected(len(nodes), index[:count], index[count:])
    connection.register("labelled", pa.table({"node": pa.array(nodes), "cluster": pa.array(cluster)}))
    connection.execute("CREATE OR REPLACE TEMP TABLE clusters AS FROM labelled")
    connection.unregister("labelled")


def numbered(values: npt.NDArray[np.int64], hash_bits: int = 64) -> tuple[npt.NDArray[np.int64], Nodes]:
    """Number distinct values: the values, in any order, and the number of each one given.

    Numbering is most of the work of components. Sorting one word that holds a hash and the position costs a tenth of
    what an indirect sort of the values does; the few values that share a hash are put in order afterwards. All but the
    sort goes block by block, within the processor's cache: touching new memory costs more than computing.

    :param hash_bits: bits of the hash to use at most.
    """
    if not len(values):
        return values, np.empty(0, np.int32)
    bits = np.uint64(max(1, (len(values) - 1).bit_length()))
    word = _words(values, min(hash_bits, 64 - int(bits)), bits)
    word.sort()
    index = _plain_pages(len(values), np.int32)
    nodes = word.view(np.int64)  # what has been read makes room for what was found
    found = start = 0
    while start < len(word):
        end = _end_of_block(word, start, bits)
        order = (word[start:end] & ((np.uint64(1) << bits) - np.uint64(1))).view(np.int64)
        hashes = word[start:end] >> bits
        held = values[order]
        new = np.ones(end - start, dtype=bool)
        np.not_equal(held[1:], held[:-1], out=new[1:])
        clash = new[1:] & (hashes[1:] == hashes[:-1])
        if clash.any():
            _sort_within(hashes, held, order, np.unique(hashes[1:][clash]))
            np.not_equal(held[1:], held[:-1], out=new[1:])
        index[order] = np.cumsum(new, dtype=np.int32) + np.int32(found - 1)
        distinct = held[new]
        nodes[found : found + len(distinct)] = distinct
        found += len(distinct)
        start = end
    return nodes[:found], index


def _plain_pages(length: int, dtype: type[np.integer[Any]]) -> npt.NDArray[Any]:
    """An array of zeros. NumPy asks for huge pages, for which the kernel may move memory about for half a second."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return np.frombuffer(mmap.mmap(-1, max(length, 1) * np.dtype(dtype).itemsize, flags=flags), dtype, length)


def _words(values: npt.NDArray[np.int64], hash_bits: int, position_bits: np.uint64) -> npt.NDArray[np.uint64]:
    """Of each value a hash, and in the lowest bits its position."""
    words = _plain_pages(len(values), np.uint64)
    shifted = np.empty(_CACHED, dtype=np.uint64)
    for start in range(0, len(values), _CACHED):
        word = words[start : start + _CACHED]
        word[:] = values[start : start + _CACHED].view(np.uint64)
        other = shifted[: len(word)]
        # SplitMix64's finaliser (Steele, Lea, Flood 2014): structure in ids must not show.
        for bits, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            np.right_shift(word, np.uint64(bits), out=other)
            word ^= other
            word *= np.uint64(factor)
        word >>= np.uint64(64 - hash_bits)
        word <<= position_bits
        word |= np.arange(start, start + len(word), dtype=np.uint64)
    return words


def _end_of_block(word: npt.NDArray[np.uint64], start: int, position_bits: np.uint64) -> int:
    """Where a block that starts here may end: not between values of one hash."""
    end = start + _CACHED
    if end >= len(word):
        return len(word)
    greatest = word[end - 1] | ((np.uint64(1) << position_bits) - np.uint64(1))  # that this hash can make
    return end + int(np.searchsorted(word[end:], greatest, side="right"))


def _sort_within(
    hashes: npt.NDArray[np.uint64],
    held: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    shared: npt.NDArray[np.uint64],
) -> None:
    """Sort, in place, the values that share one of some hashes."""
    starts, ends = np.searchsorted(hashes, shared, side="left"), np.searchsorted(hashes, shared, side="right")
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        inside = np.argsort(held[start:end], kind="stable")
        held[start:end] = held[start:end][inside]
        order[start:end] = order[start:end][inside]


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
