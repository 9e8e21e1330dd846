"""Days of linkage that score only what is new, beside days that score everything: by one model they are the same."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from transforms.linkage import link_profiles
from transforms.linkage.memory import NONE, changed_profiles, remember
from transforms.linkage.normalise import ATTRIBUTES
from transforms.linkage.pairs import Scorer
from transforms.linkage.policy import load_policy
from transforms.linkage.rates import Pairs
from transforms.linkage.store import LinkageStore
from transforms.settings import Settings

from .register import Profile, as_frame, misspelt, person, prepared, register

POLICY = load_policy()
PROFILES = {profile["record_id"]: profile for profile in register(90, 40)[0]}
Groups = Mapping[str, int]


class Home:
    """Profiles of a day, each with an identifier of its own, and what linkage makes of them."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.model_validate({"home": home, "identifier_key": "a secret of the tests", "threads": 2})
        self.store = LinkageStore(self.settings)
        self.said: list[str] = []

    def link(self, profiles: Mapping[str, Profile], groups: Groups | None = None) -> None:
        """A run; ``groups`` are profiles that identifiers have made one person."""
        self.settings.home.mkdir(exist_ok=True)
        frame = as_frame({**profile, "identity_key": record} for record, profile in profiles.items())
        with duckdb.connect(str(self.settings.warehouse)) as connection:
            connection.register("frame", frame.to_arrow())
            connection.execute("CREATE SCHEMA IF NOT EXISTS intermediate")
            connection.execute("CREATE OR REPLACE TABLE intermediate.int_profile_attributes AS FROM frame")
        numbers = itertools.count(1000)
        known = [(record, (groups or {}).get(record, next(numbers))) for record in profiles]
        schema = {"identity_key": pl.String, "cluster": pl.Int32}
        resolved = pl.DataFrame(known, schema=schema, orient="row").to_arrow()
        self.said = []
        link_profiles(self.settings, "run", resolved, POLICY, self.said.append)

    def table(self, name: str) -> list[tuple[Any, ...]]:
        return pl.read_parquet(self.store.current / f"{name}.parquet").rows()

    @property
    def state(self) -> dict[str, Any]:
        state = self.store.state()
        assert state is not None
        return state


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Home(tmp_path_factory.mktemp("memory") / "home")
    home.link(PROFILES)
    return home.settings.home


@pytest.fixture
def home(first_day: Path, tmp_path: Path) -> Home:
    return Home(shutil.copytree(first_day, tmp_path / "home", symlinks=True))


UNSEEN = itertools.count()


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """A run within takes the model as it finds it, and nothing else."""
    with (
        mock.patch.object(LinkageStore, "remembered", return_value=None),
        mock.patch("transforms.linkage.link._seen", side_effect=UNSEEN),
    ):
        yield


@contextlib.contextmanager
def scored_pairs() -> Iterator[set[tuple[str, str]]]:
    """The pairs of candidates that a run within scores."""
    scored: set[tuple[str, str]] = set()
    candidates = Scorer.candidates

    def spied(scorer: Scorer) -> Pairs:
        rows = scorer._connection.execute("""
            SELECT l.record_id, r.record_id FROM candidates c
            JOIN profiles l ON l.uid = c.join_key_l JOIN profiles r ON r.uid = c.join_key_r
        """).fetchall()
        assert len(rows) == len(set(rows))
        scored.update(rows)
        return candidates(scorer)

    with mock.patch.object(Scorer, "candidates", spied):
        yield scored


def some_day() -> tuple[dict[str, Profile], set[str]]:
    """The profiles of the next day, and those that are new: one came, one changed, one went."""
    chance = random.Random(8)
    profiles = dict(PROFILES)
    profiles["crm:new"] = {**misspelt(PROFILES["crm:p70"], chance), "record_id": "crm:new"}
    profiles["crm:p3"] = {**profiles["crm:p3"], "street": "Am Hafen"}
    del profiles["crm:p5"]
    return profiles, {"crm:new", "crm:p3"}


def test_only_pairs_with_something_new_are_scored_and_all_of_these(home: Home) -> None:
    profiles, new = some_day()
    kept = len(home.table("likely"))
    at_once = Home(shutil.copytree(home.settings.home, home.settings.home.with_name("at_once"), symlinks=True))
    with scored_pairs() as everything, whole():
        at_once.link(profiles)
    with scored_pairs() as scored:
        home.link(profiles)
    assert scored == {pair for pair in everything if new & {*pair}}
    assert 0 < len(scored) < len(everything) / 10
    assert home.state["scored"] == len(scored)
    assert kept - 10 < home.state["kept"] < kept
    assert f"({len(scored)} pairs scored, {home.state['kept']} likely ones kept)" in home.said[-1]
    assert ("crm:new", "crm:p70") in {row[:2] for row in home.table("links")}
    assert home.table("links") == at_once.table("links")
    assert home.table("clusters") == at_once.table("clusters")


def test_a_day_on_which_only_identifiers_join_scores_no_pair(home: Home) -> None:
    links = home.table("links")
    home.link(PROFILES, {"crm:p0": 1, "crm:q0": 1})
    assert home.state["scored"] == 0
    assert len(home.table("links")) == len(links) - 1


def test_profiles_that_all_have_gone_leave_no_link_behind(home: Home) -> None:
    other = {f"crm:o{i}": {**person(random.Random(i)), "record_id": f"crm:o{i}"} for i in range(len(PROFILES))}
    home.link(other)
    assert home.state["kept"] == 0
    assert {row[0] for row in home.table("clusters")} == {*other}


@pytest.mark.parametrize("attribute", ["birth_date", *ATTRIBUTES])
def test_whatever_a_profile_tells_makes_it_a_changed_one(attribute: str) -> None:
    people: list[Profile] = [dict.fromkeys(ATTRIBUTES, "Ada 1") | {"record_id": f"crm:{i}"} for i in range(3)]
    remembered = remember(prepared(people), NONE)
    people[1] = people[1] | {attribute: dt.date(1990, 5, 3) if attribute == "birth_date" else "Grace 2"}
    connection = prepared(reversed(people))
    table = changed_profiles(connection, remembered)
    assert connection.execute(f"SELECT record_id FROM {table}").fetchall() == [("crm:1",)]


def test_another_release_of_a_program_scores_everything(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles, _ = some_day()
    model = home.state["model"]
    monkeypatch.setattr("transforms.linkage.link._programs", lambda: ["another"])
    home.link(profiles)
    assert home.state["model"] == model
    assert home.state["kept"] == 0 < home.state["scored"]


def test_a_tenth_more_profiles_keep_the_model_and_one_more_trains_another(home: Home) -> None:
    model, chance = home.state["model"], random.Random(3)
    more = {f"crm:o{i}": {**person(chance), "record_id": f"crm:o{i}"} for i in range(len(PROFILES) // 10 + 1)}
    last = more.popitem()
    home.link(PROFILES | more)
    assert home.state["model"] == model
    home.link(PROFILES | more | dict([last]))
    assert home.state["model"] != model
    assert home.state["kept"] == 0
    trained = home.store.model()
    assert trained is not None and trained.profiles == len(PROFILES) + len(more) + 1


def test_who_comes_back_from_an_earlier_day_finds_the_model_again(home: Home) -> None:
    today, links, likely = home.state["model"], home.table("links"), home.table("likely")
    home.link({f"crm:{side}{i}": PROFILES[f"crm:{side}{i}"] for side in "pq" for i in range(34)})
    assert home.state["model"] != today
    assert {row[:2] for row in home.table("likely")} < {row[:2] for row in likely}
    home.link(PROFILES)
    assert home.state["model"] == today
    assert home.table("links") == links
    assert home.table("likely") == likely
    assert len(home.state["models_used"]) == 2


def test_a_model_of_an_older_release_makes_way_for_a_new_one(home: Home) -> None:
    (file,) = home.store.models.glob("*.json")
    file.write_text('{"version": "0123456789ab", "policy_version": 1, "columns": ["given"], "comparisons": {}}')
    assert home.store.model() is None
    home.link(some_day()[0])
    assert home.state["kept"] == 0 < home.state["links"]


def test_terms_that_were_changed_by_hand_are_refused(home: Home) -> None:
    (file,) = home.store.models.glob("*.parquet")
    pl.read_parquet(file).with_columns(pl.col("profiles") + 1).write_parquet(file)
    with pytest.raises(ValueError, match="was changed by hand"):
        home.link(some_day()[0])


STEPS = st.tuples(st.sampled_from(["come", "again", "change", "go", "join", "part"]), st.integers(0, 10_000))
DAYS = st.lists(st.lists(STEPS, min_size=1, max_size=5), min_size=2, max_size=3)


def lived(profiles: dict[str, Profile], groups: dict[str, int], steps: Sequence[tuple[str, int]]) -> None:
    """What happens to a register on one day."""
    for kind, number in steps:
        chance, records = random.Random(number), sorted(profiles)
        one, other = chance.choice(records), chance.choice(records)
        name = f"crm:{'npz'[number % 3]}{number}"  # before, among and after those that are there
        if kind == "come":
            profiles[name] = {**person(chance), "record_id": name}
        elif kind == "again":
            profiles[name] = {**misspelt(PROFILES[f"crm:p{chance.randrange(90)}"], chance), "record_id": name}
        elif kind == "change":
            name = chance.choice(["given_name", "family_name", "birth_date", "street", "postal_code"])
            profiles[one] = {**profiles[one], name: profiles[other][name]}
        elif kind == "go":
            del profiles[one]
        elif kind == "join":
            groups[one] = groups[other] = number
        else:
            groups.pop(one, None)


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=6,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(days=DAYS)
def test_days_that_score_what_is_new_are_those_that_score_everything(first_day: Path, days: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        by_parts, at_once = (
            Home(shutil.copytree(first_day, Path(folder) / name, symlinks=True)) for name in ("by_parts", "at_once")
        )
        profiles, groups = dict(PROFILES), dict[str, int]()
        for steps in days:
            lived(profiles, groups, steps)
            by_parts.link(profiles, groups)
            with whole():
                at_once.link(profiles, groups)
            for table in ("links", "clusters", "likely", "profiles"):
                assert by_parts.table(table) == at_once.table(table), table
            assert by_parts.state["model"] == at_once.state["model"]
            assert by_parts.state["expected_f1"] == at_once.state["expected_f1"]
