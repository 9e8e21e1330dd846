"""Telephone numbers to E.164 and to what they are: mobile, landline or service."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import duckdb
import phonenumbers
import pyarrow as pa
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneNumber, PhoneNumberType

from transforms.identity import numbering
from transforms.sql import literal

# Calling codes that get their own SQL besides those of the sources' regions: enough for any one company's
# neighbours, few enough that the expression stays small.
_FOREIGN_CODES = 12

_CLASSES = {
    PhoneNumberType.MOBILE: "mobile",
    # North America and others do not tell them apart; a number that may be a mobile one is taken for one.
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "landline",
}

# What may be a number at all: digits and the usual punctuation, perhaps an extension. Letters dial numbers in
# advertisements, not in customer records.
WRITTEN_NUMBER = r"(?:tel:)?[( ]*\+*[0-9 ()./-]*(?:(?:ext|extn|x|#)[. ]*[0-9]{1,6})?"
_PLAIN_NUMBER = r"[( ]*\+?[0-9 ()./-]*"


def parse_phone(text: str, region: str | None) -> tuple[str, str] | None:
    """Parse one number with ``phonenumbers``.

    :param text: number as written, in ASCII.
    :param region: ISO region of national numbers; None leaves only international forms.
    :return: E.164 and class (mobile, landline, service), or None if the numbering plans know no such number.
    """
    number = _valid(text, region)
    if number is None and region is not None and not text.startswith("+"):
        # "4915112345678": the calling code without its plus, as spreadsheets leave it. phonenumbers prefers to
        # read it as a national number of impossible length.
        digits = "".join(character for character in text if character.isdigit())
        if digits.startswith(numbering.calling_code(region)):
            number = _valid(f"+{digits}", None)
    if number is None:
        return None
    value = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return value, _CLASSES.get(phonenumbers.number_type(number), "service")


def _valid(text: str, region: str | None) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def normalise_phones(
    connection: duckdb.DuckDBPyConnection,
    regions: Iterable[str],
    progress: Callable[[str], None] | None = None,
) -> None:
    """Turn ``phone_texts`` (region, text) into ``phones`` (region, text, value, class).

    ``phone_texts`` holds distinct written numbers, folded to ASCII. ``value`` and ``class`` are null where no
    numbering plan knows the number. Plain forms are read in SQL, the rest one by one with ``phonenumbers``.
    """
    regions = sorted(set(regions))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE phone_digits AS
        SELECT region, text, starts_with(ltrim(text, '( '), '+') AS plus,
               regexp_full_match(text, {literal(_PLAIN_NUMBER)}) AS plain,
               regexp_replace(text, '[^0-9]', '', 'g') AS digits
        FROM phone_texts
    """)
    _read_plain_forms(connection, regions)
    rest = connection.execute(
        "SELECT region, text FROM phone_plain WHERE class IS NULL ORDER BY text, region"
    ).fetchall()
    if progress and rest:
        progress(f"{len(rest):,} telephone numbers are written in unusual forms")
    parsed = [parse_phone(text, region) or (None, None) for region, text in rest]
    _register(connection, rest, parsed)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE phones AS
        SELECT region, text, value, class FROM phone_parsed
        UNION ALL
        SELECT region, text, CASE WHEN class <> 'none' THEN '+' || code || significant END, nullif(class, 'none')
        FROM phone_plain WHERE class IS NOT NULL
    """)
    connection.unregister("phone_parsed")


def _register(
    connection: duckdb.DuckDBPyConnection,
    texts: list[tuple[str | None, str]],
    parsed: list[tuple[str, str] | tuple[None, None]],
) -> None:
    columns = zip(*((*text, *number) for text, number in zip(texts, parsed, strict=True)), strict=True)
    arrays = [pa.array(column, pa.string()) for column in columns] or [pa.array([], pa.string())] * 4
    connection.register("phone_parsed", pa.Table.from_arrays(arrays, ["region", "text", "value", "class"]))


def _read_plain_forms(connection: duckdb.DuckDBPyConnection, regions: list[str]) -> None:
    """Make ``phone_plain``: code and significant number where SQL is certain, class null elsewhere.

    The cases follow ``phonenumbers.parse``: a plus or the region's international prefix is followed by a calling
    code; otherwise the number is national, unless it begins with the region's own calling code, where both readings
    are tried.
    """
    home = {region: numbering.calling_code(region) for region in regions}
    international = _case("region", {r: numbering.international_expression(r, "digits") for r in regions})
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE phone_coded AS
        WITH dialled AS (
            SELECT *, CASE WHEN plus THEN digits ELSE {international} END AS abroad FROM phone_digits
        )
        SELECT region, text, plain, digits, abroad IS NULL AS national,
               CASE WHEN abroad IS NULL THEN {_case("region", {r: literal(c) for r, c in home.items()})}
                    ELSE {_leading_code("abroad")} END AS code,
               CASE WHEN abroad IS NULL THEN digits
                    ELSE substr(abroad, length({_leading_code("abroad")}) + 1) END AS rest
        FROM dialled
    """)
    foreign = connection.execute(
        "SELECT code FROM phone_coded WHERE NOT national AND plain AND code IS NOT NULL"
        " GROUP BY code ORDER BY count(*) DESC, code LIMIT ?",
        [_FOREIGN_CODES],
    ).fetchall()
    codes = sorted({*home.values(), *(code for (code,) in foreign)})
    _define_macros(connection, regions, codes)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE phone_plain AS
        WITH read AS (
            SELECT *,
                CASE WHEN national THEN national_significant(region, rest)
                     ELSE foreign_significant(code, rest) END AS a,
                CASE WHEN national AND starts_with(digits, code)
                     THEN national_significant(region, substr(digits, length(code) + 1)) END AS b,
                national AND starts_with(digits, code) AS ambiguous
            FROM phone_coded
        ),
        classified AS (
            SELECT *, number_class(code, a) AS a_class,
                   -- phonenumbers strips a second national prefix here, which plain numbers do not have
                   CASE WHEN b = national_significant(region, b) THEN number_class(code, b) END AS b_class
            FROM read
        ),
        chosen AS (
            SELECT *, CASE
                WHEN NOT plain OR a IS NULL THEN NULL
                WHEN NOT ambiguous THEN 'a'
                WHEN b_class IS NULL THEN NULL
                WHEN a = digits THEN CASE WHEN a_class <> 'none' THEN 'a' ELSE 'b' END
                WHEN a = b THEN 'a'
            END AS choice
            FROM classified
        )
        SELECT region, text, code, CASE choice WHEN 'a' THEN a WHEN 'b' THEN b END AS significant,
               CASE WHEN national AND region IS NULL THEN 'none' -- nothing says which country
                    WHEN choice = 'a' THEN a_class WHEN choice = 'b' THEN b_class END AS class
        FROM chosen
    """)


def _define_macros(connection: duckdb.DuckDBPyConnection, regions: list[str], codes: list[str]) -> None:
    national = {r: numbering.significant_expression(r, "digits") for r in regions}
    foreign = {c: numbering.significant_expression(numbering.main_region(c), "digits") for c in codes}
    classes = {c: numbering.class_expression(c, "significant") for c in codes}
    for signature, cases in (
        ("national_significant(region, digits)", _case("region", national)),
        ("foreign_significant(code, digits)", _case("code", foreign)),
        ("number_class(code, significant)", _case("code", classes)),
    ):
        connection.execute(f"CREATE OR REPLACE TEMP MACRO {signature} AS {cases}")


def _leading_code(digits: str) -> str:
    """SQL expression for the calling code at the start of international digits; no code begins another one."""
    branches: list[str] = []
    for length in (1, 2, 3):
        codes = ", ".join(literal(str(c)) for c in sorted(COUNTRY_CODE_TO_REGION_CODE) if len(str(c)) == length)
        branches.append(f"WHEN left({digits}, {length}) IN ({codes}) THEN left({digits}, {length})")
    return f"CASE {' '.join(branches)} END"


def _case(column: str, expressions: dict[str, str] | dict[str, str | None]) -> str:
    branches = [f"WHEN {literal(key)} THEN {sql}" for key, sql in expressions.items() if sql is not None]
    return f"CASE {column} {' '.join(branches)} END" if branches else "NULL"
