from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .register import Profile, prepared


def read(*profiles: Profile) -> list[dict[str, Any]]:
    connection = prepared({"record_id": f"crm:{i}", **profile} for i, profile in enumerate(profiles))
    return connection.sql("FROM profiles ORDER BY uid").pl().to_dicts()


@pytest.mark.parametrize(
    "spelling",
    [
        {"given_name": "José", "family_name": "Müller-Groß"},
        {"given_name": " JOSE ", "family_name": "muller gross"},
        {"given_name": "Ｊｏｓé", "family_name": "Ｍüller－Groß"},
        {"full_name": "José Müller Groß", "given_name": "José", "family_name": "Müller Groß"},
    ],
)
def test_case_accents_width_and_punctuation_do_not_count(spelling: Profile) -> None:
    (row,) = read(spelling)
    assert (row["given"], row["family"]) == ("jose", "muller gross")


@pytest.mark.parametrize("full", ["Grace Hopper", "Dr. Grace Hopper", "Hopper, Grace", "Grace Brewster Hopper"])
def test_a_whole_name_is_parted(full: str) -> None:
    (row,) = read({"full_name": full})
    assert (row["given"], row["family"]) == ("grace", "hopper")


def test_what_else_a_whole_name_holds_is_evidence_of_its_own() -> None:
    (row,) = read(
        {"given_name": "Thomas", "family_name": "Chudleigh", "full_name": "Thomas Clifford, 1st of Chudleigh"}
    )
    assert row["other_names"] == ["1st", "clifford"]


def test_exchanged_names_have_one_key() -> None:
    one, other = read(
        {"given_name": "Ada", "family_name": "Lovelace"}, {"given_name": "Lovelace", "family_name": "Ada"}
    )
    assert one["names"] == other["names"] == "ada lovelace"


def test_chinese_names_meet_their_latin_form() -> None:
    han, traditional, latin = read(
        {"full_name": "张三"}, {"full_name": "張三"}, {"given_name": "San", "family_name": "Zhang"}
    )
    assert han["given"] == traditional["given"] == "三"
    assert {(row["given_latin"], row["family_latin"]) for row in (han, traditional, latin)} == {("san", "zhang")}


@pytest.mark.parametrize("masked", [{"full_name": "张**"}, {"given_name": "**", "family_name": "张"}])
def test_a_masked_given_name_is_not_known(masked: Profile) -> None:
    (row,) = read(masked)
    assert (row["given"], row["names"]) == (None, None)


@pytest.mark.parametrize("blank", ["", "  ", "-", "unknown", "N/A", "null"])
def test_blanks_and_words_for_nothing_are_nothing(blank: str) -> None:
    (row,) = read({"given_name": blank, "street": blank, "city": blank})
    assert (row["given"], row["street"], row["city"]) == (None, None, None)


def test_the_year_stands_for_a_date_that_is_not_known() -> None:
    dated, aged = read({"birth_date": dt.date(1969, 7, 20)}, {"birth_year": 1969})
    assert (dated["born"], aged["born"]) == ("19690720", "19690101")


def test_spellings_of_a_street_and_of_numbers() -> None:
    one, other = read(
        {"street": "Lindenstraße", "phone": "+49 171 2345678", "national_id": "12-345", "postal_code": "SW1A 1AA"},
        {"street": "LINDENSTR.", "phone": "0171/2345678", "national_id": "12 345", "postal_code": "sw1a1aa"},
    )
    names = ("street", "phone", "national_id", "postal_code")
    assert [one[name] for name in names] == [other[name] for name in names]


PLAIN = ["ab", "Z", "7", " ", "  ", "unknown", "Main st"]
# What a shortcut for plain texts might take for one: width, accents as one character and as two, letters whose lower
# case is of ASCII (K of Kelvin) or is not (dotted I), other digits, marks, spaces.
OTHER = [*"ßJé京İı\u212a²٣Ｊ９－　'’`´.,-_/*+&#\t\n\u00a0\u200b\u0301", "e\u0301"]
TEXTS = st.one_of(
    *(st.lists(st.sampled_from(parts), min_size=1, max_size=6).map("".join) for parts in (PLAIN, [*PLAIN, *OTHER]))
)


@settings(deadline=None, max_examples=10)
@given(st.lists(TEXTS, min_size=60, max_size=90))
def test_plain_texts_are_read_as_all_others_are(texts: list[str]) -> None:
    """A dot is dropped, and a text with one is not plain: with and without it has to be the same."""
    rows = read(*({"occupation": text, "city": f"{text}."} for text in texts))
    assert [row["occupation"] for row in rows] == [row["city"] for row in rows]
