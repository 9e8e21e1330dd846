"""Is the installation's own folder in order: permissions, secrets, configuration, what killed runs left?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from transforms.contracts import ApiServer, Contracts, FileServer, PostgresServer, SourceContract
from transforms.contracts.servers import ObjectServer
from transforms.lake.leftovers import find_leftovers
from transforms.operations.findings import Finding, fault, ok, warning
from transforms.operations.locks import lock_states
from transforms.settings import Settings
from transforms.sources.patterns import split_pattern

_KEY = "identifier.key"


def installation(settings: Settings, contracts: Contracts | None, dagster_config: Path) -> Iterator[Finding]:
    """Everything below the home, and what the contracts need.

    :param dagster_config: the configuration of Dagster that ships with the platform.
    """
    yield from _permissions(settings)
    yield _identifier_key(settings)
    yield _published(settings.published)
    yield _dagster(settings.home / "dagster" / "dagster.yaml", dagster_config)
    yield from _locks(settings)
    if contracts:
        sources = list(contracts.sources.values())
        yield _leftovers(settings, sources)
        yield _secrets(settings, sources)
        yield from _folders(settings, sources)


def _permissions(settings: Settings) -> Iterator[Finding]:
    home = settings.home
    if not home.exists():
        yield warning("permissions", f"{home} does not exist yet", "the first run makes it")
        return
    rooms = [home, *(path for path in sorted(home.iterdir()) if path.is_dir() and path != settings.incoming)]
    closed = [str(path) for path in rooms if not os.access(path, os.R_OK | os.W_OK | os.X_OK)]
    if closed:
        remedy = f"give them to the user who runs Watershed: chown -R <user> {home}"
        yield fault("permissions", f"not to be written by this user: {', '.join(closed)}", remedy)
    if home.stat().st_mode & stat.S_IWOTH:
        yield warning("permissions", f"every user may write to {home}", f"chmod o-w {home}")
    if not closed:
        yield ok("permissions", f"{home} can be written")


def _identifier_key(settings: Settings) -> Finding:
    path = settings.home / _KEY
    if settings.identifier_key is not None:
        return ok("identifier key", "set by WATERSHED_IDENTIFIER_KEY")
    if not path.exists():
        return ok("identifier key", "the first run makes one")
    if path.stat().st_size == 0:
        return fault("identifier key", f"{path} is empty", "restore it from the backup: customer ids hang on it")
    if path.stat().st_mode & 0o077:
        return fault("identifier key", f"others may read {path}", f"chmod 600 {path}")
    return ok("identifier key", f"{path}, readable by its owner only; keep it in the backup")


def _published(path: Path) -> Finding:
    if not path.exists():
        return warning("published file", f"{path} does not exist yet", "watershed run")
    if path.stat().st_mode & 0o222:
        return warning("published file", f"{path} can be written", f"chmod 444 {path}; clients open it read-only")
    if path.parent.stat().st_mode & stat.S_IWOTH:
        return fault("published file", f"every user may replace {path}", f"chmod o-w {path.parent}")
    return ok("published file", f"{path} is read-only")


def _dagster(installed: Path, shipped: Path) -> Finding:
    if not installed.exists():
        return warning("dagster", f"{installed} does not exist yet", "the first run, or watershed serve, writes it")
    if installed.read_bytes() != shipped.read_bytes():
        remedy = "the next run, or watershed serve, replaces it; restart a daemon that is running"
        return warning("dagster", f"{installed} is not the one that ships with this version", remedy)
    return ok("dagster", f"{installed} is as shipped")


def _locks(settings: Settings) -> Iterator[Finding]:
    for lock in lock_states(settings):
        if lock.is_held:
            yield ok(f"{lock.name} lock", f"held by {lock.holder or 'another process'}")
        elif lock.holder:
            text = f"{lock.holder.name} (process {lock.holder.process}) was killed while it held {lock.path}"
            yield warning(f"{lock.name} lock", text, "nothing to do: the lock is free, the next run completes the work")


def _leftovers(settings: Settings, sources: list[SourceContract]) -> Finding:
    found = sorted({path for source in sources for path in find_leftovers(settings, source.name)})
    if found:
        names = ", ".join(path.name for path in found[:5])
        text = f"{len(found)} leftovers of killed runs: {names}{', …' if len(found) > 5 else ''}"
        return warning("leftovers", text, "nothing to do: the next run removes them")
    return ok("leftovers", "none of killed runs")


def secret_names(contract: SourceContract) -> list[str]:
    """Names of the secrets that a source needs."""
    server = contract.server
    if isinstance(server, ObjectServer):
        return [secret for _, secret in server.secrets]
    if isinstance(server, PostgresServer):
        return [server.password] if server.password else []
    if isinstance(server, ApiServer) and server.auth:
        return [name for name in (server.auth.secret, server.auth.username) if name]
    return []


def _secrets(settings: Settings, sources: list[SourceContract]) -> Finding:
    wanted = {name: source.name for source in sources for name in secret_names(source)}
    missing = [f"{name} (of {source})" for name, source in wanted.items() if name.lower() not in settings.secrets]
    if missing:
        remedy = "set WATERSHED_SECRETS__<NAME>; for a service in its EnvironmentFile"
        return fault("secrets", f"named in contracts, not set: {', '.join(missing)}", remedy)
    return ok("secrets", f"{len(wanted)} named in contracts, all set")


def _folders(settings: Settings, sources: list[SourceContract]) -> Iterator[Finding]:
    """The folders that local sources are pulled from."""
    absent, closed = [], []
    for source in sources:
        server = source.server
        if not isinstance(server, FileServer) or isinstance(server, ObjectServer):
            continue
        folder = settings.incoming / split_pattern(server.path)[0]
        if not folder.exists():
            absent.append(f"{folder} (of {source.name})")
        elif not os.access(folder, os.R_OK | os.X_OK):
            closed.append(f"{folder} (of {source.name})")
    if closed:
        yield fault("sources", f"not to be read by this user: {', '.join(closed)}", "have the folders opened to it")
    if absent:
        yield warning("sources", f"no such folder: {', '.join(absent)}", "mend the contract's path, or mount the share")
    if not closed and not absent:
        yield ok("sources", "the folders of all local sources can be read")
