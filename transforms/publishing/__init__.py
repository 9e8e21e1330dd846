"""The readers' file: marts without personal data, replaced in one step behind checks."""

from transforms.publishing.checked import CheckedBuild, checked_build, known_build, note_failed, note_passed
from transforms.publishing.errors import PublicationError
from transforms.publishing.holding import Confirmation, HeldBuild, PublicationHeld, read_held
from transforms.publishing.plan import PublicationPlan, PublishedColumn, PublishedTable, read_plan
from transforms.publishing.publish import PublicationReport, publish
from transforms.publishing.verify import PublicationInfo, verify_published

__all__ = [
    "CheckedBuild",
    "Confirmation",
    "HeldBuild",
    "PublicationError",
    "PublicationHeld",
    "PublicationInfo",
    "PublicationPlan",
    "PublicationReport",
    "PublishedColumn",
    "PublishedTable",
    "checked_build",
    "known_build",
    "note_failed",
    "note_passed",
    "publish",
    "read_held",
    "read_plan",
    "verify_published",
]
