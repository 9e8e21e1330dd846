"""Object stores: a real S3 server with its faults, and the stores that fsspec knows."""

from __future__ import annotations

import datetime as dt
import errno
import gzip
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.transforms.lake.shop import Shop, contract_document, csv_file, line
from tests.transforms.sources.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, free_port
from transforms.contracts import ContractError
from transforms.lake.load import load_source
from transforms.settings import Settings
from transforms.sources import deliveries, location
from transforms.sources.delivery import UnreadableError
from transforms.sources.files import listing_digest

JSON_LINE = b'{"order":"%d","line":"1","time":"2025-03-01T10:00:00Z","kind":"sale","amount":9.9}\n'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    running = S3Server(tmp_path / "buckets")
    running.start()
    yield running
    running.stop()


def s3_document(
    server: S3Server, location: str = "s3://bucket/shop/**/*.csv*", file_format: str = "csv", **properties: Any
) -> dict[str, Any]:
    document = contract_document(file_format)
    given = {"accessKey": "shop_access", "secretKey": "shop_secret", **properties}
    document["servers"] = [
        {
            "server": "store",
            "type": "s3",
            "location": location,
            "endpointUrl": server.url,
            "format": file_format,
            "customProperties": [{"property": name, "value": value} for name, value in given.items()],
        }
    ]
    return document


def s3_shop(folder: Path, document: dict[str, Any], secret: str = SECRET_KEY) -> Shop:
    shop = Shop(folder, document)
    secrets = {"shop_access": ACCESS_KEY, "shop_secret": secret}
    shop.settings = Settings.model_validate({**shop.settings.model_dump(), "secrets": secrets})
    return shop


def orders(shop: Shop) -> list[str]:
    return [row[0] for row in shop.query("SELECT order_id FROM accepted ORDER BY CAST(order_id AS BIGINT)")]


def parquet_bytes(order: str) -> bytes:
    table = pa.table({"order": [order], "line": ["1"], "time": ["2025-03-01T10:00:00"], "kind": ["sale"],
                      "amount": [9.9]})  # fmt: skip
    pq.write_table(table, buffer := io.BytesIO())
    return buffer.getvalue()


FORMATS = {
    "csv": ("a.csv", csv_file(line("1")).encode()),
    "gzip": ("2025/03/a.csv.gz", gzip.compress(csv_file(line("1")).encode())),
    "zstd": ("a.csv.zst", pa.compress(csv_file(line("1")).encode(), codec="zstd", asbytes=True)),
    "json": ("a.jsonl", JSON_LINE % 1),
    "parquet": ("a.parquet", parquet_bytes("1")),
}


@pytest.mark.parametrize("case", FORMATS)
def test_every_format_is_loaded(tmp_path: Path, server: S3Server, case: str) -> None:
    name, content = FORMATS[case]
    file_format = case if case in {"json", "parquet"} else "csv"
    server.put(f"shop/{name}", content)
    server.put("other/b.csv", csv_file(line("2")).encode())
    shop = s3_shop(tmp_path, s3_document(server, "s3://bucket/shop/**/a.*", file_format))
    report = shop.load()
    assert [(record.file, record.status) for record in report.records] == [(name, "loaded")]
    assert orders(shop) == ["1"]
    assert shop.load().loaded == ()


def test_the_glob_does_not_cross_folders_unless_it_says_so(tmp_path: Path, server: S3Server) -> None:
    for order, key in enumerate(["shop/a.csv", "shop/deep/b.csv", "shop/c.txt", "shop/.d.csv", "shop/e.csv.tmp"]):
        server.put(key, csv_file(line(str(order))).encode())
    shop = s3_shop(tmp_path, s3_document(server, "s3://bucket/shop/*.csv"))
    assert [delivery.name for delivery in deliveries(shop.contract, shop.settings, None, shop.now)] == ["a.csv"]
    shop.sign(s3_document(server, "s3://bucket/**/*.csv"))
    names = [delivery.name for delivery in deliveries(shop.contract, shop.settings, None, shop.now)]
    assert names == ["shop/a.csv", "shop/deep/b.csv"]


def test_a_changed_object_is_taken_again(tmp_path: Path, server: S3Server) -> None:
    path = server.put("shop/a.csv", csv_file(line("1")).encode())
    shop = s3_shop(tmp_path, s3_document(server))
    shop.load()
    before = listing_digest([shop.contract], shop.settings)
    server.put("shop/a.csv", csv_file(line("2")).encode())
    os.utime(path, (time.time() + 60, time.time() + 60))  # the store knows whole seconds only
    assert listing_digest([shop.contract], shop.settings) != before
    assert [record.rows_accepted for record in shop.load().loaded] == [1]
    assert orders(shop) == ["1", "2"]


def test_an_object_of_many_chunks_comes_whole(tmp_path: Path, server: S3Server) -> None:
    rows = 400_000
    content = csv_file(*(line(str(n), mail=f"{n:08}@somewhere.example") for n in range(rows))).encode()
    assert len(content) > 20 << 20
    server.put("shop/big.csv", content)
    shop = s3_shop(tmp_path, s3_document(server))
    assert [delivery.size for delivery in deliveries(shop.contract, shop.settings, None, shop.now)] == [len(content)]
    assert shop.load().total("rows_accepted") == rows
    landed = next((shop.settings.landing / "shop").glob("*-big.csv"))
    assert landed.read_bytes() == content


def test_more_objects_than_one_page_lists(tmp_path: Path, server: S3Server) -> None:
    folder = server.put("shop/0.csv", b"x\n").parent
    for number in range(1, 2_100):
        (folder / f"{number}.csv").write_bytes(b"x\n")
    shop = s3_shop(tmp_path, s3_document(server))
    assert len(deliveries(shop.contract, shop.settings, None, shop.now)) == 2_100


REFUSALS = {
    "wrong secret": ({}, "s3://bucket/shop/*.csv", "wrong-secret", "the store does not know these keys"),
    "no such bucket": ({}, "s3://nowhere/shop/*.csv", SECRET_KEY, "there is no such bucket"),
    "no such bucket, no folder": ({}, "s3://nowhere/*.csv", SECRET_KEY, "there is no such bucket"),
    "secret not set": ({"secretKey": "other"}, "s3://bucket/*.csv", SECRET_KEY, "set WATERSHED_SECRETS__OTHER"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_listed_is_reported_with_the_way_out(tmp_path: Path, server: S3Server, case: str) -> None:
    properties, place, secret, reason = REFUSALS[case]
    shop = s3_shop(tmp_path, s3_document(server, place, **properties), secret)
    report = shop.load()
    assert list(report.unreadable) == [location(shop.contract, shop.settings)]
    text = str(report.unreadable)
    assert reason in text and secret not in text and ACCESS_KEY not in text


def test_a_place_without_objects_is_empty_and_no_fault(tmp_path: Path, server: S3Server) -> None:
    report = s3_shop(tmp_path, s3_document(server, "s3://bucket/nothing/yet/*.csv")).load()
    assert report.files_found == 0 and report.unreadable == {}


def test_a_server_that_is_down_costs_seconds_and_no_sensor(tmp_path: Path, server: S3Server) -> None:
    server.put("shop/a.csv", csv_file(line("1")).encode())
    shop = s3_shop(tmp_path, s3_document(server))
    up = listing_digest([shop.contract], shop.settings)
    server.stop()
    started = time.monotonic()
    with pytest.raises(UnreadableError, match="the store cannot be reached"):
        deliveries(shop.contract, shop.settings, None, shop.now)
    down = listing_digest([shop.contract], shop.settings)
    assert time.monotonic() - started < 30
    assert down != up and listing_digest([shop.contract], shop.settings) == down
    assert "cannot be reached" in str(shop.load().unreadable)
    server.start()
    assert listing_digest([shop.contract], shop.settings) == up
    assert shop.load().total("rows_accepted") == 1


def test_a_server_that_dies_in_the_middle_is_taken_up_where_it_left_off(tmp_path: Path, server: S3Server) -> None:
    for order in range(4):
        server.put(f"shop/{order}.csv", csv_file(line(str(order))).encode())
    shop = s3_shop(tmp_path, s3_document(server))
    ticks = 0

    def clock() -> dt.datetime:
        """Looked at with each landed file: ends the server after the second."""
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            server.stop()
        return shop.now

    report = load_source(shop.settings, shop.contract, clock)
    assert 0 < len(report.loaded) < 4
    assert len(report.loaded) + len(report.unreadable) == 4
    assert all("cannot be reached" in reason for reason in report.unreadable.values())
    server.start()
    assert shop.load().unreadable == {}
    assert orders(shop) == ["0", "1", "2", "3"]


def test_a_store_that_is_down_is_not_asked_for_every_object(tmp_path: Path, server: S3Server) -> None:
    for order in range(100):
        server.put(f"shop/{order}.csv", csv_file(line(str(order))).encode())
    shop = s3_shop(tmp_path, s3_document(server))
    found = deliveries(shop.contract, shop.settings, None, shop.now)
    server.stop()
    started = time.monotonic()
    for delivery in found:
        with pytest.raises(UnreadableError, match="cannot be reached"):
            delivery.write(io.BytesIO())
    assert time.monotonic() - started < 30


def test_an_object_that_changes_while_it_is_read_is_left_to_the_next_run(tmp_path: Path, server: S3Server) -> None:
    path = server.put("shop/a.csv", csv_file(line("1")).encode())
    shop = s3_shop(tmp_path, s3_document(server))
    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    server.put("shop/a.csv", csv_file(line("2"), line("3")).encode())
    os.utime(path, (time.time() + 60, time.time() + 60))
    with pytest.raises(UnreadableError, match="changed while it was read"):
        delivery.write(io.BytesIO())
    assert shop.load().total("rows_accepted") == 2


def test_partitions_of_a_store_are_columns(tmp_path: Path, server: S3Server) -> None:
    server.put("shop/kind=sale/a.csv", csv_file(line("1")).replace(",kind", "").replace(",sale", "").encode())
    shop = s3_shop(tmp_path, s3_document(server, "s3://bucket/shop/kind=*/*.csv"))
    assert not shop.load().rejected
    assert shop.query("SELECT line_type, _file FROM accepted") == [("sale", "kind=sale/a.csv")]


@pytest.fixture
def memory() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    yield store
    store.rm("/watershed-test", recursive=True)


def memory_document(place: str) -> dict[str, Any]:
    document = contract_document()
    document["servers"] = [{"server": "store", "type": "custom", "location": place, "format": "csv"}]
    return document


def test_every_protocol_of_fsspec_can_be_read(tmp_path: Path, memory: Any) -> None:
    memory.pipe("/watershed-test/shop/a.csv", csv_file(line("1")).encode())
    shop = Shop(tmp_path, memory_document("memory://watershed-test/shop/*.csv"))
    assert [record.file for record in shop.load().records] == ["a.csv"]
    memory.pipe("/watershed-test/shop/a.csv", csv_file(line("2")).encode())
    assert [record.rows_accepted for record in shop.load().loaded] == [1]


def test_a_full_disk_is_not_the_fault_of_the_store(tmp_path: Path, memory: Any) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    memory.pipe("/watershed-test/shop/a.csv", csv_file(line("1")).encode())
    shop = Shop(tmp_path, memory_document("memory://watershed-test/shop/*.csv"))
    (delivery,) = deliveries(shop.contract, shop.settings, None, shop.now)
    with pytest.raises(OSError, match="No space") as caught:
        delivery.write(Full())
    assert not isinstance(caught.value, UnreadableError)


@pytest.mark.parametrize("key", ["../../etc/passwd.csv", "a/../../b.csv", ".."])
def test_a_key_that_climbs_is_left_alone(tmp_path: Path, memory: Any, key: str) -> None:
    memory.pipe("/watershed-test/shop/x/" + key, csv_file(line("1")).encode())
    shop = Shop(tmp_path, memory_document("memory://watershed-test/shop/**/*"))
    assert shop.load().files_found == 0


@pytest.mark.parametrize(
    "key", ["/etc/passwd.csv", "a..csv", "nul\0.csv", "\u202egnp.csv", "é" * 200 + ".csv", "…", "a\nb", "a\\b"]
)
def test_a_key_cannot_lead_out_of_the_landing_folder(tmp_path: Path, memory: Any, key: str) -> None:
    memory.pipe("/watershed-test/shop/x/" + key, csv_file(line("1")).encode())
    shop = Shop(tmp_path, memory_document("memory://watershed-test/shop/**/*"))
    before = {path for path in tmp_path.rglob("*") if shop.settings.home not in path.parents}
    report = shop.load()
    assert [record.status for record in report.records] == ["loaded"] and not report.unreadable
    landing = shop.settings.landing / "shop"
    landed = [path for path in landing.rglob("*") if path.name != "received.jsonl"]
    assert len(landed) == 1 and landed[0].parent == landing
    assert {path for path in tmp_path.rglob("*") if shop.settings.home not in path.parents} == before
    assert shop.load().loaded == ()


def test_a_protocol_that_is_not_installed_says_so(tmp_path: Path) -> None:
    shop = Shop(tmp_path, memory_document("sftp://host.example/shop/*.csv"))
    assert "install" in str(shop.load().unreadable)
    shop.sign(memory_document("nonsense://host/shop/*.csv"))
    assert shop.load().unreadable


DOWN = ["abfss://shop@account1.dfs.core.windows.net/a/*.csv", "gs://bucket/a/*.csv"]


@pytest.mark.slow
@pytest.mark.parametrize("place", DOWN)
def test_other_clouds_that_are_down_cost_seconds_too(tmp_path: Path, place: str) -> None:
    document = memory_document(place)
    key, secret = ("accountKey", "c2VjcmV0LWtleQ==") if "abfss" in place else ("accessToken", "secret-token")
    document["servers"][0] |= {
        "endpointUrl": f"http://127.0.0.1:{free_port()}",
        "customProperties": [{"property": key, "value": "shop_secret"}],
    }
    started = time.monotonic()
    text = str(s3_shop(tmp_path, document, secret).load().unreadable)
    assert time.monotonic() - started < 60
    assert "the store cannot be reached" in text and secret not in text


LINT: dict[str, tuple[dict[str, Any], str]] = {
    "no scheme": ({"location": "bucket/*.csv"}, "is no address of a store"),
    "scheme of another store": ({"location": "gs://bucket/*.csv"}, "Write it as s3://bucket/shop/*.csv"),
    "no files": ({"location": "s3://bucket/shop/"}, "End it with a pattern"),
    "bucket with a star": ({"location": "s3://*/a.csv"}, "Name exactly one"),
    "http far away": ({"endpointUrl": "http://minio.example.com"}, "http is for servers on this machine"),
    "user in the endpoint": ({"endpointUrl": "https://me:pw@minio.example.com"}, "without a user"),
    "half a pair of keys": (
        {"customProperties": [{"property": "accessKey", "value": "crm_key"}]}, "accessKey and secretKey go together"
    ),
    "a secret itself": (
        {
            "customProperties": [
                {"property": "accessKey", "value": "AKIA/verySecret+"},
                {"property": "secretKey", "value": "b"},
            ]
        },
        "'accessKey' is to name a secret",
    ),
    "misspelt property": ({"customProperties": [{"property": "acessKey", "value": "a"}]}, "Did you mean 'accessKey'"),
    "folder": ({"type": "custom", "location": "file:///etc/*.csv"}, "Use 'type: local'"),
    "chained": ({"type": "custom", "location": "zip://*.csv::s3://b/a.zip"}, "is no address of a store"),
    "password": ({"type": "custom", "location": "ftp://me:pw@host/*.csv"}, "the location holds a password"),
    "azure without account": ({"type": "azure", "location": "abfss://container/a/*.csv"}, "names no storage account"),
    "unknown format": ({"format": "orc"}, "the format 'orc' is not supported"),
}  # fmt: skip


@pytest.mark.parametrize("case", LINT)
def test_the_lint_names_the_remedy(tmp_path: Path, case: str) -> None:
    given, remedy = LINT[case]
    document = contract_document()
    document["servers"] = [{"server": "s", "type": "s3", "location": "s3://b/*.csv", "format": "csv", **given}]
    with pytest.raises(ContractError) as caught:
        _ = Shop(tmp_path, document).contract
    assert remedy in str(caught.value) and "verySecret" not in str(caught.value) and "pw" not in str(caught.value)


AZURE = [
    "abfss://shop@account1.dfs.core.windows.net/a/*.csv",
    "abfss://account1.dfs.core.windows.net/shop/a/*.csv",
    "az://account1.blob.core.windows.net/shop/a/*.csv",
]


@pytest.mark.parametrize("place", AZURE)
def test_both_ways_to_write_an_address_of_azure(tmp_path: Path, place: str) -> None:
    document = contract_document()
    document["servers"] = [{"server": "s", "type": "azure", "location": place, "format": "csv"}]
    shop = Shop(tmp_path, document)
    assert location(shop.contract, shop.settings) == "az://account1/shop/a/*.csv"
