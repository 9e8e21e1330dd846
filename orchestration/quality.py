"""The check of a source's latest load as a whole, with a link to its Data Docs."""

import dagster as dg

from transforms.contracts import SourceContract
from transforms.lake.load import LoadReport
from transforms.quality import validate_load
from transforms.settings import Settings

DATASET_CHECK = "dataset_keeps_the_contract"


def dataset_check_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """Spec of the check; it never stops what comes after."""
    text = "The rows of the latest load keep the dataset rules of the contract, taken together."
    return dg.AssetCheckSpec(DATASET_CHECK, asset=key, blocking=False, description=text)


def dataset_check_result(settings: Settings, contract: SourceContract, load: LoadReport) -> dg.AssetCheckResult:
    """Result of the check; where nothing new came, that of the load before."""
    report = validate_load(settings, contract, load.records)
    if report is None:
        return dg.AssetCheckResult(passed=True, check_name=DATASET_CHECK, description="nothing loaded yet")
    severity = dg.AssetCheckSeverity.ERROR if report.is_error else dg.AssetCheckSeverity.WARN
    since = None if report.is_new else f"nothing new since the load of {report.loaded_at:%Y-%m-%d %H:%M:%S} UTC"
    broken = {result.name: f"{result.rule}: {result.observed}".removesuffix(": ") for result in report.failed}
    return dg.AssetCheckResult(
        passed=report.passed,
        check_name=DATASET_CHECK,
        severity=severity,
        description=since,
        metadata={
            "rows": report.rows,
            "rules_checked": len(report.results),
            "rules_failed": len(report.failed),
            "broken": dg.MetadataValue.json(broken),
            "elapsed_seconds": report.elapsed_seconds,
            "data_docs": dg.MetadataValue.url(report.data_docs.as_uri()),
            "data_docs_path": dg.MetadataValue.path(str(report.data_docs)),
        },
    )
