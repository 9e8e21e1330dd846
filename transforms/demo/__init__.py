"""The seeded sample company with its planted truth."""

from transforms.demo.write import CompanySummary, write_company

__all__ = ["CompanySummary", "write_company"]
