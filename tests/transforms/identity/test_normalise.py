from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.identity.normalise import ascii_domain, fold, normalise_values
from transforms.identity.policy import load_policy

POLICY = load_policy()


def normalised(values: list[tuple[str, str | None, str]]) -> dict[tuple[str, str], tuple[str, str, str | None]]:
    """Value, status and reason by type and raw text; blank texts are missing."""
    with duckdb.connect(":memory:") as connection:
        columns = [pa.array(column, pa.string()) for column in zip(*values, strict=True)]
        connection.register("given_values", pa.Table.from_arrays(columns, ["type", "region", "raw"]))
        connection.execute("CREATE TEMP TABLE raw_values AS SELECT DISTINCT * FROM given_values")
        normalise_values(connection, POLICY)
        rows = connection.execute("SELECT type, raw, value, status, reason FROM normalised").fetchall()
    return {(kind, raw): (value, status, reason) for kind, raw, value, status, reason in rows}


def one(kind: str, raw: str, region: str | None = "DE") -> tuple[str, str, str | None]:
    return normalised([(kind, region if kind == "phone" else None, raw)])[kind, raw]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("email", "  Anna.Meier@Example.COM ", "anna.meier@example.com"),
        ("email", "anna@example.com.", "anna@example.com"),
        ("email", "ａｎｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "anna@example.com"),
        ("email", "\ufeffanna@example.com\u200b", "anna@example.com"),
        ("email", "anna@Bücher.example", "anna@xn--bcher-kva.example"),
        ("email", "anna@faß.de", "anna@xn--fa-hia.de"),  # IDNA 2008: not fass.de, which is someone else's
        ("email", "JÜRGEN@example.com", "jürgen@example.com"),
        ("email", "o'neil+shop@example.com", "o'neil+shop@example.com"),
        ("phone", "０１５１ ２０３０４０５０", "+4915120304050"),
        ("phone", "0086 138 2030 4050", "+8613820304050"),
        ("phone", "٠١٥١٢٠٣٠٤٠٥٠", "+4915120304050"),
        ("phone", "0151–20304050", "+4915120304050"),
        ("loyalty_id", " ab 12-34\t", "AB12-34"),
        ("loyalty_id", "００１２３４", "001234"),
        ("app_user_id", "Xy7_", "Xy7_"),
        ("app_user_id", "{0D9A5C3E-5B5E-4C84-9B8E-0F2F7E1A4C11}", "0d9a5c3e-5b5e-4c84-9b8e-0f2f7e1a4c11"),
        ("payment_token", " tok_1AbC ", "tok_1AbC"),
        ("device_id", "0D9A5C3E-5B5E-4C84-9B8E-0F2F7E1A4C11", "0d9a5c3e-5b5e-4c84-9b8e-0f2f7e1a4c11"),
        ("device_id", "A4-5E-60-C1-22-0F", "a4:5e:60:c1:22:0f"),
        ("device_id", "fcm:Ab_c", "fcm:Ab_c"),
    ],
)
def test_one_form_for_each_value(kind: str, raw: str, value: str) -> None:
    assert one(kind, raw) == (value, "usable", None)


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u00a0", "\u200b", "\ufeff "])
def test_blank_is_no_value(blank: str) -> None:
    kinds = ["email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token"]
    assert normalised([(kind, None, blank) for kind in kinds]) == {}


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("email", "NULL"),
        ("email", "n/a"),
        ("email", "noreply@example.com"),
        ("email", "no-reply+17@shop.example"),
        ("email", "test@example.com"),
        ("email", "Test1@gmail.com"),
        ("email", "none@none.com"),
        ("email", "someone@localhost"),
        ("email", "anna@shop.invalid"),
        ("email", "xxx@xxx.de"),
        ("phone", "0000000"),
        ("phone", "111-1111111"),
        ("phone", "1234567890"),
        ("phone", "0151 12345678"),
        ("phone", "13800138000"),
        ("phone", "+86 138 0013 8000"),
        ("phone", "00491700000000000"),
        ("phone", "unknown"),
        ("loyalty_id", "0"),
        ("loyalty_id", "000000"),
        ("loyalty_id", "999999999"),
        ("loyalty_id", "(none)"),
        ("loyalty_id", "---"),
        ("loyalty_id", "bookshop:"),
        ("loyalty_id", "bookshop:0000"),
        ("app_user_id", "bookshop:NULL"),
        ("app_user_id", "undefined"),
        ("app_user_id", "-1"),
        ("app_user_id", "00000000-0000-0000-0000-000000000000"),
        ("payment_token", "未知"),
        ("device_id", "00000000-0000-0000-0000-000000000000"),
        ("device_id", "{00000000-0000-0000-0000-000000000000}"),
        ("device_id", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
        ("device_id", "02:00:00:00:00:00"),
        ("device_id", "00:00:00:00:00:00"),
        ("device_id", "9774D56D682E549C"),
    ],
)
def test_placeholders_are_blocked(kind: str, raw: str) -> None:
    _, status, reason = one(kind, raw)
    assert status == "blocked"
    assert reason


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("email", "info@meier-heizung.example"),  # a trade's mailbox is a customer's; shared ones show by their company
        ("email", "tester.anna@example.com"),
        ("email", "nadia@example.com"),
        ("email", "anna@testo.example"),
        ("app_user_id", "7"),
        ("app_user_id", "111"),  # an account number in sequence
        ("loyalty_id", "11"),
        ("loyalty_id", "bookshop:4711"),
        ("device_id", "a4:5e:60:c1:22:00"),
        ("phone", "0151 20304050"),
        ("phone", "0171 7777778"),
        ("device_id", "0000d9a5"),
    ],
)
def test_values_that_only_look_odd_are_kept(kind: str, raw: str) -> None:
    assert one(kind, raw)[1:] == ("usable", None)


@pytest.mark.parametrize("raw", ["anna", "anna@", "@example.com", "anna@example", "a b@example.com", "a@b@example.com"])
def test_what_cannot_be_an_address_is_kept_with_its_reason(raw: str) -> None:
    assert one("email", raw) == (raw.lower(), "blocked", "no email in form")


@pytest.mark.parametrize(
    ("raw", "region", "value", "status", "reason"),
    [
        ("030 901820", "DE", "+4930901820", "weak", "landline"),
        ("0800 3301000", "DE", "+498003301000", "weak", "service number"),
        ("0151 20304050", None, "0151 20304050", "blocked", "national number of no known country"),
        ("0151 2", "DE", "0151 2", "blocked", "no number of the numbering plan"),
        ("call Anna", "DE", "call anna", "blocked", "no number of the numbering plan"),
    ],
)
def test_numbers_that_cannot_merge(raw: str, region: str | None, value: str, status: str, reason: str) -> None:
    assert one("phone", raw, region) == (value, status, reason)


@pytest.mark.parametrize("number", ["4111111111111111", "5555555555554444", "378282246310005"])
def test_a_card_number_is_refused_and_not_kept(number: str) -> None:
    value, status, reason = one("payment_token", number)
    assert (value, status, reason) == ("card number", "blocked", "card number, not a token")


def test_a_numeric_token_that_is_no_card_number_is_kept() -> None:
    assert one("payment_token", "4111111111111112")[1] == "usable"  # fails the check digit


def test_a_number_means_what_its_source_says() -> None:
    both = normalised([("phone", "DE", "0151 20304050"), ("phone", "AT", "0664 1234567")])
    assert {value for value, _, _ in both.values()} == {"+4915120304050", "+436641234567"}


@settings(deadline=None, max_examples=20)
@given(st.lists(st.text(st.characters(max_codepoint=127), max_size=30), min_size=1, max_size=200))
def test_ascii_is_folded_in_sql_as_it_is_in_python(texts: list[str]) -> None:
    values = normalised([("payment_token", None, text) for text in texts])
    for text in texts:
        folded = fold(text)
        if not folded:
            assert ("payment_token", text) not in values
        elif values["payment_token", text][1] == "usable":
            assert values["payment_token", text][0] == folded


@settings(deadline=None, max_examples=15)
@given(st.lists(st.text(max_size=30) | st.emails(), min_size=1, max_size=100))
def test_normalising_twice_changes_nothing(texts: list[str]) -> None:
    kinds = ["email", "loyalty_id", "device_id", "app_user_id", "payment_token"]
    once = normalised([(kind, None, text) for kind in kinds for text in texts])
    usable = {(kind, value) for (kind, _), (value, status, _) in once.items() if status == "usable"}
    if usable:
        twice = normalised([(kind, None, value) for kind, value in usable])
        assert twice == {(kind, value): (value, "usable", None) for kind, value in usable}


def test_an_impossible_domain_stays_as_it_is() -> None:
    assert ascii_domain("anna@exa mple.com") == "anna@exa mple.com"
    assert ascii_domain("anna") == "anna"
