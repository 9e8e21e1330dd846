"""A contract with a fault: one message with file, line and remedy, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.transforms.lake.shop import contract_document
from transforms.contracts import ContractError, load_contracts
from transforms.contracts.expressions import referenced_columns
from transforms.settings import Settings

Change = Callable[[dict[str, Any]], None]


def lint(folder: Path, text: str) -> ContractError:
    (folder / "shop.odcs.yaml").write_text(text)
    with pytest.raises(ContractError) as caught:
        load_contracts(Settings().entities, folder)
    return caught.value


def schema(document: dict[str, Any]) -> dict[str, Any]:
    return document["schema"][0]


def rule(expression: str) -> Change:
    quality = {"name": "r", "type": "custom", "engine": "watershed", "implementation": expression}
    return lambda d: schema(d).update(quality=[quality])


def expression(text: str, *reads: str) -> Change:
    return lambda d: schema(d)["properties"][0].update(transformLogic=text, transformSourceObjects=list(reads))


def delivered(text: str, mode: str = "snapshot") -> Change:
    added = [{"property": "loadMode", "value": mode}, {"property": "deliveredAt", "value": text}]
    return lambda d: schema(d)["customProperties"].extend(added)


FAULTS: dict[str, tuple[Change, str]] = {
    "column misspelt": (lambda d: schema(d)["properties"][2].update(name="orderd_at"), "Did you mean 'ordered_at'?"),
    "required column not mapped": (lambda d: schema(d)["properties"].pop(), "'currency' is required by the entity"),
    "mapped twice": (lambda d: schema(d)["properties"].append(schema(d)["properties"][0]), "mapped twice"),
    "no source": (lambda d: schema(d)["properties"][0].pop("physicalName"), "neither physicalName nor"),
    "unknown entity": (
        lambda d: schema(d).update(customProperties=[{"property": "entity", "value": "transaction"}]),
        "Did you mean 'transactions'?",
    ),
    "unknown zone": (
        lambda d: schema(d)["properties"][2].update(logicalTypeOptions={"defaultTimezone": "Europe/Berlyn"}),
        "'Europe/Berlyn' is no time zone",
    ),
    "unknown pattern": (
        lambda d: schema(d)["properties"][2].update(logicalTypeOptions={"format": "dd.MM.YYYY"}),
        "'YYYY' in the pattern",
    ),
    "another server": (
        lambda d: d.update(servers=[{"server": "log", "type": "kafka", "host": "x"}]),
        "'kafka' are not supported",
    ),
    "another format": (lambda d: d["servers"][0].update(format="avro"), "Use one of csv, json, parquet"),
    "not in the standard": (lambda d: d.update(serverz=[]), "serverz"),
    "rate": (
        lambda d: schema(d)["customProperties"].append({"property": "quarantineBlockRate", "value": 20}),
        "quarantineBlockRate is a share",
    ),
    "rule on an unknown column": (rule("quantiti > 0"), "Did you mean 'quantity'?"),
    "rule with the clock": (rule("ordered_at < now()"), "now() is not allowed"),
    "rule with the clock as a word": (
        rule("ordered_at < current_date"),
        "current_date is not allowed: it reads the clock",
    ),
    "rule with a word that is no column": (rule('ordered_at < "current_date"'), "'current_date', which the entity"),
    "clock announced as a column": (expression("current_date", "current_date"), "current_date is not allowed"),
    "clock in capitals": (expression("left(CURRENT_TIMESTAMP, 4)", "CURRENT_TIMESTAMP"), "in double quotes"),
    "clock after letters of two bytes": (expression("'ä' || localtime", "localtime"), "localtime is not allowed"),
    "user of the machine": (expression("user", "user"), "user is not allowed"),
    "random number": (expression("random()"), "random() is not allowed"),
    "random id": (expression("uuid()"), "uuid() is not allowed"),
    "file in a table function": (expression("x FROM read_csv('/etc/passwd')"), "more than an expression"),
    "file through a plan": (expression("json_serialize_plan('FROM x')"), "json_serialize_plan() is not allowed"),
    "copy": (expression("COPY x TO '/tmp/x'"), "not SQL"),
    "subselect": (expression("(SELECT max(x) FROM y)"), "subquery is not allowed"),
    "setting": (expression("current_setting('threads')"), "current_setting() is not allowed"),
    "delimiter that quotes": (
        lambda d: d["servers"][0].update(customProperties=[{"property": "delimiter", "value": '"'}]),
        "the delimiter",
    ),
    "delimiter that ends the line": (
        lambda d: d["servers"][0].update(customProperties=[{"property": "delimiter", "value": "\n"}]),
        "the delimiter",
    ),
    "rule that is no SQL": (rule("quantity >"), "not SQL"),
    "two statements": (rule("true; DROP TABLE x"), "not SQL"),
    "subquery": (rule("quantity > (SELECT 1)"), "subquery is not allowed"),
    "aggregate": (rule("quantity < sum(quantity)"), "sum() is not allowed"),
    "file": (expression("(SELECT content FROM read_text('/etc/passwd'))"), "subquery is not allowed"),
    "file in FROM": (expression("content FROM read_text('/etc/passwd')"), "more than an expression"),
    "environment": (expression("getenv('HOME')"), "getenv() is not allowed"),
    "distance from today": (rule("age(ordered_at) > interval '1' day"), "age() is not allowed"),
    "macro over the clock": (rule("ordered_at < ago(interval '1' day)"), "ago() is not allowed"),
    "sleep": (expression("sleep_ms(1000)"), "sleep_ms() is not allowed"),
    "rows out of a list": (expression("unnest([1, 2])"), "unnest() is not allowed"),
    "function that does not exist": (expression("lowr('A')"), "lowr() is not allowed: not known"),
    "column by position": (expression("#1"), "positional_reference is not allowed"),
    "second name": (expression("a AS b", "a"), "AS is not allowed"),
    "moment of a file by its arrival": (delivered("today()"), "deliveredAt: today() is not allowed"),
    "moment of a file by its rows": (delivered("ordered_at"), "deliveredAt has to read _file and nothing else"),
    "moment of files that are no versions": (delivered("left(_file, 10)", "append"), "deliveredAt orders files"),
    "column not announced": (expression("a || b", "a"), "reads 'b', which transformSourceObjects does not list"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_names_file_line_and_remedy(tmp_path: Path, case: str) -> None:
    change, message = FAULTS[case]
    document = contract_document()
    change(document)
    text = yaml.safe_dump(document, sort_keys=False, width=1000)
    error = lint(tmp_path, text)
    assert message in str(error)
    for problem in error.problems:
        assert str(problem).startswith(f"{tmp_path}/shop.odcs.yaml:{problem.line}: ")
        assert 1 <= problem.line <= len(text.splitlines())


@pytest.mark.parametrize(
    "text", ["'store' -- tills only", "list_first(string_split('store', ','))", "age(a::date, a::date)"]
)
def test_expressions_that_are_fine(text: str) -> None:
    assert referenced_columns(text) in {(), (("a",),)}


@pytest.mark.parametrize("text", ['lower("user")', "'ä' || \"current_date\"", "raw.user"])
def test_a_column_may_be_called_like_a_function_where_it_can_only_be_a_column(text: str) -> None:
    assert referenced_columns(text)[0][-1] in {"user", "current_date"}


def test_the_line_is_that_of_the_fault(tmp_path: Path) -> None:
    document = contract_document()
    schema(document)["properties"][2]["name"] = "orderd_at"
    text = yaml.safe_dump(document, sort_keys=False)
    line = next(number for number, row in enumerate(text.splitlines(), start=1) if "orderd_at" in row)
    assert line in [problem.line for problem in lint(tmp_path, text).problems]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    document = contract_document()
    schema(document)["properties"][2]["name"] = "orderd_at"
    document["servers"][0]["format"] = "avro"
    messages = str(lint(tmp_path, yaml.safe_dump(document)))
    assert "orderd_at" in messages and "avro" in messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apiVersion: [", "not YAML"),
        ("name: a\nname: b\n", "'name' occurs twice"),
        ("- a\n", "a YAML mapping"),
        ("", "a YAML mapping"),
        ("a: !!python/object:os.system {}\n", "'a' was unexpected"),
        ("a: \a\n", "not YAML"),
        ("a: &a [*a]\n", "nested without end"),
    ],
)
def test_files_that_are_no_contract(tmp_path: Path, text: str, message: str) -> None:
    assert message in str(lint(tmp_path, text))


def test_the_shipped_contracts_have_no_fault() -> None:
    contracts = load_contracts(Settings().entities, Settings().contracts)
    assert {"transactions", "app_events", "store_visits", "hotline_calls"} <= set(contracts.entities)
    for source in contracts.sources.values():
        assert source.owners and source.freshness and source.description


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no such folder of contracts"):
        load_contracts(Settings().entities, tmp_path / "nowhere")
