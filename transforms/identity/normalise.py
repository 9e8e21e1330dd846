"""Raw identifiers to comparable values.

Each step works on the distinct values of a warehouse. Text in ASCII stays in SQL; only other text, rare in identifiers,
passes through Python for what SQL lacks (Unicode compatibility forms, international domains).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

import duckdb
import idna
import pyarrow as pa

from transforms.identity.phone import WRITTEN_NUMBER, normalise_phones
from transforms.identity.policy import Policy
from transforms.sql import literal

# Raise it when a rule below changes: the state of a run records which rules made its values.
NORMALISER_VERSION = 1

_ASCII = r"[\x00-\x7f]*"
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
_EMAIL = (
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~\x{80}-\x{10ffff}-]{1,64}"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})"
)
_UUID = r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?"
_MAC_ADDRESS = r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}"
# Card brands by first digits and length (ISO/IEC 7812); with the Luhn digit below, a card number, not a token.
_CARD_NUMBER = r"4[0-9]{15}|5[1-5][0-9]{14}|2[2-7][0-9]{14}|3[47][0-9]{13}|6(?:011|5[0-9]{2})[0-9]{12}|62[0-9]{14,17}"


def fold(text: str) -> str:
    """Bring text into one written form: compatibility forms (full width), digits and dashes to ASCII, no invisibles.

    For ASCII text this only strips control characters and outer spaces, which :data:`_FOLD_ASCII` does in SQL.
    """
    text = unicodedata.normalize("NFKC", text).translate(_DASHES)
    kept: list[str] = []
    for character in text:
        category = unicodedata.category(character)
        if category == "Nd":
            kept.append(str(unicodedata.decimal(character)))
        elif category == "Zs":
            kept.append(" ")
        elif category not in ("Cc", "Cf"):  # zero-width joiners, byte order marks
            kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept)).strip(" ")


_FOLD_ASCII = r"trim(regexp_replace(raw, '[\x00-\x1f\x7f]', '', 'g'), ' ')"


def ascii_domain(email: str) -> str:
    """Write the domain of an address in its ASCII form (UTS 46, IDNA 2008); an impossible domain stays as it is."""
    local, at, domain = email.lower().rpartition("@")
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii')}" if at else email
    except idna.IDNAError:
        return f"{local}{at}{domain}"


def _value_expressions() -> dict[str, str]:
    """Normalised value of ``text`` for each type but the telephone, null where the text cannot be one."""
    lowered = "rtrim(lower(text), '.')"
    return {
        "email": f"CASE WHEN regexp_full_match({lowered}, {literal(_EMAIL)}) AND length({lowered}) <= 254"
        f" THEN {lowered} END",
        "loyalty_id": "nfc_normalize(upper(replace(text, ' ', '')))",
        # Account ids and tokens may tell a from A; only those known to be hexadecimal may not.
        "app_user_id": f"CASE WHEN regexp_full_match(lower(text), {literal(_UUID)}) THEN trim(lower(text), '{{}}')"
        " ELSE text END",
        "payment_token": "text",
        "device_id": f"CASE WHEN regexp_full_match(lower(text), {literal(_UUID)}) THEN trim(lower(text), '{{}}')"
        f" WHEN regexp_full_match(lower(text), {literal(_MAC_ADDRESS)}) THEN replace(lower(text), '-', ':')"
        " WHEN regexp_full_match(text, '[0-9A-Fa-f-]+') THEN lower(text) ELSE text END",
    }


_FORMS = ("text", "lower(value)", "other_form")
"""The forms in ``written`` in which a policy may know a value."""


def _is_blocked(policy: Policy, kind: str) -> str:
    """SQL expression: whether any rule of the policy blocks a value of a type in any of its forms.

    Nearly no value is: all patterns are one automaton, that reads each form once.
    """
    rules = [rule for rule in policy.blocked if kind in rule.types]
    values = sorted({value for rule in rules for value in rule.values})
    patterns = [f"(?:{pattern})" for rule in rules for pattern in rule.patterns]

    def test(form: str) -> str:
        tests = [f"{form} IN ({', '.join(map(literal, values))})"] if values else []
        tests += [f"regexp_full_match({form}, {literal('|'.join(patterns))})"] if patterns else []
        return " OR ".join(tests) or "false"

    first, *others = _FORMS
    differing = [f"coalesce(CASE WHEN {form} <> {first} THEN {test(form)} END, false)" for form in others]
    return " OR ".join([test(first), *differing])


def _blocked_reason(policy: Policy, kind: str) -> str:
    """SQL expression: the policy's reason why a value of a type is blocked, that of its first rule."""
    branches: list[str] = []
    for rule in policy.blocked:
        if kind not in rule.types:
            continue
        tests = [f"{form} IN ({', '.join(map(literal, rule.values))})" for form in _FORMS if rule.values]
        tests += [f"regexp_full_match({form}, {literal(pattern)})" for form in _FORMS for pattern in rule.patterns]
        branches.append(f"WHEN {' OR '.join(tests)} THEN {literal(rule.reason)}")
    return f"CASE {' '.join(branches)} END"


def normalise_values(
    connection: duckdb.DuckDBPyConnection, policy: Policy, progress: Callable[[str], None] | None = None
) -> None:
    """Turn ``raw_values`` (type, region, raw) into ``normalised`` (type, region, raw, value, status, reason).

    ``status`` is usable, blocked or weak; blank values get no row. ``reason`` says why a value is not usable. A
    blocked value that has no normal form keeps its folded text.
    """
    _fold_values(connection)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE phone_texts AS
        SELECT DISTINCT region, lower(text) AS text FROM folded
        WHERE type = 'phone' AND regexp_full_match(lower(text), {literal(WRITTEN_NUMBER)})
          AND length(regexp_replace(text, '[^0-9]', '', 'g')) BETWEEN 5 AND 24
    """)
    regions = connection.execute("SELECT DISTINCT region FROM phone_texts WHERE region IS NOT NULL").fetchall()
    normalise_phones(connection, [region for (region,) in regions], progress)
    forms = {kind: _select_plain(kind, value) for kind, value in _value_expressions().items()}
    forms["phone"] = _select_phones()
    selects = [f"SELECT *, {_is_blocked(policy, kind)} AS is_blocked FROM ({select})" for kind, select in forms.items()]
    connection.execute(f"CREATE OR REPLACE TEMP TABLE written AS {' UNION ALL '.join(selects)}")
    usual = _select_normalised("impossible", "NOT is_blocked")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE normalised AS {usual}")
    blocked = connection.execute("SELECT DISTINCT type FROM written WHERE is_blocked").fetchall()
    for (kind,) in sorted(blocked):
        reason = f"coalesce({_blocked_reason(policy, kind)}, impossible)"
        connection.execute(
            f"INSERT INTO normalised {_select_normalised(reason, f'is_blocked AND type = {literal(kind)}')}"
        )
    connection.execute("DROP TABLE written")


def _fold_values(connection: duckdb.DuckDBPyConnection) -> None:
    other = connection.execute(
        f"SELECT DISTINCT type = 'email', raw FROM raw_values WHERE NOT regexp_full_match(raw, {literal(_ASCII)})"
    ).fetchall()
    folded = [ascii_domain(fold(raw)) if is_email else fold(raw) for is_email, raw in other]
    columns = {
        "is_email": pa.array([is_email for is_email, _ in other], pa.bool_()),
        "raw": pa.array([raw for _, raw in other], pa.string()),
        "text": pa.array(folded, pa.string()),
    }
    connection.register("other_text", pa.table(columns))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE folded AS
        SELECT * FROM (
            SELECT v.type, v.region, v.raw, coalesce(o.text, {_FOLD_ASCII.replace("raw", "v.raw")}) AS text
            FROM raw_values v LEFT JOIN other_text o ON o.raw = v.raw AND o.is_email = (v.type = 'email')
        ) WHERE text <> ''
    """)
    connection.unregister("other_text")


def _select_normalised(reason: str, where: str) -> str:
    """SQL: rows of ``normalised`` from those of ``written``."""
    return f"""
        SELECT type, region, raw,
               CASE WHEN type = 'payment_token' AND reason LIKE 'card number%' THEN 'card number'
                    ELSE coalesce(value, text) END AS value,
               CASE WHEN reason IS NOT NULL THEN 'blocked'
                    WHEN type <> 'phone' OR class = 'mobile' THEN 'usable' ELSE 'weak' END AS status,
               coalesce(reason, CASE class WHEN 'landline' THEN 'landline' WHEN 'service' THEN 'service number' END)
                   AS reason
        FROM (SELECT *, {reason} AS reason FROM written WHERE {where})"""


def _select_plain(kind: str, value: str) -> str:
    # "bookshop:0": a contract's prefix tells sources apart, it does not make a number of a placeholder. (Hardware
    # addresses hold more colons.)
    unprefixed = r"CASE WHEN contains(text, ':') THEN regexp_replace(lower(text), '^[^:]+:([^:]*)$', '\1') END"
    other_form = "CAST(NULL AS VARCHAR)" if kind == "email" else unprefixed
    impossible = f"WHEN value IS NULL THEN 'no {kind.replace('_', ' ')} in form'"
    if kind == "payment_token":
        # The value of a card number is never kept: it must not lie in any table.
        impossible = f"WHEN {_is_card_number('value')} THEN 'card number, not a token'"
    return f"""
        SELECT type, region, raw, lower(text) AS text, value, {other_form} AS other_form,
               CAST(NULL AS VARCHAR) AS class, CASE {impossible} END AS impossible
        FROM (SELECT *, {value} AS value FROM folded WHERE type = {literal(kind)})"""


def _is_card_number(column: str) -> str:
    """Whether a value is a payment card's own number: a brand's first digits and the Luhn check digit."""
    # Luhn: from the right, every second digit is doubled, and its digits are added (2d, less 9 if above 9).
    digits = f"list_transform(string_split(reverse({column}), ''), lambda d: CAST(d AS INTEGER))"
    weighted = f"list_transform({digits}, lambda d, i: CASE WHEN i % 2 = 1 THEN d ELSE 2 * d - 9 * (d // 5) END)"
    return (
        f"CASE WHEN regexp_full_match({column}, {literal(_CARD_NUMBER)})"
        f" THEN list_sum({weighted}) % 10 = 0 ELSE false END"
    )


def _select_phones() -> str:
    return """
        SELECT f.type, f.region, f.raw, lower(f.text) AS text, p.value,
               nullif(regexp_replace(f.text, '[^0-9]', '', 'g'), '') AS other_form, p.class,
               CASE WHEN p.value IS NULL AND f.region IS NULL THEN 'national number of no known country'
                    WHEN p.value IS NULL THEN 'no number of the numbering plan' END AS impossible
        FROM folded f
        LEFT JOIN phones p ON p.text = lower(f.text) AND p.region IS NOT DISTINCT FROM f.region
        WHERE f.type = 'phone'"""


def phone_region_expression(phone_regions: Mapping[str, str], source: str) -> str:
    """SQL expression: the region that a source's national numbers belong to, null where none is known."""
    branches = [f"WHEN {literal(name)} THEN {literal(region)}" for name, region in sorted(phone_regions.items())]
    return f"CASE {source} {' '.join(branches)} END" if branches else "CAST(NULL AS VARCHAR)"
