"""Linkage in the identity step: what it leaves in the lake, and what its links do to customers."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.transforms.identity.town import REGIONS, Row, Town, identity_key, seen
from transforms.identity import IdentityReport, resolve_identities
from transforms.linkage import profile_linker
from transforms.linkage.store import LinkageStore
from transforms.settings import Settings

from .register import Profile, as_frame, register

AS_OF = dt.date(2025, 6, 30)


class Platform(Town):
    """A small town whose profiles have names and addresses."""

    def __init__(self, home: Path, **settings: object) -> None:
        super().__init__(home)
        self.settings = Settings.model_validate(
            {"home": home, "identifier_key": "a secret of the tests", "threads": 2, **settings}
        )

    def hold(self, profiles: Sequence[Profile], rows: dict[str, Row]) -> None:
        """Replace the warehouse: profiles, some of them with identifiers."""
        self.observe(rows.values())
        self.know({profile["record_id"]: rows.get(profile["record_id"]) for profile in profiles})
        keyed = [
            {**profile, "identity_key": identity_key(row) if (row := rows.get(profile["record_id"])) else None}
            for profile in profiles
        ]
        with duckdb.connect(str(self.settings.warehouse)) as connection:
            connection.register("frame", as_frame(keyed).to_arrow())
            connection.execute("CREATE OR REPLACE TABLE intermediate.int_profile_attributes AS FROM frame")

    def run(self, run_id: str = "run") -> IdentityReport:
        linker = profile_linker(self.settings, run_id)
        return resolve_identities(self.settings, REGIONS, AS_OF, run_id, linker=linker)

    @property
    def linkage(self) -> LinkageStore:
        return LinkageStore(self.settings)

    def links(self) -> pl.DataFrame:
        return pl.read_parquet(self.linkage.current / "links.parquet")


PROFILES, TRUE = register(250, 80)
# The first two people are typed the same way twice, so that it is their identifiers alone that matter.
for number in (0, 1):
    (twice,) = (i for i, profile in enumerate(PROFILES) if profile["record_id"] == f"crm:q{number}")
    PROFILES[twice] = {**PROFILES[number], "record_id": f"crm:q{number}"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """p0 and q0 have an e-mail address each; p1 and q1 an account each, and no link joins two accounts."""
    platform = Platform(tmp_path_factory.mktemp("linkage") / "home")
    rows = {
        "crm:p0": seen(email="ada@example.com"),
        "crm:q0": seen(email="ada.new@example.com"),
        "crm:p1": seen(app_user_id="u3"),
        "crm:q1": seen(app_user_id="u4"),
    }
    platform.hold(PROFILES, rows)
    platform.run()
    return platform


def test_links_name_two_profiles_and_say_how_likely(platform: Platform) -> None:
    links = platform.links()
    assert links.columns == ["left_profile", "right_profile", "probability", "match_weight", "model"]
    found = {frozenset(row) for row in links.select("left_profile", "right_profile").iter_rows()}
    assert len(found & TRUE) >= 0.9 * len(TRUE)
    assert len(found - TRUE) <= 1
    assert links["probability"].min() >= 0.5
    assert links["model"].unique().to_list() == [platform.linkage.state()["model"]]  # type: ignore[index]


def test_a_link_makes_one_customer_of_two(platform: Platform) -> None:
    identifiers = platform.table("identifiers")
    of = dict(identifiers.select("identifier_value", "customer_id").iter_rows())
    assert of["ada@example.com"] == of["ada.new@example.com"] is not None


def test_a_link_never_passes_the_policy(platform: Platform) -> None:
    of = dict(platform.table("identifiers").select("identifier_value", "customer_id").iter_rows())
    pairs = [set(row) for row in platform.links().select("left_profile", "right_profile").rows()]
    assert {"crm:p1", "crm:q1"} in pairs
    assert of["u3"] != of["u4"]
    tried = platform.table("links").filter(pl.col("left_side") == "crm:p1")
    assert tried["status"].to_list() == ["refused"]


def test_the_model_is_a_file_with_charts_that_need_no_network(platform: Platform) -> None:
    state = platform.linkage.state()
    assert state is not None
    model = platform.linkage.model()
    assert model is not None and model.version == state["model"]
    page = (platform.linkage.models / f"{model.version}.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|https?://|@import|url\(", page)
    for level in ("given name", "exchanged with family", "one digit differs"):
        assert level in page


def test_a_second_run_finds_the_same(platform: Platform) -> None:
    links, version = platform.links(), platform.linkage.state()["model"]  # type: ignore[index]
    before = platform.table("assignments").sort("identity_key")
    platform.run("again")
    assert platform.links().equals(links)
    assert platform.linkage.state()["model"] == version  # type: ignore[index]
    assert platform.table("assignments").sort("identity_key").equals(before)


def test_switched_off_nothing_is_linked_and_nothing_written(tmp_path: Path) -> None:
    rows = {"crm:p0": seen(email="ada@example.com"), "crm:q0": seen(email="ada.new@example.com")}
    off = Platform(tmp_path / "off", linkage=False)
    off.hold(PROFILES, rows)
    assert profile_linker(off.settings, "run") is None
    report = off.run()
    plain = Town(tmp_path / "plain")
    outcome = plain.resolve(rows.values())
    assert report.links == 0
    assert off.table("assignments").equals(plain.table("assignments"))
    assert off.table("identifiers").equals(plain.table("identifiers"))
    assert outcome.report.customers == report.customers == 2
    assert not off.linkage.folder.exists()


def test_a_kept_model_is_used_until_the_columns_change(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "home")
    platform.hold(PROFILES, {})
    platform.run("one")
    first = platform.linkage.model()
    platform.hold(register(250, 80, seed=2)[0], {})
    platform.run("two")
    assert platform.linkage.model() == first
    platform.hold([{**profile, "gender": "female" if i % 2 else "male"} for i, profile in enumerate(PROFILES)], {})
    platform.run("three")
    third = platform.linkage.model()
    assert first is not None and third is not None
    assert third.columns != first.columns
    assert sorted(path.name for path in platform.linkage.models.glob("*.json")) == sorted(
        f"{model.version}.json" for model in (first, third)
    )


def test_on_demand_a_new_register_trains_a_new_model(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "home", linkage_model="train")
    platform.hold(PROFILES, {})
    platform.run("one")
    first = platform.linkage.model()
    platform.hold(register(250, 80, seed=2)[0], {})
    platform.run("two")
    assert platform.linkage.model() != first
    assert (platform.linkage.models / f"{first.version}.json").exists()  # type: ignore[union-attr]


def test_no_profiles_no_links(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "home")
    platform.hold([], {})
    assert platform.run().links == 0
    assert platform.links().height == 0
    assert platform.linkage.state()["reason"]  # type: ignore[index]


def test_without_a_warehouse_it_says_so(tmp_path: Path) -> None:
    from transforms.linkage import link_profiles
    from transforms.linkage.policy import load_policy

    settings = Settings.model_validate({"home": tmp_path / "home"})
    with pytest.raises(FileNotFoundError, match="there is no warehouse yet"):
        link_profiles(settings, "run", pl.DataFrame({"identity_key": [], "cluster": []}).to_arrow(), load_policy())


@pytest.fixture
def rested(tmp_path: Path) -> Platform:
    """An installation that has linked once, and in which finding links again is an error."""
    rested = Platform(tmp_path / "home")
    rested.hold(PROFILES, ROWS)
    rested.run("one")
    return rested


ROWS = {"crm:p0": seen(email="ada@example.com"), "crm:q0": seen(email="ada.new@example.com")}


def test_a_day_without_new_profiles_keeps_the_links(rested: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    before, customers = rested.links(), rested.table("customers").sort("customer_id")
    monkeypatch.setattr("transforms.linkage.link.find_links", lambda *_: pytest.fail("linked anew"))
    monkeypatch.setattr("transforms.identity.reach.MOST", 1.0)  # of three observations, one is much
    # Somebody else buys something: that concerns no profile.
    rested.hold(PROFILES, ROWS | {"none": seen("till", loyalty_id="L-77")})
    report = rested.run("two")
    assert rested.links().equals(before)
    assert report.links > 0 and report.resolved == 1
    assert rested.table("customers").filter(pl.col("created_run") == "one").sort("customer_id").equals(customers)


def test_a_new_profile_concerns_those_alone_whom_it_is_linked_to(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "home")
    rows = {f"crm:{side}{i}": seen(email=f"{side}{i}@example.com") for side in "pq" for i in range(2, 80)}
    platform.hold(PROFILES, rows)
    platform.run("one")
    before, links = platform.table("customers"), platform.links()
    rows["crm:new"] = seen(email="new@example.com")
    platform.hold([*PROFILES, {**PROFILES[7], "record_id": "crm:new"}], rows)
    report = platform.run("two")
    assert report.resolved <= 3  # p7, q7 and the new one
    of = dict(platform.table("identifiers").select("identifier_value", "customer_id").iter_rows())
    assert of["new@example.com"] == of["p7@example.com"] is not None
    after = platform.table("customers")
    assert after.height == before.height
    concerned = "crm:p7", "crm:q7", "crm:new"
    others = ~pl.col("left_profile").is_in(concerned) & ~pl.col("right_profile").is_in(concerned)
    assert platform.links().filter(others).equals(links.filter(others))


@pytest.mark.parametrize("change", ["a name", "one customer by identifiers", "a profile less"])
def test_whatever_the_links_depend_on_makes_them_anew(
    rested: Platform, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found(RuntimeError):
        pass

    def find_links(*_: object) -> None:
        raise Found

    monkeypatch.setattr("transforms.linkage.link.find_links", find_links)
    profiles, rows = list(PROFILES), dict(ROWS)
    if change == "a name":
        profiles[5] = {**profiles[5], "given_name": "Zenobia"}
    elif change == "a profile less":
        profiles.pop()
    else:
        rows["none"] = seen("till", loyalty_id="L-77", email="ada@example.com")
        rows["nobody"] = seen("till", loyalty_id="L-77", email="ada.new@example.com")
    rested.hold(profiles, rows)
    with pytest.raises(Found):
        rested.run("two")


def test_what_fails_beside_the_identity_run_ends_it(rested: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no pairs today")

    before = rested.table("customers")
    monkeypatch.setattr("transforms.linkage.link.compare", fail)
    rested.hold(PROFILES[:-1], ROWS)
    with pytest.raises(RuntimeError, match="no pairs today"):
        rested.run("two")
    assert rested.table("customers").equals(before)


def test_an_identity_run_that_fails_does_not_wait_for_links(rested: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, rows = threading.Event(), 10**12

    def compare(connection: duckdb.DuckDBPyConnection, *_: object) -> None:
        begun.set()
        connection.execute(f"SELECT count(*) FROM range({rows}) a, range({rows}) b WHERE a.range = b.range + 1")

    def fail(*_: object) -> None:
        assert begun.wait(60)
        raise RuntimeError("nobody can be told apart")

    monkeypatch.setattr("transforms.linkage.link.compare", compare)
    monkeypatch.setattr("transforms.identity.settle.graph", fail)
    rested.hold(PROFILES[:-1], ROWS)
    with pytest.raises(RuntimeError, match="nobody can be told apart"):
        rested.run("two")
    assert not any(thread.name.startswith("linkage") for thread in threading.enumerate())
