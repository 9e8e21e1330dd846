"""The model: how much each degree of agreement tells; an artefact with a name, to be read by people and used again.

:mod:`transforms.linkage.training` learns it.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from transforms.linkage.blocking import count_pairs, most_pairs
from transforms.linkage.frequencies import Frequencies
from transforms.linkage.normalise import LINKAGE_NORMALISER_VERSION
from transforms.linkage.policy import LinkagePolicy
from transforms.linkage.rates import Rates
from transforms.linkage.roles import COMPARISONS, ROLES, Role

Shares = dict[str, tuple[tuple[float, float], ...]]

_FORMAT = 2
_MOST_PAIRS = 2
"""A kept model's rules may bring so many times the budget: with a tenth more profiles they bring a fifth more pairs."""


@dataclass(frozen=True)
class Model:
    """All that the probability of a pair depends on beside its two profiles, and by which pairs are found.

    ``rules`` are the keys of each blocking rule. ``shares`` is comparison → one pair (m, u) of shares of true matches
    and of strangers for each level, in the order of the comparison's levels. ``key`` tells under which secret the terms
    of ``frequencies`` were hashed.
    """

    columns: tuple[str, ...]
    rules: tuple[tuple[str, ...], ...]
    shares: Shares
    rates: Rates
    frequencies: Frequencies
    policy: dict[str, Any]
    normaliser_version: int
    key: str
    trained_on: dict[str, int]

    @cached_property
    def version(self) -> str:
        """Name of the model: what has the same content has the same name, wherever it was learned."""
        return _name(self._content())

    @property
    def profiles(self) -> int:
        """Number of profiles that it was trained on."""
        return self.trained_on["profiles"]

    @property
    def roles(self) -> list[Role]:
        """The comparisons of the model."""
        return [role for role in ROLES if role.name in self.columns]

    def to_json(self) -> str:
        """The artefact without its terms: sorted and indented, so that two models can be compared line by line."""
        return json.dumps({"version": self.version, **self._content()}, indent=1, ensure_ascii=False) + "\n"

    def _content(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "normaliser_version": self.normaliser_version,
            "comparisons_version": COMPARISONS,
            "columns": list(self.columns),
            "rules": [list(rule) for rule in self.rules],
            "trained_on": self.trained_on,
            "rates": {
                "matches": self.rates.matches,
                "lookalikes": self.rates.lookalikes,
                "emails_made_of_names": self.rates.emails_made_of_names,
            },
            "comparisons": {
                role.name: [
                    {"level": level.label, "m": m, "u": u, "weight": round(math.log2(m / u), 3)}
                    for level, (m, u) in zip(role.levels, self.shares[role.name], strict=True)
                ]
                for role in self.roles
            },
            "frequencies": {"filled": self.frequencies.filled, "terms": self.frequencies.digest, "key": self.key},
            "policy": self.policy,
        }

    @classmethod
    def from_json(cls, text: str, terms: pa.Table) -> Model | None:
        """Read what :meth:`to_json` wrote, with the terms that stood beside it; None for a model of another release.

        :raises ValueError: if it was changed by hand.
        """
        content = json.loads(text)
        if content.get("format") != _FORMAT:
            return None
        version = content.pop("version")
        frequencies = Frequencies(content["frequencies"]["filled"], terms)
        if frequencies.digest != content["frequencies"]["terms"] or _name(content) != version:
            raise ValueError(
                f"the model {version} of linkage was changed by hand: restore its files, or delete them"
                " and a new one is trained"
            )
        if content["comparisons_version"] != COMPARISONS:
            return None
        return cls(
            columns=tuple(content["columns"]),
            rules=tuple(tuple(rule) for rule in content["rules"]),
            shares={
                name: tuple((level["m"], level["u"]) for level in found)
                for name, found in content["comparisons"].items()
            },
            rates=Rates(**content["rates"]),
            frequencies=frequencies,
            policy=content["policy"],
            normaliser_version=content["normaliser_version"],
            key=content["frequencies"]["key"],
            trained_on=content["trained_on"],
        )

    def fits(self, connection: duckdb.DuckDBPyConnection, policy: LinkagePolicy) -> bool:
        """Whether the model may be used for ``profiles``: by its policy, columns, secret, and by their number.

        Needs :func:`transforms.identity.keys.define_keyed_hash`.
        """
        [(profiles,)] = connection.execute("SELECT count(*) FROM profiles").fetchall()
        return (
            self.policy == policy.model_dump(mode="json")
            and self.normaliser_version == LINKAGE_NORMALISER_VERSION
            and abs(profiles - self.profiles) <= policy.most_growth * self.profiles
            and self.key == key_of(connection)
            and self.columns == usable_columns(connection, policy)
            # Many profiles of one value bring pairs without end.
            and count_pairs(connection, self.rules) <= _MOST_PAIRS * most_pairs(profiles, policy)
        )


def _name(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def key_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Tells under which secret ``keyed_hash`` hashes."""
    return connection.execute("SELECT keyed_hash('fingerprint', 16)").fetchall()[0][0]


def usable_columns(connection: duckdb.DuckDBPyConnection, policy: LinkagePolicy) -> tuple[str, ...]:
    """Columns that enough profiles fill, with more than one value, in the order of :data:`ROLES`."""
    counts = ", ".join(f"count({role.name}), approx_count_distinct({role.name})" for role in ROLES)
    row = connection.execute(f"SELECT count(*), {counts} FROM profiles").fetchall()[0]
    filled, distinct = row[1::2], row[2::2]
    return tuple(
        role.name
        for role, count, values in zip(ROLES, filled, distinct, strict=True)
        if values > 1 and count >= policy.min_completeness * row[0]
    )
