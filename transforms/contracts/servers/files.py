"""Servers that hold files: a local folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transforms.contracts.document import Document, NodePath, Problem
from transforms.contracts.model import Server
from transforms.contracts.parts import custom_property

FORMATS = ("csv", "json", "parquet", "excel")


@dataclass(frozen=True)
class FileServer(Server):
    """Files that lie under ``path``, a glob.

    Of a workbook, ``sheet`` is read (empty: the only visible one), its columns named in ``header_row`` (from 1).
    """

    path: str = ""
    sheet: str = ""
    header_row: int = 1

    @property
    def reading(self) -> tuple[str, ...]:
        """Everything that decides how landed bytes become rows."""
        if self.format != "excel":
            return super().reading
        return (*super().reading, self.sheet, str(self.header_row))


def build_file_server(
    document: Document, node: dict[str, Any], schema: dict[str, Any], problems: list[Problem]
) -> FileServer | None:
    """A folder of files; faults go to ``problems``."""
    path = str(node.get("path") or "")
    if not path or path.endswith("/"):
        message = f"the path '{path}' names no files."
        problems.append(document.problem(("servers", 0, "path"), message, "End it with a pattern, as in shop/*.csv."))
    return FileServer(path=path, type=str(node.get("type")), **file_options(document, node, problems))


def file_options(document: Document, node: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """What every server of files says about how they are read, as arguments of ``FileServer``."""
    at: NodePath = ("servers", 0)
    if node.get("format") not in FORMATS:
        message = f"the format '{node.get('format')}' is not supported."
        problems.append(document.problem((*at, "format"), message, f"Use one of {', '.join(FORMATS)}."))
    encoding = str(node.get("encoding") or "UTF-8")
    if encoding.upper().replace("-", "") != "UTF8":
        message = f"the encoding '{encoding}' is not supported."
        problems.append(document.problem((*at, "encoding"), message, "Files are read as UTF-8."))
    delimiter = str(custom_property(node, "delimiter", ","))
    if len(delimiter) != 1 or delimiter in '"\r\n':
        message = f"the delimiter {delimiter!r} is not one character that can stand between fields."
        problems.append(document.problem(at, message, "Use ',', ';', '|' or a tab."))
    sheet, header_row = custom_property(node, "sheet"), custom_property(node, "headerRow")
    if node.get("format") != "excel" and (sheet is not None or header_row is not None):
        message = "sheet and headerRow belong to workbooks."
        problems.append(document.problem(at, message, "Leave them out, or set 'format: excel'."))
    header_row = 1 if header_row is None else header_row
    if isinstance(header_row, bool) or not isinstance(header_row, int) or not 1 <= header_row <= 1_000:
        message = f"headerRow {header_row!r} is no row of a sheet."
        problems.append(document.problem(at, message, "Give the number of the row with the names, from 1."))
        header_row = 1
    return {
        "format": str(node.get("format")),
        "delimiter": delimiter,
        "sheet": "" if sheet is None else str(sheet),
        "header_row": header_row,
    }
