"""A small sample company, and what anybody can read from its files without the platform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from transforms.demo import CompanySummary, write_company
from transforms.settings import Settings


def _json(*fields: str) -> str:
    """Reader of JSON lines: a column for each field, with underscores for dots."""
    columns = ", ".join(f"line ->> '$.{field}' AS {field.replace('.', '_')}" for field in fields)
    return f"""(
        SELECT {columns}
        FROM read_csv('{{files}}/*.jsonl*', columns = {{{{'line': 'VARCHAR'}}}}, header = false, delim = '\\x01',
                      quote = '', escape = '', auto_detect = false)
        WHERE json_valid(line))"""


# Rows as an independent reader sees them: one view a source, every column as text but in Parquet. Lines that
# are broken as such are left out here; the gate's own test counts them.
_READERS = {
    "pos_sales": "read_csv('{files}/*.csv.gz', delim = ';', all_varchar = true, ignore_errors = true)",
    "web_orders": "read_parquet('{files}/*.parquet')",
    "app_events": """(
        SELECT line ->> '$.id' AS id, line ->> '$.ts' AS ts, line ->> '$.name' AS name, line ->> '$.channel' AS channel,
               line ->> '$.device.id' AS device, line ->> '$.device.os' AS os, line ->> '$.user.id' AS account,
               line ->> '$.user.loyalty' AS card, line ->> '$.user.email' AS email, line ->> '$.user.phone' AS phone,
               line ->> '$.session' AS session, line ->> '$.ctx.page' AS page, line ->> '$.ctx.sku' AS sku,
               line ->> '$.ctx.order' AS order_number, line ->> '$.ctx.campaign' AS campaign
        FROM read_csv('{files}/*.jsonl.gz', columns = {{'line': 'VARCHAR'}}, header = false, delim = '\\x01',
                      quote = '', escape = '', auto_detect = false)
        WHERE json_valid(line))""",
    "store_visits": "read_csv('{files}/*.csv', all_varchar = true, ignore_errors = true)",
    "hotline_calls": "read_csv('{files}/*.csv', all_varchar = true, ignore_errors = true)",
    "crm_profiles": "read_csv('{files}/*.csv', delim = ';', all_varchar = true, ignore_errors = true)",
    "consents": _json(
        *("consent", "purpose", "state", "changed", "given", "revoked"),
        *("subject.mail", "subject.account", "subject.card", "subject.cookie"),
    ),
    "campaign_messages": "read_parquet('{files}/*.parquet')",
    "surveys": """
        read_csv('{files}/*.csv', delim = ';', quote = '"', escape = '"', all_varchar = true, ignore_errors = true)""",
    "service_cases": _json(
        *("ticket.id", "ticket.type", "ticket.channel", "ticket.promise.reply_by", "ticket.promise.solve_by"),
        *("event.number", "event.kind", "event.at", "event.by", "event.state", "reference.call"),
        *("customer.mail", "customer.phone", "customer.card", "customer.account"),
    ),
    "returns_desk": "read_csv('{files}/*.csv', all_varchar = true, ignore_errors = true)",
    "product_reviews": _json(
        *("id", "created", "rating.value", "body", "lang", "article", "order"),
        *("author.nick", "author.account", "author.mail"),
    ),
    "product_catalogue": """
        read_csv('{files}/*.csv.gz', delim = ';', all_varchar = true, ignore_errors = true, filename = true)""",
}
_RECORD_IDS = {
    "pos_sales": "'pos_sales:' || Bon_Nr || ':' || Position",
    "web_orders": "'web_orders:' || order_number || ':' || line_no",
    "app_events": "'app_events:' || id",
    "store_visits": "'store_visits:' || visit_ref",
    "hotline_calls": "'hotline_calls:' || call_ref",
    "crm_profiles": "'crm_profiles:' || kunden_nr",
    "consents": "'consents:' || consent",
    "campaign_messages": "'campaign_messages:' || event_ref",
    "surveys": "'surveys:' || antwort || ':' || frage",
    "service_cases": "'service_cases:' || ticket_id || ':' || event_number",
    "returns_desk": "'returns_desk:' || slip || ':' || pos",
    "product_reviews": "'product_reviews:' || id",
    "product_catalogue": "'product_catalogue:' || Artikel",
}
# What makes a row the last version of its record, where a source sends several.
_LAST = {
    "crm_profiles": "strptime(geaendert, '%d.%m.%Y %H:%M:%S')",
    "consents": "changed",
    "product_catalogue": "filename",
}


@dataclass(frozen=True)
class Written:
    """A written company and where it lies."""

    settings: Settings
    summary: CompanySummary


def settings_for(home: Path, people: int = 600, seed: int = 7, threads: int = 2) -> Settings:
    """Settings of an installation of its own."""
    return Settings(home=home, demo_people=people, demo_seed=seed, threads=threads, business_timezone="Europe/Berlin")


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A company of 1,000 people, written once for all tests that only read it."""
    settings = settings_for(tmp_path_factory.mktemp("company"), people=1_000)
    return Written(settings, write_company(settings))


@pytest.fixture(scope="session")
def facts(company: Written) -> Iterator[duckdb.DuckDBPyConnection]:
    """The company's good rows, one view a source, with record_id, person_id and is_scored; people and records.

    Good rows are those that the truth knows, each in its last version; a row that occurs twice is here once.
    ``crm_profiles_sent`` has all versions of the profiles.
    """
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name in ("people", "records", "dirt"):
            connection.execute(f"CREATE VIEW {name} AS FROM '{company.settings.truth}/{name}.parquet'")
        for source, reader in _READERS.items():
            rows = reader.format(files=company.settings.incoming / source)
            last = _LAST.get(source, "1")
            connection.execute(
                f"""
                CREATE TABLE {source} AS
                SELECT DISTINCT raw.*, records.record_id, records.person_id, records.is_scored
                FROM {rows} AS raw JOIN records ON records.record_id = {_RECORD_IDS[source]}
                QUALIFY rank() OVER (PARTITION BY records.record_id ORDER BY {last} DESC) = 1
                """
            )
        sent = _READERS["crm_profiles"].format(files=company.settings.incoming / "crm_profiles")
        connection.execute(f"CREATE TABLE crm_profiles_sent AS SELECT DISTINCT * FROM {sent}")
        yield connection
