"""Encrypted connections: the certificate is believed only from the authority that is named, for its own host."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.transforms.sources.postgres.server import Postgres, TableShop

# What a client sends to ask for TLS, before anything else.
SSL_REQUEST = 80877103


def certificate(folder: Path) -> Path:
    """A certificate of the host ``localhost`` with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def encrypting(server: Postgres, pem: Path) -> Iterator[int]:
    """A port that speaks TLS in front of the server, which was built without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=pass_on, args=(listener.accept()[0],), daemon=True).start()

        def pass_on(client: socket.socket) -> None:
            with suppress(OSError):
                assert struct.unpack("!ii", client.recv(8))[1] == SSL_REQUEST
                client.sendall(b"S")
                front = context.wrap_socket(client, server_side=True)
                back = socket.create_connection(("127.0.0.1", server.port))
                threading.Thread(target=pump, args=(front, back), daemon=True).start()
                pump(back, front)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


CASES = [
    ("localhost", "require", False, None),
    ("localhost", "verify-full", True, None),
    ("localhost", "verify-full", False, "set PGSSLROOTCERT"),
    ("127.0.0.1", "verify-full", True, "write the host of the contract as"),
]


@pytest.mark.parametrize(("host", "mode", "known", "remedy"), CASES)
def test_a_certificate_must_be_known_and_of_the_host(
    tmp_path: Path,
    server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    mode: str,
    known: bool,
    remedy: str | None,
) -> None:
    pem = certificate(tmp_path)
    # Without the variable the file is looked for in the home directory.
    monkeypatch.setenv("PGSSLROOTCERT", str(pem if known else tmp_path / "none"))
    shop = TableShop(tmp_path, server, sslmode=mode)
    shop.sell(1)
    with encrypting(server, pem) as port:
        shop.document["servers"][0] |= {"host": host, "port": port}
        shop.sign(shop.document)
        if remedy is None:
            assert shop.pull() == [1]
        else:
            assert remedy in shop.refusal()
