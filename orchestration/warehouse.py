"""The dbt project as assets; dbt runs as a subprocess and is the only writer of the warehouse file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from orchestration.dbt_arguments import dbt_environment, dbt_variables
from orchestration.run_lock import RunLock
from transforms.contracts import Contracts
from transforms.lake.as_of import as_of_date
from transforms.locking import exclusive
from transforms.settings import Settings
from transforms.warehouse import row_counts

OWNER = "data-platform@example.com"


class ProjectTranslator(DagsterDbtTranslator):
    """Tests on sources are checks too; every model has an owner."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Owners named in the model's YAML, else the platform's team."""
        return list(super().get_owners(dbt_resource_props) or [OWNER])


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """dbt takes its settings from the environment alone, and Dagster hands it ours."""
    before = dict(os.environ)
    os.environ.update(dbt_environment(settings))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def dbt_executable() -> str:
    """The dbt of this very environment, whether or not it is on the path."""
    beside = Path(sys.executable).parent / "dbt"
    return str(beside) if beside.exists() else "dbt"


def prepare_manifest(settings: Settings) -> Path:
    """Parse the dbt project if a file of it is newer than the last parse; returns the manifest's path.

    Raises:
        RuntimeError: dbt cannot parse the project; the message is dbt's own.
    """
    target = settings.home / "dbt"
    manifest = target / "manifest.json"
    with exclusive(target / "parse.lock", "dbt parse", timeout_seconds=300):
        newest = max(
            path.stat().st_mtime
            for path in settings.dbt_project.rglob("*")
            if path.is_file() and path.suffix in {".sql", ".yml", ".csv"} and "target" not in path.parts
        )
        if manifest.exists() and manifest.stat().st_mtime > newest:
            return manifest
        command = [dbt_executable(), "--quiet", "parse", "--project-dir", str(settings.dbt_project)]
        command += ["--profiles-dir", str(settings.dbt_project), "--vars", dbt_variables(settings, None, "parse")]
        environment = {**os.environ, **dbt_environment(settings)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"dbt cannot parse {settings.dbt_project}:\n{done.stdout}{done.stderr}")
    return manifest


def warehouse_assets(settings: Settings, contracts: Contracts, manifest: Path) -> dg.AssetsDefinition:
    """Every model, seed and test of the dbt project."""

    @dbt_assets(manifest=manifest, name="warehouse", dagster_dbt_translator=ProjectTranslator())
    def warehouse(context: dg.AssetExecutionContext, dbt: DbtCliResource, run_lock: RunLock) -> Iterator[Any]:
        day = as_of_date(settings, contracts)
        context.log.info(f"dbt: as of {day}")
        arguments = ["build", "--vars", dbt_variables(settings, day, context.run_id)]
        with _environment(settings):
            invocation = dbt.cli(arguments, context=context, raise_on_error=False)
            events = []
            for event in invocation.stream():
                events.append(event)
                if isinstance(event, dg.Output):
                    context.log.info(f"dbt: built {event.output_name}")
        # Only now is the file free: rows can be counted, and the events leave with them.
        counts = {"__".join(table): rows for table, rows in row_counts(settings.warehouse).items()}
        for event in events:
            if isinstance(event, dg.Output) and event.output_name in counts:
                context.add_output_metadata(
                    {"dagster/row_count": counts[event.output_name]}, output_name=event.output_name
                )
            yield event
        if not invocation.is_successful():
            raise invocation.get_error() or RuntimeError("dbt failed")

    return warehouse


def dbt_resource(settings: Settings) -> DbtCliResource:
    """dbt command line over the project that ships with the platform."""
    project = str(settings.dbt_project)
    return DbtCliResource(project_dir=project, profiles_dir=project, dbt_executable=dbt_executable())
