"""Warehouses that the whole dbt project has built from a tiny lake."""

from __future__ import annotations

import pytest

from tests.dbt_project.project import Build, build
from tests.dbt_project.story import write_story


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The story, built with every model, data test and unit test of the project."""
    home = tmp_path_factory.mktemp("told")
    write_story(home / "lake")
    return build(Build(home / "lake", home / "warehouse.duckdb"))
