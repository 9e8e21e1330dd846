"""A home with a small warehouse in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .toy import write_manifest, write_warehouse


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_warehouse(tmp_path)
    write_manifest(tmp_path)
    return tmp_path
