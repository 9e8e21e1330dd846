"""What the server refuses: nothing is landed, the reason says what to do, the next run completes."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.transforms.sources.postgres.server import FRAGMENT, PASSWORD, SECRETS, Postgres, TableShop
from transforms.settings import Settings
from transforms.sources import deliveries, location
from transforms.sources.delivery import UnreadableError
from transforms.sources.postgres.session import read_only_session


def server_node(shop: TableShop) -> dict[str, Any]:
    return shop.document["servers"][0]


def set_property(shop: TableShop, name: str, value: Any) -> None:
    (item,) = [item for item in server_node(shop)["customProperties"] if item["property"] == name]
    item["value"] = value


def revoke(shop: TableShop) -> None:
    shop.execute("REVOKE SELECT ON {schema}.orders FROM watershed")


def close_schema(shop: TableShop) -> None:
    shop.execute("REVOKE USAGE ON SCHEMA {schema} FROM watershed")


REFUSALS: dict[str, tuple[Callable[[TableShop], Any], str, str]] = {
    "server down": (lambda s: server_node(s).update(port=1), "Connection refused", "start the server"),
    "host unknown": (lambda s: server_node(s).update(host="db.invalid"), "db.invalid", "mend the host"),
    "database unknown": (
        lambda s: server_node(s).update(database="nowhere"),
        '"nowhere" does not exist',
        "mend the da",
    ),
    "schema unknown": (lambda s: server_node(s).update(schema="shopp"), "no table shopp.orders", "mend physicalName"),
    "table unknown": (
        lambda s: s.document["schema"][0].update(physicalName="order"),
        "there is no table",
        ".orders?); mend physicalName",
    ),
    "secret not set": (
        lambda s: set_property(s, "password", "shop_db"),
        "the secret 'shop_db' is not set",
        "WATERSHED_SECRETS__SHOP_DB",
    ),
    "no encryption": (lambda s: set_property(s, "sslmode", "require"), "does not support SSL", "sslmode: disable"),
    "cursor unknown": (
        lambda s: set_property(s, "cursorColumn", "updated"),
        "no cursor column 'updated'",
        "renamed to 'updated_at'?",
    ),
    "cursor of a wrong type": (lambda s: set_property(s, "cursorColumn", "kind"), "of type text", "or xmin"),
    "overlap of a wrong kind": (lambda s: set_property(s, "overlap", "5"), "of type timestamptz", "such as 15m"),
    "table closed": (revoke, "may not read", 'GRANT SELECT ("order") ON'),
    "schema closed": (close_schema, "permission denied for schema", "GRANT USAGE ON SCHEMA"),
    "required column renamed": (
        lambda s: s.execute('ALTER TABLE {schema}.orders RENAME "time" TO "times"'),
        "lacks 'time' (renamed to 'times'?)",
        "mend physicalName",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_what_to_do_and_lands_nothing(tmp_path: Path, server: Postgres, case: str) -> None:
    change, said, remedy = REFUSALS[case]
    shop = TableShop(tmp_path, server)
    shop.sell(1)
    change(shop)
    shop.sign(shop.document)
    reason = shop.refusal()
    assert said in reason and remedy in reason
    assert "\n" not in reason and FRAGMENT not in reason


def test_a_wrong_password_is_never_shown(tmp_path: Path, server: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    shop = TableShop(tmp_path, server)
    wrong = PASSWORD + "?"
    settings = Settings(home=tmp_path).model_copy(
        update={"secrets": {"shop_database": type(SECRETS["shop_database"])(wrong)}}
    )
    (delivery,) = deliveries(shop.contract, settings, None, shop.now)
    with (tmp_path / "out").open("wb") as target, pytest.raises(UnreadableError) as caught:
        delivery.write(target)
    assert "password authentication failed" in str(caught.value)
    assert "WATERSHED_SECRETS__SHOP_DATABASE" in str(caught.value)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(delivery) + repr(settings)
    assert FRAGMENT not in told + location(shop.contract, settings) + repr(shop.contract)


def test_an_optional_column_that_is_gone_or_renamed_is_reported(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server)
    shop.sell(1, mail="'a@example.com'")
    shop.pull()
    shop.execute(
        "ALTER TABLE {schema}.orders DROP discount, ADD phone text", "ALTER TABLE {schema}.orders RENAME mail TO email"
    )
    shop.sell(2, email="'b@example.com'")
    report = shop.load()
    assert set(report.absent_columns) == {"discount", "mail"} and set(report.new_columns) == {"email", "phone"}
    assert shop.query("SELECT _extra ->> 'email' FROM current WHERE order_id = '2'") == [("b@example.com",)]


def test_a_column_that_may_not_be_read_is_left_out_unless_it_is_needed(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server)
    shop.execute("ALTER TABLE {schema}.orders ADD iban text DEFAULT 'DE1'")
    revoke(shop)
    wanted = '"order", line, "time", kind, qty, amount, discount, mail, updated_at'
    shop.execute(f"GRANT SELECT ({wanted}) ON {{schema}}.orders TO watershed")
    shop.sell(1)
    assert shop.pull() == [1]
    assert shop.state is not None and "iban" in shop.state["left_out"]


def test_a_statement_that_takes_too_long_is_given_up(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server, table="slow", statementTimeout="1s")
    shop.execute(
        "CREATE VIEW {schema}.slow AS SELECT *, pg_sleep(5)::text AS pause FROM {schema}.orders",
    )
    shop.sell(1)
    reason = shop.refusal()
    assert "statement timeout" in reason and "raise statementTimeout" in reason


def test_a_table_that_somebody_alters_is_left_to_the_next_run(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.sources.postgres.session._LOCK_TIMEOUT", "200ms")
    shop = TableShop(tmp_path, server)
    shop.sell(1)
    with server.open_transaction(f"ALTER TABLE {shop.schema}.orders ADD x int"):
        assert "somebody alters the table" in shop.refusal()
    assert shop.pull() == [1]


def test_a_connection_cut_in_the_middle_lands_nothing_and_the_next_run_completes(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = TableShop(tmp_path, server)
    shop.sell(1)
    shop.pull()
    state = shop.state
    many = 'INSERT INTO {schema}.orders ("order", mail) SELECT g, repeat(md5(g::text), 9) FROM generate_series'
    shop.execute(many + "(2, 60000) AS g")
    from transforms.sources.postgres import with_infinity

    batches = 0

    def cut(batch: Any) -> Any:
        nonlocal batches
        batches += 1
        if batches == 1:
            killed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'watershed'"
            assert server.query(killed) == [(True,)]
        return with_infinity(batch)

    with monkeypatch.context() as patched:
        patched.setattr("transforms.sources.postgres.with_infinity", cut)
        reason = shop.refusal()
    assert batches >= 1 and "closed the connection" in reason and "next run" in reason
    assert shop.state == state and list(tmp_path.rglob("*.tmp")) == []
    assert shop.pull() == [60000]


def test_a_full_disk_is_not_the_servers_fault(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server)
    shop.sell(1)
    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)

    class Full:
        closed = False

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None: ...

    target: BinaryIO = Full()  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left") as caught:
        delivery.write(target)
    assert not isinstance(caught.value, UnreadableError)


@pytest.mark.parametrize(
    "statement",
    [
        'INSERT INTO {schema}.orders ("order") VALUES (9)',
        "DELETE FROM {schema}.orders",
        "DROP TABLE {schema}.orders",
        "SELECT nextval('{schema}.numbers')",
        "SET TRANSACTION READ WRITE",
    ],
)
def test_the_connection_can_not_write_whoever_the_role_is(tmp_path: Path, server: Postgres, statement: str) -> None:
    shop = TableShop(tmp_path, server)
    shop.execute("CREATE SEQUENCE {schema}.numbers")
    shop.sell(1)
    for role in ("watershed", "postgres"):
        set_property(shop, "user", role)
        set_property(shop, "password", "of_" + role)
        shop.sign(shop.document)
        secrets = {
            f"of_{r}": type(SECRETS["shop_database"])(p)
            for r, p in (("watershed", PASSWORD), ("postgres", "superuser"))
        }
        settings = shop.settings.model_copy(update={"secrets": secrets})
        with read_only_session(shop.contract.server, settings) as session:  # type: ignore[arg-type]
            assert session.rows("SELECT 1") == [(1,)]
            with pytest.raises(UnreadableError, match=r"read-only|permission denied|read-write mode|must be owner"):
                session.rows(statement.replace("{schema}", shop.schema))
    assert server.query(f"SELECT count(*) FROM {shop.schema}.orders") == [(1,)]


def test_names_that_differ_by_capitals_alone_are_refused(tmp_path: Path, server: Postgres) -> None:
    shop = TableShop(tmp_path, server)
    shop.execute('ALTER TABLE {schema}.orders ADD "Mail" text')
    shop.sell(1)
    reason = shop.refusal()
    assert "has the columns Mail, mail" in reason and "ignoreColumns" in reason
    shop.document["schema"][0]["customProperties"][-1]["value"].append("Mail")
    shop.sign(shop.document)
    assert shop.pull() == [1]
