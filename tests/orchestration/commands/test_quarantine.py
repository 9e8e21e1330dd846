"""The commands of quarantine, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from orchestration.cli import app
from tests.transforms.lake.shop import Shop, csv_file, line
from transforms.locking import exclusive


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(tmp_path)
    monkeypatch.setenv("WATERSHED_HOME", str(shop.settings.home))
    monkeypatch.setenv("WATERSHED_CONTRACTS", str(shop.settings.contracts))
    monkeypatch.setenv("WATERSHED_LOCK_TIMEOUT_SECONDS", "0")
    shop.deliver(csv_file(line("1", kind="gift"), line("2"), line("3", amount="free")))
    shop.load()
    return shop


def type_in(*words: str) -> Result:
    return CliRunner().invoke(app, ["quarantine", *words])


def test_list_counts_by_reason(shop: Shop) -> None:
    lines = type_in("list").output.splitlines()
    assert lines[0].split()[:5] == ["source", "stage", "reasons", "rows", "files"]
    assert [text.split()[:5] for text in lines[1:]] == [
        ["shop", "rule", "enum:line_type", "1", "1"],
        ["shop", "type", "type:gross_amount", "1", "1"],
    ]
    first = json.loads(type_in("list", "shop", "--json").output)[0]
    assert (first["reasons"], first["rows"], first["example"]) == ("enum:line_type", 1, ["a.csv", 2])


def test_show_prints_the_record(shop: Shop) -> None:
    output = type_in("show", "shop", "--reason", "type:gross_amount").output
    assert output.startswith("a.csv, row 4: type:gross_amount\n") and '"amount":"free"' in output


def test_release_keeps_a_row_and_says_so(shop: Shop) -> None:
    result = type_in("release", "shop", "--file", "a.csv", "--row", "2", "--reason", "a gift is a sale", "--by", "kim")
    assert result.exit_code == 0
    assert "1 rows came out of quarantine, 1 wait on." in result.output
    assert shop.query("SELECT order_id FROM accepted ORDER BY ALL") == [("1",), ("2",)]


def test_what_cannot_be_done_is_said_with_the_way_out(shop: Shop) -> None:
    result = type_in("release", "shop", "--rule", "type:gross_amount", "--reason", "x")
    assert result.exit_code == 1 and "mend the contract, or have the file delivered again" in result.stderr
    unknown = type_in("show", "stop")
    assert unknown.exit_code == 1 and "There is no source 'stop'. Known: shop." in unknown.stderr


def test_a_run_in_progress_is_waited_for(shop: Shop) -> None:
    with exclusive(shop.settings.run_lock, "run 7", 0):
        result = type_in("release", "shop")
    assert result.exit_code == 3 and "run 7" in result.stderr


def test_an_empty_quarantine_is_good_news(tmp_path: Path, shop: Shop) -> None:
    shop.deliver(csv_file(line("1"), line("2"), line("3")))
    shop.load()
    assert type_in("release", "shop", "--rule", "enum:line_type", "--reason", "x").exit_code == 0
    assert "type:gross_amount" in type_in("list").output
