"""Sources that lie in object stores.

S3, Google and Azure are read by Arrow's own clients, everything else by fsspec. A pull is one recursive listing of
the part of the location before the first wildcard; each object is streamed, a chunk at a time.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

from pyarrow import fs

from transforms.contracts.servers import ObjectServer
from transforms.settings import Settings
from transforms.sources.delivery import Delivery, UnreadableError
from transforms.sources.patterns import matcher, split_pattern

# Each is a request of its own to S3: small ones would be all latency.
CHUNK = 16 << 20
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 60, 3
# Of Google's client, which else tries for a quarter of an hour; a sensor has a minute in all.
RETRY_SECONDS = 10
# A store that failed so often in a row is down: the other thousand objects of a pull need not find that out.
MAX_FAILURES = 3
UNREACHABLE = "the store cannot be reached; mend the endpointUrl or the network, the next run tries again"
CHANGED = "changed while it was read; the next run takes it up"
# What stores say, in whatever words, and the way out.
_EXPLAINED = (
    (
        r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket does not exist",
        "there is no such bucket; mend the location, or create it",
    ),
    (
        r"INVALID_ACCESS_KEY|InvalidAccessKey|SIGNATURE_DOES_NOT_MATCH|SignatureDoesNotMatch|AuthenticationFailed"
        r"|UNRECOGNIZED_CLIENT|INVALID_CLIENT_TOKEN|EXPIRED_TOKEN|ExpiredToken",
        "the store does not know these keys; mend the secrets that the contract names",
    ),
    (
        r"access token|[Dd]efault ?[Cc]redential|CredentialUnavailable",
        "there are no credentials; name secrets in the contract, or set up the cloud's own for this machine",
    ),
    (
        r"ACCESS_DENIED|AccessDenied|AuthorizationFailure|AuthorizationPermissionMismatch|\b403\b|[Pp]ermission denied"
        r"|\b401\b|[Ff]orbidden|[Uu]nauthori[sz]ed",
        "access denied; allow listing and reading of this place to the contract's keys",
    ),
    (
        r"NETWORK_CONNECTION|[Cc]ould not (connect|resolve)|[Cc]onnection|[Tt]imed? ?out|TIMEOUT|REQUEST_TIMEOUT"
        r"|SERVICE_UNAVAILABLE|SLOW_DOWN|\b50[023]\b|INTERNAL_FAILURE",
        UNREACHABLE,
    ),
    (r"PERMANENT_REDIRECT|AuthorizationHeaderMalformed|region", "it lies in another region; name it as 'region'"),
)


@dataclass(frozen=True)
class _Object:
    path: str
    size: int
    version: str


@dataclass(frozen=True)
class _Store:
    """The three things that a pull asks of a store. All that it lists lies below ``base``."""

    base: str
    ls: Callable[[], Iterable[_Object]]
    look: Callable[[str], _Object]
    open: Callable[[str], AbstractContextManager[Any]]


def location(server: ObjectServer) -> str:
    """Address of a source's objects, for people."""
    account = f"{server.account}/" if server.account else ""
    at = f" at {server.endpoint}" if server.endpoint else ""
    path = re.sub(r"^[^/@]*@", "", server.path)
    return f"{server.scheme}://{account}{path}{at}"


def deliveries(server: ObjectServer, settings: Settings) -> list[Delivery]:
    """Objects of a source, by name; empty where none is there yet.

    Raises:
        UnreadableError: the store cannot be listed; says why and what to do, never with a secret.
    """
    base, pattern = split_pattern(server.path)
    secrets = _secrets(server, settings)
    explain = partial(_explained, secrets.values())
    matches = matcher(pattern)
    try:
        store = _store(server, secrets, base)
        listed = list(store.ls())
    except Exception as error:  # each store has its own kinds of error
        raise explain(error) from None
    found, failures = [], list[UnreadableError]()
    for item in listed:
        name = item.path.removeprefix(store.base).lstrip("/")
        if matches(name):
            # What is not UTF-8, or holds a NUL, could be written nowhere.
            name = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
            write = partial(_copy, store, item, explain, failures)
            found.append(Delivery(name, item.version, write, item.size))
    return sorted(found, key=lambda delivery: delivery.name)


def _copy(
    store: _Store,
    item: _Object,
    explain: Callable[[Exception], UnreadableError],
    failures: list[UnreadableError],
    target: BinaryIO,
) -> None:
    """Stream an object; ``failures`` are those of the objects just before it."""
    if len(failures) >= MAX_FAILURES:
        raise failures[-1]
    try:
        for piece in _pieces(store, item, explain):
            target.write(piece)
    except UnreadableError as error:
        if str(error).startswith(UNREACHABLE):
            failures.append(error)
        raise
    failures.clear()


def _pieces(store: _Store, item: _Object, explain: Callable[[Exception], UnreadableError]) -> Iterator[bytes]:
    copied = 0
    try:
        # Not compared with the listing: there, stores give the time in another precision.
        before = store.look(item.path)
        with store.open(item.path) as source:
            while chunk := source.read(CHUNK):
                copied += len(chunk)
                yield chunk
        after = store.look(item.path)
    except Exception as error:
        raise explain(error) from None
    if not copied == item.size == after.size or before != after:
        raise UnreadableError(CHANGED)


def _secrets(server: ObjectServer, settings: Settings) -> dict[str, str]:
    try:
        return {name: settings.secret(secret) for name, secret in server.secrets}
    except KeyError as error:
        raise UnreadableError(str(error.args[0])) from error


def _explained(secrets: Iterable[str], error: Exception) -> UnreadableError:
    if isinstance(error, UnreadableError):
        return error
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    # Signed addresses hold keys and signatures.
    text = re.sub(r"\?\S*", "?…", text)[:300]
    if isinstance(error, ImportError):
        return UnreadableError(f"{text}; install the package that fsspec needs for this protocol")
    if isinstance(error, FileNotFoundError):
        return UnreadableError("gone since it was listed; the next run looks again")
    reason = next((reason for said, reason in _EXPLAINED if re.search(said, text)), None)
    return UnreadableError(f"{reason} ({text})" if reason else f"{text}; the next run tries again")


def _store(server: ObjectServer, secrets: dict[str, str], base: str) -> _Store:
    native = {"s3": _s3, "gs": _google, "az": _azure}.get(server.scheme)
    return _arrow(native(server, secrets), base) if native else _fsspec(server, secrets, base)


def _s3(server: ObjectServer, secrets: dict[str, str]) -> fs.FileSystem:
    scheme, _, host = server.endpoint.partition("://")
    region = server.region
    if not region and not server.endpoint:
        region = fs.resolve_s3_region(server.path.partition("/")[0])
    return fs.S3FileSystem(
        access_key=secrets.get("accessKey"),
        secret_key=secrets.get("secretKey"),
        session_token=secrets.get("sessionToken"),
        anonymous=server.anonymous,
        region=region or "us-east-1",
        scheme=scheme or "https",
        endpoint_override=host or None,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=READ_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


def _google(server: ObjectServer, secrets: dict[str, str]) -> fs.FileSystem:
    scheme, _, host = server.endpoint.partition("://")
    token = secrets.get("accessToken")
    # Arrow asks when a token ends, and cannot renew it: a pull is shorter than that.
    expires = {"credential_token_expiration": dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)} if token else {}
    return fs.GcsFileSystem(
        anonymous=server.anonymous,
        access_token=token,
        scheme=scheme or "https",
        endpoint_override=host or None,
        retry_time_limit=dt.timedelta(seconds=RETRY_SECONDS),
        **expires,
    )


def _azure(server: ObjectServer, secrets: dict[str, str]) -> fs.FileSystem:
    scheme, _, authority = server.endpoint.partition("://")
    emulator = {}
    if authority:
        emulator = {f"{kind}_storage_authority": authority for kind in ("blob", "dfs")}
        emulator |= {f"{kind}_storage_scheme": scheme for kind in ("blob", "dfs")}
    return fs.AzureFileSystem(
        server.account, account_key=secrets.get("accountKey"), sas_token=secrets.get("sasToken"), **emulator
    )


def _arrow(store: fs.FileSystem, base: str) -> _Store:
    def described(info: fs.FileInfo) -> _Object:
        return _Object(info.path, info.size or 0, f"{info.size}-{info.mtime_ns}")

    def ls() -> Iterable[_Object]:
        try:
            infos = store.get_file_info(fs.FileSelector(base, recursive=True))
        except FileNotFoundError:
            bucket = base.partition("/")[0]
            # Asked only where the prefix is empty: keys may well be allowed to see their own prefix alone.
            if bucket == base or store.get_file_info(bucket).type == fs.FileType.NotFound:
                raise UnreadableError("there is no such bucket; mend the location, or create it") from None
            return []
        return [described(info) for info in infos if info.type == fs.FileType.File]

    def look(path: str) -> _Object:
        return described(store.get_file_info(path))

    # As it is: Arrow would inflate by the ending.
    return _Store(base, ls, look, partial(store.open_input_stream, compression=None))


def _fsspec(server: ObjectServer, secrets: dict[str, str], base: str) -> _Store:
    from fsspec.core import url_to_fs

    options = dict(server.options) | secrets
    if server.endpoint:
        options["endpoint_url"] = server.endpoint
    # Without its caches, which would hide what has come since.
    uncached = {"use_listings_cache": False, "skip_instance_cache": True}
    store, folder = url_to_fs(f"{server.scheme}://{base}", **options, **uncached)

    def described(info: dict[str, Any]) -> _Object:
        marks = ("ETag", "etag", "md5", "checksum", "generation", "mtime", "modified", "LastModified")
        marks = (*marks, "last_modified", "updated", "created")
        version = [str(info["size"]), *(str(info[mark]) for mark in marks if info.get(mark) is not None)]
        return _Object(str(info["name"]), int(info["size"] or 0), "-".join(version))

    def ls() -> Iterable[_Object]:
        try:
            infos = store.find(folder, detail=True)
        except FileNotFoundError:
            return []
        return [described(info) for info in infos.values()]

    return _Store(folder, ls, lambda path: described(store.info(path)), lambda path: store.open(path, "rb"))
