"""Entry point of ``dagster dev`` and ``dg dev``."""

from orchestration.build import build_definitions
from transforms.settings import Settings

defs = build_definitions(Settings())
