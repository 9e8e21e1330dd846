"""Pairs of profiles weighed by a model, with Splink."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import numpy.typing as npt

from transforms.linkage.engine import make_linker
from transforms.linkage.frequencies import look_up_terms
from transforms.linkage.model import Model
from transforms.linkage.rates import Pairs
from transforms.linkage.roles import Role

Ints = npt.NDArray[np.int32]

# Pairs with less than one in so many odds, as of one match per profile, are not kept.
_LEAST_WEIGHT = -10.0


class Scorer:
    """A model over the table ``profiles`` of a connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, model: Model) -> None:
        from splink import DuckDBAPI

        self._connection = connection
        self._splink = DuckDBAPI(connection)
        self._model = model
        self._prior = 1 / max(model.profiles, 2)
        self._linker = make_linker(connection, "profiles", model.shares, self._prior)
        # How common a value is, is the model's to say: Splink would count it among the profiles of the day.
        for column, table in look_up_terms(connection, model.frequencies).items():
            self._linker.table_management.register_term_frequency_lookup(self._splink.register(table), column)

    def candidates(self) -> Pairs:
        """Score ``candidates``; see :func:`transforms.linkage.blocking.block`."""
        self._linker.table_management.register_blocked_pairs_for_predict(self._splink.register("candidates"))
        predicted = self._linker.inference.predict(threshold_match_weight=_LEAST_WEIGHT)
        return self._read(predicted.physical_name)

    def within(self, components: Ints) -> Pairs:
        """Score all pairs of profiles of one component, by profile number; -1: of no component."""
        import pyarrow as pa
        from splink import block_on

        columns = {"uid": pa.array(np.arange(len(components), dtype=np.int32)), "component": pa.array(components)}
        self._connection.register("component_of_profile", pa.table(columns))
        self._connection.execute("""
            CREATE OR REPLACE TABLE component_profiles AS
            SELECT p.*, c.component FROM profiles p JOIN component_of_profile c USING (uid)
            WHERE c.component >= 0 ORDER BY uid
        """)
        self._connection.unregister("component_of_profile")
        predicted = self._linker.inference.predict_within(
            self._splink.register("component_profiles"),
            blocking_rules_to_generate_predictions=[block_on("component")],
        )
        return self._read(predicted.physical_name)

    def _read(self, table: str) -> Pairs:
        prior = np.log2(self._prior / (1 - self._prior))
        kinds, roles = list(self._model.rates.lookalikes), self._model.roles
        unshared = ", ".join(
            # A lookalike may share all that the profiles tell.
            " + ".join(["0.0", *(_weight(role) for role in roles if kind not in role.shared_by)]) + f" AS {kind}"
            for kind in kinds
        )
        named, alike = self._names()
        rows = self._connection.execute(f"""
            SELECT least(uid_l, uid_r) AS l, greatest(uid_l, uid_r) AS r, match_weight, {unshared},
                   {named} AS is_named, match_weight - CASE WHEN {named} THEN {alike} ELSE 0 END AS by_name
            FROM {table} ORDER BY l, r
        """).fetchnumpy()
        self._connection.execute(f"DROP TABLE {table}")
        return Pairs(
            left=np.asarray(rows["l"], dtype=np.int32),
            right=np.asarray(rows["r"], dtype=np.int32),
            weight=np.asarray(rows["match_weight"], dtype=np.float64) - prior,
            unshared={kind: np.asarray(rows[kind], dtype=np.float64) for kind in kinds},
            by_name=np.asarray(rows["by_name"], dtype=np.float64) - prior,
            is_named=np.asarray(rows["is_named"], dtype=bool),
        )

    def _names(self) -> tuple[str, str]:
        """SQL expressions: whether names agree and addresses were compared, and the weight of alike addresses."""
        roles = {role.name: role for role in self._model.roles}
        if not {"given", "family", "email"} <= set(roles):
            return "false", "0.0"
        m, u = self._model.shares["email"][0]
        # Splink gives the levels of a pair only together with all values; equality is known by its weight.
        is_equal = f"abs(mw_email - {math.log2(m / u)!r}) < 1e-6"
        alike = f"CASE WHEN {is_equal} THEN 0 ELSE greatest({_weight(roles['email'])}, 0) END"
        return "mw_given > 0 AND mw_family > 0 AND mw_email <> 0", alike


def _weight(role: Role) -> str:
    """SQL expression: the weight of a comparison, with that of rare values."""
    has_frequency = any(level.frequency for level in role.levels)
    return f"mw_{role.name} + mw_tf_adj_{role.name}" if has_frequency else f"mw_{role.name}"
