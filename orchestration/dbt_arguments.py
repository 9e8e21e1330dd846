"""What dbt is told: pure functions, tested without running it."""

from __future__ import annotations

import datetime as dt
import json

from transforms.settings import Settings


def dbt_variables(settings: Settings, as_of: dt.date | None, run_id: str) -> str:
    """Value of ``--vars``. Without data there is no day: the models' own default stands, and nothing to count."""
    variables = {
        "lake_path": str(settings.lake),
        "run_id": run_id,
        "business_timezone": settings.business_timezone,
    }
    if as_of is not None:
        variables["as_of_date"] = as_of.isoformat()
    return json.dumps(variables)


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Environment variables of the dbt process."""
    return {
        "WATERSHED_WAREHOUSE": str(settings.warehouse),
        "WATERSHED_MEMORY_LIMIT": settings.memory_limit,
        "WATERSHED_THREADS": str(settings.threads),
        "DBT_TARGET_PATH": str(settings.home / "dbt"),
        "DBT_LOG_PATH": str(settings.home / "dbt"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
