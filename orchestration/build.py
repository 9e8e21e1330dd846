"""Composes the definitions of one installation."""

from __future__ import annotations

import dagster as dg

from orchestration.automation import backfill_job, daily_job, daily_schedule, new_files_sensor
from orchestration.days import AsOf
from orchestration.dbt_parse import prepare_manifest
from orchestration.history import history_asset
from orchestration.ingestion import ingestion_assets
from orchestration.monitoring import failure_sensor
from orchestration.publication import publication_assets
from orchestration.resolution import identity_assets
from orchestration.run_lock import RunLock
from orchestration.terminal import terminal_logger
from orchestration.valuation import value_assets
from orchestration.warehouse import dbt_resource, warehouse_assets
from transforms.contracts import load_contracts
from transforms.settings import Settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Assets, checks, job, schedule and sensor over the contracts and the home that the settings name.

    Raises:
        ContractError: a contract has a fault; nothing runs before it is mended.
    """
    contracts = load_contracts(settings.entities, settings.contracts)
    manifest = prepare_manifest(settings)
    warehouse = warehouse_assets(settings, contracts, manifest)
    marts = [key for part in warehouse for key in part.keys if key.path[0] == "marts"]
    job = daily_job()
    return dg.Definitions(
        assets=[
            *ingestion_assets(settings, contracts),
            *warehouse,
            identity_assets(settings, contracts),
            value_assets(settings, contracts),
            history_asset(settings, contracts, manifest),
            *publication_assets(settings, contracts, manifest, marts),
        ],
        jobs=[job, backfill_job()],
        schedules=[daily_schedule(settings, job)],
        sensors=[new_files_sensor(settings, contracts, job), failure_sensor(settings)],
        resources={
            "as_of": AsOf(),
            "dbt": dbt_resource(settings),
            "run_lock": RunLock(
                path=str(settings.run_lock),
                timeout_seconds=settings.lock_timeout_seconds,
                kept_days=settings.runs_kept_days,
            ),
        },
        loggers={"terminal": terminal_logger},
        # One process per run: the run lock then spans all of its steps.
        executor=dg.in_process_executor,
    )
