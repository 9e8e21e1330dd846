"""Identifiers as people may see them: recognisable to whoever knows the value, useless to others."""

from __future__ import annotations


def masked_expression(kind: str, value: str) -> str:
    """SQL expression that masks an identifier.

    An e-mail address becomes ``a***@e***.com``; a telephone number keeps its last three digits, or two if it is short;
    anything else keeps two to four characters, at most a third of them. Parts of one or two characters, and values
    of fewer than six, show nothing: a mask must never be the value. A prefix such as ``bookshop:``, by which a contract
    keeps the numbers of its source apart, is no secret and does not count.

    :param kind: SQL expression of the identifier type.
    :param value: SQL expression of the normalised value.
    """
    local = f"split_part({value}, '@', 1)"
    domain = f"split_part({value}, '@', -1)"
    host = f"regexp_replace({domain}, '\\.[^.]*$', '')"
    top = f"split_part({domain}, '.', -1)"
    number = f"split_part({value}, ':', -1)"
    email = f"{_initial(local)} || '***@' || {_initial(host)} || '***.' || {top}"
    return f"""CASE
        WHEN {kind} = 'email' AND regexp_full_match({value}, '[^@]+@[^@]+\\.[a-z0-9-]+') THEN {email}
        WHEN length({number}) < 6 THEN '***'
        WHEN {kind} = 'phone' THEN '***' || right({number}, CASE WHEN length({number}) < 11 THEN 2 ELSE 3 END)
        WHEN length({number}) < 9 THEN '***' || right({number}, 2)
        ELSE '***' || right({number}, CASE WHEN length({number}) < 12 THEN 3 ELSE 4 END)
    END"""


def _initial(part: str) -> str:
    return f"CASE WHEN length({part}) > 2 THEN left({part}, 1) ELSE '' END"
