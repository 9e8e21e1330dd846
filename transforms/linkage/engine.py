"""Splink over a table of profiles: the engine that trains a model and weighs pairs by it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import duckdb

from transforms.linkage.model import Shares
from transforms.linkage.roles import ROLES, Role

if TYPE_CHECKING:
    from splink import Linker


def make_linker(connection: duckdb.DuckDBPyConnection, table: str, shares: Shares, match_rate: float) -> Linker:
    """Splink over a table of profiles, with given shares."""
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="uid",
        comparisons=[_comparison(role, shares[role.name]) for role in ROLES if role.name in shares],
        # The pairs are registered, see transforms.linkage.blocking; Splink wants a rule all the same.
        blocking_rules_to_generate_predictions=[block_on("uid")],
        probability_two_random_records_match=match_rate,
        em_convergence=0.002,
        max_iterations=30,
        retain_matching_columns=False,
        retain_intermediate_calculation_columns=True,
    )
    return Linker(DuckDBAPI(connection).register(table), settings, log_level=logging.ERROR, validate_settings=False)


def _comparison(role: Role, shares: Sequence[tuple[float, float]]) -> dict[str, Any]:
    missing = {"sql_condition": role.missing, "label_for_charts": "missing", "is_null_level": True}
    levels = [
        {
            "sql_condition": level.condition,
            "label_for_charts": level.label,
            "m_probability": m,
            "u_probability": u,
            **({"tf_adjustment_column": level.frequency, "tf_adjustment_weight": 1.0} if level.frequency else {}),
        }
        for level, (m, u) in zip(role.levels, shares, strict=True)
    ]
    return {"output_column_name": role.name, "comparison_levels": [missing, *levels]}
