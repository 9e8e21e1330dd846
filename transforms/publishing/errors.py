"""What publishing raises."""

from __future__ import annotations

from collections.abc import Sequence


class PublicationError(Exception):
    """A publication that was refused or failed; readers still have the file they had before.

    ``problems`` holds one sentence per fault, each naming the model, the column and the way out.
    """

    def __init__(self, summary: str, problems: Sequence[str] = ()) -> None:
        self.summary = summary
        self.problems = tuple(problems)
        super().__init__("\n".join([summary, *(f"- {problem}" for problem in self.problems)]))
