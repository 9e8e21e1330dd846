"""The last build stands only where nothing that it is made of, and nothing that it left, has changed."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from transforms.builds import STEPS, forget_from, read_inputs, reason_to_build, remember
from transforms.settings import PROJECT_DIR, Settings

DAY = dt.date(2025, 6, 30)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation with contracts of its own, one batch, and what a build leaves behind."""
    settings = Settings(home=tmp_path / "home", contracts=tmp_path / "contracts")
    shutil.copytree(PROJECT_DIR / "data_contracts" / "sources", settings.contracts)
    generation = settings.lake / "_generations" / "reviews" / "reviews" / "aaaa-0"
    (generation / "b1").mkdir(parents=True)
    (settings.lake / "reviews").mkdir()
    (settings.lake / "reviews" / "reviews").symlink_to(generation)
    (settings.lake / "identity" / "runs" / "one").mkdir(parents=True)
    (settings.lake / "identity" / "current").symlink_to("runs/one")
    settings.warehouse.write_text("warehouse")
    settings.published.parent.mkdir()
    settings.published.write_text("published")
    return settings


def build(settings: Settings, day: dt.date = DAY) -> None:
    for step in STEPS:
        forget_from(settings, step)
        remember(settings, step, read_inputs(settings, day))


def test_a_build_stands_while_nothing_changes(settings: Settings) -> None:
    assert reason_to_build(settings, read_inputs(settings, DAY)) == "no build has ended well yet"
    build(settings)
    assert reason_to_build(settings, read_inputs(settings, DAY)) is None


def test_a_build_that_has_begun_is_not_called_the_first(settings: Settings) -> None:
    build(settings)
    for step in STEPS[:-1]:
        forget_from(settings, step)
        assert reason_to_build(settings, read_inputs(settings, DAY)) == "a build has begun and not ended"
        remember(settings, step, read_inputs(settings, DAY))
    assert reason_to_build(settings, read_inputs(settings, DAY)) == "a build has begun and not ended"


def new_batch(settings: Settings) -> None:
    (settings.lake / "reviews" / "reviews" / "b2").mkdir()


def new_generation(settings: Settings) -> None:
    """A release makes the same batches anew, in a generation of its own."""
    link = settings.lake / "reviews" / "reviews"
    shutil.copytree(link, settings.lake / "_generations" / "reviews" / "reviews" / "aaaa-1")
    link.unlink()
    link.symlink_to(settings.lake / "_generations" / "reviews" / "reviews" / "aaaa-1")


def contract_may_publish_less(settings: Settings) -> None:
    file = settings.contracts / "surveys.odcs.yaml"
    file.write_text(file.read_text() + "\n# another word\n")


def contract_gone(settings: Settings) -> None:
    (settings.contracts / "surveys.odcs.yaml").unlink()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (new_batch, "lake"),
        (new_generation, "lake"),
        (contract_may_publish_less, "contracts"),
        (contract_gone, "contracts"),
    ],
)
def test_each_change_of_an_input_is_a_reason(settings: Settings, change: Callable[[Settings], None], part: str) -> None:
    build(settings)
    change(settings)
    assert reason_to_build(settings, read_inputs(settings, DAY)) == f"changed since the last build: {part}"


def test_another_day_zone_or_secret_is_a_reason(settings: Settings) -> None:
    build(settings)
    tomorrow = read_inputs(settings, DAY + dt.timedelta(days=1))
    assert reason_to_build(settings, tomorrow) == "changed since the last build: day"
    for change in ({"business_timezone": "Asia/Tokyo"}, {"identifier_key": "another"}):
        other = settings.model_copy(update=Settings(home=settings.home, **change).model_dump(include=set(change)))
        assert reason_to_build(other, read_inputs(other, DAY)) == "changed since the last build: settings"


def test_what_was_taken_away_or_written_by_others_is_a_reason(settings: Settings) -> None:
    for name in ("warehouse", "published"):
        build(settings)
        path = getattr(settings, name)
        before = path.read_text()
        path.write_text("something else")
        assert reason_to_build(settings, read_inputs(settings, DAY)) == f"not as the last build left it: {name}"
        path.unlink()
        assert reason_to_build(settings, read_inputs(settings, DAY)) == f"not as the last build left it: {name}"
        path.write_text(before)


def test_a_rebuild_can_be_asked_for(settings: Settings) -> None:
    build(settings)
    asked = settings.model_copy(update={"rebuild": True})
    assert reason_to_build(asked, read_inputs(asked, DAY)) == "a rebuild is asked for"


@pytest.mark.parametrize("died_in", STEPS)
def test_a_run_that_died_leaves_no_build(settings: Settings, died_in: str) -> None:
    build(settings)
    inputs = read_inputs(settings, DAY)
    for step in STEPS[: STEPS.index(died_in)]:
        forget_from(settings, step)
        remember(settings, step, inputs)
    forget_from(settings, died_in)
    assert reason_to_build(settings, inputs) is not None


def test_publishing_alone_does_not_make_old_tables_new(settings: Settings) -> None:
    """Somebody runs the last step by hand after new data came: the models have not seen them."""
    build(settings)
    new_batch(settings)
    forget_from(settings, "publication")
    remember(settings, "publication", read_inputs(settings, DAY))
    assert reason_to_build(settings, read_inputs(settings, DAY)) == "changed since the last build: lake"
