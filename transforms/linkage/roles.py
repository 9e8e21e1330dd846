"""What a column is evidence of: how it is compared, and which lookalikes share it.

A level of a comparison is an SQL condition over ``<column>_l`` and ``<column>_r``, strongest first. Beside it stands
what is held true before any data: how often true matches (m) and strangers (u) fall into it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from transforms.linkage.policy import Lookalike


@dataclass(frozen=True)
class Level:
    """One degree of agreement. ``frequency`` names the column whose rare values count more."""

    label: str
    condition: str
    m: float
    u: float
    frequency: str | None = None


@dataclass(frozen=True)
class Role:
    """One comparison of the model, named after its column.

    ``missing`` is the condition under which it says nothing; ``shared_by`` are the lookalikes that share it.
    """

    name: str
    missing: str
    levels: tuple[Level, ...]
    shared_by: frozenset[Lookalike]


_ALL: frozenset[Lookalike] = frozenset({"twin", "namesake", "household"})
_EXACT_U = 0.005


def _else(m: float, u: float = 0.95) -> Level:
    return Level("different", "ELSE", m, u)


def _equal(column: str, m: float, u: float = _EXACT_U) -> Level:
    return Level("equal", f"{column}_l = {column}_r", m, u, column)


def _winkler(column: str, least: float, label: str, m: float, u: float) -> Level:
    return Level(label, f"jaro_winkler_similarity({column}_l, {column}_r) >= {least}", m, u)


def _edits(column: str, most: int, label: str, m: float, u: float) -> Level:
    # An exchange of neighbours is two plain edits at most. Plain edits take a seventh of the time to count, and lengths
    # none: of all pairs few are left for the slow count.
    left, right = f"{column}_l", f"{column}_r"
    condition = (
        f"abs(length({left}) - length({right})) <= {most} AND levenshtein({left}, {right}) <= {2 * most}"
        f" AND damerau_levenshtein({left}, {right}) <= {most}"
    )
    return Level(label, condition, m, u)


def _missing(*columns: str) -> str:
    return " OR ".join(f"{column}_l IS NULL OR {column}_r IS NULL" for column in columns)


def _name_part(part: str, other: str, shared_by: frozenset[Lookalike]) -> Role:
    own, latin, exchanged = part, f"{part}_latin", f"{other}_latin"
    return Role(
        part,
        _missing(own),
        (
            _equal(own, 0.75),
            Level(
                f"exchanged with {other}",
                f"{latin}_l = {exchanged}_r AND {exchanged}_l = {latin}_r",
                0.01,
                0.0001,
            ),
            Level(
                "equal in Latin letters, or one begins with the other",
                f"{latin}_l = {latin}_r OR starts_with({latin}_l, {latin}_r || ' ')"
                f" OR starts_with({latin}_r, {latin}_l || ' ')",
                0.05,
                0.002,
            ),
            _winkler(latin, 0.92, "near", 0.1, 0.003),
            Level("in the other field", f"{latin}_l = {exchanged}_r OR {exchanged}_l = {latin}_r", 0.01, 0.001),
            _winkler(latin, 0.8, "similar", 0.03, 0.008),
            Level("same initial", f"left({latin}_l, 1) = left({latin}_r, 1)", 0.02, 0.05),
            _else(0.03),
        ),
        shared_by,
    )


def _place(column: str, shared_by: frozenset[Lookalike] = _ALL, equal: float = 0.7) -> Role:
    return Role(
        column,
        _missing(column),
        (
            _equal(column, equal),
            _winkler(column, 0.92, "near", 0.1, 0.003),
            Level(
                "one holds the other",
                f"contains({column}_l, {column}_r) OR contains({column}_r, {column}_l)",
                0.02,
                0.001,
            ),
            _winkler(column, 0.8, "similar", 0.03, 0.01),
            _else(0.15),
        ),
        shared_by,
    )


def _word(column: str, shared_by: frozenset[Lookalike], equal: float, u: float = 0.05) -> Role:
    return Role(column, _missing(column), (_equal(column, equal, u), _else(1 - equal, 1 - u)), shared_by)


def _number(column: str, shared_by: frozenset[Lookalike]) -> Role:
    return Role(
        column,
        _missing(column),
        (
            _equal(column, 0.85, 0.0005),
            _edits(column, 1, "one character differs", 0.05, 0.0005),
            _edits(column, 2, "two characters differ", 0.01, 0.001),
            _else(0.09),
        ),
        shared_by,
    )


_YEAR = "left(born_l, 4) = left(born_r, 4)"
_BORN = Role(
    "born",
    _missing("born"),
    (
        _equal("born", 0.8, 0.0005),
        Level(
            "day and month exchanged",
            f"{_YEAR} AND substr(born_l, 5, 2) = substr(born_r, 7, 2) AND substr(born_l, 7, 2) = substr(born_r, 5, 2)",
            0.01,
            0.00002,
        ),
        _edits("born", 1, "one digit differs", 0.08, 0.003),
        Level(
            "same year, of one no day is known",
            f"{_YEAR} AND (substr(born_l, 5) = '0101' OR substr(born_r, 5) = '0101')",
            0.01,
            0.0005,
        ),
        _edits("born", 2, "two digits differ", 0.04, 0.015),
        Level("same year", _YEAR, 0.01, 0.01),
        Level(
            "less than ten years apart",
            "abs(CAST(left(born_l, 4) AS INTEGER) - CAST(left(born_r, 4) AS INTEGER)) < 10",
            0.02,
            0.25,
        ),
        _else(0.03, 0.7),
    ),
    frozenset({"twin"}),
)
_WORDS_IN_COMMON = "len(list_intersect(other_names_l, other_names_r))"
_WORDS_IN_ALL = "len(list_distinct(list_concat(other_names_l, other_names_r)))"
_OTHER_NAMES = Role(
    "other_names",
    _missing("other_names"),
    (
        Level("all words equal", "other_names_l = other_names_r", 0.5, 0.004),
        Level("half of the words", f"2 * {_WORDS_IN_COMMON} >= {_WORDS_IN_ALL}", 0.2, 0.004),
        Level("some words", f"{_WORDS_IN_COMMON} > 0", 0.1, 0.006),
        _else(0.2),
    ),
    frozenset(),
)
_POSTAL_CODE = Role(
    "postal_code",
    _missing("postal_code"),
    (
        _equal("postal_code", 0.7, 0.001),
        _edits("postal_code", 1, "one character differs", 0.1, 0.01),
        Level(
            "same district",
            "length(postal_code_l) >= 5 AND left(postal_code_l, -3) = left(postal_code_r, -3)",
            0.04,
            0.01,
        ),
        _edits("postal_code", 2, "two characters differ", 0.02, 0.1),
        _else(0.14, 0.88),
    ),
    _ALL,
)
_HOUSE_NUMBER = Role(
    "house_number",
    _missing("house_number"),
    (
        _equal("house_number", 0.8, 0.01),
        _edits("house_number", 1, "one character differs", 0.07, 0.2),
        _else(0.13, 0.8),
    ),
    _ALL,
)
_EMAIL = Role(
    "email",
    _missing("email"),
    (
        _equal("email", 0.6, 0.002),
        Level("same mailbox, other domain", "mailbox_l = mailbox_r", 0.15, 0.001),
        _edits("email", 2, "two characters differ at most", 0.1, 0.0005),
        _winkler("mailbox", 0.88, "similar mailbox", 0.05, 0.001),
        _else(0.1, 0.99),
    ),
    _ALL,
)
ROLES: tuple[Role, ...] = (
    _name_part("given", "family", frozenset({"namesake"})),
    _name_part("family", "given", _ALL),
    _OTHER_NAMES,
    _BORN,
    _place("birth_place", frozenset({"twin"})),
    _word("gender", frozenset({"namesake"}), 0.97, 0.5),
    _word("occupation", frozenset(), 0.8),
    _number("national_id", frozenset()),
    _place("street"),
    _HOUSE_NUMBER,
    _place("address_extra"),
    _POSTAL_CODE,
    _place("city"),
    _word("region", _ALL, 0.95, 0.2),
    _word("country", _ALL, 0.97, 0.5),
    _EMAIL,
    _number("phone", _ALL),
)

# Tells the comparisons of two releases apart: a model of others weighs something else.
COMPARISONS = hashlib.sha256(
    repr([(role.name, role.missing, role.levels, sorted(role.shared_by)) for role in ROLES]).encode()
).hexdigest()[:12]

# What pairs may be found by: SQL expression → the role it belongs to. Of one role, a rule takes one.
BLOCKING_KEYS: dict[str, str] = {
    "names": "given family",
    "full_name": "given family other_names",
    "given_latin": "given",
    "left(given_latin, 3)": "given",
    "left(given_latin, 1)": "given",
    "family_latin": "family",
    "left(family_latin, 3)": "family",
    "born": "born",
    "left(born, 6)": "born",
    "left(born, 4)": "born",
    "substr(born, 5)": "born",
    "birth_place": "birth_place",
    "occupation": "occupation",
    "national_id": "national_id",
    "street": "street",
    "left(street, 5)": "street",
    "house_number": "house_number",
    "address_extra": "address_extra",
    "postal_code": "postal_code",
    "left(postal_code, 3)": "postal_code",
    "city": "city",
    "left(city, 5)": "city",
    "email": "email",
    "mailbox": "email",
    "left(email, 5)": "email",
    "phone": "phone",
}
