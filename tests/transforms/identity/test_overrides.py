"""The file of overrides: every fault named with its line and the way out, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from transforms.identity.overrides import OverrideError, Side, read_overrides
from transforms.identity.policy import load_policy

from .town import Town, seen

HEADER = "action,left,right,author,reason,date,expires\n"
GOOD = "never_link,crm:1,crm:2,ann,twins,2025-03-01,\n"


def read(path: Path, text: str | bytes) -> list[tuple[int, Side, Side]]:
    file = path / "overrides.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(o.line, o.left, o.right) for o in read_overrides(file, load_policy().levels)]


def test_sides_are_records_identifiers_or_keys(tmp_path: Path) -> None:
    text = f"{HEADER}{GOOD}\n# a note\n"
    text += 'always_link,"email:o\'neil,x@example.com",key:ab12,bo,"said so, twice",2025-03-02,\n'
    assert read(tmp_path, "\ufeff" + text) == [
        (2, Side("record", "crm:1"), Side("record", "crm:2")),
        (5, Side("email", "o'neil,x@example.com"), Side("key", "ab12")),
    ]


def test_no_file_is_no_override(tmp_path: Path) -> None:
    assert read_overrides(tmp_path / "none.csv", load_policy().levels) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "join,crm:1,crm:2,ann,why,2025-03-01,\n", "csv:2: action 'join' is unknown; write always_link or"),
        (HEADER + "never_link,crm1,crm:2,ann,why,2025-03-01,\n", "csv:2: left 'crm1' names nothing; write a record as"),
        (HEADER + "never_link,crm:1,crm:2,,why,2025-03-01,\n", "csv:2: author is empty"),
        (HEADER + "never_link,crm:1,crm:2,ann,,2025-03-01,\n", "csv:2: reason is empty"),
        (HEADER + "never_link,crm:1,crm:2,ann,why,1.3.2025,\n", "csv:2: date '1.3.2025' is no day; write it as"),
        (HEADER + "never_link,crm:1,crm:2,ann,why,2025-03-01,soon\n", "csv:2: expires 'soon' is no day"),
        (HEADER + "never_link,crm:1,crm:1,ann,why,2025-03-01,\n", "csv:2: left and right are both 'crm:1'"),
        (HEADER + GOOD + "never_link,crm:1,crm:2,ann,a, b,2025-03-01,\n", "csv:3: 8 cells under 7 columns; put a text"),
        (HEADER + 'never_link,"crm:1,crm:2\n', "a quote is probably not closed"),
        ("action,left,right,author,why,date\n", "csv:1: no column reason; the first line must be action,left"),
        (HEADER.replace("expires", "until"), "csv:1: unknown column until"),
        (HEADER.encode() + b"never_link,crm:\xe4\n", r"not UTF-8 \(byte 60\)"),
    ],
)
def test_a_fault_is_named_with_file_line_and_way_out(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(OverrideError, match=message):
        read(tmp_path, text)


def test_all_faults_are_named_at_once_and_nothing_is_written(town: Town) -> None:
    town.settings.home.mkdir(parents=True)
    town.settings.overrides.write_text(HEADER + "join,a,b,c,d,e,\n" + GOOD + "never_link,crm:1,x,ann,why,2025-03-01,\n")
    with pytest.raises(OverrideError, match=r"(?s)csv:2: action .*csv:4: right 'x'"):
        town.resolve([seen(loyalty_id="L1")])
    assert not town.store.exists()
