"""Models of how often customers buy: NBD, BG/NBD, MBG/NBD, Pareto/NBD."""

from transforms.value.models.base import (
    PurchaseModel,
    discounted_orders,
    expected_orders,
    orders_of_cohorts,
    orders_of_new_customers,
)
from transforms.value.models.beta_geometric import BG_NBD, MBG_NBD
from transforms.value.models.cohorts import Cohorts
from transforms.value.models.nbd import NBD
from transforms.value.models.pareto import PARETO_NBD
from transforms.value.models.pooled import POOLED

MODELS: dict[str, PurchaseModel] = {model.name: model for model in (PARETO_NBD, MBG_NBD, NBD, POOLED, BG_NBD)}

__all__ = [
    "BG_NBD",
    "MBG_NBD",
    "MODELS",
    "NBD",
    "PARETO_NBD",
    "POOLED",
    "Cohorts",
    "PurchaseModel",
    "discounted_orders",
    "expected_orders",
    "orders_of_cohorts",
    "orders_of_new_customers",
]
