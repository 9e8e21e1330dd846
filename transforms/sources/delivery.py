"""What a connector hands over: named bytes that can be fetched once, and what to remember for the next pull."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

State = Mapping[str, Any]


class UnreadableError(OSError):
    """The provider's data cannot be fetched now; the message says why and what to do.

    The next run tries again in any case; where the message says so, another try in this one may do (see ``passes``).
    """


def passes(reason: str) -> bool:
    """Whether the text of an ``UnreadableError`` promises that another try may succeed, without anybody's doing."""
    return "the next run" in reason


class NothingNew(Exception):
    """The pull brought no record; nothing is landed."""


@dataclass(frozen=True)
class Delivery:
    """Something that a provider holds and that may be new.

    ``name`` is its stable place at the provider, ending as the reader needs it (.csv.gz, .jsonl, .parquet);
    ``version`` differs when the content may differ: the version that a name had last is not fetched again. ``write``
    puts the bytes into a stream and returns the state from which the next pull goes on, None where there is none; it
    may raise ``UnreadableError`` or ``NothingNew``. ``size`` is how many bytes were listed, None where the bytes come
    into being when they are asked for; all that was listed was there before.
    """

    name: str
    version: str
    write: Callable[[BinaryIO], State | None]
    size: int | None = None
