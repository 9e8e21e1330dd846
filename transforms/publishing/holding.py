"""Builds that wait for a person, and the word of that person."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

from transforms.publishing.checked import CheckedBuild
from transforms.publishing.errors import PublicationError
from transforms.publishing.guard import Finding
from transforms.publishing.previous import Previous
from transforms.publishing.records import append_confirmation, read_record, remove_record, write_record
from transforms.settings import Settings

_HELD = "held.json"
# A confirmation names a build by so many characters or more, so that a slip of the finger names none.
SHORTEST_NAME = 8


@dataclass(frozen=True)
class Confirmation:
    """A person's word that a build which was held is right: ``build`` names its run or its fingerprint."""

    build: str
    confirmed_by: str
    reason: str


@dataclass(frozen=True)
class HeldBuild:
    """The build that waits for a person, and why."""

    run_id: str
    fingerprint: str
    as_of_date: str
    previous_run_id: str
    previous: str
    findings: tuple[str, ...]
    held_at: str

    @property
    def sentence(self) -> str:
        """What jumped, from what to what, and the way out."""
        return (
            f"The publication as of {self.as_of_date} is held back because it differs from {self.previous}: "
            + "; ".join(self.findings)
            + ". Readers keep the former one. If this is right:"
            f" watershed publish --confirm {self.fingerprint[:12]} --reason '…'; if not, mend the cause and run again."
        )


class PublicationHeld(PublicationError):
    """A build that jumped too far; readers keep the publication before it until a person confirms."""

    def __init__(self, held: HeldBuild) -> None:
        self.held = held
        super().__init__(held.sentence)


def check_named(settings: Settings, confirmation: Confirmation) -> HeldBuild:
    """The held build that a confirmation names.

    Raises:
        PublicationError: nothing is held, the name is another build's, or the reason is missing.
    """
    if not (confirmation.reason.strip() and confirmation.confirmed_by.strip()):
        raise PublicationError("A confirmation needs a reason and the name of who confirms: --reason '…'.")
    held = read_held(settings)
    if held is None:
        raise PublicationError("No build is held back; `watershed publish` publishes what passed its checks.")
    name = confirmation.build
    if len(name) < SHORTEST_NAME or not (held.run_id.startswith(name) or held.fingerprint.startswith(name)):
        raise PublicationError(
            f"'{name}' is not the build that is held back; that is {held.fingerprint[:12]} of run {held.run_id}."
        )
    return held


def decide(
    settings: Settings,
    build: CheckedBuild,
    fingerprint: str,
    before: Previous | Finding | None,
    findings: tuple[Finding, ...],
    confirmed: HeldBuild | None,
) -> None:
    """Let a build pass, or hold it.

    Raises:
        PublicationHeld: it has findings and nobody confirmed them; the record of the held build is written.
        PublicationError: what a person confirmed is not this build, or readers have another publication by now.
    """
    previous = before.figures.run_id if isinstance(before, Previous) else ""
    if confirmed:
        if confirmed.fingerprint != fingerprint:
            raise PublicationError(
                f"The build {confirmed.fingerprint[:12]} that was held is gone: the warehouse holds"
                f" {fingerprint[:12]} of run {build.run_id} now. See what that changes: watershed publish."
            )
        if confirmed.previous_run_id != previous:
            raise PublicationError(
                f"The build {confirmed.fingerprint[:12]} was held beside another publication than readers have now."
                " See what it changes for them: watershed publish."
            )
    elif findings:
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        texts = tuple(str(finding) for finding in findings)
        day = build.as_of_date.isoformat()
        held = HeldBuild(build.run_id, fingerprint, day, previous, _named(before), texts, now)
        write_record(settings, _HELD, asdict(held))
        raise PublicationHeld(held)


def _named(before: Previous | Finding | None) -> str:
    if isinstance(before, Previous):
        return f"that of run {before.figures.run_id} as of {before.figures.as_of_date}"
    return "what readers have"


def read_held(settings: Settings) -> HeldBuild | None:
    """The build that waits for a person, if one does."""
    record = read_record(settings, _HELD)
    try:
        return HeldBuild(**{**record, "findings": tuple(record["findings"])}) if record else None
    except (KeyError, TypeError):
        return None


def forget_held(settings: Settings) -> None:
    """Nothing is held any more: the readers have a later publication."""
    remove_record(settings, _HELD)


def log_confirmation(settings: Settings, held: HeldBuild, confirmation: Confirmation) -> None:
    """Write down who confirmed what and why, before readers see it."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    entry = {"confirmed_at": now, "confirmed_by": confirmation.confirmed_by, "reason": confirmation.reason}
    append_confirmation(settings, {**entry, **asdict(held), "findings": list(held.findings)})
