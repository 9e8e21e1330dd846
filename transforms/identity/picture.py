"""A customer's graph of identifiers as a drawing: SVG, masked values only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.identity.store import IdentityStore
from transforms.settings import Settings

# Identifiers drawn at most: those that most records hold; more would be a thicket.
MOST = 40
_WIDTH, _HEIGHT, _MARGIN = 960, 620, 110
_COLOURS = {
    "app_user_id": "#1b6ca8",
    "loyalty_id": "#2a8c5a",
    "email": "#8e44ad",
    "phone": "#c0632f",
    "payment_token": "#6b6b1f",
    "device_id": "#4a5568",
    "record": "#222222",
}
_NAMES = {
    "app_user_id": "account",
    "loyalty_id": "loyalty card",
    "email": "e-mail",
    "phone": "telephone",
    "payment_token": "payment card",
    "device_id": "device",
    "record": "record",
}


@dataclass(frozen=True)
class _Edge:
    left: int
    right: int
    rule: str
    is_bridge: bool
    records: int
    sources: str


@dataclass(frozen=True)
class _Graph:
    """Nodes as (type, masked value, whether it is refused), and what joins them."""

    nodes: tuple[tuple[str, str, bool], ...]
    edges: tuple[_Edge, ...]
    left_out: int


def draw_customer(settings: Settings, customer_id: str) -> str:
    """Draw what holds a customer together, and what was refused to it, as of the last run.

    :return: the text of an SVG file, without personal data; the same graph gives the same drawing.
    """
    graph = _read(settings, customer_id)
    places = _layout(len(graph.nodes), graph.edges)
    parts = [_line(edge, places, graph) for edge in graph.edges]
    parts += [_pill(node, place) for node, place in zip(graph.nodes, places, strict=True)]
    parts += _legend(graph, customer_id)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        f' style="max-width: 100%; height: auto" font-family="system-ui, sans-serif" font-size="13" role="img"'
        f' aria-label="Identity graph of {customer_id}">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _read(settings: Settings, customer_id: str) -> _Graph:
    store = IdentityStore(settings)
    with duckdb.connect(":memory:") as connection:
        edges = connection.execute(
            f"SELECT left_key, right_key, rule, is_bridge, records, sources, left_type, left_masked, right_type,"
            f" right_masked FROM {store.table('edges')} WHERE customer_id = $1 ORDER BY ALL",
            [customer_id],
        ).fetchall()
        own = connection.execute(
            f"SELECT identifier_key, identifier_type, identifier_masked, records"
            f" FROM {store.table('identifiers')} WHERE customer_id = $1 ORDER BY records DESC, 1",
            [customer_id],
        ).fetchall()
        refused = connection.execute(
            f"SELECT identifier_key, identifier_type, identifier_masked, sum(records)"
            f" FROM {store.table('refusals')} WHERE customer_id = $1"
            " AND identifier_key IS NOT NULL GROUP BY ALL ORDER BY ALL",
            [customer_id],
        ).fetchall()
        beside = connection.execute(
            f"SELECT left_key, right_key, records, sources FROM {store.table('edges')}"
            " WHERE status = 'refused' AND (list_contains($own, left_key) OR list_contains($own, right_key))"
            " ORDER BY ALL",
            {"own": [key for key, *_ in own]},
        ).fetchall()
    # Those of a tenure or without identifiers are known by their edges alone.
    by_edge = {row[i]: (row[i], row[6 + 2 * i], row[7 + 2 * i], row[4]) for row in edges for i in (0, 1)}
    known = {key: (key, *rest) for key, *rest in own} | {
        k: v for k, v in by_edge.items() if k not in {o[0] for o in own}
    }
    shown = list(known.values())[:MOST]
    place = {key: i for i, (key, *_) in enumerate(shown)}
    nodes = [(kind, masked, False) for _, kind, masked, _ in shown]
    for key, kind, masked, _ in refused:
        if key not in place and len(nodes) < MOST + 8:
            place[key] = len(nodes)
            nodes.append((kind, masked, True))
    drawn = [
        _Edge(place[left], place[right], rule, is_bridge, records, sources or "")
        for left, right, rule, is_bridge, records, sources, *_ in edges
        if left in place and right in place
    ]
    drawn += [
        _Edge(place[left], place[right], "refused", False, records, sources or "")
        for left, right, records, sources in beside
        if left in place and right in place
    ]
    return _Graph(tuple(nodes), tuple(drawn), max(0, len(known) - MOST))


def _layout(nodes: int, edges: tuple[_Edge, ...]) -> npt.NDArray[np.float64]:
    """Place nodes by springs and repulsion (Fruchterman, Reingold 1991), from a circle, without chance."""
    if nodes < 2:
        return np.full((nodes, 2), (_WIDTH / 2, _HEIGHT / 2))
    angle = 2 * math.pi * np.arange(nodes) / nodes
    at = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ends = np.array([(edge.left, edge.right) for edge in edges], dtype=np.int64).reshape(-1, 2)
    ideal = 1.7 / math.sqrt(nodes)
    for step in range(400):
        away = at[:, np.newaxis] - at[np.newaxis]
        distance = np.maximum(np.linalg.norm(away, axis=2, keepdims=True), 1e-3)
        push = (away / distance * ideal**2 / distance).sum(axis=1)
        if len(ends):
            along = at[ends[:, 0]] - at[ends[:, 1]]
            pull = along * np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-3) / ideal
            np.add.at(push, ends[:, 0], -pull)
            np.add.at(push, ends[:, 1], pull)
        length = np.maximum(np.linalg.norm(push, axis=1, keepdims=True), 1e-9)
        at += push / length * np.minimum(length, 0.12 * (1 - step / 400))
    low, high = at.min(axis=0), at.max(axis=0)
    scale = (np.array([_WIDTH, _HEIGHT - 90]) - 2 * np.array([_MARGIN, 50])) / np.maximum(high - low, 1e-6)
    return (at - low) * scale + np.array([_MARGIN, 50])


def _line(edge: _Edge, places: npt.NDArray[np.float64], graph: _Graph) -> str:
    (x1, y1), (x2, y2) = places[edge.left], places[edge.right]
    width = 1 + min(4.0, math.log10(max(edge.records, 1)) * 1.6)
    colour, dash = "#9aa5b1", ""
    if edge.rule == "refused":
        colour, dash = "#c53030", ' stroke-dasharray="3 5"'
    elif edge.rule != "seen_together":
        colour, dash = "#2b6cb0", ' stroke-dasharray="9 5"'
    elif edge.is_bridge:
        colour = "#dd8b00"
    ends = " — ".join(
        f"{_NAMES.get(kind, kind)} {masked}" for kind, masked, _ in (graph.nodes[edge.left], graph.nodes[edge.right])
    )
    title = escape(f"{ends}: {edge.rule.replace('_', ' ')}, {edge.records:,} records, {edge.sources}")
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
        f' stroke-width="{width:.1f}"{dash}>'
        f"<title>{title}</title></line>"
    )


def _pill(node: tuple[str, str, bool], place: npt.NDArray[np.float64]) -> str:
    kind, masked, is_refused = node
    x, y = place
    label = escape(masked)
    width = 26 + 7.4 * max(len(masked), len(_NAMES.get(kind, kind)))
    colour = _COLOURS.get(kind, "#333333")
    fill, ink = ("#ffffff", "#c53030") if is_refused else (colour, "#ffffff")
    border = ' stroke="#c53030" stroke-dasharray="4 3"' if is_refused else ""
    text = f'<text x="{x:.1f}" text-anchor="middle" fill="{ink}"'
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 19:.1f}" width="{width:.1f}" height="38" rx="19" fill="{fill}"'
        f'{border}/>{text} y="{y - 3:.1f}" font-size="11">{_NAMES.get(kind, kind)}</text>'
        f'{text} y="{y + 12:.1f}" font-weight="600">{label}</text>'
    )


def _legend(graph: _Graph, customer_id: str) -> list[str]:
    keys = [
        ("#9aa5b1", "", "seen together, thicker with more records"),
        ("#dd8b00", "", "bridge: without it the customer falls apart"),
        ("#2b6cb0", ' stroke-dasharray="9 5"', "link of people or a model"),
        ("#c53030", ' stroke-dasharray="3 5"', "refused"),
    ]
    parts = [
        f'<text x="24" y="{_HEIGHT - 52}" font-weight="600">Customer {customer_id}</text>',
        f'<text x="24" y="{_HEIGHT - 34}" fill="#4a5568">{sum(not node[2] for node in graph.nodes) + graph.left_out}'
        f" identifiers{f', {graph.left_out} not drawn' if graph.left_out else ''}</text>",
    ]
    for place, (colour, dash, text) in enumerate(keys):
        x, y = 290 + 330 * (place % 2), _HEIGHT - 56 + 22 * (place // 2)
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 40}" y2="{y}" stroke="{colour}" stroke-width="3"{dash}/>')
        parts.append(f'<text x="{x + 50}" y="{y + 4}" fill="#4a5568">{text}</text>')
    return parts
