"""The sample company's truth against what a run found."""

from __future__ import annotations

import duckdb

from transforms.demo.scoring import IdentityScore, score_identity
from transforms.identity.store import IdentityStore
from transforms.settings import Settings
from transforms.sql import literal

# Staging models whose records may name somebody.
_MODELS = (
    "stg_transactions", "stg_app_events", "stg_store_visits", "stg_hotline_calls", "stg_profiles", "stg_consents",
    "stg_surveys", "stg_messages", "stg_cases", "stg_returns", "stg_reviews",
)  # fmt: skip
STAGED = " UNION ALL ".join(f"SELECT record_id, identity_key FROM staging.{model}" for model in _MODELS)
"""Query of the warehouse's records and their combinations of identifiers."""


def score_run(settings: Settings) -> IdentityScore:
    """Score the identities of the last run, record by record, against the planted truth."""
    assignments = IdentityStore(settings).table("assignments")
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        connection.execute(f"SET memory_limit = {literal(settings.memory_limit)}")
        found = connection.sql(
            f"SELECT r.record_id, a.customer_id FROM ({STAGED}) AS r JOIN {assignments} AS a USING (identity_key)"
        )
        return score_identity(settings.truth, found)
