"""Dirty rows: what each source gets wrong, how often, and what the gate should say to it.

Dirt comes on top: a refused row is a copy of a good one under a new key, spoilt. So the planted truth
stays whole whatever the gate refuses, and the counts of both can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from transforms.demo.almanac import DAY, months
from transforms.demo.rows import Rows

FAULTY_MONTH = 3
"""The month (counted from 0) of the faulty device whose lines have too many or too few fields.

Such a line costs the whole file the fast way of reading, so they stay together, as they do in life.
"""


@dataclass(frozen=True)
class Kind:
    """A kind of dirt. ``reason`` is the gate's word for it; None marks rows that are only doubled."""

    name: str
    reason: str | None
    edit: Mapping[str, pl.Expr] = field(default_factory=dict)
    cut: Callable[[pl.Expr], pl.Expr] | None = None  # what happens to the finished line
    twins: bool = False  # the spoilt row comes beside an unspoilt one with the same new key
    month: int | None = None  # only in this month

    @property
    def outcome(self) -> str:
        """What becomes of the rows: quarantined or duplicate."""
        return "quarantined" if self.reason else "duplicate"


def _text(value: str | None) -> pl.Expr:
    return pl.lit(value, dtype=pl.String)


def _far_future(column: str) -> dict[str, pl.Expr]:
    # a leap year, so that 29 February stays a date
    return {column: pl.col(column).str.replace(r"20\d\d", "2096")}


def _february_30(column: str) -> dict[str, pl.Expr]:
    return {column: pl.col(column).str.replace(r"-\d\d-\d\dT", "-02-30T")}


def _too_many(delimiter: str) -> Kind:
    return Kind(
        "too_many_fields", "parse:too_many_columns", cut=lambda line: line + f"{delimiter}x", month=FAULTY_MONTH
    )


def _too_few(delimiter: str) -> Kind:
    tail = rf"({delimiter}[^{delimiter}]*){{3}}$"
    return Kind(
        "too_few_fields", "parse:missing_columns", cut=lambda line: line.str.replace(tail, ""), month=FAULTY_MONTH
    )


EXACT = Kind("exact_duplicate", None)

TILLS = [
    Kind("unparseable_number", "type:gross_amount", {"Bruttobetrag": pl.col("Bruttobetrag").str.replace(r"\d$", "O")}),
    Kind("unparseable_date", "type:ordered_at", {"Zeitpunkt": pl.col("Zeitpunkt").str.replace_all(r"\.", "-")}),
    Kind("impossible_date", "type:ordered_at", {"Zeitpunkt": "30.02." + pl.col("Zeitpunkt").str.slice(6)}),
    Kind("missing_time", "required:ordered_at", {"Zeitpunkt": _text(None)}),
    Kind("missing_receipt", "required:order_id", {"Bon_Nr": _text(None)}),
    Kind("unknown_movement", "enum:line_type", {"Vorgang": _text("STORNO")}),
    Kind("negative_quantity", "minimum:quantity", {"Menge": "-" + pl.col("Menge")}),
    Kind("discount_above_gross", "rule:discount_within_gross", {"Rabatt": "9" + pl.col("Bruttobetrag")}),
    Kind("future_date", "rule:ordered_in_the_past", _far_future("Zeitpunkt")),
    _too_many(";"),
    _too_few(";"),
    Kind("conflicting_duplicate", "duplicate_key", {"Bruttobetrag": "1" + pl.col("Bruttobetrag")}, twins=True),
    EXACT,
]

WEB = [
    Kind("missing_time", "required:ordered_at", {"created_at": pl.lit(None)}),
    Kind("unknown_channel", "enum:channel", {"sales_channel": _text("TELEX")}),
    Kind("unknown_movement", "enum:line_type", {"kind": _text("gift")}),
    Kind(
        "negative_quantity", "minimum:quantity", {"quantity": -pl.col("quantity"), "unit_price": -pl.col("unit_price")}
    ),
    Kind("discount_above_gross", "rule:discount_within_gross", {"discount": pl.col("unit_price") * 100}),
    Kind("future_date", "rule:ordered_in_the_past", {"created_at": pl.col("created_at").dt.offset_by("75y")}),
    Kind("malformed_currency", "pattern:currency", {"currency": _text("Euro")}),
    Kind(
        "conflicting_duplicate",
        "duplicate_key",
        {"discount": pl.col("discount") + pl.lit(0.01, pl.Decimal(18, 2))},
        twins=True,
    ),
    EXACT,
]

APP = [
    Kind("broken_json", "parse:not_json", cut=lambda line: line.str.slice(0, line.str.len_chars() // 2)),
    Kind("json_array", "parse:not_an_object", cut=lambda line: "[" + line + "]"),
    Kind("unparseable_date", "type:occurred_at", {"ts": pl.col("ts").str.replace("T", " at ")}),
    Kind("impossible_date", "type:occurred_at", _february_30("ts")),
    Kind("missing_name", "required:event_name", {"name": _text(None)}),
    Kind("missing_time", "required:occurred_at", {"ts": _text(None)}),
    Kind("unknown_channel", "enum:channel", {"channel": _text("fridge")}),
    Kind("future_date", "rule:occurred_in_the_past", _far_future("ts")),
    Kind("conflicting_duplicate", "duplicate_key", {"name": pl.col("name") + "_2"}, twins=True),
    EXACT,
]

VISITS = [
    Kind("exit_before_entry", "rule:exited_after_entered", {"seen_until": _text("2023-06-01T08:00:00+02:00")}),
    Kind("unparseable_date", "type:entered_at", {"seen_from": pl.col("seen_from").str.replace("T", " um ")}),
    Kind("impossible_date", "type:entered_at", _february_30("seen_from")),
    Kind("missing_store", "required:store_id", {"site": _text(None)}),
    Kind("missing_time", "required:entered_at", {"seen_from": _text(None)}),
    Kind("unknown_sensor", "type:is_ping", {"sensor": _text("camera")}),
    Kind("future_date", "rule:entered_in_the_past", _far_future("seen_from") | {"seen_until": _text(None)}),
    _too_many(","),
    _too_few(","),
    Kind("conflicting_duplicate", "duplicate_key", {"site": _text("S000")}, twins=True),
    EXACT,
]

HOTLINE = [
    Kind("unparseable_number", "type:hold_seconds", {"hold_sec": _text("12s")}),
    Kind("unparseable_duration", "type:wait_seconds", {"wait": _text("00:99")}),
    Kind("impossible_date", "type:started_at", _february_30("received")),
    Kind("missing_call", "required:call_id", {"call_ref": _text(None)}),
    Kind("missing_time", "required:started_at", {"received": _text(None)}),
    Kind("unknown_result", "enum:outcome", {"result": _text("VOICEMAIL")}),
    Kind("rating_out_of_scale", "maximum:satisfaction_score", {"rating": _text("7")}),
    Kind("negative_hold", "minimum:hold_seconds", {"hold_sec": _text("-3")}),
    Kind("future_date", "rule:started_in_the_past", _far_future("received")),
    _too_many(","),
    _too_few(","),
    Kind("conflicting_duplicate", "duplicate_key", {"topic": _text("OTHER")}, twins=True),
    EXACT,
]

KINDS = {"pos_sales": TILLS, "web_orders": WEB, "app_events": APP, "store_visits": VISITS, "hotline_calls": HOTLINE}

_NEW_KEY = {
    "pos_sales": {"Position": "90" + pl.col("Position")},
    "web_orders": {"line_no": pl.col("line_no") + 900},
    "app_events": {"id": pl.col("id").str.reverse()},
    "store_visits": {"visit_ref": "V" + pl.col("visit_ref").str.slice(1).str.reverse()},
    "hotline_calls": {"call_ref": "C" + pl.col("call_ref").str.slice(1).str.reverse()},
}


def plant(rng: np.random.Generator, rows: Rows, rate: float, at_least: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with dirt among them, and what was planted.

    The rows gain ``_kind`` (the dirt, null for a good row) and ``_plain`` (false for dirt and for rows that
    occur twice). The second frame has the columns source, kind, outcome, reason, rows; rows counts what
    the gate should refuse or count as double. ``at_least`` is the number of rows of each kind whatever
    the rate; no kind takes rows that the block does not have.
    """
    frame, kinds = rows.frame, KINDS[rows.source]
    wanted = max(at_least, round(rate * len(frame) / (len(kinds) + 1)))  # twins count double
    chosen = _choose(rng, frame, kinds, wanted)
    parts, counts = [], []
    for kind, bases in zip(kinds, chosen, strict=True):
        spoilt = _spoil(rows, frame[bases], kind)
        parts.append(spoilt)
        counts.append((rows.source, kind.name, kind.outcome, kind.reason, len(spoilt)))
    doubled = np.zeros(len(frame), dtype=bool)
    doubled[chosen[kinds.index(EXACT)]] = True
    good = frame.with_columns(_kind=_text(None), _plain=pl.Series(~doubled))
    schema = ["source", "kind", "outcome", "reason", "rows"]
    return pl.concat([good, *parts]), pl.DataFrame(counts, schema=schema, orient="row")


def _choose(rng: np.random.Generator, frame: pl.DataFrame, kinds: list[Kind], wanted: int) -> list[np.ndarray]:
    """Rows to copy for each kind; no row serves twice."""
    free = rng.permutation(len(frame))
    month = months()[0][frame["_at"].to_numpy()[free] // DAY]
    taken = np.zeros(len(free), dtype=bool)
    chosen = []
    # the choosy kinds first
    for kind in sorted(kinds, key=lambda kind: kind.month is None):
        fits = ~taken if kind.month is None else ~taken & (month == kind.month)
        places = np.flatnonzero(fits)[:wanted]
        taken[places] = True
        chosen.append((kind, free[places]))
    found = {id(kind): bases for kind, bases in chosen}
    return [found[id(kind)] for kind in kinds]


def _spoil(rows: Rows, bases: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    marks = [pl.lit(kind.name).alias("_kind"), pl.lit(False).alias("_plain")]
    if kind is EXACT:
        return bases.with_columns(marks)
    fresh = bases.with_columns(**_NEW_KEY[rows.source]).with_columns(marks)
    spoilt = fresh.with_columns(**kind.edit)
    return pl.concat([fresh, spoilt]) if kind.twins else spoilt
