"""Chinese reviews, ratings of lectures and questionnaires through the gate."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable

import polars as pl
import pytest

from .comparing import as_counted
from .conftest import Gated

pytestmark = pytest.mark.real_data

Raw = Callable[[str], pl.DataFrame]
Gate = Callable[[str], Gated]

REVIEWS = {
    "waimai_reviews": "chinese_reviews/waimai_10k.parquet",
    "hotel_reviews": "chinese_reviews/chnsenticorp_htl_all.parquet",
}
RATINGS = "survey_items/lme4_insteval.parquet"
QUESTIONNAIRES = "survey_items/sempls_mobi_ecsi.parquet"
# Sets of the same kind in which respondents agree in all their answers, with rows and distinct rows.
WITH_TWINS = {
    "bayesm_customersat": (1_811, 1_684),
    "csem_service_quality": (411, 385),
    "csem_switching": (767, 676),
}
UNKNOWN = dt.datetime.fromisoformat("1970-01-01")


def readable(text: str | None) -> str | None:
    """A text without control characters and byte order marks; null where nothing is left."""
    kept = "".join(letter for letter in text or "" if letter in "\t\n\r" or (letter >= " " and letter != "\ufeff"))
    return kept or None


@pytest.mark.parametrize("source", REVIEWS)
def test_every_review(raw: Raw, gated: Gate, source: str) -> None:
    published = raw(REVIEWS[source])
    distinct = Counter(published.select("label", "review").unique().iter_rows())
    reviews = gated(source)
    assert reviews.account == (published.height, len(distinct), 0, published.height - len(distinct))
    assert Counter(reviews.accepted.select("rating", "text").iter_rows()) == Counter(
        (float(label), readable(review)) for label, review in distinct
    )
    scales = reviews.accepted.select("scale_min", "scale_max", "language", "reviewed_at").unique()
    assert scales.rows() == [(0.0, 1.0, "zh-Hans", UNKNOWN)]


def test_known_quirks_of_the_reviews_counted_by_hand(raw: Raw, gated: Gate) -> None:
    as_counted(raw(REVIEWS["waimai_reviews"]), 11_987)
    as_counted(raw(REVIEWS["hotel_reviews"]), 7_766)
    waimai, hotel = gated("waimai_reviews"), gated("hotel_reviews")
    assert waimai.account == (11_987, 11_987, 0, 0)
    assert hotel.account == (7_766, 7_766, 0, 0)
    assert dict(waimai.accepted["rating"].value_counts().iter_rows()) == {1.0: 4_000, 0.0: 7_987}
    assert dict(hotel.accepted["rating"].value_counts().iter_rows()) == {1.0: 5_322, 0.0: 2_444}
    # Seven texts are praise of one person and blame of another; with the text alone as key, they would be conflicts.
    repeated = waimai.accepted.group_by("text").agg(pl.col("rating").sort()).filter(pl.col("rating").list.len() > 1)
    assert repeated["rating"].to_list() == [[0.0, 1.0]] * 7
    # One hotel was judged without a word.
    assert hotel.accepted.filter(pl.col("text").is_null())["rating"].to_list() == [0.0]
    # Quotation marks, doubled in the publisher's CSV, came whole: 2 and 84 texts have some.
    assert [gate.accepted["text"].str.contains('"', literal=True).sum() for gate in (waimai, hotel)] == [2, 84]
    # One review of a delivery begins with a backspace.
    assert raw(REVIEWS["waimai_reviews"])["review"].str.contains(r"\x08").sum() == 1
    assert waimai.accepted["text"].str.contains(r"\x08").sum() == 0


def test_every_rating_of_a_lecture(raw: Raw, gated: Gate) -> None:
    published = raw(RATINGS)
    ratings = gated("insteval_ratings")
    assert ratings.account == (published.height, published.height, 0, 0)
    assert Counter(ratings.accepted.select("loyalty_id", "agent_id", "store_id", "score").iter_rows()) == Counter(
        (f"insteval:{student}", f"insteval-{lecturer}", f"insteval-{department}", float(mark))
        for student, lecturer, department, mark in published.select("s", "d", "dept", "y").iter_rows()
    )
    assert ratings.accepted.select("scale_min", "scale_max").unique().rows() == [(1.0, 5.0)]


def test_known_figures_of_the_ratings(raw: Raw, gated: Gate) -> None:
    as_counted(raw(RATINGS), 73_421)
    ratings = gated("insteval_ratings").accepted
    # lme4's documentation: 73,421 ratings of 1,128 lecturers by 2,972 students.
    assert (ratings.height, ratings["agent_id"].n_unique(), ratings["loyalty_id"].n_unique()) == (73_421, 1_128, 2_972)
    assert ratings["score"].value_counts().sort("score")["count"].to_list() == [10_186, 12_951, 17_609, 16_921, 15_754]


def test_every_answer_of_every_questionnaire(raw: Raw, gated: Gate) -> None:
    scales = {
        "CUEX": "expectation",
        "CUSA": "satisfaction",
        "CUSL": "loyalty",
        "IMAG": "image",
        "PERQ": "quality",
        "PERV": "value",
    }
    published = raw(QUESTIONNAIRES)

    def answers(row: dict[str, int]) -> tuple[float, tuple[tuple[str, int], ...]]:
        items = {
            "complaints.1" if name == "CUSCO" else f"{scales[name[:4]]}.{name[4:]}": value
            for name, value in row.items()
            if name != "CUSA1"
        }
        return float(row["CUSA1"]), tuple(sorted(items.items()))

    survey = gated("ecsi_mobile_survey")
    assert survey.account == (published.height, published.height, 0, 0)
    assert Counter(
        (score, tuple(sorted(json.loads(items).items())))
        for score, items in survey.accepted.select("score", "items").iter_rows()
    ) == Counter(answers(row) for row in published.iter_rows(named=True))
    assert survey.accepted.select("scale_min", "scale_max").unique().rows() == [(1.0, 10.0)]


@pytest.mark.parametrize("name", WITH_TWINS)
def test_why_the_other_questionnaires_stay_out(raw: Raw, name: str) -> None:
    """A key of the content would lose respondents who agree in everything, and there is no other."""
    published = raw(f"survey_items/{name}.parquet")
    rows, distinct = WITH_TWINS[name]
    as_counted(published, rows)
    assert published.n_unique() == distinct


def test_why_cdnow_stays_out(raw: Raw) -> None:
    """Purchases of a day that agree in number and amount are purchases; without a number they would count once."""
    published = raw("cdnow/cdnow_master.parquet")
    as_counted(published, 69_659)
    cents = (pl.col("amount") * 100).round().cast(pl.Int64).sum()
    assert published.select(cents).item() == 250_031_563
    assert published.unique().select(cents).item() == 250_031_563 - 433_288
