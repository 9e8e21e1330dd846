"""Which batches a source's files make, and which of them are the same rows."""

from __future__ import annotations

from collections import Counter

from transforms.contracts import SourceContract
from transforms.lake.landing import LandedFile
from transforms.lake.readers.partitions import read_partitions
from transforms.lake.records import batch_id
from transforms.lake.versions import goes_by_arrival

Content = tuple[str, tuple[tuple[str, str | None], ...]]


def wanted_batches(contract: SourceContract, received: list[LandedFile]) -> dict[str, LandedFile]:
    """The batches that a source's files make, in order of arrival.

    A file that comes again with the same bytes keeps its place: who came first decides between conflicting rows. Only
    where the order of arrival itself says what is current, bytes that come back after others under the same path are
    news: the table is again what it was.
    """
    wanted: dict[str, LandedFile] = {}
    last: dict[str, str] = {}
    times: Counter[str] = Counter()
    for file in received:
        first = batch_id(contract, file)
        if not goes_by_arrival(contract):
            wanted.setdefault(first, file)
        elif last.get(file.name) != file.sha256:
            times[first] += 1
            wanted[batch_id(contract, file, times[first])] = file
        last[file.name] = file.sha256
    return wanted


def content_of(contract: SourceContract, file: LandedFile) -> Content:
    """What decides a file's rows: its bytes, and the partitions of its path that the contract reads."""
    return file.sha256, tuple(sorted(read_partitions(contract, file).items()))
