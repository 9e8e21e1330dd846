"""A small shop's transactions: one contract in three formats, for the tests of the lake."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import yaml

from tests.reading import reader
from transforms.contracts import SourceContract, load_contracts
from transforms.lake.load import LoadReport, load_source
from transforms.settings import Settings

NOW = dt.datetime(2026, 1, 10, 12, 0, tzinfo=dt.UTC)
HEADER = "order,line,time,kind,qty,amount,discount,mail"


def contract_document(file_format: str = "csv", **server: Any) -> dict[str, Any]:
    """The contract as data, to be changed by a test before it is written."""
    ending = {"csv": "csv", "json": "jsonl", "parquet": "parquet"}[file_format]
    mapped = {
        "order_id": "order",
        "line_id": "line",
        "ordered_at": "time",
        "line_type": "kind",
        "quantity": "qty",
        "gross_amount": "amount",
        "discount_amount": "discount",
        "email": "mail",
    }
    types = {"ordered_at": "timestamp", "quantity": "number", "gross_amount": "number", "discount_amount": "number"}
    properties: list[dict[str, Any]] = [
        {"name": name, "physicalName": physical, "logicalType": types.get(name, "string")}
        for name, physical in mapped.items()
    ]
    properties += [
        {"name": "channel", "transformLogic": "'store'", "logicalType": "string"},
        {"name": "currency", "transformLogic": "'EUR'", "logicalType": "string"},
    ]
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "urn:test:shop",
        "name": "shop",
        "version": "1.0.0",
        "status": "active",
        "servers": [{"server": "files", "type": "local", "path": f"shop/*.{ending}*", "format": file_format, **server}],
        "schema": [
            {
                "name": "transactions",
                "logicalType": "object",
                "customProperties": [{"property": "entity", "value": "transactions"}],
                "properties": properties,
            }
        ],
        "slaProperties": [{"property": "freshness", "value": 1, "unit": "d"}],
    }


class Shop:
    """A home with one source; deliver files, load them, look at what became of them."""

    def __init__(self, folder: Path, document: dict[str, Any] | None = None):
        self.settings = Settings(home=folder / "home", contracts=folder / "contracts", memory_limit="1GB")
        self.settings.contracts.mkdir(exist_ok=True)
        (self.settings.incoming / "shop").mkdir(parents=True, exist_ok=True)
        self.now = NOW
        self.sign(document or contract_document())

    def sign(self, document: dict[str, Any]) -> None:
        """Put a contract in force."""
        (self.settings.contracts / "shop.odcs.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    @property
    def contract(self) -> SourceContract:
        return load_contracts(self.settings.entities, self.settings.contracts).sources["shop"]

    def deliver(self, content: bytes | str, name: str = "a.csv") -> Path:
        """Write a file into the source's folder."""
        path = self.settings.incoming / "shop" / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self) -> LoadReport:
        """Load what is new, with a clock that goes on by a second with each look."""

        def clock() -> dt.datetime:
            self.now += dt.timedelta(seconds=1)
            return self.now

        return load_source(self.settings, self.contract, clock)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the lake; ``accepted``, ``current``, ``superseded``, ``quarantine`` and ``records`` are its tables."""
        with reader() as connection:
            for name in ("accepted", "superseded", "quarantine", "record"):
                files = f"{self.settings.lake}/transactions/*/*/{name}.parquet"
                table = {"record": "records"}.get(name, name)
                connection.execute(
                    f"CREATE TEMP VIEW {table} AS SELECT * FROM read_parquet('{files}', union_by_name = true)"
                )
            connection.execute(
                "CREATE TEMP VIEW current AS SELECT * FROM accepted"
                " ANTI JOIN (FROM superseded WHERE _kind <> 'awaited') USING (_batch_id, _row)"
            )
            return connection.execute(sql).fetchall()

    def reasons(self) -> list[tuple[int, str]]:
        """Physical row and reasons of each row in quarantine."""
        return self.query("SELECT _row, reasons FROM quarantine ORDER BY ALL")  # type: ignore[return-value]


def line(order: str = "1", **fields: str) -> str:
    """One good CSV line, with some fields replaced."""
    good = {
        "order": order,
        "line": "1",
        "time": "2025-03-01T10:00:00",
        "kind": "sale",
        "qty": "2",
        "amount": "9.90",
        "discount": "",
        "mail": "",
    }
    return ",".join({**good, **fields}.values())


def csv_file(*lines: str) -> str:
    """A CSV file of the shop."""
    return "\n".join([HEADER, *lines]) + "\n"
