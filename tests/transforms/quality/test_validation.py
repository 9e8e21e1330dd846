"""What the check of a load finds, what it keeps to itself, and when it does not run at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.transforms.lake.shop import Shop, csv_file, line
from tests.transforms.quality.conftest import check, document_with, verdicts
from transforms.quality import data_docs
from transforms.quality.data_docs import data_docs_folder

NOT_EMPTY = {"name": "not_empty", "metric": "rowCount", "mustBeGreaterThan": 0}
MAIL_GIVEN = {"name": "mail", "metric": "nullValues", "mustBeLessThan": 50, "unit": "percent", "severity": "warning"}


def test_rules_are_found_kept_and_broken(shop: Shop) -> None:
    shop.sign(
        document_with(
            NOT_EMPTY,
            {"name": "few", "metric": "rowCount", "mustBeLessOrEqualTo": 3},
            {"name": "once", "metric": "duplicateValues", "arguments": {"properties": ["ordered_at"]}, "mustBe": 0},
            email=MAIL_GIVEN,
            order_id={"name": "odd", "metric": "invalidValues", "arguments": {"validValues": ["1", "3"]}, "mustBe": 2},
            quantity={"name": "twos", "metric": "missingValues", "arguments": {"missingValues": [2]}, "mustBe": 4},
            discount_amount={"name": "none", "metric": "nullValues", "mustNotBeBetween": [1, 4]},
        )
    )
    mails = ["a@example.com", "", "b@example.com", "c@example.com"]
    shop.deliver(csv_file(*(line(str(number), mail=mail) for number, mail in enumerate(mails, start=1))))
    report = check(shop)
    assert verdicts(report) == {
        "not_empty": (True, "4 rows"),
        "few": (False, "4 rows"),
        "once": (False, "3 of 4 rows"),
        "mail": (True, "1 of 4 rows (25.00%)"),
        "odd": (True, "2 of 4 rows"),
        "twos": (True, "4 of 4 rows"),
        "none": (False, "4 of 4 rows"),
    }
    assert report and report.rows == 4 and report.is_error and not report.passed


def test_a_broken_rule_that_only_warns_is_no_error(shop: Shop) -> None:
    shop.sign(document_with(NOT_EMPTY, email=MAIL_GIVEN))
    shop.deliver(csv_file(line("1"), line("2", mail="a@example.com")))
    report = check(shop)
    assert report and [rule.name for rule in report.failed] == ["mail"] and not report.is_error


def test_all_files_of_a_load_count_together(shop: Shop) -> None:
    shop.sign(document_with(NOT_EMPTY, email=MAIL_GIVEN))
    shop.deliver(csv_file(line("1")), "a.csv")
    shop.deliver(csv_file(line("2", mail="a@example.com"), line("3", mail="b@example.com")), "b.csv")
    assert verdicts(check(shop)) == {"not_empty": (True, "3 rows"), "mail": (True, "1 of 3 rows (33.33%)")}


def test_only_the_rows_of_the_latest_load_count(shop: Shop) -> None:
    shop.sign(document_with(NOT_EMPTY, email=MAIL_GIVEN))
    shop.deliver(csv_file(*(line(str(number), mail="a@example.com") for number in range(50))), "a.csv")
    assert verdicts(check(shop))["mail"][0]
    shop.deliver(csv_file(line("60"), line("61", mail="a@example.com")), "b.csv")
    assert verdicts(check(shop)) == {"not_empty": (True, "2 rows"), "mail": (False, "1 of 2 rows (50.00%)")}


def test_a_file_without_rows_is_judged_and_one_of_repeats_is_not(shop: Shop) -> None:
    shop.sign(document_with(NOT_EMPTY, email=MAIL_GIVEN))
    shop.deliver(csv_file(line("1", mail="a@example.com")), "a.csv")
    first = check(shop)
    shop.deliver(csv_file(line("1", mail="a@example.com")) + "\n", "b.csv")
    again = check(shop)
    assert first and again and again.loaded_at == first.loaded_at and again.passed and not again.is_new
    shop.deliver(csv_file(), "c.csv")
    # Of no rows, no share is too high.
    assert verdicts(check(shop)) == {"not_empty": (False, "0 rows"), "mail": (True, "0 of 0 rows")}


def test_nothing_new_keeps_the_verdict_of_the_last_load(shop: Shop) -> None:
    assert check(shop) is None
    shop.sign(document_with(NOT_EMPTY, email=MAIL_GIVEN))
    shop.deliver(csv_file(line("1")))
    first, again = check(shop), check(shop)
    assert first and again
    assert first.is_new and not again.is_new
    assert again.failed == first.failed != ()


def test_a_load_whose_check_was_killed_is_checked_by_the_next_run(shop: Shop) -> None:
    shop.sign(document_with(NOT_EMPTY))
    shop.deliver(csv_file(line("1")), "a.csv")
    check(shop)
    shop.deliver(csv_file(line("2"), line("3")), "b.csv")
    shop.load()
    assert verdicts(check(shop)) == {"not_empty": (True, "2 rows")}


def test_no_value_of_a_failing_row_leaves_the_database(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    secret, pattern = "+491701234567", {"arguments": {"pattern": "^[0-9]*$"}}
    document = document_with(phone={"name": "digits", "metric": "invalidValues", "mustBe": 0, **pattern})
    document["schema"][0]["properties"].append(
        {
            "name": "phone",
            "physicalName": "mail",
            "logicalType": "string",
            "quality": [{"type": "library", "name": "digits", "metric": "invalidValues", "mustBe": 0, **pattern}],
        }
    )
    shop.sign(document)
    shop.deliver(csv_file(line("1", mail=secret)))
    report = check(shop)
    assert verdicts(report)["digits"] == (False, "1 of 1 rows")
    out, err = capfd.readouterr()
    # Great Expectations would also say this and that, and draw bars.
    assert (out, err) == ("", "")
    written = data_docs_folder(shop.settings, "shop").rglob("*.*")
    pages = [path.read_text() for path in written]
    assert len(pages) == 3
    assert not [page for page in [*pages, repr(report)] if secret in page or secret[3:] in page]


def test_values_of_rows_that_break_a_column_rule_stay_too(shop: Shop) -> None:
    """The gate lets no such row in: it is written behind its back."""
    shop.sign(document_with(NOT_EMPTY))
    shop.deliver(csv_file(line("1", mail="a@example.com")))
    report = shop.load()
    file = next((shop.settings.lake / "transactions" / "shop").glob("*/accepted.parquet"))
    shop.query(f"COPY (SELECT * REPLACE ('smuggled' AS channel) FROM '{file}') TO '{file}'")
    from transforms.quality import validate_load

    found = validate_load(shop.settings, shop.contract, report.records)
    assert found and [rule.name for rule in found.failed] == ["enum:channel"] and found.is_error
    pages = data_docs_folder(shop.settings, "shop").rglob("*.*")
    assert not [page for page in [*(path.read_text() for path in pages), repr(found)] if "smuggled" in page]


def test_the_docs_are_readable_without_a_network_and_list_the_last_runs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_docs, "RUNS_KEPT", 3)
    shop.sign(document_with(NOT_EMPTY, email=MAIL_GIVEN))
    for number in range(5):
        shop.deliver(csv_file(line(str(number))), f"{number}.csv")
        report = check(shop)
    assert report and report.data_docs == shop.settings.home / "reports" / "data_docs" / "shop" / "index.html"
    index = report.data_docs.read_text()
    pages = sorted((report.data_docs.parent / "runs").glob("*.html"))
    assert len(pages) == 3 and len(list(pages[0].parent.iterdir())) == 6
    assert all(f"runs/{page.name}" in index for page in pages)
    newest = pages[-1].read_text()
    assert "share of rows in which email is null must be less than 50 percent" in newest
    assert "1 of 1 rows (100.00%)" in newest
    for page in (index, newest):
        assert "http" not in page and "<script" not in page and "src=" not in page


CHECK = """
import json, socket, sys
from pathlib import Path
from transforms.contracts import load_contracts
from transforms.lake.load import load_source
from transforms.quality import validate_load
from transforms.settings import Settings

def refuse(self, address, *rest):
    if self.family != socket.AF_UNIX:
        raise AssertionError(f"connects to {address}")
    return connect(self, address, *rest)

connect = socket.socket.connect
socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = lambda *arguments, **keywords: (_ for _ in ()).throw(AssertionError(f"looks up {arguments}"))
settings = Settings(home=sys.argv[1], contracts=sys.argv[2])
contract = load_contracts(settings.entities, settings.contracts).sources["shop"]
report = validate_load(settings, contract, load_source(settings, contract).records)
print(json.dumps({"imported": "great_expectations" in sys.modules, "passed": report.passed, "new": report.is_new}))
"""


def run(shop: Shop, home: Path) -> dict[str, bool]:
    process = subprocess.run(
        [sys.executable, "-c", CHECK, str(shop.settings.home), str(shop.settings.contracts)],
        cwd=PROJECT,
        env={"HOME": str(home), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return json.loads(process.stdout)


@pytest.mark.slow
def test_nothing_new_imports_nothing_and_a_new_load_connects_to_nobody(shop: Shop, tmp_path: Path) -> None:
    shop.sign(document_with(NOT_EMPTY))
    shop.deliver(csv_file(line("1")))
    user = tmp_path / "user"
    user.mkdir()
    assert run(shop, user) == {"imported": True, "passed": True, "new": True}
    assert run(shop, user) == {"imported": False, "passed": True, "new": False}
    assert list(user.iterdir()) == []


def test_rules_are_not_part_of_what_gates_a_row(shop: Shop) -> None:
    before = shop.contract.fingerprint
    shop.sign(yaml.safe_load(yaml.safe_dump(document_with(NOT_EMPTY, email=MAIL_GIVEN))))
    assert len(shop.contract.dataset_rules) == 2
    assert shop.contract.fingerprint == before
