from __future__ import annotations

import pytest

from transforms.linkage.names import Name, han_name

ZHANG_SAN = Name("三", "张", "san", "zhang")


@pytest.mark.parametrize(
    ("given", "family", "full"),
    [
        ("三", "张", None),
        ("三", "張", None),
        (None, None, "张三"),
        (None, None, "張三"),
        (None, None, "張 三"),
        (None, None, "张三先生"),
        (None, "张三", None),
    ],
)
def test_one_name_in_either_script_and_in_any_field(given: str | None, family: str | None, full: str | None) -> None:
    assert han_name(given, family, full) == ZHANG_SAN


def test_a_family_name_of_two_characters() -> None:
    assert han_name(None, None, "歐陽娜娜") == Name("娜娜", "欧阳", "nana", "ouyang")


def test_characters_count_before_letters_and_letters_are_kept() -> None:
    assert han_name("San", "Chang", "張三") == Name("三", "张", "san", "chang")


@pytest.mark.parametrize("masked", ["张**", "张＊＊", "张×", "张○○"])
def test_what_a_mask_hides_is_not_known(masked: str) -> None:
    name = han_name(None, None, masked)
    assert (name.given, name.given_latin) == (None, None)
    assert name.family == "张"
