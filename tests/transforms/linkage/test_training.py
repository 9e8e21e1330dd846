from __future__ import annotations

import pytest

from transforms.linkage.model import Model

from .register import register, trained


def test_shares_of_a_comparison_add_up(model: Model) -> None:
    for name, shares in model.shares.items():
        assert sum(m for m, _ in shares) == pytest.approx(1, abs=1e-6), name
        assert sum(u for _, u in shares) == pytest.approx(1, abs=1e-6), name


def test_what_agrees_more_tells_more(model: Model) -> None:
    for name, shares in model.shares.items():
        (m_equal, u_equal), (m_else, u_else) = shares[0], shares[-1]
        assert m_equal / u_equal > 5 > 1 > m_else / u_else, name


def test_few_profiles_leave_the_model_where_it_was_before_any_data() -> None:
    profiles, _ = register(4, 1)
    model = trained(profiles)
    prior = {level.label: level.m for role in model.roles if role.name == "born" for level in role.levels}
    assert model.shares["born"][0][0] == pytest.approx(prior["equal"], abs=0.15)
