"""What an identity run goes by, and the clock that times it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from transforms.identity.decisions import Linker
from transforms.identity.keys import secret_fingerprint
from transforms.identity.normalise import NORMALISER_VERSION
from transforms.identity.overrides import Override, read_overrides
from transforms.identity.policy import Policy, load_policy
from transforms.settings import Settings

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run goes by."""

    settings: Settings
    phone_regions: Mapping[str, str]
    as_of: date
    run_id: str
    policy: Policy
    overrides: tuple[Override, ...]
    linker: Linker | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        phone_regions: Mapping[str, str],
        as_of: date,
        run_id: str,
        policy: Policy | None = None,
        linker: Linker | None = None,
    ) -> Plan:
        """With the policy and the overrides that the settings name.

        :raises PolicyError: if the policy has a fault.
        :raises OverrideError: if the file of overrides has one.
        """
        policy = policy or load_policy(settings.identity_policy)
        overrides = read_overrides(settings.overrides, policy.levels)
        return cls(settings, phone_regions, as_of, run_id, policy, overrides, linker)

    def circumstances(self, secret: bytes) -> dict[str, Any]:
        """What the outcome depends on beside observations, links and overrides: with the same, a run may keep what the
        last one found and nothing has touched since."""
        policy = self.policy.model_dump_json()
        regions = json.dumps(dict(self.phone_regions), sort_keys=True)
        return {
            "rules": _rules(),
            "duckdb": duckdb.__version__,  # its hash function makes the fingerprints
            "normaliser_version": NORMALISER_VERSION,
            "policy_version": self.policy.version,
            "policy": hashlib.sha256(policy.encode()).hexdigest()[:16],
            "phone_regions": hashlib.sha256(regions.encode()).hexdigest()[:16],
            "secret_fingerprint": secret_fingerprint(secret),
            "is_linked": self.linker is not None,
        }


@dataclass(frozen=True)
class Clock:
    """Elapsed time by step, told as it passes."""

    seconds: dict[str, float] = field(default_factory=dict)
    progress: Progress | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the work within."""
        started = time.perf_counter()
        yield
        took = time.perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + took
        if self.progress:
            self.progress(f"{name}: {took:.1f} s")


@cache
def _rules() -> str:
    """Digest of the code that decides: what other rules have found is not kept."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]
