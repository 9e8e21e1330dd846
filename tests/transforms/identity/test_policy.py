from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from transforms.identity.policy import DEFAULT_POLICY, Policy, PolicyError, load_policy

from .town import Town, seen


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
        ({"links": {"per_customer": {"passport": 1}}}, "Input should be"),
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


def test_an_unknown_type_is_refused_before_the_run_with_the_file_and_the_known_ones(town: Town) -> None:
    document = changed()
    document["types"]["passport"] = {"tier": 1, "per_customer": 1}
    document["types"]["email"]["shared_beyond"] = {"fax": 2}
    file = town.settings.home / "policy.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    town.settings = town.settings.model_copy(update={"identity_policy": file})
    with pytest.raises(PolicyError) as refused:
        town.resolve([seen(loyalty_id="L1")])
    one, other = sorted(str(refused.value).splitlines())
    assert one.startswith(f"{file}: types.email.shared_beyond.fax: no type of identifiers; there are app_user_id,")
    assert other.startswith(f"{file}: types.passport: no type of identifiers")
    assert not town.store.exists()


def test_a_policy_that_is_not_there_or_no_yaml_says_so(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"there is no such file; WATERSHED_IDENTITY_POLICY"):
        load_policy(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("types: [", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"bad.yaml: no YAML"):
        load_policy(tmp_path / "bad.yaml")
