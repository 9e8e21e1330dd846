"""Who may be whom: tiers, limits and blocked values, read from ``policy.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator

from transforms.yaml_text import load_yaml

IdentifierType = Literal["app_user_id", "loyalty_id", "email", "phone", "payment_token", "device_id"]

DEFAULT_POLICY = Path(__file__).with_name("policy.yaml")


class TypePolicy(BaseModel):
    """What one identifier type may do; see the head of ``policy.yaml`` for the meaning of the limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: int = Field(ge=1, le=9)
    per_customer: PositiveInt
    shared_beyond: dict[IdentifierType, PositiveInt] = {}
    public_beyond: dict[IdentifierType, PositiveInt] = {}
    shared_beside: PositiveInt | None = None
    idle_days: PositiveInt | None = None
    alone_days: PositiveInt | None = None


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """Whoever compiles patterns; to open one for each entry of a policy takes longer than all that they are for."""
    return duckdb.connect(":memory:", config={"threads": 1})


class BlockedValues(BaseModel):
    """Values of some types that stand for no value, with the reason that the identifier table will show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str = Field(min_length=3)
    types: tuple[IdentifierType, ...] = Field(min_length=1)
    values: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @field_validator("values")
    @classmethod
    def _lower_case(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if value != value.lower():
                raise ValueError(f"{value!r} must be in lower case, values are compared in lower case")
        return values

    @field_validator("patterns")
    @classmethod
    def _known_to_re2(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                _engine().cursor().execute("SELECT regexp_full_match('', ?)", [pattern])
            except duckdb.Error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return patterns

    @model_validator(mode="after")
    def _blocks_something(self) -> Self:
        if not self.values and not self.patterns:
            raise ValueError(f"{self.reason!r} names neither values nor patterns")
        return self


class LinkPolicy(BaseModel):
    """What links of a model may do; see the head of ``policy.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_customer: dict[IdentifierType, PositiveInt] = {}


class Policy(BaseModel):
    """The whole policy. Immutable; two runs with equal policies and data give equal customers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: PositiveInt
    identifiers_per_customer: PositiveInt
    types: dict[IdentifierType, TypePolicy]
    links: LinkPolicy = LinkPolicy()
    blocked: tuple[BlockedValues, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = set(IdentifierType.__args__) - set(self.types)
        if missing:
            raise ValueError(f"types without a policy: {', '.join(sorted(missing))}")
        for name, policy in self.types.items():
            for counted in ("shared_beyond", "public_beyond"):
                if name in getattr(policy, counted):
                    raise ValueError(f"{name}: a record holds one {name}, so {counted} cannot count them")
        return self

    @cached_property
    def levels(self) -> tuple[IdentifierType, ...]:
        """The types in the order in which they merge, strongest first."""
        return tuple(sorted(self.types, key=lambda name: self.types[name].tier))  # stable: YAML order in a tier


class PolicyError(ValueError):
    """The policy has faults; the message names the file, each wrong entry and what it may be."""


def load_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """Read a policy.

    :raises PolicyError: naming each wrong entry, a type of identifier that is unknown among them.
    """
    try:
        document = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PolicyError(f"{path}: there is no such file; WATERSHED_IDENTITY_POLICY names the policy") from None
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: no YAML: {error}") from error
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        raise PolicyError("\n".join(_fault(path, fault) for fault in error.errors())) from error


def _fault(path: Path, fault: Mapping[str, Any]) -> str:
    place = [str(part) for part in fault["loc"] if part != "[key]"]
    if "[key]" in fault["loc"]:
        known = ", ".join(IdentifierType.__args__)
        return f"{path}: {'.'.join(place)}: no type of identifiers; there are {known}"
    return f"{path}: {'.'.join(place) or 'the whole'}: {fault['msg'].removeprefix('Value error, ')}"
