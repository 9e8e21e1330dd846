"""Talk to a client in a process and an environment of its own: a word on its input, a line of JSON as the answer."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from typing import Any

PATIENCE_SECONDS = 60


class Client:
    """A client that has been started. It knows the words read, again, reopen, write and comment (clients/talk.py)."""

    def __init__(self, *command: object) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "WATERSHED_"))}
        # A file, not a pipe: nobody reads it while the client talks.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the client
        self._process = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, word: str) -> Any:
        """The answer to a word.

        Raises:
            AssertionError: the client has ended or does not answer; the message is its last words.
        """
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        watchdog = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        assert line, f"no answer to '{word}': {self._last_words()}"
        return json.loads(line)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        return self._errors.read()[-3000:]
