from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from transforms.identity.policy import DEFAULT_POLICY, Policy, load_policy


def changed(**changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8")), **changes}


def test_types_merge_from_the_strongest_to_the_weakest() -> None:
    assert load_policy().levels == ("app_user_id", "loyalty_id", "email", "phone", "payment_token", "device_id")


def test_the_tier_decides_and_within_a_tier_the_order_of_the_file() -> None:
    types = changed()["types"]
    types["device_id"]["tier"] = 1
    assert Policy.model_validate(changed(types=types)).levels[:2] == ("app_user_id", "device_id")


def test_every_blocked_value_has_a_reason() -> None:
    assert all(rule.reason for rule in load_policy().blocked)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limit": 3}, "Extra inputs are not permitted"),
        ({"types": {}}, "types without a policy: app_user_id, device_id"),
        ({"blocked": [{"reason": "why", "types": ["email"]}]}, "names neither values nor patterns"),
        ({"blocked": [{"reason": "why", "types": ["email"], "values": ["None"]}]}, "must be in lower case"),
        ({"blocked": [{"reason": "why", "types": ["email"], "patterns": ["(a"]}]}, "is no regular expression"),
        ({"blocked": [{"reason": "why", "types": ["mail"], "values": ["a"]}]}, "Input should be"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Policy.model_validate(changed(**changes))


def test_a_type_cannot_be_counted_against_itself() -> None:
    types = changed()["types"]
    types["email"]["shared_beyond"] = {"email": 2}
    with pytest.raises(ValidationError, match="a record holds one email"):
        Policy.model_validate(changed(types=types))
