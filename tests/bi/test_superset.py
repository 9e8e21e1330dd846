"""Superset with a saved connection, through its API, while the file is published again and again."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bi.publications import QUESTION, Publisher
from tests.bi.superset import Superset, SupersetError, served

pytestmark = pytest.mark.bi

PUBLICATIONS = 30
# Whether one answer holds rows of two publications: every figure comes with the day of its own table.
MIXTURE = (
    "SELECT p.run_id, p.as_of_date = c.day AND p.as_of_date = s.day AND p.as_of_date = t.day AS is_whole, c.customers,"
    " s.customers AS in_segments FROM marts.publication AS p"
    " CROSS JOIN (SELECT max(as_of_date) AS day, count(*) AS customers FROM marts.customer_360) AS c"
    " CROSS JOIN (SELECT max(as_of_date) AS day, sum(customers) AS customers FROM marts.segment_summary) AS s"
    " CROSS JOIN (SELECT max(as_of_date) AS day FROM marts.calendar) AS t"
)


@pytest.fixture(scope="module")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    with served(tmp_path_factory.mktemp("superset") / "home") as superset:
        yield superset


def rounded(row: dict) -> dict:
    """Superset hands money over as a binary fraction and moments as ISO texts."""
    return row | {
        "revenue": f"{row['revenue']:.2f}",
        "as_of": row["as_of"][:10],
        "first_seen": row["first_seen"].replace("T", " ")[:19],
    }


def test_values_descriptions_and_types(superset: Superset, publisher: Publisher) -> None:
    database = superset.connect(publisher.path)
    (row,) = superset.sql(database, QUESTION)
    assert rounded(row) == publisher.published[0].answer()

    dataset = superset.dataset(database, "customer_360")
    columns = superset.columns(dataset)
    superset.remove_dataset(dataset)
    assert columns["segment"]["description"] == publisher.comment("customer_360", "segment")
    assert columns["as_of_date"]["type"] == "DATE" and columns["as_of_date"]["is_dttm"]
    assert columns["net_revenue_amount"]["type"] in {"DECIMAL(18, 2)", "NUMERIC(18, 2)"}
    assert {entry["type"] for entry in columns.values()} & {"UNKNOWN", "NULL", None} == set()


def test_nobody_writes_through_it(superset: Superset, publisher: Publisher) -> None:
    database = superset.connect(publisher.path)
    with pytest.raises(SupersetError, match="read-only"):
        superset.sql(database, "DELETE FROM marts.customer_360")
    (row,) = superset.sql(database, "SELECT count(*) AS n FROM marts.customer_360")
    assert row["n"] == publisher.published[0].customers


def test_thirty_publications_go_by(superset: Superset, publisher: Publisher) -> None:
    """No question fails, none is answered from an older publication than the last, none from two at once."""
    database = superset.connect(publisher.path)
    dataset = superset.dataset(database, "customer_360")
    readers = [Reader(superset, database, dataset, publisher) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(PUBLICATIONS):
        truth = publisher.publish()
        # A dashboard that is opened now shows this publication.
        (row,) = superset.sql(database, QUESTION)
        assert rounded(row) == truth.answer()
        rows = superset.chart(dataset, ["segment"], {"customers": "COUNT(*)", "day": "MAX(as_of_date)"})
        assert sum(row["customers"] for row in rows) == truth.customers
        assert {day(row["day"]) for row in rows} == {truth.as_of}
    for reader in readers:
        reader.stop()
    assert [reader.wrong for reader in readers] == [[], []]
    answers = sum(reader.answers for reader in readers)
    assert answers >= PUBLICATIONS, answers
    assert len({run for reader in readers for run in reader.seen}) > PUBLICATIONS / 3
    assert open_files(publisher.path.parent) == [], "a worker keeps the file open between questions"


def day(moment: object) -> dt.date:
    """Superset's JSON has days as milliseconds or as ISO texts."""
    if isinstance(moment, int | float):
        return dt.datetime.fromtimestamp(moment / 1000, dt.UTC).date()
    return dt.date.fromisoformat(str(moment)[:10])


class Reader(threading.Thread):
    """Somebody who asks one question after the other; ``wrong`` holds what must not be."""

    def __init__(self, superset: Superset, database: int, dataset: int, publisher: Publisher) -> None:
        super().__init__(daemon=True)
        self._superset, self._database, self._dataset, self._publisher = superset, database, dataset, publisher
        self._end = threading.Event()
        self.answers, self.seen, self.wrong = 0, set[str](), list[str]()

    def run(self) -> None:
        while not self._end.is_set():
            known = list(self._publisher.published)
            try:
                (row,) = self._superset.sql(self._database, MIXTURE)
            except Exception as error:
                self.wrong.append(repr(error))
                continue
            self.answers += 1
            self.seen.add(row["run_id"])
            if not row["is_whole"]:
                self.wrong.append(f"a mixture: {row}")
            # In place while the question was asked: the last one known before it, or a later one.
            if number(row["run_id"]) < len(known):
                self.wrong.append(f"stale: {row['run_id']} after {known[-1].run_id}")
            elif row["customers"] != known[0].customers + number(row["run_id"]) - 1:
                self.wrong.append(f"other customers than {row['run_id']} has: {row}")

    def stop(self) -> None:
        self._end.set()
        self.join(60)


def number(run_id: str) -> int:
    return int(run_id.removeprefix("run-"))


def open_files(folder: Path) -> list[str]:
    """Files of a folder that some process has open, other than this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            found += [str(link.readlink()) for link in (process / "fd").iterdir()]
        except OSError:
            continue
    return [name for name in found if name.startswith(str(folder))]
