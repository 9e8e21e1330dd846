"""Where the sources stand, read without a run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from tests.transforms.lake.shop import NOW, Shop, csv_file, line
from transforms.contracts import load_contracts
from transforms.operations.standing import SourceStanding, publication_standing, source_standings


def standing(shop: Shop, now: dt.datetime = NOW) -> SourceStanding:
    contracts = load_contracts(shop.settings.entities, shop.settings.contracts)
    (found,) = source_standings(shop.settings, contracts, now)
    return found


def test_an_empty_home_is_stale_and_says_where_files_are_expected(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    found = standing(shop)
    assert (found.files, found.rows_read, found.age_hours, found.balances) == (0, 0, None, True)
    (complaint,) = found.complaints
    assert complaint.startswith("shop is stale: no file at ") and str(shop.settings.incoming) in complaint
    assert not shop.settings.lake.exists(), "looking makes nothing"
    assert publication_standing(shop.settings.published)[1].startswith("Nothing is published at")


def test_rows_add_up_and_the_age_is_counted_from_the_newest_arrival(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(line("1"), line("2"), line("2"), line("3", amount="free")))
    shop.load()
    found = standing(shop, NOW + dt.timedelta(hours=12, seconds=1))
    assert (found.rows_read, found.rows_accepted, found.rows_quarantined, found.rows_duplicate) == (4, 2, 1, 1)
    assert (found.age_hours, found.agreed_hours, found.is_fresh, found.complaints) == (12.0, 24.0, True, [])
    assert found.newest_record == dt.datetime(2025, 3, 1, 10, 0)  # noqa: DTZ001 - the lake holds UTC without a zone
    late = standing(shop, NOW + dt.timedelta(hours=30))
    assert not late.is_fresh and late.complaints == [
        "shop is stale: the newest file came 30.0 h ago, agreed 1 day, 0:00:00"
    ]


def test_a_held_file_is_named_with_the_command_that_lets_it_through(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver(csv_file(*(line(str(n), kind="gift") for n in range(98)), line("good"), line("better")))
    shop.load()
    found = standing(shop)
    assert (found.rows_held, found.rows_accepted) == (100, 0)
    (complaint,) = found.complaints
    assert complaint.startswith("shop: a.csv is held: ") and complaint.endswith(
        "watershed quarantine release shop --file 'a.csv' --reason '…'"
    )


def test_a_refused_file_is_forgotten_when_it_has_come_again_whole(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver("order,line\n1,1\n")
    shop.load()
    assert "a.csv was refused, columns" in standing(shop).complaints[0]
    shop.deliver(csv_file(line("1")))
    shop.load()
    assert standing(shop).complaints == []
