"""Profiles brought into comparable form: one row per profile, one column per kind of evidence."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from transforms.identity.normalise import fold
from transforms.linkage.names import han_name, is_han
from transforms.sql import identifier, literal

# Raise it when a rule below changes: a model is trained on the values that the rules make.
LINKAGE_NORMALISER_VERSION = 1

# What a profile may hold, under the names of the entity contract.
ATTRIBUTES = (
    "given_name",
    "family_name",
    "full_name",
    "birth_place",
    "gender",
    "national_id",
    "occupation",
    "street",
    "house_number",
    "address_extra",
    "postal_code",
    "city",
    "region",
    "country",
    "email",
    "phone",
)
# Nearly every profile has its own; of the others many profiles share a text, which is read once.
_OWN = frozenset({"full_name", "national_id", "email", "phone"})
_SHARED = tuple(name for name in ATTRIBUTES if name not in _OWN)
# Forms of a text that are not the plain one; see ``_read_texts``.
_OF_TEXTS = {"given_name": "name", "family_name": "name", "street": "street", "postal_code": "code"}
_TITLES = (
    "dr",
    "prof",
    "professor",
    "mr",
    "mrs",
    "ms",
    "miss",
    "sir",
    "lady",
    "lord",
    "herr",
    "frau",
    "mme",
    "mlle",
    "monsieur",
    "madame",
)
_EMPTY = ("unknown", "unbekannt", "none", "null", "nan", "na", "n a", "not known", "anonymous", "test")


def prepare_profiles(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Make ``profiles`` from a relation with ``record_id``, :data:`ATTRIBUTES`, ``birth_date`` and ``birth_year``.

    Texts lose case, accents, full width and punctuation. One row per row of ``source``, numbered by ``record_id``, so
    that the order of rows never matters:

    - ``given``, ``family``: the name as written; ``given_latin``, ``family_latin``: the same, Chinese in Pinyin;
      ``names``: both in alphabetical order, equal for a name that was typed into the wrong fields.
    - ``other_names``: what the whole name holds beside these, as a list.
    - ``born``: YYYYMMDD, the first of January where only the year is known.
    - the other attributes; ``mailbox``: an e-mail address before the @.

    :param source: name of a table or view of the connection.
    """
    _fold_foreign(connection, source)
    attributes = ", ".join(f"coalesce({identifier('f_' + name)}.folded, s.{name}) AS {name}" for name in ATTRIBUTES)
    joins = " ".join(
        f"LEFT JOIN foreign_texts {identifier('f_' + name)} ON {identifier('f_' + name)}.raw = s.{name}"
        for name in ATTRIBUTES
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE folded_profiles AS
        SELECT s.record_id, coalesce(strftime(s.birth_date, '%Y%m%d'), printf('%04d0101', s.birth_year)) AS born,
               s.given_name AS raw_given, s.family_name AS raw_family, s.full_name AS raw_full, {attributes}
        FROM {identifier(source)} s {joins}
    """)
    _read_han_names(connection)
    _read_texts(connection)
    texts = ", ".join(f"{identifier('t_' + name)}.{_OF_TEXTS.get(name, 'text')} AS {name}" for name in _SHARED)
    joins = " ".join(
        f"LEFT JOIN texts {identifier('t_' + name)} ON {identifier('t_' + name)}.raw = p.{name}" for name in _SHARED
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE worded_profiles AS
        SELECT record_id, born, raw_given, raw_family, raw_full, {texts},
               string_split({_text(_whole_name())}, ' ') AS words, {_text("full_name")} AS full_name,
               nullif(regexp_replace(lower(national_id), '[^a-z0-9]', '', 'g'), '') AS national_id,
               nullif(trim(lower(email)), '') AS email,
               nullif(right(regexp_replace(phone, '[^0-9]', '', 'g'), 9), '') AS phone
        FROM folded_profiles p {joins}
    """)
    titles = ", ".join(map(literal, _TITLES))
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE profiles AS
        WITH parted AS (
            SELECT w.* EXCLUDE (given_name, family_name, words),
                   list_filter(words, lambda word: word NOT IN ({titles})) AS words,
                   h.raw_given IS NOT NULL OR h.raw_full IS NOT NULL OR h.raw_family IS NOT NULL AS is_han,
                   h.given AS han_given, h.family AS han_family, h.given_latin, h.family_latin,
                   w.given_name, w.family_name
            FROM worded_profiles w LEFT JOIN han_names h
              ON h.raw_given IS NOT DISTINCT FROM w.raw_given AND h.raw_family IS NOT DISTINCT FROM w.raw_family
             AND h.raw_full IS NOT DISTINCT FROM w.raw_full
        ),
        named AS (
            SELECT * EXCLUDE (given_latin, family_latin),
                   CASE WHEN is_han THEN han_given WHEN coalesce(given_name, family_name) IS NOT NULL THEN given_name
                        WHEN len(words) > 1 THEN words[1] END AS given,
                   CASE WHEN is_han THEN han_family WHEN coalesce(given_name, family_name) IS NOT NULL THEN family_name
                        ELSE words[-1] END AS family,
                   given_latin AS han_given_latin, family_latin AS han_family_latin
            FROM parted
        )
        SELECT CAST(row_number() OVER (ORDER BY record_id) - 1 AS INTEGER) AS uid, record_id,
               given, family,
               CASE WHEN is_han THEN han_given_latin ELSE given END AS given_latin,
               CASE WHEN is_han THEN han_family_latin ELSE family END AS family_latin,
               CASE WHEN given IS NOT NULL AND family IS NOT NULL
                    THEN least(given, family) || ' ' || greatest(given, family) END AS names,
               nullif(list_sort(list_distinct(list_filter(
                   words, lambda word: length(word) > 2 AND word <> coalesce(given, '')
                                       AND word <> coalesce(family, '')
               ))), []) AS other_names,
               full_name, born, birth_place, gender, occupation, street, house_number, address_extra, postal_code,
               city, region, country, national_id, email, nullif(split_part(email, '@', 1), '') AS mailbox, phone
        FROM named ORDER BY uid
    """)
    for table in ("foreign_texts", "folded_profiles", "texts", "worded_profiles", "han_names"):
        connection.execute(f"DROP TABLE {table}")


def _text(column: str) -> str:
    """SQL expression: letters and digits in lower case without accents, words apart by one space; null for nothing."""
    lower = f"lower({column})"
    plain = f"replace(strip_accents({lower}), 'ß', 'ss')"
    words = f"regexp_replace({plain}, '[''`´’.]', '', 'g')"
    spaced = rf"trim(regexp_replace({words}, '[^\p{{L}}\p{{N}}]+', ' ', 'g'))"
    # Most texts need none of this, which takes many times as long as to see it.
    is_plain = f"regexp_full_match({lower}, '[a-z0-9]+( [a-z0-9]+)*')"
    text = f"CASE WHEN {is_plain} THEN {lower} ELSE {spaced} END"
    nothing = ", ".join(map(literal, ("", *_EMPTY)))
    return f"CASE WHEN {text} NOT IN ({nothing}) THEN {text} END"


def _whole_name() -> str:
    """The whole name in the order given – family, also where it is written as "Family, Given"."""
    return (
        "CASE WHEN contains(full_name, '*') THEN NULL"
        " WHEN given_name IS NULL AND family_name IS NULL AND regexp_full_match(full_name, '[^,]+,[^,]+')"
        " THEN split_part(full_name, ',', 2) || ' ' || split_part(full_name, ',', 1) ELSE full_name END"
    )


def _fold_foreign(connection: duckdb.DuckDBPyConnection, source: str) -> None:
    """Make ``foreign_texts`` (raw, folded): compatibility forms, for the texts that are not ASCII."""
    distinct = " UNION ".join(
        f"SELECT {name} AS raw FROM {identifier(source)} WHERE NOT regexp_full_match({name}, '[\\x00-\\x7f]*')"
        for name in ATTRIBUTES
    )
    raws = [raw for (raw,) in connection.execute(distinct).fetchall()]
    _create(connection, "foreign_texts", {"raw": raws, "folded": [fold(raw) for raw in raws]})


def _read_texts(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``texts`` (raw, text, name, street, code): each text that profiles share, in comparable form; a masked name
    (M***) is not known."""
    distinct = " UNION ".join(f"SELECT {name} AS raw FROM folded_profiles" for name in _SHARED)
    connection.execute(rf"""
        CREATE OR REPLACE TEMP TABLE texts AS
        SELECT raw, text, CASE WHEN NOT contains(raw, '*') THEN text END AS name,
               regexp_replace(text, '(strasse|\bstreet\b|\bstr\b|str$)', 'st', 'g') AS street,
               replace(text, ' ', '') AS code
        FROM (SELECT raw, {_text("raw")} AS text FROM ({distinct}))
    """)


def _read_han_names(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``han_names``: the parts of each distinct name that holds Chinese characters."""
    raw = connection.execute(r"""
        SELECT DISTINCT raw_given, raw_family, raw_full FROM folded_profiles
        WHERE regexp_matches(concat_ws(' ', raw_given, raw_family, raw_full), '\p{Han}')
    """).fetchall()
    found = [row for row in raw if any(map(is_han, row))]
    names = [han_name(*row) for row in found]
    columns = {name: [row[i] for row in found] for i, name in enumerate(("raw_given", "raw_family", "raw_full"))}
    for part in ("given", "family", "given_latin", "family_latin"):
        columns[part] = [getattr(name, part) for name in names]
    _create(connection, "han_names", columns)


def _create(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, list[str | None]]) -> None:
    rows = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    connection.register("new_rows", rows)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {identifier(table)} AS SELECT * FROM new_rows")
    connection.unregister("new_rows")
