"""Each type of PostgreSQL, from the server into the lake: no value changed, none that is no value let through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.transforms.sources.postgres.server import SECRETS, Postgres, TableShop
from transforms.contracts import load_contracts
from transforms.lake.load import LoadReport, load_source
from transforms.settings import Settings

# Type of the column, value as SQL, type in the lake, value in the lake as text.
GOOD = [
    ("smallint", "-32768", "BIGINT", "-32768"),
    ("integer", "2147483647", "BIGINT", "2147483647"),
    ("bigint", "9223372036854775807", "BIGINT", "9223372036854775807"),
    ("numeric", "1.50", "DECIMAL(18,2)", "1.50"),
    ("numeric(18,2)", "1234567890123456.78", "DECIMAL(18,2)", "1234567890123456.78"),
    ("numeric(38,0)", "12345678901234567890123456789012345678", "VARCHAR", "12345678901234567890123456789012345678"),
    ("numeric", "0.000000000000000000000000000001", "VARCHAR", "0.000000000000000000000000000001"),
    ("numeric", "-0.05", "DOUBLE", "-0.05"),
    ("money", "'1234.50'", "DECIMAL(18,2)", "1234.50"),
    ("real", "1.1", "DECIMAL(18,2)", "1.10"),
    ("double precision", "0.1", "DOUBLE", "0.1"),
    ("boolean", "true", "BOOLEAN", "true"),
    ("text", "E'ü \\n \"\\t 🎉'", "VARCHAR", 'ü \n "\t 🎉'),
    ("varchar(5)", "'a b '", "VARCHAR", "a b "),
    ("char(5)", "'ab'", "VARCHAR", "ab"),
    ('"char"', "'x'", "VARCHAR", "x"),
    ("name", "'n'", "VARCHAR", "n"),
    ("date", "'2025-02-28'", "DATE", "2025-02-28"),
    ("date", "'0001-01-01'", "DATE", "0001-01-01"),
    ("timestamptz", "'2025-03-30 02:30:00.123456+01'", "TIMESTAMP", "2025-03-30 01:30:00.123456"),
    ("timestamptz", "'9999-12-31 23:59:59.999999+00'", "TIMESTAMP", "9999-12-31 23:59:59.999999"),
    ("timestamp", "'2025-03-30 02:30:00'", "TIMESTAMP", "2025-03-30 02:30:00"),
    ("timestamp", "'1969-12-31 23:59:59.999999'", "TIMESTAMP", "1969-12-31 23:59:59.999999"),
    ("date", "'2025-02-28'", "TIMESTAMP", "2025-02-28 00:00:00"),
    ("time", "'24:00'", "VARCHAR", "24:00:00"),
    ("timetz", "'12:00:01.5+02'", "VARCHAR", "12:00:01.5+02"),
    ("interval", "'1 month 2 days 3 hours'", "VARCHAR", "P1M2DT3H"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "VARCHAR", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("json", """'{"b": 1, "a": [1.10, null]}'""", "VARCHAR", '{"b": 1, "a": [1.10, null]}'),
    ("jsonb", """'{"b": 12345678901234567890.10}'""", "VARCHAR", '{"b": 12345678901234567890.10}'),
    ("integer[]", "'{{1,2},{3,NULL}}'", "VARCHAR", "[[1,2],[3,null]]"),
    ("text[]", """ARRAY['a,"b', '', NULL]""", "VARCHAR", '["a,\\"b","",null]'),
    ("timestamptz[]", "ARRAY['2025-01-01 12:00+02'::timestamptz]", "VARCHAR", '["2025-01-01T10:00:00+00:00"]'),
    ("{schema}.mood", "'so la la'", "VARCHAR", "so la la"),
    ("{schema}.mood[]", "'{good}'", "VARCHAR", '["good"]'),
    ("{schema}.pair", "ROW(1, 'x')", "VARCHAR", '{"a":1,"b":"x"}'),
    ("{schema}.age", "44", "BIGINT", "44"),
    ("{schema}.older", "77", "BIGINT", "77"),
    ("bytea", "'\\xc3bc'", "VARCHAR", "ü"),
    ("inet", "'10.0.0.1/8'", "VARCHAR", "10.0.0.1/8"),
    ("cidr", "'10.0.0.0/8'", "VARCHAR", "10.0.0.0/8"),
    ("macaddr", "'08:00:2b:01:02:03'", "VARCHAR", "08:00:2b:01:02:03"),
    ("int4range", "'[1,5)'", "VARCHAR", "[1,5)"),
    ("bit varying", "B'101'", "VARCHAR", "101"),
    ("point", "'(1,2.5)'", "VARCHAR", "(1,2.5)"),
    ("tsvector", "'a b'", "VARCHAR", "'a' 'b'"),
    ("oid", "4294967295", "BIGINT", "4294967295"),
    ("regclass", "'pg_class'", "VARCHAR", "pg_class"),
    ("text", "repeat('ab', 10000000)", "VARCHAR", "ab" * 10_000_000),
]
BAD = [
    ("numeric", "'NaN'", "DECIMAL(18,2)"),
    ("numeric", "'Infinity'", "DOUBLE"),
    ("numeric", "1.505", "DECIMAL(18,2)"),
    ("numeric", "10000000000000000", "DECIMAL(18,2)"),
    ("double precision", "'NaN'", "DOUBLE"),
    ("double precision", "'-Infinity'", "DECIMAL(18,2)"),
    ("real", "1.126", "DECIMAL(18,2)"),
    ("timestamptz", "'infinity'", "TIMESTAMP"),
    ("timestamptz", "'-infinity'", "TIMESTAMP"),
    ("timestamp", "'infinity'", "TIMESTAMP"),
    ("timestamp", "'294276-12-31 23:59:59'", "TIMESTAMP"),
    ("date", "'infinity'", "DATE"),
    ("date", "'-infinity'", "DATE"),
    ("date", "'infinity'", "TIMESTAMP"),
    ("bytea", "'\\xff00'", "VARCHAR"),
]


class Collection:
    """One table ``things`` whose columns are of given types, as a source of an entity with those of the lake."""

    def __init__(self, folder: Path, server: Postgres, columns: list[tuple[str, str]], ignored: tuple[str, ...] = ()):
        self.server, self.schema = server, server.new_schema()
        server.execute(
            *(
                statement.format(s=self.schema)
                for statement in (
                    "CREATE TYPE {s}.mood AS ENUM ('good', 'so la la')",
                    "CREATE TYPE {s}.pair AS (a int, b text)",
                    "CREATE DOMAIN {s}.age AS smallint CHECK (value > 0)",
                    "CREATE DOMAIN {s}.older AS {s}.age CHECK (value > 65)",
                )
            )
        )
        defined = ", ".join(f"c{n} {kind.format(schema=self.schema)}" for n, (kind, _) in enumerate(columns))
        server.execute(f"CREATE TABLE {self.schema}.things (id int NOT NULL, at timestamptz, {defined})")
        self.settings = Settings(
            home=folder / "home", contracts=folder / "contracts", entities=folder / "entities", memory_limit="1GB"
        ).model_copy(update={"secrets": SECRETS})
        for kind in ("contracts", "entities"):
            (folder / kind).mkdir()
        lake = [("id", "BIGINT"), ("at", "TIMESTAMP"), *((f"c{n}", kind) for n, (_, kind) in enumerate(columns))]
        (folder / "entities" / "things.odcs.yaml").write_text(yaml.safe_dump(_entity(lake)))
        (folder / "contracts" / "things.odcs.yaml").write_text(
            yaml.safe_dump(_source(server, self.schema, lake, ignored))
        )

    def insert(self, number: int, *values: str) -> None:
        self.server.execute(f"INSERT INTO {self.schema}.things VALUES ({number}, now(), {', '.join(values)})")

    def load(self) -> LoadReport:
        contract = load_contracts(self.settings.entities, self.settings.contracts).sources["things"]
        report = load_source(self.settings, contract)
        assert report.unreadable == {}
        assert report.balances
        return report

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            for name in ("accepted", "quarantine"):
                files = f"{self.settings.lake}/things/*/*/{name}.parquet"
                connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{files}', union_by_name = true)")
            return connection.execute(sql).fetchall()


def _document(name: str, columns: list[dict[str, Any]], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"urn:test:{name}",
        "name": "things",
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {
                "name": "things",
                "logicalType": "object",
                "customProperties": [{"property": key, "value": value} for key, value in properties.items()],
                "properties": columns,
            }
        ],
    }


def _entity(lake: list[tuple[str, str]]) -> dict[str, Any]:
    columns: list[dict[str, Any]] = [
        {"name": name, "physicalType": kind, "logicalType": "string"} for name, kind in lake
    ]
    columns[0] |= {"primaryKey": True, "primaryKeyPosition": 1, "required": True}
    return _document("entity", columns, {"occurredAt": "at"})


def _source(server: Postgres, schema: str, lake: list[tuple[str, str]], ignored: tuple[str, ...]) -> dict[str, Any]:
    columns = [{"name": name, "physicalName": name, "logicalType": "string"} for name, _ in lake]
    document = _document("source", columns, {"loadMode": "snapshot", "ignoreColumns": list(ignored)})
    properties = {"user": "watershed", "password": "shop_database", "sslmode": "disable"}
    document["servers"] = [
        {
            "server": "things",
            "type": "postgres",
            "host": "127.0.0.1",
            "port": server.port,
            "database": "postgres",
            "schema": schema,
            "customProperties": [{"property": name, "value": value} for name, value in properties.items()],
        }
    ]
    return document


def test_every_type_reaches_the_lake_unchanged(tmp_path: Path, server: Postgres) -> None:
    things = Collection(tmp_path, server, [(kind, lake) for kind, _, lake, _ in GOOD])
    things.insert(1, *(value for _, value, _, _ in GOOD))
    things.insert(2, *("NULL" for _ in GOOD))
    report = things.load()
    assert report.reasons == {}
    texts = ", ".join(f"CAST(c{n} AS VARCHAR)" for n in range(len(GOOD)))
    full, empty = things.query(f"SELECT {texts} FROM accepted ORDER BY id")
    for (kind, value, lake, expected), found in zip(GOOD, full, strict=True):
        assert found == expected, f"{kind} {value[:50]} as {lake}"
    assert set(empty) == {None}
    assert things.load().loaded == ()


def test_what_is_no_value_is_refused(tmp_path: Path, server: Postgres) -> None:
    things = Collection(tmp_path, server, [(kind, lake) for kind, _, lake in BAD])
    for number, (_, value, _) in enumerate(BAD):
        things.insert(number, *(value if place == number else "NULL" for place in range(len(BAD))))
    things.insert(99, *("NULL" for _ in BAD))
    things.load()
    refused = things.query("SELECT CAST(raw ->> 'id' AS INT) AS id, reasons FROM quarantine ORDER BY id")
    assert refused == [(number, f"type:c{number}") for number in range(len(BAD))]
    assert things.query("SELECT id FROM accepted") == [(99,)]


def test_an_unknown_column_is_kept_beside_the_row(tmp_path: Path, server: Postgres) -> None:
    things = Collection(tmp_path, server, [("int", "BIGINT")], ignored=("secret",))
    server.execute(f"ALTER TABLE {things.schema}.things ADD secret text DEFAULT 's', ADD note jsonb DEFAULT '[1]'")
    things.insert(1, "1")
    report = things.load()
    assert list(report.new_columns) == ["note"]
    assert things.query("SELECT _extra ->> 'note', _extra FROM accepted") == [("[1]", '{"note":"[1]"}')]


def test_text_that_is_no_text_is_refused_with_the_way_out(tmp_path: Path, server: Postgres) -> None:
    server.execute("CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0")
    shop = TableShop(tmp_path, server.of("raw"))
    shop.sell(1, mail="convert_from('\\xfc', 'SQL_ASCII')")
    reason = shop.refusal()
    assert "invalid byte sequence" in reason and "ignoreColumns" in reason


DRIFT = [
    ("numeric(18,2)", "real", "VARCHAR to FLOAT"),
    ("bigint", "int", "BIGINT to INTEGER"),
    ("text", "int USING c0::int", "VARCHAR to INTEGER"),
]


@pytest.mark.parametrize(("before", "after", "said"), DRIFT)
def test_a_narrowed_column_is_refused_whole(
    tmp_path: Path, server: Postgres, before: str, after: str, said: str
) -> None:
    things = Collection(tmp_path, server, [(before, "VARCHAR")])
    things.insert(1, "'1'")
    things.load()
    server.execute(f"ALTER TABLE {things.schema}.things ALTER c0 TYPE {after}")
    things.insert(2, "2")
    (rejected,) = things.load().rejected
    assert f"'c0' narrowed from {said}" in str(rejected.reason)
    assert things.query("SELECT id, c0 FROM accepted") == [(1, "1.00" if "numeric" in before else "1")]


@pytest.mark.parametrize(("before", "after"), [("int", "bigint"), ("int", "numeric"), ("varchar(3)", "text")])
def test_a_widened_column_goes_on(tmp_path: Path, server: Postgres, before: str, after: str) -> None:
    things = Collection(tmp_path, server, [(before, "VARCHAR")])
    things.insert(1, "'1'")
    things.load()
    server.execute(f"ALTER TABLE {things.schema}.things ALTER c0 TYPE {after}")
    things.insert(2, "2")
    assert things.load().rejected == ()
    assert things.query("SELECT DISTINCT id, c0 FROM accepted ORDER BY id") == [(1, "1"), (2, "2")]
