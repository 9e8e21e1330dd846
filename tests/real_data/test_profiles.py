"""Profiles of the sets for record linkage and of the grocery panel through the gate."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable

import polars as pl
import pytest

from .comparing import as_counted, refusals
from .conftest import AFTER_EVERYTHING, Gated

pytestmark = pytest.mark.real_data

Raw = Callable[[str], pl.DataFrame]
Gate = Callable[[str], Gated]

FEBRL = "linkage/febrl3.parquet"
FAKE = "linkage/fake_1000.parquet"
HISTORICAL = "linkage/historical_50k.parquet"
HOUSEHOLDS = "completejourney/demographics.parquet"


def hashed(prefix: str, number: object) -> str:
    return hashlib.md5(f"{prefix}:{number}".encode(), usedforsecurity=False).hexdigest()


def date(text: str | None) -> dt.date | None:
    """A date of our era, or None for what is none."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError:
        return None


def by_id(profiles: Gated, *names: str) -> dict[str, tuple[object, ...]]:
    return {row[0]: row[1:] for row in profiles.accepted.select("profile_id", *names).iter_rows()}


def test_every_record_of_febrl(raw: Raw, gated: Gate) -> None:
    published = raw(FEBRL)
    profiles = gated("febrl3_profiles")
    assert profiles.account == (published.height, published.height, 0, 0)
    names = {
        "given_name": "given_name",
        "family_name": "surname",
        "national_id": "soc_sec_id",
        "street": "address_1",
        "house_number": "street_number",
        "address_extra": "address_2",
        "postal_code": "postcode",
        "city": "suburb",
        "region": "state",
    }
    assert by_id(profiles, "birth_date", *names) == {
        hashed("febrl3", row["rec_id"]): (date(row["date_of_birth"]), *(row[name] for name in names.values()))
        for row in published.iter_rows(named=True)
    }


def test_every_record_of_fake_1000(raw: Raw, gated: Gate) -> None:
    published = raw(FAKE)
    born = published.filter(pl.col("dob") <= AFTER_EVERYTHING.isoformat())
    profiles = gated("fake_1000_profiles")
    assert profiles.account == (published.height, born.height, published.height - born.height, 0)
    names = {"given_name": "first_name", "family_name": "surname", "city": "city", "email": "email"}
    assert by_id(profiles, "birth_date", *names) == {
        str(row["unique_id"]): (date(row["dob"]), *(row[name] for name in names.values()))
        for row in born.iter_rows(named=True)
    }


def test_every_record_of_the_historical_persons(raw: Raw, gated: Gate) -> None:
    published = raw(HISTORICAL)
    profiles = gated("historical_profiles")
    assert profiles.account == (published.height, published.height, 0, 0)
    names = {
        "full_name": "full_name",
        "given_name": "first_name",
        "family_name": "surname",
        "birth_place": "birth_place",
        "postal_code": "postcode_fake",
        "occupation": "occupation",
    }
    assert by_id(profiles, "birth_date", "gender", *names) == {
        hashed("historical", row["unique_id"]): (
            date(row["dob"]),
            row["gender"] if row["gender"] in ("female", "male") else None,
            *(row[name] for name in names.values()),
        )
        for row in published.iter_rows(named=True)
    }


def test_every_household(raw: Raw, gated: Gate) -> None:
    published = raw(HOUSEHOLDS)
    profiles = gated("completejourney_demographics")
    assert profiles.account == (published.height, published.height, 0, 0)
    names = {
        "age_band": "age",
        "income_band": "income",
        "home_ownership": "home_ownership",
        "marital_status": "marital_status",
        "household_size": "household_size",
        "household_type": "household_comp",
        "children": "kids_count",
    }
    assert by_id(profiles, "loyalty_id", *names) == {
        hashed("completejourney", row["household_id"]): (
            f"completejourney:{row['household_id']}",
            *(row[name] for name in names.values()),
        )
        for row in published.iter_rows(named=True)
    }
    bought = raw("completejourney/transactions.parquet")["household_id"].unique()
    assert set(published["household_id"]) <= set(bought)


@pytest.mark.parametrize(
    ("source", "path", "truth"),
    [
        ("febrl3_profiles", FEBRL, "true_id"),
        ("fake_1000_profiles", FAKE, "cluster"),
        ("historical_profiles", HISTORICAL, "cluster"),
    ],
)
def test_no_profile_tells_who_is_who(raw: Raw, gated: Gate, source: str, path: str, truth: str) -> None:
    """The truth is for scoring: neither its column nor a number that repeats it may be in the lake."""
    published = raw(path)
    profiles = gated(source).accepted
    assert profiles["_extra"].null_count() == profiles.height
    if published.schema[truth] == pl.String:
        truths = set(published[truth])
        for column in profiles.select(pl.col(pl.String)).columns:
            tokens = profiles[column].drop_nulls().str.extract(r"^(rec-\d+|Q\d+)").drop_nulls()
            assert truths.isdisjoint(tokens), column


def test_known_quirks_of_the_profiles_counted_by_hand(raw: Raw, gated: Gate) -> None:
    for path, rows in ((FEBRL, 5_000), (FAKE, 1_000), (HISTORICAL, 50_578), (HOUSEHOLDS, 419)):
        as_counted(raw(path), rows)
    febrl, fake, historical = (
        gated(source) for source in ("febrl3_profiles", "fake_1000_profiles", "historical_profiles")
    )
    # 155 records have no birth date, 35 one such as 19551192.
    assert febrl.accepted["birth_date"].null_count() == 155 + 35
    # Postal codes keep their leading zero.
    assert (febrl.accepted["postal_code"].str.len_chars() == 4).all()
    assert febrl.accepted["postal_code"].min() == "0331"
    # Ten are born from 8 January 2026 to 20 February 2031; the files came at the end of 2024.
    assert refusals(fake.refused) == {frozenset({"rule:born_in_the_past"}): 10}
    assert fake.accepted["birth_date"].max() == dt.date(2024, 8, 29)
    # 11,403 without a date, 2,889 such as 1845-01-81, 15 such as -0050-01-0.
    assert historical.accepted["birth_date"].null_count() == 11_403 + 2_889 + 15
    # 11,230 without a gender, 27 with the number of a Wikidata node, 3 with both.
    assert historical.accepted["gender"].null_count() == 11_230 + 27 + 3
    assert historical.accepted["full_name"].null_count() == 67
