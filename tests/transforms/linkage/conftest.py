"""One model for the tests of what it is and of how it was learned."""

from __future__ import annotations

import pytest

from transforms.linkage.model import Model

from .register import PROFILES, trained


@pytest.fixture(scope="session")
def model() -> Model:
    return trained(PROFILES)
