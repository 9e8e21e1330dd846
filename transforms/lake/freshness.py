"""Whether a source still delivers."""

from __future__ import annotations

import datetime as dt

from transforms.lake.load import LoadReport


def is_fresh(report: LoadReport, limit: dt.timedelta | None, now: dt.datetime) -> tuple[bool, str]:
    """Judge a source by the arrival of its newest file; returns the verdict and one sentence about it."""
    if report.files_found == 0:
        return False, f"stale: no file at {report.location}; check the provider, or the path in the contract"
    if report.newest_arrival is None or limit is None:
        return True, f"{report.files_found} files, no freshness agreed"
    age = now - report.newest_arrival
    verdict = "fresh" if age <= limit else "stale"
    return age <= limit, f"{verdict}: the newest file came {age.total_seconds() / 3600:.1f} h ago, agreed {limit}"
