"""The readers' file: marts without personal data, replaced in one step behind checks."""

from transforms.publishing.errors import PublicationError
from transforms.publishing.plan import PublicationPlan, PublishedColumn, PublishedTable, read_plan
from transforms.publishing.publish import PublicationReport, publish
from transforms.publishing.verify import PublicationInfo, verify_published

__all__ = [
    "PublicationError",
    "PublicationInfo",
    "PublicationPlan",
    "PublicationReport",
    "PublishedColumn",
    "PublishedTable",
    "publish",
    "read_plan",
    "verify_published",
]
