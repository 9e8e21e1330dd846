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


UNCHANGED = "unchanged"
"""Outcome of rows that a snapshot holds as the one before held them: no dirt, but counted as repeats."""
_ROWS_PER_KIND = 8
"""Rows that a source must have for each kind of dirt, else it gets only what its rate gives."""


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

PROFILES = [
    Kind("impossible_date", "type:birth_date", {"geburtsdatum": _text("31.02.1980")}),
    Kind("missing_profile", "required:profile_id", {"kunden_nr": _text(None)}),
    Kind("missing_change", "required:updated_at", {"geaendert": _text(None)}),
    Kind("unknown_status", "enum:status", {"status": _text("KARTEILEICHE")}),
    Kind("born_tomorrow", "rule:born_in_the_past", {"geburtsdatum": _text("01.01.2095")}),
    Kind("changed_before_created", "rule:updated_after_created", _far_future("angelegt")),
    Kind("future_date", "rule:updated_in_the_past", _far_future("geaendert")),
    _too_many(";"),
    EXACT,
]

CONSENTS = [
    Kind("broken_json", "parse:not_json", cut=lambda line: line.str.slice(0, line.str.len_chars() // 2)),
    Kind("missing_purpose", "required:purpose", {"purpose": _text(None)}),
    Kind("unknown_state", "enum:status", {"state": _text("maybe")}),
    Kind("missing_moment", "rule:granted_with_moment", {"state": _text("opt_in"), "given": _text(None)}),
    Kind("missing_end", "rule:withdrawn_with_moment", {"state": _text("revoked"), "revoked": _text(None)}),
    Kind(
        "granted_and_withdrawn",
        "rule:withdrawn_is_withdrawn",
        {
            "state": _text("opt_in"),
            "given": _text("2024-01-05T10:00:00Z"),
            "revoked": _text("2024-02-05T10:00:00Z"),
        },
    ),
    Kind("future_date", "rule:updated_in_the_past", _far_future("changed")),
    EXACT,
]

MESSAGES = [
    Kind("missing_time", "required:occurred_at", {"happened_at": pl.lit(None)}),
    Kind("unknown_event", "enum:event_type", {"event": _text("YAWN")}),
    Kind("unknown_channel", "enum:channel", {"channel": _text("PIGEON")}),
    Kind(
        "cost_without_currency",
        "rule:cost_with_currency",
        {"cost": pl.lit("0.55").cast(pl.Decimal(18, 2)), "currency": _text(None)},
    ),
    Kind(
        "campaign_ends_first",
        "rule:campaign_ends_after_start",
        {"campaign_end": pl.col("campaign_start").dt.offset_by("-10d")},
    ),
    Kind("future_date", "rule:occurred_in_the_past", {"happened_at": pl.col("happened_at").dt.offset_by("75y")}),
    Kind("malformed_currency", "pattern:currency", {"currency": _text("Euro")}),
    Kind("conflicting_duplicate", "duplicate_key", {"variant": _text("C")}, twins=True),
    EXACT,
]

SURVEYS = [
    Kind("unparseable_number", "type:score", {"wert": _text("sehr gut")}),
    Kind("missing_time", "required:answered_at", {"beantwortet": _text(None)}),
    Kind("unknown_instrument", "enum:instrument", {"art": _text("BAUCHGEFÜHL")}),
    Kind("off_scale", "rule:score_on_scale", {"art": _text("CSAT"), "wert": _text("9"), "skala": _text("1-5")}),
    Kind("nps_on_five", "rule:nps_from_0_to_10", {"art": _text("NPS"), "wert": _text("3"), "skala": _text("1-5")}),
    Kind("no_scale", "rule:scale_has_length", {"art": _text("CSAT"), "wert": _text("3"), "skala": _text("3-3")}),
    Kind("items_in_a_list", "rule:items_are_an_object", {"werte": _text("[1]")}),
    Kind("future_date", "rule:answered_in_the_past", _far_future("beantwortet")),
    _too_many(";"),
    Kind("conflicting_duplicate", "duplicate_key", {"weg": _text("fax")}, twins=True),
    EXACT,
]

CASES = [
    Kind("broken_json", "parse:not_json", cut=lambda line: line.str.slice(0, line.str.len_chars() // 2)),
    Kind("unparseable_date", "type:occurred_at", {"at": pl.col("at").str.replace("T", " at ")}),
    Kind("missing_case", "required:case_id", {"id": _text(None)}),
    Kind("unknown_event", "enum:event_type", {"kind": _text("FORGOTTEN")}),
    Kind("priority_out_of_scale", "maximum:priority", {"priority": _text("P9")}),
    Kind("future_date", "rule:occurred_in_the_past", _far_future("at")),
    Kind("conflicting_duplicate", "duplicate_key", {"team": _text("NIEMAND")}, twins=True),
    EXACT,
]

RETURNS = [
    Kind("unparseable_number", "type:refund_amount", {"refund": _text("12.5O")}),
    Kind("missing_slip", "required:return_id", {"slip": _text(None)}),
    Kind("unknown_state", "enum:condition", {"state": _text("EATEN")}),
    Kind("negative_quantity", "minimum:quantity", {"pieces": "-" + pl.col("pieces")}),
    Kind("refund_without_currency", "rule:refund_with_currency", {"currency": _text(None)}),
    Kind("paid_before_returned", "rule:refunded_after_returned", {"paid": _text("2023-06-01T08:00:00")}),
    Kind("future_date", "rule:returned_in_the_past", _far_future("booked") | {"paid": _text(None)}),
    _too_many(","),
    Kind("conflicting_duplicate", "duplicate_key", {"decision": _text("EXCHANGED")}, twins=True),
    EXACT,
]

REVIEWS = [
    Kind("broken_json", "parse:not_json", cut=lambda line: line.str.slice(0, line.str.len_chars() // 2)),
    Kind("unparseable_date", "type:reviewed_at", {"created": pl.col("created").str.replace("T", " um ")}),
    Kind("too_many_stars", "rule:rating_on_scale", {"value": _text("9")}),
    Kind("no_scale", "rule:rating_with_scale", {"best": _text(None)}),
    Kind("flat_scale", "rule:scale_has_length", {"value": _text("3"), "best": _text("3"), "worst": _text("3")}),
    Kind("says_nothing", "rule:rating_or_text", {"value": _text(None), "body": _text(None)}),
    Kind("future_date", "rule:reviewed_in_the_past", _far_future("created")),
    Kind("conflicting_duplicate", "duplicate_key", {"nick": _text("Anonym")}, twins=True),
    EXACT,
]

# No row without a key and none that cannot be read: after such a row nobody knows what is gone from the catalogue.
CATALOGUE = [
    Kind("unparseable_number", "type:list_price_amount", {"Listenpreis": _text("auf Anfrage")}),
    Kind("unknown_status", "enum:status", {"Status": _text("VERLEGT")}),
    Kind("negative_price", "minimum:list_price_amount", {"Listenpreis": "-" + pl.col("Listenpreis")}),
    Kind("price_without_currency", "rule:price_with_currency", {"Waehrung": _text(None)}),
    Kind("malformed_currency", "pattern:currency", {"Waehrung": _text("Euro")}),
    Kind("gone_before_it_came", "rule:valid_to_after_from", {"Bis": _text("2023-01-01T00:00:00")}),
    Kind("future_date", "rule:valid_from_in_the_past", _far_future("Seit")),
    Kind("conflicting_duplicate", "duplicate_key", {"Marke": _text("Ohne")}, twins=True),
    EXACT,
]

KINDS = {
    "pos_sales": TILLS,
    "web_orders": WEB,
    "app_events": APP,
    "store_visits": VISITS,
    "hotline_calls": HOTLINE,
    "crm_profiles": PROFILES,
    "consents": CONSENTS,
    "campaign_messages": MESSAGES,
    "surveys": SURVEYS,
    "service_cases": CASES,
    "returns_desk": RETURNS,
    "product_reviews": REVIEWS,
    "product_catalogue": CATALOGUE,
}

_NEW_KEY = {
    "pos_sales": {"Position": "90" + pl.col("Position")},
    "web_orders": {"line_no": pl.col("line_no") + 900},
    "app_events": {"id": pl.col("id").str.reverse()},
    "store_visits": {"visit_ref": "V" + pl.col("visit_ref").str.slice(1).str.reverse()},
    "hotline_calls": {"call_ref": "C" + pl.col("call_ref").str.slice(1).str.reverse()},
    "crm_profiles": {"kunden_nr": "X" + pl.col("kunden_nr")},
    "consents": {"consent": "X" + pl.col("consent")},
    "campaign_messages": {"event_ref": "X" + pl.col("event_ref")},
    "surveys": {"antwort": "X" + pl.col("antwort")},
    "service_cases": {"id": "X" + pl.col("id")},
    "returns_desk": {"slip": "X" + pl.col("slip")},
    "product_reviews": {"id": "X" + pl.col("id")},
    "product_catalogue": {"Artikel": "X" + pl.col("Artikel")},
}


def plant(rng: np.random.Generator, rows: Rows, rate: float, at_least: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with dirt among them, and what was planted.

    The rows gain ``_kind`` (the dirt, null for a good row) and ``_plain`` (false for dirt and for rows that
    occur twice). The second frame has the columns source, kind, outcome, reason, rows; rows counts what
    the gate should refuse or count as double. ``at_least`` is the number of rows of each kind whatever
    the rate; no kind takes rows that the block does not have.
    """
    frame, kinds = rows.frame, KINDS[rows.source]
    # in a handful of rows one of each kind would be a flood
    at_least = at_least if len(frame) >= _ROWS_PER_KIND * len(kinds) else 0
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
