"""Names that SQL cannot read: Chinese names in either script and order, and names that are masked.

A Chinese name gives its given and family name in simplified characters (張三 and 张三 are one) and both in Pinyin, by
which it meets the name in Latin letters (Zhang San).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from transforms.identity.normalise import fold

if TYPE_CHECKING:
    from opencc import OpenCC

_HAN = (("㐀", "䶿"), ("一", "鿿"), ("豈", "﫿"), ("\U00020000", "\U000323af"))
# Family names of two characters that are still borne; every other Chinese family name has one.
_COMPOUND = frozenset(
    """
    欧阳 太史 端木 上官 司马 东方 独孤 南宫 夏侯 诸葛 尉迟 皇甫 公孙 慕容 长孙 宇文 司徒 轩辕
    令狐 钟离 闾丘 淳于 单于 申屠 公羊 澹台 濮阳 赫连 司空 呼延 百里 东郭 南门 拓跋 完颜
    """.split()  # noqa: SIM905
)
_TITLES = ("先生", "女士", "小姐", "太太", "同学", "老师")


@dataclass(frozen=True)
class Name:
    """Parts of a name: as written (Han characters simplified) and in Latin letters; None where not known."""

    given: str | None
    family: str | None
    given_latin: str | None
    family_latin: str | None


def is_han(text: str | None) -> bool:
    """Whether a text holds a Chinese character."""
    return any(first <= character <= last for character in text or "" for first, last in _HAN)


def han_name(given: str | None, family: str | None, full: str | None) -> Name:
    """Read a name of which at least one part is in Chinese characters.

    Parts in Chinese characters count before those in Latin letters, the parted name before the whole one. A masked
    part (张**) is not known.
    """
    given, family, full = _simplified(given), _simplified(family), _simplified(full)
    if not (is_han(given) or is_han(family)) and is_han(full):
        latin = _latin(given), _latin(family)
        family, given = _split(full or "")
        return Name(given, family, latin[0] or _latin(given), latin[1] or _latin(family))
    if family and not given and len(family) > 1 and family not in _COMPOUND:
        family, given = _split(family)
    return Name(_unmasked(given), _unmasked(family), _latin(_unmasked(given)), _latin(_unmasked(family)))


def _split(full: str) -> tuple[str | None, str | None]:
    """Family and given name: the family name stands first."""
    parts = full.replace("·", " ").split()
    if len(parts) > 1:
        return _unmasked(parts[0]), _unmasked("".join(parts[1:]))
    for title in _TITLES:
        full = full.removesuffix(title)
    length = 2 if full[:2] in _COMPOUND and len(full) > 2 else 1
    return _unmasked(full[:length]), _unmasked(full[length:])


def _unmasked(part: str | None) -> str | None:
    return part if part and not is_masked(part) else None


def is_masked(part: str) -> bool:
    """Whether a part of a name hides characters behind signs, as 张** does."""
    return any(sign in part for sign in "*×○〇●■?？_#")


def _simplified(text: str | None) -> str | None:
    text = fold(text or "").lower().replace(" ", "") if is_han(text) else fold(text or "").lower()
    return (_converter().convert(text) or None) if is_han(text) else (text or None)


def _latin(text: str | None) -> str | None:
    if not text or not is_han(text):
        return text
    from pypinyin import lazy_pinyin

    return "".join(lazy_pinyin(text))


@cache
def _converter() -> OpenCC:
    from opencc import OpenCC

    return OpenCC("t2s")
