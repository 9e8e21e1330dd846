"""A page for people beside each publication, made from the published file alone."""

from transforms.publishing.report.write import ReportPages, write_report

__all__ = ["ReportPages", "write_report"]
