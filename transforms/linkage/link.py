"""A run of linkage: profiles of the warehouse in, links for the identity graph out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.identity.decisions import LINK_COLUMNS, Linker
from transforms.identity.keys import define_keyed_hash, identifier_secret
from transforms.linkage.charts import model_charts
from transforms.linkage.find import Compared, Found, compare, find_links
from transforms.linkage.normalise import prepare_profiles
from transforms.linkage.policy import LinkagePolicy, load_policy
from transforms.linkage.store import CLUSTERS, LINKS, LinkageStore
from transforms.settings import Settings
from transforms.sql import literal, scratch_connection

Progress = Callable[[str], None]

RULE = "names, birth dates and addresses"
ATTRIBUTES = "intermediate.int_profile_attributes"


def profile_linker(
    settings: Settings,
    run_id: str,
    progress: Progress | None = None,
    policy: LinkagePolicy | None = None,
) -> Linker | None:
    """What the identity run calls for links between profiles; None where linkage is switched off.

    :raises pydantic.ValidationError: if the policy has a fault.
    """
    if not settings.linkage:
        return None
    policy = policy or load_policy(settings.linkage_policy)

    @contextmanager
    def linker() -> Iterator[Callable[[duckdb.DuckDBPyConnection], pa.Table]]:
        with _linking(settings, run_id, policy, progress) as link:
            yield lambda identities: link(_of_profiles(identities, settings.warehouse))

    return linker


def _of_profiles(identities: duckdb.DuckDBPyConnection, warehouse: Path) -> pa.Table:
    """``identity_key`` and ``cluster``, numbered from 0, of what profiles hold."""
    with _profiled(identities, warehouse) as attributes:
        return identities.sql(f"""
            SELECT identity_key, CAST(dense_rank() OVER (ORDER BY cluster) - 1 AS INTEGER) AS cluster
            FROM (SELECT identity_key, min(cluster) AS cluster FROM resolved
                  WHERE identity_key IN (SELECT identity_key FROM {attributes}) GROUP BY identity_key)
        """).to_arrow_table()


def link_profiles(
    settings: Settings, run_id: str, resolved: pa.Table, policy: LinkagePolicy, progress: Progress | None = None
) -> pa.Table:
    """Find links between the profiles of the warehouse, and write them with their model to the lake.

    Reads ``intermediate.int_profile_attributes``, which it opens read-only and leaves before it computes. Writes
    ``<lake>/linkage``; see :mod:`transforms.linkage.store`.

    Where the last run had the very same before it nothing is computed; where it had the same model, only what is new.

    :param resolved: ``identity_key`` and ``cluster``: profiles that identifiers have made one person stay one.
    :return: columns as in :data:`transforms.identity.decisions.LINK_COLUMNS`, best links first.
    :raises FileNotFoundError: if there is no warehouse.
    :raises ValueError: if the kept model was changed by hand.
    """
    with _linking(settings, run_id, policy, progress) as link:
        return link(resolved)


@contextmanager
def _linking(
    settings: Settings, run_id: str, policy: LinkagePolicy, progress: Progress | None
) -> Iterator[Callable[[pa.Table], pa.Table]]:
    """Begin to link, on a thread of its own, and give the function that ends it: see :func:`link_profiles`.

    Most of a day's linkage needs to know nothing of clusters, and can be done while others find these; and nobody waits
    for its outcome to be written but the end.
    """
    with scratch_connection(settings) as connection, ThreadPoolExecutor(1, "linkage") as thread:
        _read_attributes(connection, settings.warehouse)
        begun = thread.submit(_begin, connection, settings, policy)
        written: list[Future[None]] = []

        def link(resolved: pa.Table) -> pa.Table:
            links, write = _end(connection, settings, run_id, policy, begun.result(), resolved, progress)
            written.append(thread.submit(write))
            return links

        try:
            yield link
            for each in written:
                each.result()
        except BaseException:
            # Between two statements there is nothing to interrupt.
            while wait([begun], timeout=0.05).not_done:
                connection.interrupt()
            raise


@dataclass(frozen=True)
class _Begun:
    """What is known before the clusters are."""

    seen: str
    """Digest of all that the links depend on beside the clusters."""
    compared: Compared | None
    said: Sequence[str]


def _begin(connection: duckdb.DuckDBPyConnection, settings: Settings, policy: LinkagePolicy) -> _Begun:
    """Prepare the profiles and, if there are new ones and a model that fits, weigh their pairs."""
    define_keyed_hash(connection, identifier_secret(settings))
    prepare_profiles(connection, "attributes")
    store = LinkageStore(settings)
    state, keeps = store.state() or {}, settings.linkage_model == "keep"
    seen = _seen(connection, policy, state.get("model") if keeps else None)
    said: list[str] = []
    is_new = seen != state.get("seen")
    return _Begun(seen, _weigh(connection, store, policy, said.append) if keeps and is_new else None, said)


def _end(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    run_id: str,
    policy: LinkagePolicy,
    begun: _Begun,
    resolved: pa.Table,
    progress: Progress | None,
) -> tuple[pa.Table, Callable[[], None]]:
    """Find the links, now that it is known which profiles are one person already.

    :return: the links, and what writes them and their model to the lake.
    """
    tell = progress or (lambda _: None)
    for line in begun.said:
        tell(line)
    store = LinkageStore(settings)
    state, keeps = store.state() or {}, settings.linkage_model == "keep"
    records, together = _known_together(connection, resolved)
    if begun.seen == state.get("seen") and _grouped(together) == state.get("grouped"):
        # The outcome is a function of these alone; most days bring no profile.
        tell(f"linkage: nothing new among {len(records):,} profiles, the links of the last run hold")
        return _for_identity(store.links()), lambda: None
    compared = begun.compared or (_weigh(connection, store, policy, progress) if keeps else None)
    found = find_links(connection, policy, together, compared, progress)
    version = found.model.version if found.model else None
    is_same = not keeps or version == state.get("model")
    seen = begun.seen if is_same else _seen(connection, policy, version)
    links = _links(found, records, together, policy.least_probability)
    clusters = pa.table(
        {"record_id": pa.array(records, pa.string()), "cluster": pa.array(records[found.cluster], pa.string())},
        schema=CLUSTERS,
    )
    tables = {"links": links, "clusters": clusters}
    if found.remembered:
        tables |= {"profiles": found.remembered.profiles, "likely": found.remembered.pairs}
    used = [other for other in store.models_used() if other != version] + ([version] if version else [])
    inputs = {"seen": seen, "grouped": _grouped(together), "programs": _programs()}

    def write() -> None:
        if found.model and not store.keeps(found.model.version):
            store.keep_model(found.model, model_charts(found))
        store.write_run(run_id, tables, _state(found, run_id, len(links)) | inputs | {"models_used": used})

    tell(f"linkage: {len(links):,} links between {len(records):,} profiles ({_how(found)})")
    return _for_identity(links), write


def _how(found: Found) -> str:
    if found.reason:
        return found.reason
    kept = f", {found.kept:,} likely ones kept" if found.kept else ""
    return f"{found.scored:,} pairs scored{kept}"


@cache
def _programs() -> list[str]:
    """Who computes: other rules or another library may give a pair another score."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return [digest.hexdigest()[:16], duckdb.__version__, version_of("splink")]


def _read_attributes(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    with _profiled(connection, warehouse) as attributes:
        connection.execute(f"CREATE TEMP TABLE attributes AS FROM {attributes}")


@contextmanager
def _profiled(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> Iterator[str]:
    """Attach the warehouse read-only, and give the name of its profiles; it is let go at the end."""
    if not warehouse.exists():
        raise FileNotFoundError(f"{warehouse}: there is no warehouse yet, build int_profile_attributes first")
    connection.execute(f"ATTACH {literal(warehouse)} AS warehouse (READ_ONLY)")
    try:
        yield f"warehouse.{ATTRIBUTES}"
    finally:
        connection.execute("DETACH warehouse")


def _known_together(
    connection: duckdb.DuckDBPyConnection, resolved: pa.Table
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Id of each profile, and the cluster that identifiers put it into, -1 for none; by profile number."""
    connection.register("resolved", resolved)
    rows = connection.execute("""
        SELECT p.record_id, coalesce(r.cluster, -1) AS cluster
        FROM profiles p JOIN attributes a USING (record_id) LEFT JOIN resolved r USING (identity_key)
        ORDER BY p.uid
    """).fetchnumpy()
    connection.unregister("resolved")
    return np.asarray(rows["record_id"], dtype=object), np.asarray(rows["cluster"], dtype=np.int32)


def _weigh(
    connection: duckdb.DuckDBPyConnection, store: LinkageStore, policy: LinkagePolicy, progress: Progress | None
) -> Compared | None:
    """What the model that was last used says, among those that fit: a look back at an earlier day may have had its own.

    :return: None if none fits.
    """
    state = store.state() or {}
    for version in reversed(store.models_used()):
        model = store.model(version)
        if model and model.fits(connection, policy):
            is_last = version == state.get("model") and state.get("programs") == _programs()
            return compare(connection, policy, model, store.remembered() if is_last else None, progress)
    return None


def _seen(connection: duckdb.DuckDBPyConnection, policy: LinkagePolicy, model: str | None) -> str:
    """Digest of all that the links depend on beside the clusters: profiles, policy, model, programs."""
    [profiles] = connection.execute(
        "SELECT count(*), sum(CAST(hash(a) AS HUGEINT)), bit_xor(hash(a)) FROM attributes a"
    ).fetchall()
    parts = [profiles, policy.model_dump_json(), model, _programs()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _grouped(together: npt.NDArray[np.int32]) -> str:
    """Digest of which profiles are known to be one person. Their numbers are arbitrary: each is told by its first."""
    _, first, number = np.unique(together, return_index=True, return_inverse=True)
    groups = np.where(together < 0, -1, first[number])
    return hashlib.sha256(groups.astype(np.int64).tobytes()).hexdigest()


def _links(found: Found, records: npt.NDArray[Any], together: npt.NDArray[np.int32], least: float) -> pa.Table:
    """The pairs that carry the clusters: more likely than not, and not one customer already.

    Average linkage never joins two groups without such a pair between them.
    """
    if found.model is None:
        return LINKS.empty_table()
    known = (together[found.left] == together[found.right]) & (together[found.left] >= 0)
    kept = (found.probability >= least) & ~known
    rows = pa.table(
        {
            "left_profile": pa.array(records[found.left[kept]], pa.string()),
            "right_profile": pa.array(records[found.right[kept]], pa.string()),
            "probability": found.probability[kept],
            "match_weight": np.round(found.weight[kept], 3),
            "model": pa.array([found.model.version] * int(kept.sum()), pa.string()),
        },
        schema=LINKS,
    )
    order = [("probability", "descending"), ("left_profile", "ascending"), ("right_profile", "ascending")]
    return rows.sort_by(order)


def _state(found: Found, run_id: str, links: int) -> dict[str, Any]:
    model = found.model
    return {
        "run_id": run_id,
        "model": model.version if model else None,
        "profiles": len(found.cluster),
        "scored": found.scored,
        "kept": found.kept,
        "blocking_rules": [" and ".join(rule) for rule in model.rules] if model else [],
        "match_rate": model.rates.matches if model else None,
        "lookalikes_per_match": model.rates.lookalikes if model else None,
        "expected_f1": found.expected_f1,
        "links": links,
        "reason": found.reason,
    }


def _for_identity(links: pa.Table) -> pa.Table:
    columns = {
        "left_record": links["left_profile"],
        "right_record": links["right_profile"],
        "probability": links["probability"],
        "rule": pa.array([RULE] * len(links), pa.string()),
        "model": links["model"],
    }
    return pa.table(columns, schema=pa.schema(list(LINK_COLUMNS.items())))
