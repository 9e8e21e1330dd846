"""Each change of a contract has one right answer to: who has to do something about it?"""

from __future__ import annotations

from typing import Any

import pytest

from tests.transforms.contracts.diff.contracts import (
    Change,
    changed,
    column,
    compared,
    content,
    entity_document,
    source_document,
)
from transforms.contracts.diff import Impact

BREAKING, COMPATIBLE, COSMETIC = Impact.BREAKING, Impact.COMPATIBLE, Impact.COSMETIC


def put(name: str, **values: Any) -> Change:
    return lambda d: column(d, name).update(values)


def options(name: str, **values: Any) -> Change:
    return lambda d: column(d, name).setdefault("logicalTypeOptions", {}).update(values)


def drop(name: str, *keys: str) -> Change:
    return lambda d: [column(d, name).pop(key) for key in keys]


def add_column(**values: Any) -> Change:
    return lambda d: d["schema"][0]["properties"].append({"logicalType": "string", "physicalType": "VARCHAR", **values})


def remove_column(name: str) -> Change:
    return lambda d: d["schema"][0]["properties"].remove(column(d, name))


def schema_property(name: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        items = document["schema"][0]["customProperties"]
        items[:] = [item for item in items if item["property"] != name] + [{"property": name, "value": value}]

    return change


def server(**values: Any) -> Change:
    return lambda d: d["servers"][0].update(values)


def server_property(name: str, value: Any) -> Change:
    return lambda d: d["servers"][0]["customProperties"].append({"property": name, "value": value})


def freshness(value: int, unit: str) -> Change:
    return lambda d: d["slaProperties"][0].update(value=value, unit=unit)


def rule(**values: Any) -> Change:
    return lambda d: d["schema"][0]["quality"][0].update(values)


ENTITY: dict[str, tuple[Change, Impact, str]] = {
    "column removed": (remove_column("note"), BREAKING, "column removed"),
    "optional column": (add_column(name="size"), COMPATIBLE, "new optional column"),
    "required column": (add_column(name="size", required=True), BREAKING, "new required column"),
    "public column with personal data": (
        add_column(name="town", tags=["personal_data"], customProperties=[{"property": "publish", "value": "allowed"}]),
        BREAKING,
        "publish: allowed",
    ),
    "narrower type": (put("quantity", physicalType="DECIMAL(17,3)"), BREAKING, "DECIMAL(18,3) → DECIMAL(17,3)"),
    "fewer whole digits": (put("quantity", physicalType="DECIMAL(18,4)"), BREAKING, "→ DECIMAL(18,4)"),
    "wider type": (put("quantity", physicalType="DECIMAL(19,4)"), COMPATIBLE, "→ DECIMAL(19,4)"),
    "another type": (put("quantity", physicalType="DOUBLE"), BREAKING, "→ DOUBLE"),
    "required": (put("note", required=True), BREAKING, "now required"),
    "no longer required": (put("ordered_at", required=False), BREAKING, "no longer required"),
    "enum value removed": (put("channel", enum=[{"value": "web"}]), BREAKING, "value removed: store"),
    "enum value added": (
        put("channel", enum=[{"value": "web"}, {"value": "store"}, {"value": "app"}]),
        COMPATIBLE,
        "value added: app",
    ),
    "enum described": (put("channel", enum=[{"value": "web", "description": "x"}, {"value": "store"}]), COSMETIC, ""),
    "enum removed": (drop("channel", "enum"), COMPATIBLE, "removed (was"),
    "enum added": (put("note", enum=[{"value": "a"}]), BREAKING, "added"),
    "minimum raised": (options("quantity", minimum=1), BREAKING, "0 → 1"),
    "minimum lowered": (options("quantity", minimum=-1), COMPATIBLE, "0 → -1"),
    "maximum lowered": (options("quantity", maximum=99), BREAKING, "100 → 99"),
    "maximum raised": (options("quantity", maximum=101), COMPATIBLE, "100 → 101"),
    "minimum added": (options("note", minLength=1), BREAKING, "added: 1"),
    "shorter": (options("channel", maxLength=9), BREAKING, "10 → 9"),
    "longer": (options("channel", maxLength=11), COMPATIBLE, "10 → 11"),
    "pattern changed": (options("channel", pattern="^[a-z]*$"), BREAKING, "^[a-z]+$ → ^[a-z]*$"),
    "pattern added": (options("note", pattern="x"), BREAKING, "added: x"),
    "limits removed": (drop("channel", "logicalTypeOptions"), COMPATIBLE, "removed"),
    "key gains a column": (put("note", primaryKey=True, primaryKeyPosition=2), BREAKING, "joins the primary key"),
    "personal data untagged": (put("email", tags=["identifier"]), BREAKING, "personal_data removed"),
    "identifier untagged": (put("email", tags=["personal_data"]), BREAKING, "identifier removed"),
    "personal data tagged": (put("note", tags=["personal_data"]), BREAKING, "personal_data added"),
    "tag for people": (put("note", tags=["old"]), COSMETIC, "old"),
    "published": (
        put("email", customProperties=[{"property": "publish", "value": "allowed"}]),
        BREAKING,
        "now allowed",
    ),
    "published without personal data": (
        put("note", customProperties=[{"property": "publish", "value": "allowed"}]),
        COMPATIBLE,
        "now allowed",
    ),
    "less protected": (put("email", classification="internal"), BREAKING, "restricted → internal"),
    "more protected": (put("note", classification="confidential"), COMPATIBLE, "nothing → confidential"),
    "description": (put("channel", description="Where."), COSMETIC, "text changed"),
    "moment of a record": (schema_property("occurredAt", "note"), BREAKING, "ordered_at → note"),
    "unknown property": (schema_property("surprise", 1), BREAKING, "nothing → 1"),
    "rule removed": (lambda d: d["schema"][0].pop("quality"), COMPATIBLE, "rule removed"),
    "rule changed": (rule(implementation="quantity > 1"), BREAKING, "→ quantity > 1"),
    "rule written differently": (
        rule(implementation="(quantity>0)\n OR channel = 'store' -- tills"),
        COSMETIC,
        "written differently",
    ),
    "rule added": (
        lambda d: d["schema"][0]["quality"].append({**d["schema"][0]["quality"][0], "name": "two"}),
        BREAKING,
        "new rule",
    ),
    "purpose": (lambda d: d.update(description={"purpose": "Orders."}), COSMETIC, "added"),
    "owner": (lambda d: d.update(team={"members": [{"username": "a@example.com"}]}), COSMETIC, "added"),
}

SOURCE: dict[str, tuple[Change, Impact, str]] = {
    "mapping removed": (remove_column("quantity"), BREAKING, "no longer mapped"),
    "mapping of a plain text": (
        lambda d: d["schema"][0]["properties"].append({"name": "note", "physicalName": "n", "logicalType": "string"}),
        COMPATIBLE,
        "mapped now",
    ),
    "mapping of an identifier": (
        lambda d: d["schema"][0]["properties"].append(
            {"name": "email", "physicalName": "mail", "logicalType": "string"}
        ),
        BREAKING,
        "mapped now",
    ),
    "another physical column": (put("quantity", physicalName="count"), BREAKING, "pieces → count"),
    "another expression": (put("channel", transformLogic="lower(kind)"), BREAKING, "→ lower(kind)"),
    "expression written differently": (
        put("channel", transformLogic="CASE kind WHEN 'W' THEN 'web' ELSE ('store') END /* tills */"),
        COSMETIC,
        "written differently",
    ),
    "column as an expression": (
        lambda d: column(d, "quantity").update(transformLogic="pieces", transformSourceObjects=["pieces"]),
        COSMETIC,
        "written differently",
    ),
    "reads more": (put("channel", transformSourceObjects=["kind", "till"]), BREAKING, "till added"),
    "date pattern": (options("ordered_at", format="dd.MM.yyyy"), BREAKING, "→ dd.MM.yyyy"),
    "date pattern of the same meaning": (options("ordered_at", format="dd.MM.uuuu HH:mm"), COSMETIC, "uuuu"),
    "time zone": (options("ordered_at", defaultTimezone="Europe/Paris"), BREAKING, "Berlin → Europe/Paris"),
    "decimal separator": (
        put("quantity", customProperties=[{"property": "decimalSeparator", "value": ","}]),
        BREAKING,
        ". → ,",
    ),
    "required": (put("quantity", required=True), BREAKING, "now required"),
    "type at the provider": (put("quantity", physicalType="TEXT"), BREAKING, "nothing → TEXT"),
    "delimiter": (server(customProperties=[{"property": "delimiter", "value": "|"}]), BREAKING, "';' → '|'"),
    "format": (server(format="json"), BREAKING, "csv → json"),
    "encoding by its default name": (server(encoding="utf8"), COSMETIC, ""),
    "secret": (server_property("password", "crm_password"), COMPATIBLE, "changed"),
    "pace": (server_property("retries", 5), COMPATIBLE, "nothing → 5"),
    "property that reads otherwise": (server_property("headerRow", 3), BREAKING, "nothing → 3"),
    "better protected": (server_property("sslmode", "verify-full"), COMPATIBLE, "require → verify-full"),
    "protected as by default": (server_property("sslmode", "require"), COSMETIC, ""),
    "place": (server(path="shop/new/*.csv"), COMPATIBLE, "→ shop/new/*.csv"),
    "server described": (server(description="Nightly."), COSMETIC, "added"),
    "stricter limit": (schema_property("quarantineBlockRate", 0.1), BREAKING, "0.2 → 0.1"),
    "looser limit": (schema_property("quarantineBlockRate", 0.3), COMPATIBLE, "0.2 → 0.3"),
    "warning": (schema_property("quarantineWarnRate", 0.001), COMPATIBLE, "0.001"),
    "upsert": (schema_property("loadMode", "upsert"), BREAKING, "append → upsert"),
    "append by name": (schema_property("loadMode", "append"), COSMETIC, ""),
    "order of versions": (schema_property("latestBy", "ordered_at"), BREAKING, "_received_at → ordered_at"),
    "moment of files": (schema_property("deliveredAt", "left(_file, 10)"), BREAKING, "nothing → left(_file, 10)"),
    "telephone numbers": (schema_property("phoneRegion", "DE"), BREAKING, "nothing → DE"),
    "ignored column": (schema_property("ignoreColumns", ["till"]), COMPATIBLE, "till"),
    "fresher": (freshness(24, "h"), COMPATIBLE, "2 d → 24 h"),
    "staler": (freshness(3, "d"), BREAKING, "2 d → 3 d"),
    "freshness in other words": (freshness(48, "h"), COSMETIC, "text changed"),
    "no freshness": (lambda d: d.pop("slaProperties"), BREAKING, "2 d → nothing"),
    "source tag": (put("order_id", tags=["old"]), COSMETIC, "old"),
    "status": (lambda d: d.update(status="deprecated"), COMPATIBLE, "active → deprecated"),
    "name": (lambda d: d.update(name="store"), BREAKING, "shop → store"),
}
CASES = [("entity", name) for name in ENTITY] + [("source", name) for name in SOURCE]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_a_change_is_classified_for_those_who_depend_on_it(kind: str, case: str) -> None:
    change, impact, message = (ENTITY if kind == "entity" else SOURCE)[case]
    old = entity_document() if kind == "entity" else source_document()
    beside = [source_document()] if kind == "entity" else [entity_document()]
    new = changed(old, change)
    # A file on each side is one contract under two names; beside others, a name is another contract.
    rest = [] if case == "name" else beside
    found = compared([old, *rest], [new, *rest]).changes
    if not message:
        assert {one.impact for one in found} <= {impact}
        return
    worst = [one for one in found if one.impact is impact]
    assert worst and min(list(Impact).index(one.impact) for one in found) == list(Impact).index(impact)
    assert any(message in one.message for one in worst), [one.message for one in worst]


@pytest.mark.parametrize(
    ("change", "line_of"),
    [
        (options("quantity", minimum=1), "minimum: 1"),
        (put("channel", physicalType="BIGINT"), "physicalType: BIGINT"),
        (schema_property("occurredAt", "note"), "- property: occurredAt"),
    ],
)
def test_a_change_stands_at_its_line_of_the_new_version(change: Change, line_of: str) -> None:
    new = changed(entity_document(), change)
    lines = content(new).decode().splitlines()
    [found] = [one for one in compared([entity_document()], [new]).changes if one.impact is BREAKING]
    assert str(found.file) == "new/orders.odcs.yaml"
    assert line_of in lines[found.line - 1]


def test_what_is_gone_stands_at_its_line_of_the_old_version() -> None:
    [found] = compared([entity_document()], [changed(entity_document(), remove_column("note"))]).changes
    lines = content(entity_document()).decode().splitlines()
    assert str(found.file) == "old/orders.odcs.yaml" and "name: note" in lines[found.line - 1]


@pytest.mark.parametrize(
    "change",
    [
        put("email", tags=["identifier"]),
        put("email", customProperties=[{"property": "publish", "value": "allowed"}]),
        put("email", classification="public"),
    ],
)
def test_personal_data_that_may_leave_raises_an_alarm(change: Change) -> None:
    found = compared([entity_document()], [changed(entity_document(), change)]).changes
    assert [one.impact for one in found if one.alarm] == [BREAKING]


@pytest.mark.parametrize("change", [server_property("sslmode", "prefer"), server_property("allowHttp", True)])
def test_a_connection_that_others_can_read_raises_an_alarm(change: Change) -> None:
    found = compared([source_document()], [changed(source_document(), change)]).changes
    assert [(one.impact, one.alarm) for one in found] == [(BREAKING, True)]


@pytest.mark.parametrize(
    ("version", "change", "fault"),
    [
        ("1.0.0", options("quantity", minimum=1), "a breaking change needs 2.0.0"),
        ("1.1.0", options("quantity", minimum=1), "a breaking change needs 2.0.0"),
        ("2.0.0", options("quantity", minimum=1), None),
        ("1.0.1", add_column(name="size"), "a compatible change needs 1.1.0"),
        ("1.1.0", add_column(name="size"), None),
        ("2.0.0", add_column(name="size"), None),
        ("1.0.0", put("note", description="x"), None),
        ("0.9.0", put("note", description="x"), "goes back"),
        ("next", add_column(name="size"), "not MAJOR.MINOR.PATCH"),
    ],
)
def test_the_version_rises_with_the_change(version: str, change: Change, fault: str | None) -> None:
    new = changed(entity_document(), change)
    new["version"] = version
    faults = compared([entity_document()], [new]).version_faults
    if fault is None:
        assert not faults
    else:
        [found] = faults
        assert fault in found.message and f"1.0.0 → {version}" in found.message
        assert content(new).decode().splitlines()[found.line - 1].startswith("version:")


def test_a_contract_that_comes_is_compatible_and_one_that_goes_is_breaking() -> None:
    both, one = [entity_document(), source_document()], [entity_document()]
    assert [(c.contract, c.impact) for c in compared(one, both).changes] == [("shop", COMPATIBLE)]
    assert [(c.contract, c.impact) for c in compared(both, one).changes] == [("shop", BREAKING)]


@pytest.mark.parametrize(
    ("entity", "source", "gated"),
    [
        (options("quantity", minimum=1), None, True),
        (put("note", description="x"), None, False),
        (None, server(customProperties=[{"property": "delimiter", "value": "|"}]), True),
        (None, schema_property("quarantineWarnRate", 0.1), False),
        (None, freshness(9, "d"), False),
    ],
)
def test_it_says_which_landed_files_the_next_load_gates_anew(
    entity: Change | None, source: Change | None, gated: bool
) -> None:
    old = [entity_document(), source_document()]
    new = [changed(old[0], entity or (lambda d: None)), changed(old[1], source or (lambda d: None))]
    found = compared(old, new)
    assert found.gated_anew == (("shop",) if gated else ()) and not found.undecided_loads


def test_a_contract_with_a_fault_leaves_its_landed_files_undecided() -> None:
    old = [entity_document(), source_document()]
    found = compared(old, [old[0], changed(old[1], lambda d: column(d, "quantity").update(name="quantiti"))])
    assert found.undecided_loads == ("shop",) and not found.gated_anew
