"""What a machine can do to an installation: a damaged file, a full disk, one that is read-only; and the way back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.orchestration.conftest import Installation
from transforms.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


class Disk:
    """A file system of its own, in memory; ``folder`` is where it hangs."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", folder], check=True, capture_output=True)

    def remount(self, options: str) -> None:
        """Change it while it is in use."""
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)

    def leave_room(self, size: int) -> None:
        """Let it be full but for so many bytes."""
        self.remount(f"size={shutil.disk_usage(self.folder).used + size}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        disk = Disk(tmp_path / "disk")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", disk.folder], check=True)


def watershed(installation: Installation, *words: str) -> tuple[int, str]:
    """Exit code and last line of a command."""
    process = installation.command(*words)
    output, errors = process.communicate(timeout=600)
    assert "Traceback" not in errors, errors[-3000:]
    return process.returncode, (errors.strip() or output.strip()).splitlines()[-1]


def tables(settings: Settings) -> dict[str, list[tuple]]:
    """What was published, but for what tells of the run itself."""
    with duckdb.connect(str(settings.published), read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
        return {
            name: connection.execute(f"SELECT * FROM marts.{name} ORDER BY ALL").fetchall()
            for (name,) in names
            if name in {"customer_360", "customer_rfm", "customer_timeline", "customer_journey_history", "load_audit"}
        }


def test_damaged_files_and_a_disk_that_fails_are_named_and_the_way_back_gives_the_same_tables(
    installation: Installation, disk: Disk
) -> None:
    home = shutil.copytree(installation.settings.home, disk.folder / "home", symlinks=True)
    settings = installation.settings.model_copy(update={"home": home})
    here = Installation(settings, installation.company, installation.first)
    published = settings.published.read_bytes()

    def fails(*words: str) -> str:
        code, said = watershed(here, *words)
        assert code == 1
        assert settings.published.read_bytes() == published
        return said

    disk.remount("ro")
    assert "cannot be written to: Read-only file system" in fails("run")
    disk.remount("rw")

    settings.warehouse.write_bytes(b"not a database" * 1000)
    assert "`watershed run --rebuild` sets the damaged file aside" in fails("run")

    batch = max(settings.lake.glob("transactions/pos_sales/*/accepted.parquet"), key=os.path.getsize)
    sound = batch.read_bytes()
    batch.chmod(0o644)
    batch.write_bytes(sound[: len(sound) // 2])
    assert str(batch.relative_to(settings.lake)) in fails("run", "--rebuild")
    batch.write_bytes(sound)

    disk.leave_room(3 << 20)
    assert "No space left on device" in fails("run", "--rebuild")

    disk.remount("size=1g")
    assert watershed(here, "run", "--rebuild")[0] == 0
    assert tables(settings) == tables(installation.settings)
