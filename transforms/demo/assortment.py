"""The catalogue as the merchandise system exports it: all articles, once a quarter."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from transforms.demo import catalogue
from transforms.demo.almanac import DAY, moments, quarters
from transforms.demo.randomness import Ints, generator, within
from transforms.demo.rows import Rows, money

SOURCE = "product_catalogue"
COLUMNS = [
    "Artikel", "Bezeichnung", "Warengruppe", "Pfad", "Marke", "Lieferant", "EAN", "Einheit", "Listenpreis",
    "Einkaufspreis", "Waehrung", "MwSt", "Seit", "Bis", "Geaendert", "Status",
]  # fmt: skip
_PASSING = 60
"""Articles that nobody ever buys and that leave the catalogue, some each quarter."""
_BRANDS = ["Nordlicht", "Hausmarke", "Alpina", "Kranich", "Lindenhof", "Sonnental", "Fjord", "Baltica"]
_SUPPLIERS = ["Hansa Handel", "Donau Import", "Rheinland Großhandel", "Süd Logistik"]
_COST = (0.52, 0.76)  # of the net list price
_TAX = 0.19


def product_rows() -> Rows:
    """Rows of all exports, the same for every size and seed; the truth knows the articles of the last one.

    List prices stay as they are, costs change now and then. Articles that are gone are just not there any more.
    """
    rng = generator(0, 0, "assortment")
    first_days = _first_days()
    articles, exports = catalogue.PRODUCTS + _PASSING, len(first_days)
    passing = np.arange(articles) >= catalogue.PRODUCTS
    # the last export in which an article stands
    last = np.where(passing, np.arange(articles) % (exports - 1), exports - 1)
    # the exports in which its cost changed, and the cost from then on
    changes = rng.random((exports, articles)) < 0.08
    changes[0] = True
    factor = np.cumprod(np.where(changes, rng.uniform(0.97, 1.04, changes.shape), 1.0), axis=0)
    cents = np.append(catalogue.prices(), rng.integers(199, 9_999, _PASSING))
    net = cents / (1 + _TAX) * rng.uniform(*_COST, articles)
    changed = np.maximum.accumulate(np.where(changes, np.arange(exports)[:, None], 0), axis=0)
    export, article = np.nonzero(np.arange(exports)[:, None] <= last)
    size = len(article)
    names, categories = _names(articles)
    category = categories.gather(article)
    cost = np.maximum(np.rint((net * factor)[export, article]), 1).astype(np.int64)
    last_change = first_days[changed[export, article]] * DAY - 6 * 3600
    frame = pl.DataFrame(
        {
            "Artikel": names.gather(article),
            "Bezeichnung": category + " " + names.gather(article).str.tail(3),
            "Warengruppe": category,
            "Pfad": "Sortiment > " + _departments(category) + " > " + category,
            "Marke": pl.Series(_BRANDS).gather(article * 7 % len(_BRANDS)),
            "Lieferant": pl.Series(_SUPPLIERS).gather(article * 5 % len(_SUPPLIERS)),
            "EAN": "40" + pl.Series(article * 7_919 % 10**10).cast(pl.String).str.zfill(10),
            "Einheit": pl.Series(["Stück", "kg"]).gather((category == "Obst & Gemüse").cast(pl.Int64).to_numpy()),
            "Listenpreis": money(cents[article], ","),
            "Einkaufspreis": money(cost, ","),
            "Waehrung": pl.Series(["EUR"]).gather(np.zeros(size, dtype=np.int64)),
            "MwSt": pl.Series(["0,19"]).gather(np.zeros(size, dtype=np.int64)),
            "Seit": pl.Series(["2023-11-01T00:00:00"]).gather(np.zeros(size, dtype=np.int64)),
            "Bis": pl.Series([None], dtype=pl.String).gather(np.zeros(size, dtype=np.int64)),
            "Geaendert": moments(last_change).dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "Status": pl.Series(["AKTIV", "AUSLAUF"]).gather(passing[article].astype(np.int64)),
        }
    ).with_columns(pl.col("Warengruppe", "Bezeichnung", "Pfad").map_batches(_quoted))
    return Rows(
        SOURCE,
        frame.with_columns(
            pl.Series("_at", first_days[export] * DAY + 3 * 3600),
            (SOURCE + ":" + frame["Artikel"]).alias("_record_id"),
            pl.Series("_person", np.full(size, -1)),
            pl.Series("_usable", np.zeros(size, dtype=bool)),
            pl.Series("_current", export == exports - 1),
            pl.Series("_unchanged", (export > 0) & ~changes[export, article]),
        ),
    )


@cache
def _first_days() -> Ints:
    of_day = quarters()[0]
    return np.flatnonzero(within(np.bincount(of_day)) == 0)


def _names(articles: int) -> tuple[pl.Series, pl.Series]:
    extra = articles - catalogue.PRODUCTS
    names = pl.concat([catalogue.product_ids(), pl.Series([f"A{number + 90_000}" for number in range(extra)])])
    return names, pl.concat([catalogue.category_names(), catalogue.category_names().head(extra)])


def _departments(categories: pl.Series) -> pl.Series:
    known = dict.fromkeys(["Obst & Gemüse", "Molkerei", "Backwaren", "Getränke"], "Lebensmittel")
    known |= dict.fromkeys(["Drogerie", "Haushalt", "Schreibwaren"], "Alltag")
    return categories.replace_strict(known, default="Wohnen & Freizeit")


def _quoted(values: pl.Series) -> pl.Series:
    quoted = '"' + values + '"'
    return values.zip_with(~values.str.contains(";"), quoted)
