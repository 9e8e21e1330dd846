"""Telephone numbers in SQL: the numbering plans of libphonenumber as DuckDB expressions.

``phonenumbers`` parses about 12,000 numbers a second; a warehouse holds millions. Nearly all of them are written in
a plain national or international form, whose parsing is a few regular expressions. Those expressions are taken from
``phonenumbers``' own metadata, so both paths know the same plans. The SQL answers only where its answer is certain
to be the one of :func:`transforms.identity.phone.parse_phone`, and is null elsewhere.
"""

from __future__ import annotations

from functools import lru_cache

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    PhoneMetadata,
    PhoneNumberDesc,
)

from transforms.sql import literal

# The order of phonenumbers' _number_type_helper: these go before fixed lines and mobiles.
_SERVICE_CLASSES = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


def _plan(region: str) -> PhoneMetadata:
    plan = PhoneMetadata.metadata_for_region(region, None)
    if plan is None:
        raise ValueError(f"{region!r} is no region with telephone numbers, write an ISO code such as DE")
    return plan


def calling_code(region: str) -> str:
    """Country calling code of a region, ``"49"`` for ``DE``.

    :raises ValueError: if the region is unknown.
    """
    return str(_plan(region).country_code)


def _matches(column: str, desc: PhoneNumberDesc | None) -> str:
    """Condition that a national significant number is of a class."""
    if desc is None or desc.national_number_pattern is None:
        return "false"
    condition = f"regexp_full_match({column}, {literal(desc.national_number_pattern)})"
    if desc.possible_length:
        lengths = ", ".join(str(length) for length in desc.possible_length)
        condition = f"(length({column}) IN ({lengths}) AND {condition})"
    return condition


def _number_class(column: str, plan: PhoneMetadata) -> str:
    """Expression ``mobile``, ``landline``, ``service`` or ``none`` of a significant number in one plan."""
    service = " OR ".join(_matches(column, getattr(plan, name)) for name in _SERVICE_CLASSES)
    fixed, mobile = _matches(column, plan.fixed_line), _matches(column, plan.mobile)
    if plan.same_mobile_and_fixed_line_pattern:
        mobile = fixed  # the plan cannot tell, so the number may be a mobile one
    return (
        f"CASE WHEN NOT {_matches(column, plan.general_desc)} THEN 'none' WHEN {service} THEN 'service'"
        f" WHEN {mobile} THEN 'mobile' WHEN {fixed} THEN 'landline' ELSE 'none' END"
    )


@lru_cache(maxsize=64)
def class_expression(code: str, column: str) -> str:
    """SQL expression that classifies national significant numbers of a calling code.

    Several regions may share a code; like phonenumbers, the first one that claims the number decides.
    """
    expression = "'none'"
    for region in reversed(COUNTRY_CODE_TO_REGION_CODE[int(code)]):
        plan = PhoneMetadata.metadata_for_region(region, None)
        if plan is None:
            continue
        claimed = _number_class(column, plan)
        if plan.leading_digits is not None:
            leads = f"regexp_matches({column}, {literal(f'^(?:{plan.leading_digits})')})"
            expression = f"CASE WHEN {leads} THEN {claimed} ELSE {expression} END"
        else:
            expression = f"coalesce(nullif({claimed}, 'none'), {expression})"
    return expression


@lru_cache(maxsize=64)
def significant_expression(region: str, digits: str) -> str | None:
    """SQL expression that strips the national prefix of a region from a number, null where that is not plain.

    Returns None for plans whose prefix rewrites the number (Argentina, Brazil): these are left to phonenumbers.
    """
    plan = _plan(region)
    prefix = plan.national_prefix_for_parsing
    if not prefix:
        return digits
    if plan.national_prefix_transform_rule:
        return None
    stripped = f"regexp_replace({digits}, {literal(f'^(?:{prefix})')}, '')"
    viable = _matches(stripped, plan.general_desc)
    # Without the prefix the number must be one of the plan; if not, phonenumbers weighs both readings.
    return f"CASE WHEN {stripped} = {digits} THEN {digits} WHEN {viable} THEN {stripped} END"


def international_expression(region: str, digits: str) -> str:
    """SQL expression for what follows the region's prefix of international calls (00), null if there is none."""
    rest = f"regexp_replace({digits}, {literal(f'^(?:{_plan(region).international_prefix})')}, '')"
    # No calling code begins with 0: 000… is a national number.
    return f"CASE WHEN {rest} <> {digits} AND left({rest}, 1) <> '0' THEN {rest} END"


def main_region(code: str) -> str | None:
    """The region whose plan phonenumbers parses numbers of a calling code by; None for codes of no region (+800)."""
    region = COUNTRY_CODE_TO_REGION_CODE[int(code)][0]
    return None if region == REGION_CODE_FOR_NON_GEO_ENTITY else region
