"""Which column types every BI client of a published file can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_READABLE = {
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
    "VARCHAR",
    "DATE",
    "TIME",
    "TIMESTAMP",
}

# First match wins. An allow-list with hints, because the next DuckDB will have types that no client knows.
_WAYS_OUT: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda kind: "WITH TIME ZONE" in kind, "cast it to a UTC TIMESTAMP: clients need pytz for zoned values"),
    (lambda kind: kind.startswith("TIMESTAMP"), "cast it to TIMESTAMP"),
    (lambda kind: kind.startswith("ENUM"), "cast it to VARCHAR: Superset shows enums as UNKNOWN"),
    (
        lambda kind: kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")),
        "flatten it into plain columns: Superset shows nested types as UNKNOWN",
    ),
    (
        lambda kind: kind in {"HUGEINT", "UHUGEINT", "BIGNUM"},
        "cast it to BIGINT or DECIMAL: clients round it to a float",
    ),
    (
        lambda kind: kind in {"VARIANT", "GEOMETRY", "TIME_NS"},
        "cast it to VARCHAR: no 1.4 client knows it",
    ),
)


def way_out(data_type: str) -> str | None:
    """Return what to do about a column type that readers can't use, or None if they can."""
    if data_type in _READABLE or data_type.startswith("DECIMAL("):
        return None
    return next((hint for applies, hint in _WAYS_OUT if applies(data_type)), "cast it to VARCHAR")


def unreadable_columns(types: Mapping[str, str]) -> list[str]:
    """Return one sentence for each column (name → DuckDB type) whose type some BI client can't read."""
    return [f"{name} is of type {kind}; {hint}." for name, kind in types.items() if (hint := way_out(kind)) is not None]
