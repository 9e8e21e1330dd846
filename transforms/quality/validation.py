"""The latest load of a source against its contract, inside DuckDB."""

from __future__ import annotations

import atexit
import datetime as dt
import logging
import os
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from transforms.contracts import SourceContract
from transforms.lake.records import ACCEPTED, FileRecord, source_folder
from transforms.quality.data_docs import INDEX, add_run, data_docs_folder, latest_report
from transforms.quality.report import QualityReport, RuleResult
from transforms.quick_imports import quick_imports
from transforms.settings import Settings
from transforms.sql import literal, scratch_options

_VIEW = "accepted"
# The richer formats fetch values of failing rows; none may end up in a result, a page or a log.
_RESULT_FORMAT = "BOOLEAN_ONLY"


def validate_load(settings: Settings, contract: SourceContract, records: Sequence[FileRecord]) -> QualityReport | None:
    """Check the rows that came since the last check, taken together, and add a page to the Data Docs.

    ``records`` are those of all files of the source. Where none is new, the report of the last check comes back and
    Great Expectations is not even imported; None before the first load. A run that was killed between load and check
    is made up for by the next one.
    """
    last = latest_report(settings, contract.name)
    news = [record for record in records if _brings_news(record) and (not last or _loaded_at(record) > last.loaded_at)]
    if not news:
        return last
    started = time.monotonic()
    validation = _run(settings, contract, news)
    report = QualityReport(
        source=contract.name,
        loaded_at=max(_loaded_at(record) for record in news),
        rows=sum(record.rows_accepted for record in news),
        results=tuple(_result(item) for item in validation.results),
        elapsed_seconds=round(time.monotonic() - started, 3),
        data_docs=data_docs_folder(settings, contract.name) / INDEX,
    )
    add_run(report, validation)
    return report


def _brings_news(record: FileRecord) -> bool:
    """Whether a file is worth a check: let in, and not only with rows that the lake had before.

    A file without any row is: that it came empty may be the very fault that a rule on the number of rows is for.
    """
    return record.status == "loaded" and (record.rows_read == 0 or record.rows_duplicate < record.rows_read)


def _loaded_at(record: FileRecord) -> dt.datetime:
    return record.loaded_at.replace(tzinfo=None)


def _run(settings: Settings, contract: SourceContract, news: Sequence[FileRecord]) -> Any:
    """Result of the whole suite over one view of the batches."""
    _prepare_process()
    with quick_imports("great_expectations"):
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        from transforms.quality.suite import expectations

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # A database of its own that all connections of the engine share; it goes with the last of them.
    database = f"duckdb:///:memory:quality_{contract.name}_{os.getpid()}"
    options: dict[str, Any] = {"connection_string": database, "kwargs": _engine_options(settings)}
    source = context.data_sources.add_sql(contract.name, **options)
    engine = source.get_engine()
    try:
        folder = source_folder(settings, contract)
        files = ", ".join(literal(folder / record.batch_id / ACCEPTED) for record in news)
        with engine.connect() as connection:
            view = f"CREATE VIEW {_VIEW} AS SELECT * FROM read_parquet([{files}], union_by_name = true)"
            connection.exec_driver_sql(view)
        batch = source.add_table_asset(contract.entity.name, table_name=_VIEW).add_batch_definition_whole_table("load")
        released = any(record.rows_released for record in news)
        suite = gx.ExpectationSuite(contract.name, expectations=expectations(contract, released))
        validation = gx.ValidationDefinition(name=contract.name, data=batch, suite=context.suites.add(suite))
        context.validation_definitions.add(validation)
        return validation.run(result_format=_RESULT_FORMAT)
    finally:
        # Two engines, each with connections that hold the database.
        source.get_execution_engine().close()
        engine.dispose()


@cache
def _prepare_process() -> None:
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    atexit.register(_end_in_silence)


def _end_in_silence() -> None:
    """Take standard error away from the last moments of the process, after all its work and its own errors.

    Objects of Great Expectations outlive the interpreter, with them DuckDB's, and DuckDB's bindings would end a good
    run with a page of warnings of leaked objects, which they have no switch for.
    """
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)


def _engine_options(settings: Settings) -> dict[str, Any]:
    return {
        # Great Expectations reads results after it has closed their connection; without a transaction they live on.
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "connect_args": {"config": scratch_options(settings)},
    }


def _result(item: Any) -> RuleResult:
    config = item.expectation_config
    return RuleResult(
        name=config.meta["rule"],
        rule=config.description or config.type,
        severity=config.meta["severity"],
        passed=bool(item.success),
        observed=_observed(item),
    )


def _observed(item: Any) -> str:
    if item.exception_info and item.exception_info.get("raised_exception", True):
        return "could not be measured: " + str(item.exception_info)[:500]
    return str((item.result or {}).get("observed_value", ""))
