"""Quick ways of converting texts give what the thorough ones give, or leave the value to them."""

from __future__ import annotations

import random

import duckdb
import pyarrow as pa
import pytest

from transforms.contracts import casts
from transforms.contracts.casts import strict_cast
from transforms.contracts.model import Column, Mapping
from transforms.sql import literal

# What parsers of moments are known to take for a digit, to skip, or to stop at.
ODD = " \t\n\v\f\r\u00a0+-:.TZzEe_/0١"
AT = Column("at", "timestamp", "TIMESTAMP", "when")


def moments(count: int) -> list[str]:
    """Texts that are moments, nearly moments, or as long as moments."""
    chance = random.Random(20250301)

    def part(width: int, least: int, most: int) -> str:
        kind = chance.random()
        if kind < 0.9:
            return f"{chance.choice([least, most, chance.randint(least, most)]):0{width}}"
        if kind < 0.95:
            return "".join(chance.choice("0123456789" + ODD) for _ in range(width))
        return str(chance.randrange(10 ** chance.randint(1, 6)))

    texts = []
    for _ in range(count):
        date = f"{part(4, 0, 9999)}-{part(2, 1, 12)}-{part(2, 1, 31)}"
        time = f"{part(2, 0, 24)}:{part(2, 0, 59)}:{part(2, 0, 60)}"
        text = f"{date}T{time}{chance.choice(['', '', 'Z', 'z', '+01'])}"
        if chance.random() < 0.2:
            # A character is put in, so that another has to give way.
            place, gone = chance.randrange(len(text) + 1), chance.randrange(len(text))
            text = text[:place] + chance.choice(ODD) + text[place:]
            text = text[:gone] + text[gone + 1 :]
        texts.append(text)
    return texts


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_usual_moments_are_those_of_the_pattern(monkeypatch: pytest.MonkeyPatch, zone: str):
    mapping = Mapping(AT, None, ("at",), required=False, time_zone=zone)
    both = strict_cast("v", "VARCHAR", mapping)
    monkeypatch.setattr(casts, "_usual_timestamp", lambda value, zone: "NULL")
    thorough = strict_cast("v", "VARCHAR", mapping)
    assert thorough != both
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("texts", pa.table({"v": [*moments(200_000), None, ""]}))
        found = connection.execute(
            f"SELECT count(*), count(q), any_value(v) FILTER (q IS DISTINCT FROM t)"
            f" FROM (SELECT v, {both} AS q, {thorough} AS t FROM texts)"
        ).fetchone()
    assert found is not None
    rows, moments_found, differing = found
    assert differing is None
    # Else the test would be about nothing.
    assert rows == 200_002 and 20_000 < moments_found < 150_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29T23:59:59", "2024-02-29 23:59:59"),
        ("2024-02-29T23:59:59Z", "2024-02-29 23:59:59"),
        (" 024-02-29T23:59:59", None),
        ("2024-02-29T23:59:9 ", None),
        ("2024-02-29T23:59:9\t", None),
        ("2024-2-029T23:59:59", None),
        ("2023-02-29T23:59:59", None),
        ("2024-02-29T23:59:9 Z", None),
    ],
)
def test_a_moment_has_all_its_digits(text: str, moment: str | None):
    cast = strict_cast(literal(text), "VARCHAR", Mapping(AT, None, ("at",), required=False))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.execute(f"SELECT CAST({cast} AS VARCHAR)").fetchall() == [(moment,)]
