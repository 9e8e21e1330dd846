"""Servers that hold files: a local folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transforms.contracts.document import Document, Problem
from transforms.contracts.model import Server
from transforms.contracts.parts import custom_property

FORMATS = ("csv", "json", "parquet")


@dataclass(frozen=True)
class FileServer(Server):
    """Files that lie under ``path``, a glob."""

    path: str = ""


def build_file_server(
    document: Document, node: dict[str, Any], schema: dict[str, Any], problems: list[Problem]
) -> FileServer | None:
    """A folder of files; faults go to ``problems``."""
    if node.get("format") not in FORMATS:
        message = f"the format '{node.get('format')}' is not supported."
        problems.append(document.problem(("servers", 0, "format"), message, f"Use one of {', '.join(FORMATS)}."))
    encoding = str(node.get("encoding") or "UTF-8")
    if encoding.upper().replace("-", "") != "UTF8":
        message = f"the encoding '{encoding}' is not supported."
        problems.append(document.problem(("servers", 0, "encoding"), message, "Files are read as UTF-8."))
    delimiter = str(custom_property(node, "delimiter", ","))
    if len(delimiter) != 1 or delimiter in '"\r\n':
        message = f"the delimiter {delimiter!r} is not one character that can stand between fields."
        problems.append(document.problem(("servers", 0), message, "Use ',', ';', '|' or a tab."))
    return FileServer(
        type=str(node.get("type")),
        format=str(node.get("format")),
        path=str(node.get("path") or ""),
        delimiter=delimiter,
    )
