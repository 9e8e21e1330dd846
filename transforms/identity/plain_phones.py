"""Telephone numbers in plain forms, read in SQL.

Follows ``phonenumbers.parse`` step by step, and gives an answer only where it is certain to be that of
:func:`transforms.identity.phone.parse_phone`.
"""

from __future__ import annotations

import duckdb
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from transforms.identity import numbering
from transforms.sql import literal

# Calling codes that get expressions of their own besides those of the sources' regions: enough for any company's
# neighbours, few enough to plan quickly.
_FOREIGN_CODES = 12

_PLAIN = r"[( ]*\+?[0-9 ()./-]*"


def read_plain_phones(connection: duckdb.DuckDBPyConnection, regions: list[str]) -> None:
    """Turn ``phone_texts`` (region, text) into ``plain_phones`` (region, text, code, significant, class).

    ``class`` is mobile, landline, service or none (no number of the plan), and null where SQL is not certain.
    """
    _split_codes(connection, regions)
    codes = _codes_worth_reading(connection, regions)
    _read_significant(connection, regions, codes)
    _classify(connection, codes)
    _choose(connection)


def _split_codes(connection: duckdb.DuckDBPyConnection, regions: list[str]) -> None:
    """Make ``coded``: a calling code follows a plus or the region's prefix of calls abroad, others are national."""
    international = _case("region", {r: numbering.international_expression(r, "digits") for r in regions})
    home = _case("region", {r: literal(numbering.calling_code(r)) for r in regions})
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE coded AS
        WITH stripped AS (
            SELECT region, text, starts_with(ltrim(text, '( '), '+') AS plus,
                   regexp_full_match(text, {literal(_PLAIN)}) AS plain,
                   regexp_replace(text, '[^0-9]', '', 'g') AS digits
            FROM phone_texts
        ),
        dialled AS (SELECT *, CASE WHEN plus THEN digits ELSE {international} END AS abroad FROM stripped),
        found AS (SELECT *, {_leading_code("abroad")} AS abroad_code FROM dialled)
        SELECT region, text, plain, digits, abroad IS NULL AS national,
               CASE WHEN abroad IS NULL THEN {home} ELSE abroad_code END AS code,
               CASE WHEN abroad IS NULL THEN digits ELSE substr(abroad, length(abroad_code) + 1) END AS rest
        FROM found
    """)


def _codes_worth_reading(connection: duckdb.DuckDBPyConnection, regions: list[str]) -> list[str]:
    foreign = connection.execute(
        "SELECT code FROM coded WHERE NOT national AND plain AND code IS NOT NULL"
        " GROUP BY code ORDER BY count(*) DESC, code LIMIT ?",
        [_FOREIGN_CODES],
    ).fetchall()
    codes = {numbering.calling_code(region) for region in regions} | {code for (code,) in foreign}
    return sorted(code for code in codes if numbering.main_region(code) is not None)


def _read_significant(connection: duckdb.DuckDBPyConnection, regions: list[str], codes: list[str]) -> None:
    """Make ``readings``: the significant number, and where a national number begins with its own calling code, also the
    one that follows the code."""
    national = {region: numbering.significant_expression(region, "number") for region in regions}
    foreign = {code: numbering.significant_expression(str(numbering.main_region(code)), "number") for code in codes}
    connection.execute(
        f"CREATE OR REPLACE TEMP MACRO national_significant(region, number) AS {_case('region', national)}"
    )
    connection.execute(f"CREATE OR REPLACE TEMP MACRO foreign_significant(code, number) AS {_case('code', foreign)}")
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE readings AS
        WITH read AS (
            SELECT *, national AND starts_with(digits, code) AS ambiguous,
                   CASE WHEN national THEN national_significant(region, rest)
                        ELSE foreign_significant(code, rest) END AS significant
            FROM coded
        )
        SELECT *, CASE WHEN ambiguous THEN national_significant(region, substr(digits, length(code) + 1)) END AS other
        FROM read
    """)
    # phonenumbers would strip a second national prefix, which plain numbers do not have.
    connection.execute("UPDATE readings SET other = NULL WHERE other <> national_significant(region, other)")


def _classify(connection: duckdb.DuckDBPyConnection, codes: list[str]) -> None:
    classes = _case("code", {code: numbering.class_expression(code, "significant") for code in codes})
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE classes AS
        SELECT code, significant, {classes} AS class
        FROM (SELECT code, significant FROM readings UNION SELECT code, other FROM readings)
        WHERE significant IS NOT NULL
    """)


def _choose(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``plain_phones``: of two readings the mobile one, else the national one if the plan knows it."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE plain_phones AS
        WITH classified AS (
            SELECT r.*, c.class, o.class AS other_class
            FROM readings r
            LEFT JOIN classes c ON c.code = r.code AND c.significant = r.significant
            LEFT JOIN classes o ON o.code = r.code AND o.significant = r.other
        ),
        chosen AS (
            SELECT *, CASE
                WHEN NOT plain OR class IS NULL THEN NULL
                WHEN NOT ambiguous OR significant = other THEN 'first'
                WHEN other_class IS NULL OR significant <> digits THEN NULL
                WHEN class = 'mobile' THEN 'first'
                WHEN other_class = 'mobile' OR class = 'none' THEN 'other'
                ELSE 'first'
            END AS choice
            FROM classified
        )
        SELECT region, text, code, CASE WHEN choice = 'other' THEN other ELSE significant END AS significant,
               CASE WHEN plain AND national AND region IS NULL THEN 'none' -- nothing says of which country
                    WHEN choice = 'other' THEN other_class WHEN choice = 'first' THEN class END AS class
        FROM chosen
    """)


def _leading_code(digits: str) -> str:
    """SQL expression for the calling code at the start of international digits; no code begins another one."""
    branches: list[str] = []
    for length in (1, 2, 3):
        codes = ", ".join(literal(str(c)) for c in sorted(COUNTRY_CODE_TO_REGION_CODE) if len(str(c)) == length)
        branches.append(f"WHEN left({digits}, {length}) IN ({codes}) THEN left({digits}, {length})")
    return f"CASE {' '.join(branches)} END"


def _case(column: str, expressions: dict[str, str] | dict[str, str | None]) -> str:
    branches = [f"WHEN {literal(key)} THEN {sql}" for key, sql in expressions.items() if sql is not None]
    return f"CASE {column} {' '.join(branches)} END" if branches else "CAST(NULL AS VARCHAR)"
