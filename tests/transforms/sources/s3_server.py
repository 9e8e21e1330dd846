"""A real S3 server on this machine: rclone serving a folder, its buckets being the folders in it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "watershed-test", "not-a-secret-of-anybody"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class S3Server:
    """Start, stop and fill it; ``url`` is its endpoint."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "bucket").mkdir(parents=True)

    def put(self, key: str, content: bytes) -> Path:
        """Write an object of the bucket, at once as S3 does."""
        path = self.folder / "bucket" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "unfinished"
        temporary.write_bytes(content)
        temporary.replace(path)
        return path

    def start(self) -> None:
        """Serve, and wait until it answers."""
        rclone = Path(sys.executable).with_name("rclone")
        self._process = subprocess.Popen(
            [
                str(rclone), "serve", "s3", "--addr", f"127.0.0.1:{self.port}", "--vfs-cache-mode", "off",
                "--dir-cache-time", "0s", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", "/dev/null",
                str(self.folder),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        raise RuntimeError("rclone does not answer")

    def stop(self) -> None:
        """End it, as a machine that goes down."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
