"""The quick way of reading JSON lines tells the same as the thorough one, whatever the lines look like."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transforms.lake.shop import Shop, contract_document
from transforms.lake.readers import json_lines, json_spelling
from transforms.lake.readers.json_spelling import spelling_of

TEXTS = st.one_of(
    st.sampled_from(
        ["sale", "2025-03-01T10:00:00", "nan", "Infinity", "null", 'a"b\\c/', "ü\u2028😀", "12345678901234567.8", ""]
    ),
    st.text(alphabet='aN"\\:,{}é \t', max_size=8),
)
NUMBERS = st.one_of(
    st.integers(-5, 10**20),
    st.sampled_from([0.1, 1e16, -0.0, 12345678901234567.89, math.nan, math.inf, -math.inf]),
    st.sampled_from(["12.50", "9.90", "12345678901234567.89", "1E2", "-0"]).map(lambda text: Literal(text)),
)
VALUES = st.one_of(TEXTS, NUMBERS, st.none(), st.booleans(), st.just({"a": [1, "n"]}))


class Literal(float):
    """A number that is written as it is spelt here."""

    def __new__(cls, text: str) -> Literal:
        made = super().__new__(cls, text)
        made.text = text  # type: ignore[attr-defined]
        return made

    def __repr__(self) -> str:
        return self.text  # type: ignore[attr-defined]


def good(order: int) -> dict[str, Any]:
    return {
        "order": str(order),
        "line": "1",
        "time": "2025-03-01T10:00:00",
        "kind": "sale",
        "qty": 2,
        "amount": Literal("9.9"),
        "discount": None,
        "mail": None,
    }


@st.composite
def spelt(draw: st.DrawFn, order: int) -> str:
    """A line of a shop: mostly a good one, with some fields changed, gone, twice or new."""
    record = good(order)
    for name in draw(st.lists(st.sampled_from(["kind", "qty", "amount", "discount", "mail", "time"]), max_size=2)):
        record[name] = draw(VALUES)
    if draw(st.integers(0, 5)) == 0:
        record.pop(draw(st.sampled_from(["discount", "mail", "amount"])))
    if draw(st.integers(0, 5)) == 0:
        record["colour"] = draw(VALUES)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    text = json.dumps(record, separators=separators, ensure_ascii=draw(st.booleans()))
    damage = draw(st.integers(0, 19))
    return {0: text[:-1], 1: text[:-1] + ',"kind":"sale"}', 2: "[1]", 3: text[:-1] + ",}", 4: text + " "}.get(
        damage, text
    )


@st.composite
def files(draw: st.DrawFn) -> str:
    count = draw(st.integers(1, 6))
    return "\n".join(draw(spelt(order)) for order in range(count)) + "\n"


def outcome(folder: Path, content: str) -> tuple[Any, ...]:
    shop = Shop(folder, contract_document("json"))
    shop.deliver(content, "a.jsonl")
    (record,) = shop.load().records
    kept = (record.rows_read, record.rows_accepted, record.rows_quarantined, record.new_columns, record.absent_columns)
    rows = shop.query("SELECT * EXCLUDE (_loaded_at, _batch_id) FROM accepted ORDER BY _row") if kept[1] else []
    refused = shop.query("SELECT _row, stage, reasons, raw FROM quarantine ORDER BY _row") if kept[2] else []
    return record.status, record.reason, kept, rows, refused


@pytest.fixture
def early_guess(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The first line alone tells what the others may be expected to look like, so that guesses are often wrong."""
    monkeypatch.setattr(json_lines, "_SAMPLE", 1)
    monkeypatch.setattr(json_spelling, "_SAMPLE", 1)
    return monkeypatch


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=files())
def test_quick_and_thorough_reading_agree(early_guess: pytest.MonkeyPatch, content: str):
    with TemporaryDirectory() as folder:
        quick = outcome(Path(folder), content)
    with TemporaryDirectory() as folder, early_guess.context() as thorough:
        thorough.setattr(json_lines, "_MAX_SHAPES", 0)
        assert outcome(Path(folder), content) == quick


def test_lines_like_the_first_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    passes: list[str] = []
    looked_at = json_lines._shapes
    monkeypatch.setattr(json_lines, "_shapes", lambda *given: passes.append(given[1]) or looked_at(*given))
    first = good(1)
    found = outcome(tmp_path, "".join(json.dumps({**first, "order": str(order)}) + "\n" for order in range(50)))
    assert found[2][:3] == (50, 50, 0)
    assert [text for text in passes if "LIMIT" not in text] == []


def test_a_line_of_another_shape_far_down_is_found(tmp_path: Path, early_guess: pytest.MonkeyPatch):
    lines = [json.dumps(good(order)) for order in range(50)]
    lines[40] = json.dumps({**good(40), "colour": "red"})
    status, _, kept, rows, _ = outcome(tmp_path, "\n".join(lines) + "\n")
    assert (status, kept[:3], kept[3]) == ("loaded", (50, 50, 0), ("colour",))
    assert next(row for row in rows if '{"colour":"red"}' in row)[0] == "40"


@pytest.mark.parametrize("word", ["NaN", "nan", "-NaN", "Infinity", "inf", "-Infinity", "-inf"])
def test_a_word_among_numbers_far_down_is_no_number(tmp_path: Path, early_guess: pytest.MonkeyPatch, word: str):
    lines = [json.dumps(good(order)) for order in range(50)]
    lines[40] = lines[40].replace("9.9", word)
    *_, rows, refused = outcome(tmp_path, "\n".join(lines) + "\n")
    assert len(rows) == 49
    assert [(row, reasons) for row, _, reasons, _ in refused] == [(41, "parse:not_a_number")]


def test_numbers_of_any_sign_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    passes: list[str] = []
    looked_at = json_lines._shapes
    monkeypatch.setattr(json_lines, "_shapes", lambda *given: passes.append(given[1]) or looked_at(*given))
    amounts = [0, 7, 9.5, -1, -0.5, -9, 90]
    found = outcome(tmp_path, "".join(json.dumps({**good(n), "amount": x}) + "\n" for n, x in enumerate(amounts)))
    assert found[2][:2] == (7, 4)
    assert [text for text in passes if "LIMIT" not in text] == []


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b'{"a": 1, "a": 2}\n', "a key twice"),
        (b"[1, 2]\n", "no object"),
        (b"{}\n", "no key"),
        (b'{"a": 1\n', "no end"),
        (b'{"a": 1} {"b": 2}\n', "two objects"),
        (b"\xff\n", "no UTF-8"),
        (b"", "nothing"),
    ],
)
def test_no_spelling_is_told_from(first: bytes, why: str):
    assert spelling_of([first]) is None, why


def test_spelling_of_a_writer_with_spaces():
    spelling = spelling_of([b'{"a": "x", "b": 1, "c": null}\n', b'{"a": null, "b": 2, "c": "y"}\n'])
    assert spelling is not None
    assert spelling.pieces == ('{"a": ', ', "b": ', ', "c": ', "}")
    assert (spelling.quoted, spelling.nullable) == ({"a", "c"}, {"a", "c"})
