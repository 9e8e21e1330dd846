from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.identity.masking import masked_expression


def mask(kind: str, value: str) -> str:
    with duckdb.connect(":memory:") as connection:
        query = f"SELECT {masked_expression('$kind', '$value')}"
        row = connection.execute(query, {"kind": kind, "value": value}).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [
        ("email", "anna.meier@example.com", "a***@e***.com"),
        ("email", "anna@mail.example.co.uk", "a***@m***.uk"),
        ("email", "ab@x.de", "***@***.de"),
        ("email", "jürgen@xn--bcher-kva.example", "j***@x***.example"),
        ("phone", "+4915123456789", "***789"),
        ("phone", "+49301234", "***34"),
        ("loyalty_id", "12345", "***"),
        ("loyalty_id", "123456", "***56"),
        ("loyalty_id", "123456789", "***789"),
        ("device_id", "0d9a5c3e-5b5e-4c84-9b8e-0f2f7e1a4c11", "***4c11"),
        ("app_user_id", "u1", "***"),
        ("payment_token", "tok_4242", "***42"),
        ("email", "no address", "***ess"),
        ("loyalty_id", "bookshop:2174", "***"),
        ("loyalty_id", "bookshop:217-4711", "***11"),
    ],
)
def test_masks_keep_just_enough_to_be_recognised(kind: str, value: str, masked: str) -> None:
    assert mask(kind, value) == masked


@settings(deadline=None)
@given(
    kind=st.sampled_from(["email", "phone", "loyalty_id", "device_id", "app_user_id", "payment_token"]),
    value=st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=40) | st.emails(),
)
def test_a_mask_never_shows_more_than_a_third_of_what_identifies(kind: str, value: str) -> None:
    masked = mask(kind, value)
    shown = masked.replace("*", "")
    if kind == "email" and "@" in masked:
        local, _, domain = value.rpartition("@")
        shown_local, _, shown_domain = masked.rpartition("@")
        assert len(shown_local.replace("*", "")) <= len(local) / 3
        host = domain.rpartition(".")[0]
        assert len(shown_domain.rpartition(".")[0].replace("*", "")) <= len(host) / 3
    else:
        assert len(shown) <= len(value) / 2
        assert value not in masked
    assert "***" in masked
