from __future__ import annotations

import duckdb
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from transforms.identity.numbering import calling_code
from transforms.identity.phone import normalise_phones, parse_phone

# Plans that differ in what matters: several regions on one code (US, CA, GB, IM, IT), an Italian leading zero, prefixes
# of calls abroad other than 00, a carrier code in the national prefix (CN), prefixes that rewrite the number (AR, BR).
REGIONS = ["DE", "AT", "CH", "FR", "NL", "GB", "IM", "IT", "CN", "US", "CA", "JP", "AU", "AR", "BR", "MX"]


def normalised(
    numbers: list[tuple[str | None, str]],
) -> dict[tuple[str | None, str], tuple[str | None, str | None, bool]]:
    """Value, class and whether SQL answered, by region and text."""
    with duckdb.connect(":memory:") as connection:
        columns = [pa.array(column, pa.string()) for column in zip(*numbers, strict=True)]
        connection.register("numbers", pa.Table.from_arrays(columns, ["region", "text"]))
        connection.execute("CREATE TEMP TABLE phone_texts AS SELECT DISTINCT region, text FROM numbers")
        normalise_phones(connection, [region for region, _ in numbers if region])
        rows = connection.execute("""
            SELECT p.region, p.text, p.value, p.class, f.class IS NOT NULL
            FROM phones p JOIN plain_phones f ON f.text = p.text AND f.region IS NOT DISTINCT FROM p.region
        """).fetchall()
    return {(region, text): (value, kind, in_sql) for region, text, value, kind, in_sql in rows}


@pytest.mark.parametrize(
    ("text", "region", "value", "kind"),
    [
        ("0151 20304050", "DE", "+4915120304050", "mobile"),
        ("+49 (0)151 203040-50", "DE", "+4915120304050", "mobile"),
        ("0049 151 20304050", "DE", "+4915120304050", "mobile"),
        ("4915120304050", "DE", "+4915120304050", "mobile"),
        ("4940302010", "DE", "+4940302010", "landline"),
        ("(+49) 151/20304050", None, "+4915120304050", "mobile"),
        ("tel:+49-151-20304050", "FR", "+4915120304050", "mobile"),
        ("030 901820", "DE", "+4930901820", "landline"),
        ("0800 3301000", "DE", "+498003301000", "service"),
        ("138 1234 5678", "CN", "+8613812345678", "mobile"),
        ("0086 13812345678", "CN", "+8613812345678", "mobile"),
        ("06 12 34 56 78", "FR", "+33612345678", "mobile"),
        ("(212) 155-0123", "US", None, None),
        ("(212) 736-5000", "US", "+12127365000", "mobile"),  # the plan does not tell mobile from fixed
        ("1 416 967 1111", "CA", "+14169671111", "mobile"),
        ("02 3661 8300", "IT", "+390236618300", "landline"),  # Italian numbers keep their zero
        ("11 15-2345-6789", "AR", "+5491123456789", "mobile"),
        ("030 901820 ext. 12", "DE", "+4930901820", "landline"),
        ("0151 20304050", None, None, None),
        ("12345", "DE", None, None),
        ("+999 123456", "DE", None, None),
    ],
)
def test_written_forms(text: str, region: str | None, value: str | None, kind: str | None) -> None:
    assert normalised([(region, text)])[region, text][:2] == (value, kind)


def test_common_forms_need_no_phonenumbers() -> None:
    common = ["0151 20304050", "+49 151 20304050", "004915120304050", "030/901820", "+43 664 1234567"]
    assert all(in_sql for _, _, in_sql in normalised([("DE", text) for text in common]).values())


@st.composite
def written_numbers(draw: st.DrawFn) -> tuple[str | None, str]:
    """A number near a real one of some region, written in some way, read in perhaps another region."""
    region = draw(st.sampled_from(REGIONS))
    kind = draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 10]))
    example = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    assert example is not None
    digits = list(phonenumbers.national_significant_number(example))
    for position in draw(st.lists(st.integers(0, len(digits) - 1), max_size=4)):
        digits[position] = draw(st.sampled_from("0123456789"))
    number = "".join(digits)[: draw(st.sampled_from([len(digits), len(digits) - 1, 5]))]
    number += draw(st.sampled_from(["", "", "", "0", "75"]))
    code = str(example.country_code)
    written = draw(
        st.sampled_from(
            [
                number,
                f"0{number}",
                f"1{number}",
                f"+{code}{number}",
                f"+{code} (0) {number}",
                f"(+{code}) {number[:3]}-{number[3:]}",
                f"00{code}{number}",
                f"00{code}0{number}",
                f"011{code}{number}",
                f"010{code}{number}",
                f"{code}{number}",
                f"{code}0{number}",
                f"000{number}",
                f"0{number[:3]}/{number[3:]}.",
                f"({number[:2]}) {number[2:]}",
                f"++{code}{number}",
                f"+{number}",
            ]
        )
    )
    return draw(st.sampled_from([region, region, region, None, *REGIONS])), written


# No shrinking: the assertion names the one number of the list that fails.
@settings(deadline=None, max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(written_numbers(), min_size=100, max_size=300))
def test_sql_and_phonenumbers_never_disagree(numbers: list[tuple[str | None, str]]) -> None:
    for (region, text), (value, kind, _) in normalised(numbers).items():
        assert (value, kind) == (parse_phone(text, region) or (None, None)), (region, text)


def test_regions_read_their_own_example_numbers() -> None:
    numbers: list[tuple[str | None, str]] = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)[::6]:
        for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is not None:
                form = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
                if all(character in "0123456789 ()-./" for character in form):
                    numbers.append((region, form))
    answers = normalised(numbers)
    for (region, text), (value, kind, _) in answers.items():
        assert (value, kind) == parse_phone(text, region), (region, text)
    assert sum(in_sql for _, _, in_sql in answers.values()) > 0.8 * len(answers)


def test_an_unknown_region_is_named() -> None:
    with pytest.raises(ValueError, match="'UK' is no region"):
        calling_code("UK")
