"""Whole files that are broken, for those who want to see them refused."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

from transforms.demo.files import FORMS

BROKEN_SOURCES = ("pos_sales", "web_orders", "app_events", "store_visits", "hotline_calls")
"""Sources that broken files are made for: between them they have every format."""


@dataclass(frozen=True)
class BrokenFile:
    """A file that the gate refuses as a whole."""

    source: str
    kind: str
    name: str
    data: bytes


def broken_files(good: dict[str, bytes]) -> list[BrokenFile]:
    """Broken files made from one good file of each of ``BROKEN_SOURCES`` (source name → bytes)."""
    till_lines = gzip.decompress(good["pos_sales"]).split(b"\n")
    renamed = till_lines[0].replace(b"Zeitpunkt", b"Datum").replace(b"Bruttobetrag", b"Summe")
    columns = gzip.compress(b"\n".join([renamed, *till_lines[1:20], b""]), mtime=0)
    calls = good["hotline_calls"].decode().splitlines()[:40]
    latin = "\n".join([calls[0], *(line.replace("ANSWERED", "GESPRÄCH GEFÜHRT") for line in calls[1:]), ""])
    made = [
        ("pos_sales", "truncated_gzip", good["pos_sales"][: len(good["pos_sales"]) * 3 // 5]),
        ("pos_sales", "wrong_columns", columns),
        ("web_orders", "text_instead_of_parquet", b"order_number,line_no\nW1,1\n"),
        ("app_events", "empty_file", b""),
        ("app_events", "text_named_gz", b'{"id":"1"}\n'),
        ("store_visits", "half_written", good["store_visits"][: len(good["store_visits"]) * 2 // 3].rstrip(b"\n")),
        ("hotline_calls", "latin_1", latin.encode("latin-1")),
    ]
    return [BrokenFile(source, kind, f"{source}_{kind}{FORMS[source].ending}", data) for source, kind, data in made]
