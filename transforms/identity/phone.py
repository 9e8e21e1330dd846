"""Telephone numbers to E.164 and to what they are: mobile, landline or service."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import duckdb
import phonenumbers
import pyarrow as pa
from phonenumbers import NumberParseException, PhoneNumberType

from transforms.identity import numbering
from transforms.identity.plain_phones import read_plain_phones

_CLASSES = {
    PhoneNumberType.MOBILE: "mobile",
    # North America and others do not tell them apart; a number that may be a mobile one is taken for one.
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "landline",
}

# What may be a number at all: digits and the usual punctuation, perhaps an extension. Letters dial numbers in
# advertisements, not in customer records.
WRITTEN_NUMBER = r"(?:tel:)?[( ]*\+*[0-9 ()./-]*(?:(?:ext|extn|x|#)[. ]*[0-9]{1,6})?"


def parse_phone(text: str, region: str | None) -> tuple[str, str] | None:
    """Parse one number with ``phonenumbers``, and once more as an international one whose plus is missing.

    :param text: number as written, in ASCII.
    :param region: ISO region of national numbers; None leaves only international forms.
    :return: E.164 and class (mobile, landline, service), or None if the numbering plans know no such number.
    """
    number = _read(text, region)
    if region is None or text.startswith("+") or (number and number[1] == "mobile"):
        return number
    # "4915120304050", as spreadsheets leave it: phonenumbers takes it for a landline in the town with the area code
    # 0491, or for no number at all.
    digits = "".join(character for character in text if character.isdigit())
    if digits.startswith(numbering.calling_code(region)):
        international = _read(f"+{digits}", None)
        if international and (number is None or international[1] == "mobile"):
            return international
    return number


def _read(text: str, region: str | None) -> tuple[str, str] | None:
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    value = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return value, _CLASSES.get(phonenumbers.number_type(number), "service")


def normalise_phones(
    connection: duckdb.DuckDBPyConnection,
    regions: Iterable[str],
    progress: Callable[[str], None] | None = None,
) -> None:
    """Turn ``phone_texts`` (region, text) into ``phones`` (region, text, value, class).

    ``phone_texts`` holds distinct written numbers, folded to ASCII. ``value`` and ``class`` are null where no
    numbering plan knows the number. Plain forms are read in SQL, the rest one by one with ``phonenumbers``, about
    12,000 a second.
    """
    read_plain_phones(connection, sorted(set(regions)))
    rest = connection.execute("SELECT region, text FROM plain_phones WHERE class IS NULL ORDER BY 1, 2").fetchall()
    if progress and rest:
        progress(f"{len(rest):,} telephone numbers are written in unusual forms")
    parsed = [parse_phone(text, region) or (None, None) for region, text in rest]
    columns = {
        "region": [region for region, _ in rest],
        "text": [text for _, text in rest],
        "value": [value for value, _ in parsed],
        "class": [kind for _, kind in parsed],
    }
    connection.register("parsed", pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()}))
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE phones AS
        SELECT region, text, value, class FROM parsed
        UNION ALL
        SELECT region, text, CASE WHEN class <> 'none' THEN '+' || code || significant END, nullif(class, 'none')
        FROM plain_phones WHERE class IS NOT NULL
    """)
    connection.unregister("parsed")
