"""The statements of a publication as text."""

from __future__ import annotations

from collections.abc import Iterable

from transforms.publishing.plan import PublishedTable
from transforms.sql import columns as listed
from transforms.sql import identifier, literal

SOURCE = "_src"
TARGET = "_pub"
SCHEMA = "marts"


def qualified(catalog: str, schema: str, relation: str) -> str:
    """Return the three-part name of a relation."""
    return ".".join(identifier(part) for part in (catalog, schema, relation))


def copy_table(table: PublishedTable) -> str:
    """Return the statement that copies the allowed columns of a mart, a view included, in reading order."""
    columns = listed([column.name for column in table.columns])
    return (
        f"CREATE TABLE {qualified(TARGET, SCHEMA, table.name)} AS"
        f" SELECT {columns} FROM {qualified(SOURCE, table.schema, table.name)}"
        + (f" ORDER BY {listed(table.published_order)}" if table.published_order else "")
    )


def comments(name: str, description: str, columns: Iterable[tuple[str, str]]) -> list[str]:
    """Return the COMMENT statements of a published table; CREATE TABLE AS carries none over.

    The texts are those of the YAML, not the comments found in the warehouse, so that nothing
    leaves that nobody declared.
    """
    relation = qualified(TARGET, SCHEMA, name)
    statements = [f"COMMENT ON TABLE {relation} IS {literal(description)}"] if description else []
    return statements + [
        f"COMMENT ON COLUMN {relation}.{identifier(column)} IS {literal(text)}" for column, text in columns if text
    ]


def fingerprint_of(relation: str, columns: list[str]) -> str:
    """Return the query of a relation's row count and content sum.

    The sum of the row hashes covers every cell of every type and depends neither on the order of
    the rows nor on the rounding of floating-point sums, so equal contents give equal numbers.
    """
    return f"SELECT count(*), coalesce(sum(hash({listed(columns)})), 0) FROM {relation}"
