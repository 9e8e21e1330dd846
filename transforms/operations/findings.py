"""What the doctor finds: a verdict, one sentence, and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is: ``warning`` will hurt some day or somewhere, ``fault`` stops runs or spoils results."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``remedy`` is empty where all is well."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(subject, Verdict.OK, text)


def warning(subject: str, text: str, remedy: str) -> Finding:
    """It works, but not everywhere or not for long."""
    return Finding(subject, Verdict.WARNING, text, remedy)


def fault(subject: str, text: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(subject, Verdict.FAULT, text, remedy)
