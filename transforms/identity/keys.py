"""The secret of an installation and the keyed hashes that it makes."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

import duckdb

from transforms.settings import Settings

KEY_FILE = "identifier.key"
_BLOCK = 64  # bytes that SHA-256 works on (FIPS 180-4)


def identifier_secret(settings: Settings) -> bytes:
    """Secret of the keyed hashes: the setting, else a random one kept in ``<home>/identifier.key``.

    The file is made once, readable by its owner only. It must be kept with the data: with another secret every
    identifier key changes.

    :raises ValueError: if the key file is empty.
    """
    if settings.identifier_key is not None:
        return settings.identifier_key.get_secret_value().encode()
    path = settings.home / KEY_FILE
    if not path.exists():
        _create(path)
    secret = path.read_bytes().strip()
    if not secret:
        raise ValueError(f"{path} is empty: restore it, or delete it and accept new identifier keys")
    return secret


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was faster; its key holds for both
            os.link(draft, path)
    finally:
        draft.unlink()


def keyed_hash(secret: bytes, text: str, length: int) -> str:
    """First ``length`` hexadecimal digits of HMAC-SHA256 (RFC 2104)."""
    return hmac.new(secret, text.encode(), "sha256").hexdigest()[:length]


def secret_fingerprint(secret: bytes) -> str:
    """Tells whether two runs had the same secret, without saying which."""
    return keyed_hash(secret, "fingerprint", 16)


def define_keyed_hash(connection: duckdb.DuckDBPyConnection, secret: bytes) -> None:
    """Define the SQL macro ``keyed_hash(text, length)``, equal to :func:`keyed_hash` and twice as fast.

    The padded secret lies in a temporary table of the connection, not in the text of a statement that a log may keep.
    """
    key = (secret if len(secret) <= _BLOCK else hashlib.sha256(secret).digest()).ljust(_BLOCK, b"\0")
    connection.execute("CREATE OR REPLACE TEMP TABLE hash_pads (inner_pad BLOB, outer_pad BLOB)")
    connection.execute(
        "INSERT INTO hash_pads VALUES (?, ?)", [bytes(b ^ 0x36 for b in key), bytes(b ^ 0x5C for b in key)]
    )
    connection.execute("""
        CREATE OR REPLACE TEMP MACRO keyed_hash(text, length) AS left(sha256(
            (SELECT outer_pad FROM hash_pads)
            || unhex(sha256((SELECT inner_pad FROM hash_pads) || encode(text)))
        ), length)
    """)
