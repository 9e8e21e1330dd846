"""The page on customer value beside each publication: segments, forecast and how good it is, cohorts, survival."""

from transforms.publishing.report.value.write import write_value_report

__all__ = ["write_value_report"]
