"""What customers are worth: purchase and spend models, the backtest that chooses among them, expected value."""

from transforms.value.report import ValueReport
from transforms.value.run import forecast_value
from transforms.value.store import SCHEMAS, ensure_empty_outcome

__all__ = ["SCHEMAS", "ValueReport", "ensure_empty_outcome", "forecast_value"]
