"""Dagster's log of events in SQLite, over connections that stay open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy.engine import Connection, Engine, create_engine
from sqlalchemy.event import listen

# Another process, as the pages, may be about to write.
_BUSY_SECONDS = 30


def _without_waiting_for_the_disk(connection: Any, _: Any) -> None:
    # A kill loses nothing; after a failure of the power the last events of a run may be missing, and no more.
    connection.execute("PRAGMA synchronous = NORMAL")


class OpenEventLog(SqliteEventLogStorage):
    """The log in the files in which Dagster keeps it.

    Dagster opens a file anew for each of the 1,600 events of a run, and the last to close one writes its journal back:
    ten seconds of a run. Here a file that was opened stays open until the instance is disposed of.
    """

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> OpenEventLog:
        """As Dagster makes it from the settings of an instance."""
        return cls(config_value["base_dir"], inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # One thread at a time, as in Dagster.
        with self._db_lock:
            if shard not in self._engines:
                place = self.conn_string_for_shard(shard)
                engine = create_engine(place, pool_size=1, connect_args={"timeout": _BUSY_SECONDS})
                listen(engine, "connect", _without_waiting_for_the_disk)
                self._initdb(engine)
                self._engines[shard] = engine
            with self._engines[shard].connect() as connection, connection.begin():
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether a table is there; one that was stays, and Dagster asks, over a file opened anew, at each check."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        """Remove all events."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close all files."""
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def open_instance(home: Path) -> dg.DagsterInstance:
    """The Dagster instance of a home for a run in this process; a context manager that closes it."""
    log = {"module": __name__, "class": OpenEventLog.__name__, "config": {"base_dir": str(home / "history" / "runs")}}
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"event_log_storage": log}))
