"""Options of API servers: their names, and what may stand in each."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

JsonPath = tuple[str, ...]

CURSOR_TYPES = ("timestamp", "number", "text")
KEY_PLACES = ("header", "query")
_STEP = r"""[A-Za-z_@][\w@:-]*|'[^'"\\]+'|"[^'"\\]+\""""
_PATH = re.compile(rf"(?:\$\.)?(?:{_STEP})(?:\.(?:{_STEP}))*")


def parse_path(text: str) -> JsonPath | None:
    """Keys of a JSONPath that names one place, ``$`` for the whole document; None for any other text."""
    if text == "$":
        return ()
    if not _PATH.fullmatch(text):
        return None
    return tuple(step.strip("'\"") for step in re.findall(_STEP, text.removeprefix("$.")))


def order_of(kind: str, text: str) -> Any:
    """A cursor value in a form that compares as its kind orders; None where the text is no such value."""
    if kind == "text":
        return text
    try:
        if kind == "number":
            number = Decimal(text)
            return number if number.is_finite() else None
        moment = dt.datetime.fromisoformat(text)
    except (ValueError, InvalidOperation):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _text(value: Any) -> Any:
    return value if isinstance(value, str) and value.strip() else None


def _path(value: Any) -> Any:
    return parse_path(value) if isinstance(value, str) else None


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _whole(lowest: int) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, int) and not isinstance(value, bool) and value >= lowest else None


def _above_zero(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _one_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    return lambda value: value if value in names else None


def _scalar(value: Any) -> Any:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _pairs(value: Any) -> Any:
    if not isinstance(value, dict) or not all(isinstance(v, str | int | float | bool) for v in value.values()):
        return None
    return {key: str(v).lower() if isinstance(v, bool) else str(v) for key, v in value.items()}


def _header_pairs(value: Any) -> Any:
    pairs = _pairs(value)
    texts = [text for pair in (pairs or {}).items() for text in pair]
    return pairs if all(text.isascii() and text.isprintable() for text in texts) else None


# What may stand in an option: how it is read (None: not at all), and what to write instead.
Kind = tuple[Callable[[Any], Any], str]
TEXT: Kind = (_text, "Give a text.")
PATH: Kind = (_path, "Give a path such as 'data.items' or '$', quote odd names: \"meta.'@next'\"; no wildcards.")
FLAG: Kind = (_flag, "Give true or false.")
COUNT: Kind = (_whole(0), "Give a whole number from 0.")
POSITIVE: Kind = (_whole(1), "Give a whole number from 1.")
AMOUNT: Kind = (_above_zero, "Give a number above 0.")
SCALAR: Kind = (_scalar, "Give a text or a number; quote dates.")
PAIRS: Kind = (_pairs, "Give names with one text, number or flag each.")
HEADERS: Kind = (_header_pairs, "Give names with one plain text each, on one line and in ASCII.")
SECRET: Kind = (
    lambda value: value if isinstance(value, str) and value.isidentifier() else None,
    "Give the name of a secret: its value stands in WATERSHED_SECRETS__<NAME>.",
)

_STOPS = {"total_path": PATH, "has_more_path": PATH, "stop_after_empty_page": FLAG}
PAGINATORS: dict[str, dict[str, Kind]] = {
    "single_page": {},
    "page_number": {"base_page": COUNT, "page_param": TEXT, **_STOPS},
    "offset": {"limit": POSITIVE, "offset": COUNT, "offset_param": TEXT, "limit_param": TEXT, **_STOPS},
    "cursor": {"cursor_path": PATH, "cursor_param": TEXT, "has_more_path": PATH, "stop_after_empty_page": FLAG},
    "json_link": {"next_url_path": PATH},
    "header_link": {"links_next_key": TEXT},
}
AUTHS: dict[str, dict[str, Kind]] = {
    "bearer": {"token": SECRET},
    "api_key": {"api_key": SECRET, "name": TEXT, "location": (_one_of(KEY_PLACES), "Use header or query.")},
    "http_basic": {"username": SECRET, "password": SECRET},
}
REQUIRED = {
    "offset": ("limit",),
    "cursor": ("cursor_path", "cursor_param"),
    "json_link": ("next_url_path",),
    "bearer": ("token",),
    "api_key": ("api_key",),
    "http_basic": ("username",),
}
OPTIONS: dict[str, Kind] = {
    "dataSelector": PATH,
    "params": PAIRS,
    "headers": HEADERS,
    "cursorParam": TEXT,
    "cursorPath": PATH,
    "cursorType": (_one_of(CURSOR_TYPES), f"Use one of {', '.join(CURSOR_TYPES)}."),
    "overlap": SCALAR,
    "initialValue": SCALAR,
    "pageLimit": POSITIVE,
    "maxRecords": POSITIVE,
    "maxPageMegabytes": AMOUNT,
    "requestTimeout": AMOUNT,
    "retries": COUNT,
    "requestsPerSecond": AMOUNT,
    "allowHttp": FLAG,
}
