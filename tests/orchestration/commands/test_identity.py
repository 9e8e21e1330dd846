"""``watershed identity`` as a person types it, on the sample company."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.orchestration.conftest import Installation
from transforms.identity.policy import DEFAULT_POLICY

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


def test_a_dry_run_lists_whom_a_policy_splits_and_a_faulty_one_is_refused(
    installation: Installation, tmp_path: Path
) -> None:
    document = yaml.safe_load(DEFAULT_POLICY.read_text(encoding="utf-8"))
    document["types"]["email"]["shared_beyond"]["loyalty_id"] = 1
    document["types"]["device_id"]["shared_beyond"] = {"email": 1}
    document["identifiers_per_customer"] = 4
    (tmp_path / "strict.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    process = installation.command("identity", "dry-run", "--policy", str(tmp_path / "strict.yaml"), "--json")
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    found = json.loads(output)
    assert found["customers_after"] > found["customers_before"]
    assert found["split"] and found["records_moved"] > 0 and float(found["net_revenue_moved"]["EUR"])
    document["types"]["passport"] = {"tier": 1, "per_customer": 1}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    process = installation.command("identity", "dry-run", "--policy", str(tmp_path / "wrong.yaml"))
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 4
    assert "wrong.yaml: types.passport: no type of identifiers; there are" in errors
