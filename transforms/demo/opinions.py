"""Reviews of articles, in several languages, by people who bought them."""

from __future__ import annotations

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import DAY, END, SCREEN_HOURS, clock, moments, to_utc
from transforms.demo.civil import Civil
from transforms.demo.people import People
from transforms.demo.purchases import Lines, Orders
from transforms.demo.randomness import Ints, hexadecimal, pick, weighted
from transforms.demo.rows import Rows, present, truth_columns

SOURCE = "product_reviews"
_ONLINE, _STORE = 0.035, 0.002  # share of order lines that people with an account review
_LANGUAGES = ["de", "en", "zh"]
# By language: what people write who are disappointed, content, delighted.
_TEXTS = [
    [
        ["Nach zwei Tagen kaputt.", "Farbe stimmt nicht mit dem Bild überein.", "Leider zu klein, geht zurück."],
        ["Tut, was es soll.", "Ganz in Ordnung für den Preis.", "Lieferung langsam, Artikel gut."],
        ["Super Qualität, gerne wieder!", "Schnelle Lieferung, tolles Teil.", 'Besser als erwartet, "wie neu".'],
    ],
    [
        ["Broke after a week.", "Not what I ordered.", "Poor quality for the price."],
        ["Does the job.", "Okay, nothing special.", "Good, but delivery took long."],
        ["Excellent, would buy again!", "Love it.", "Great value and fast delivery."],
    ],
    [
        ["质量太差了，用了两天就坏了。", "和图片不一样，很失望。", "客服态度不好，不会再买。"],
        ["还可以，价格合适。", "一般般，送货有点慢。", "能用，没有惊喜。"],
        ["非常好，很快，下次还买！", "质量不错，物流很快。", "很满意，推荐购买。"],
    ],
]
_TITLES = [["Enttäuscht", "Geht so", "Top!"], ["Disappointed", "Fine", "Great"], ["失望", "一般", "很好"]]
LINE = pl.struct(
    "id", "created",
    pl.struct("value", "best", "worst").alias("rating"),
    "headline", "body", "lang", "article", "order", "channel", "visible", "verified", "helpful",
    pl.struct("nick", "account", "mail").alias("author"),
).struct.json_encode()  # fmt: skip


def review_rows(
    rng: np.random.Generator,
    people: People,
    civil: Civil,
    sales: Orders,
    lines: Lines,
    returned: Ints,
    order_id: pl.Series,
    first_review: int,
) -> Rows:
    """Rows of the reviews; ``returned`` are the positions of lines that came back: those please least."""
    known = sales.person >= 0
    may = known & people.names.has_account[sales.person.clip(0)]
    rate = np.where(may, np.where(sales.online, _ONLINE, _STORE), 0.0)
    line = np.flatnonzero(rng.random(len(lines)) < rate[lines.order])
    order = lines.order[line]
    day = sales.wall[order] // DAY + 2 + rng.exponential(9, len(line)).astype(np.int64)
    wall = day * DAY + clock(rng, len(line), SCREEN_HOURS)
    in_time = wall < END - DAY
    line, order, wall = line[in_time], order[in_time], wall[in_time]
    size, person = len(line), sales.person[order]
    came_back = np.zeros(len(lines), dtype=bool)
    came_back[returned] = True
    pleasure = 4.2 - 1.8 * came_back[line] + rng.normal(0, 1.1, size)
    stars = np.rint(pleasure).astype(np.int64).clip(1, 5)
    tone = np.array([0, 0, 1, 2, 2])[stars - 1]
    native = present(civil.native)[person]
    language = np.where(native, 2, weighted(rng, size, [0.88, 0.12]))
    choice = rng.integers(0, 3, size)
    texts = pl.Series([text for tones in _TEXTS for of_tone in tones for text in of_tone])
    titles = pl.Series([title for of_language in _TITLES for title in of_language])
    everyone, names = np.arange(size), people.names
    review = "V" + hexadecimal(everyone + first_review, 121)
    nick = civil.given.gather(person) + " " + civil.family.gather(person).str.head(1) + "."
    frame = pl.DataFrame(
        {
            "id": review,
            "created": moments(to_utc(wall)).dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": pl.Series(stars).cast(pl.String),
            "best": pl.Series(["5"]).gather(everyone * 0),
            "worst": pl.Series(["1"]).gather(everyone * 0),
            "headline": pick(titles, language * 3 + tone, rng.random(size) < 0.6),
            "body": texts.gather(language * 9 + tone * 3 + choice),
            "lang": pl.Series(_LANGUAGES).gather(language),
            "article": catalogue.product_ids().gather(lines.product[line]),
            "order": order_id.gather(order),
            "channel": pl.Series(["web", "app"]).gather(sales.in_app[order].astype(np.int64)),
            "visible": pl.Series(["yes", "no"]).gather((rng.random(size) < 0.02).astype(np.int64)),
            "verified": pl.Series(["true", "false"]).gather((~sales.online[order]).astype(np.int64)),
            "helpful": pl.Series(rng.poisson(0.7, size)).cast(pl.String),
            "nick": nick,
            "account": pick(names.account, person, names.has_account[person]),
            "mail": names.email.at(person, wall, rng.random(size) < 0.3),
        }
    )
    usable = names.has_account[person]
    return Rows(SOURCE, frame.with_columns(truth_columns(people, person, wall, SOURCE + ":" + review, usable)))
