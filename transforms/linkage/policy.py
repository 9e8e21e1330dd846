"""How matching is set, read from ``policy.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from transforms.yaml_text import load_yaml

DEFAULT_POLICY = Path(__file__).with_name("policy.yaml")

Lookalike = Literal["twin", "namesake", "household"]


class LookalikePolicy(BaseModel):
    """How common one kind of lookalike is held to be before any data; see ``policy.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_match: PositiveFloat
    weight: PositiveFloat


class ShareOfNames(BaseModel):
    """How many e-mail addresses are held to be made of their owner's name; see ``policy.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(gt=0, lt=1)
    weight: PositiveFloat


class LinkagePolicy(BaseModel):
    """The whole policy. Immutable; two runs with equal policies and profiles give equal links."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: PositiveInt
    most_growth: float = Field(ge=0)
    min_completeness: float = Field(ge=0, le=1)
    pairs_per_profile: PositiveInt
    pairs_per_profile_in_all: PositiveInt
    max_pairs: PositiveInt
    random_pairs: PositiveInt
    training_rules: PositiveInt
    training_pairs: PositiveInt
    pattern_pairs: PositiveInt
    known_matches: PositiveInt
    prior_matches: PositiveFloat
    prior_strangers: PositiveFloat
    loose_probability: float = Field(gt=0, lt=1)
    largest_component: int = Field(ge=2)
    least_probability: float = Field(gt=0, lt=1)
    lookalikes: dict[Lookalike, LookalikePolicy]
    emails_made_of_names: ShareOfNames

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.loose_probability > self.least_probability:
            raise ValueError(
                f"loose_probability {self.loose_probability} must not be above least_probability"
                f" {self.least_probability}: what is not in one component cannot become one cluster"
            )
        return self


def load_policy(path: Path = DEFAULT_POLICY) -> LinkagePolicy:
    """Read a policy.

    :raises pydantic.ValidationError: if a key is unknown, missing or out of its range.
    """
    return LinkagePolicy.model_validate(load_yaml(path.read_text(encoding="utf-8")))
