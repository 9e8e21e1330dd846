"""What the company sells and where: the same shelves and stores for every size and seed."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from transforms.demo.company import Company
from transforms.demo.randomness import Ints, generator, weighted

PRODUCTS = 4_000
_CATEGORIES = [
    "Obst & Gemüse", "Molkerei", "Backwaren", "Getränke", "Drogerie", "Haushalt", "Schreibwaren", "Spielwaren",
    "Küche; Bad", "Textil", "Schuhe", "Sport", "Elektronik", "Möbel",
]  # fmt: skip
WEIGHED = 0
"""Position of the category that is sold by weight."""
STORE_TYPES = ["supermarket", "department_store", "mall"]
_TYPE_SHARES = [0.60, 0.25, 0.15]


@cache
def prices() -> Ints:
    """List prices in cents, ascending; a product's number is its position."""
    grid = np.exp(np.linspace(np.log(29), np.log(99_900), PRODUCTS))
    return np.rint(grid).astype(np.int64)


@cache
def categories() -> Ints:
    """Category of each product: dear things sit in the later categories."""
    rng = generator(0, 0, "catalogue")
    middle = np.linspace(-1.5, len(_CATEGORIES) + 0.5, PRODUCTS)
    return np.rint(middle + rng.normal(0, 1.6, PRODUCTS)).astype(np.int64).clip(0, len(_CATEGORIES) - 1)


def nearest_product(cents: np.ndarray) -> Ints:
    """Product whose list price comes closest to each amount."""
    listed = prices()
    above = np.searchsorted(listed, cents).clip(1, PRODUCTS - 1)
    return np.where(cents - listed[above - 1] <= listed[above] - cents, above - 1, above)


@cache
def product_ids() -> pl.Series:
    """Article numbers by product."""
    return pl.Series([f"A{number + 10_000}" for number in range(PRODUCTS)])


@cache
def category_names() -> pl.Series:
    """Category name by product."""
    return pl.Series(_CATEGORIES).gather(categories())


@cache
def store_ids(stores: int) -> pl.Series:
    """Store codes by store number."""
    return pl.Series([f"S{number + 1:03d}" for number in range(stores)])


@cache
def store_types(stores: int) -> Ints:
    """Type of each store, as a position in ``STORE_TYPES``: neighbours on the list differ."""
    bounds = np.cumsum(_TYPE_SHARES)
    return np.searchsorted(bounds, (np.arange(stores) * 0.381966 + 0.1) % 1, side="right").clip(max=2)


def draw_stores(rng: np.random.Generator, company: Company, store_type: int, size: int) -> Ints:
    """Stores of one type, the popular ones more often."""
    numbers = np.flatnonzero(store_types(company.stores) == store_type)
    return numbers[weighted(rng, size, 1 / (np.arange(len(numbers)) + 8.0))]
