"""Dataset checks: what must hold of a load as a whole, measured by Great Expectations after the gate."""

from transforms.quality.report import QualityReport, RuleResult
from transforms.quality.validation import validate_load

__all__ = ["QualityReport", "RuleResult", "validate_load"]
