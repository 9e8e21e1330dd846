"""Every run that changes the platform's files holds the run lock from its first step to its last."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from orchestration.runs import close_abandoned, forget_old_runs
from transforms.locking import exclusive, handed_on


class RunLock(dg.ConfigurableResource):
    """Lock of an installation.

    With the in-process executor a resource lives as long as its run, so the lock spans all steps: a second run, from
    wherever it was launched, waits or fails with the name of the run that holds it.
    """

    path: str
    timeout_seconds: float
    kept_days: int
    _descriptor: int = PrivateAttr(default=-1)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[RunLock]:
        """Hold the lock while the run lasts."""
        log = context.log
        say = log.info if log else None
        with exclusive(Path(self.path), f"run {context.run_id}", self.timeout_seconds, say) as descriptor:
            self._descriptor = descriptor
            if context.instance:
                for run in close_abandoned(context.instance, context.run_id, self.timeout_seconds):
                    if log:
                        log.warning(f"run {run} was killed; this one completes its work")
                forget_old_runs(context.instance, dt.timedelta(days=self.kept_days))
            yield self

    @contextmanager
    def handed_on(self) -> Iterator[None]:
        """Let processes started within the block keep the lock until they end, even if this one is killed."""
        with handed_on(self._descriptor):
            yield
