"""``watershed explain`` as a person types it, on the sample company."""

from __future__ import annotations

import json

import duckdb
import pytest

from tests.orchestration.conftest import Installation
from transforms.identity.store import IdentityStore

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


def test_the_files_of_an_identifier_hold_as_many_records_as_it_has(installation: Installation) -> None:
    identifiers = IdentityStore(installation.settings).table("identifiers")
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT arg_max(identifier_key, records), arg_max(identifier_value, records) FROM {identifiers}"
            " WHERE identifier_type = 'loyalty_id' AND status = 'linked'"
        ).fetchone()
    assert row
    key, value = row
    process = installation.command("explain", key, "--json")
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert value not in output, "masked, and looked up by its key"
    found = json.loads(output)
    (card,) = [known for known in found["first"]["identifiers"] if known["type"] == "loyalty_id"]
    observed = [found["observations"][key] for key in card["observations"]]
    assert sum(observation["records"] for observation in observed) == card["records"]
    for observation in observed:
        assert sum(file["records"] for file in observation["files"]) == observation["records"], observation["source"]
