"""``watershed status`` where nothing has run yet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestration.cli import app
from tests.transforms.lake.shop import Shop


def test_an_installation_that_has_never_run_says_so_and_stays_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path)
    monkeypatch.setenv("WATERSHED_HOME", str(shop.settings.home))
    monkeypatch.setenv("WATERSHED_CONTRACTS", str(shop.settings.contracts))
    before = sorted(shop.settings.home.rglob("*"))
    result = CliRunner().invoke(app, ["status", "--json"])
    found = json.loads(result.output)
    assert result.exit_code == 7
    assert (found["runs"], found["locks"], found["published"]) == ([], [], None)
    assert "nothing has run yet: watershed run" in found["attention"]
    people = CliRunner().invoke(app, ["status"])
    assert people.exit_code == 7 and "need attention" in people.output and "STALE" in people.output
    assert sorted(shop.settings.home.rglob("*")) == before


def test_a_broken_contract_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path)
    (shop.settings.contracts / "shop.odcs.yaml").write_text("kind: nothing\n")
    monkeypatch.setenv("WATERSHED_HOME", str(shop.settings.home))
    monkeypatch.setenv("WATERSHED_CONTRACTS", str(shop.settings.contracts))
    assert CliRunner().invoke(app, ["status"]).exit_code == 2
    doctor = CliRunner().invoke(app, ["doctor"])
    assert doctor.exit_code == 7 and "→ watershed contracts lint" in doctor.output
