"""The page on PostgreSQL, done as it says."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.conftest import PROJECT
from tests.transforms.sources.postgres.server import PASSWORD, SECRETS, Postgres, TableShop
from transforms.contracts.servers.postgres import PROPERTIES, SSL_MODES
from transforms.sources.postgres.session import _LOCK_TIMEOUT

PAGE = (PROJECT / "docs" / "postgres.md").read_text(encoding="utf-8")


def test_the_contract_of_the_page_brings_its_rows_in(tmp_path: Path, server: Postgres) -> None:
    table, role = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.S)
    (contract,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    server.execute("CREATE DATABASE bookshop")
    bookshop = server.of("bookshop")
    for statement in filter(str.strip, [*table.split(";"), *role.split(";")]):
        if "CREATE ROLE" not in statement:  # the role is that of all tests
            bookshop.execute(statement)
    insert = "INSERT INTO sales.order_lines (receipt, pos, sold, pieces, price, card) VALUES "
    bookshop.execute(
        insert + "('B-1', 1, '2025-03-14 09:12+01', 1, 12.5, '4711'), ('B-1', 2, '2025-03-14 09:12+01', 2, 20, NULL)"
    )
    document = yaml.safe_load(contract)
    document["servers"][0] |= {"host": "127.0.0.1", "port": server.port}
    properties = {item["property"]: item for item in document["servers"][0]["customProperties"]}
    properties["sslmode"]["value"] = "disable"
    document["name"] = "shop"
    shop = TableShop(tmp_path, bookshop)
    shop.settings = shop.settings.model_copy(update={"secrets": {"bookshop_database": SECRETS["shop_database"]}})
    shop.sign(document)
    assert shop.pull() == [2]
    bookshop.execute("UPDATE sales.order_lines SET price = 10, updated_at = now() WHERE pos = 2")
    shop.pull()
    current = (
        "SELECT line_id, CAST(ordered_at AS VARCHAR), CAST(gross_amount AS VARCHAR), loyalty_id FROM current ORDER BY 1"
    )
    moment = "2025-03-14 08:12:00"
    assert shop.query(current) == [("1", moment, "12.50", "bookshop:4711"), ("2", moment, "10.00", None)]
    assert shop.pull() == []
    landing = b"".join(file.path.read_bytes() for file in shop.landed)
    assert b"iban" not in landing and PASSWORD.encode() not in landing


def test_every_property_is_on_the_page() -> None:
    for name in (*PROPERTIES, *SSL_MODES):
        assert f"`{name}`" in PAGE, name
    assert f"after {_LOCK_TIMEOUT.removesuffix('s')} seconds where somebody alters" in PAGE.replace("\n", " ")
