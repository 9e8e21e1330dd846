"""Every contract of this repository is one that other tools of the standard read."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.conftest import PROJECT

FILES = sorted((PROJECT / "data_contracts").rglob("*.yaml")) + sorted((PROJECT / "tests" / "contracts").rglob("*.yaml"))


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool brings the standard's schema along; it must not need to ask anybody."""

    def refuse(*_: object) -> None:
        raise OSError("no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def faults(file: Path) -> list[str]:
    """What ``datacontract lint`` exits with 1 for, without starting it for each file.

    Its warnings name rules that its own ``test`` cannot run, such as shares of repeated values: the gate runs them.
    """
    from datacontract.data_contract import DataContract

    run = DataContract(data_contract_file=str(file), all_errors=True).lint()
    fine = {"passed", "warning"}
    return [f"{check.name}: {check.reason}" for check in run.checks if check.result and check.result.value not in fine]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_datacontract_cli_finds_no_fault(file: Path) -> None:
    assert faults(file) == []


def test_datacontract_cli_finds_the_faults_that_there_are(tmp_path: Path) -> None:
    file = tmp_path / "broken.odcs.yaml"
    file.write_text(FILES[0].read_text().replace("logicalType: string", "logicalType: strange", 1))
    [fault, *_] = faults(file)
    assert "strange" in fault
