"""A provider's API on loopback that pages in every way and misbehaves on demand."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Fault = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers GET by the first part of the path; a planned fault comes instead of the answer."""

    protocol_version = "HTTP/1.1"
    provider: Provider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.query = dict(parse_qsl(url.query))
        provider = self.provider
        with provider.lock:
            provider.requests.append((self.path, dict(self.headers)))
            fault = provider.faults.pop(0) if provider.faults else None
        if fault is not None:
            fault(self)
            if fault is not noted:
                return
        getattr(provider, url.path.strip("/").split("/")[0])(self)

    def answer(self, document: Any, status: int = 200, **headers: str) -> None:
        self.send(json.dumps(document).encode(), status, **headers)

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        usual = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def noted(_: Handler) -> None:
    """No fault at all: the request is answered."""


def status(code: int, body: str = "", **headers: str) -> Fault:
    return lambda handler: handler.send(body.encode(), code, **headers)


def text(body: bytes, **headers: str) -> Fault:
    return lambda handler: handler.send(body, 200, **headers)


def reset(handler: Handler) -> None:
    """The connection is torn down without a word."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.wfile.flush()
    handler.connection.close()


def cut_off(handler: Handler) -> None:
    """Half of the promised bytes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.close_connection = True


def silent(handler: Handler) -> None:
    """Nothing comes for longer than anybody waits."""
    time.sleep(0.6)
    handler.close_connection = True


class Provider:
    """Pages of ``size`` of the records, at ``url`` + the name of the paginator."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.size = 2
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.lock = threading.Lock()
        handler = type("Bound", (Handler,), {"provider": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def pages(self) -> int:
        return -(-len(self.records) // self.size)

    def chosen(self, handler: Handler) -> list[Any]:
        """Records changed at or after ``since``."""
        since = handler.query.get("since")
        return [r for r in self.records if since is None or str(r["time"]) >= since]

    def page_number(self, handler: Handler) -> None:
        number = int(handler.query["page"])
        records = self.chosen(handler)
        start = (number - 1) * self.size
        handler.answer({"data": records[start : start + self.size], "pages": -(-len(records) // self.size)})

    def offset(self, handler: Handler) -> None:
        start, limit = int(handler.query["offset"]), min(int(handler.query["limit"]), self.size)
        handler.answer({"data": self.records[start : start + limit], "total": len(self.records)})

    def cursor(self, handler: Handler) -> None:
        start = int(handler.query.get("cursor") or 0)
        after = start + self.size
        more = after < len(self.records)
        handler.answer({"data": self.records[start:after], "next": after if more else None})

    def json_link(self, handler: Handler) -> None:
        start = int(handler.query.get("from") or 0)
        after = start + self.size
        link = f"/json_link?{urlencode({'from': after})}" if after < len(self.records) else ""
        handler.answer({"data": self.records[start:after], "@odata.nextLink": link})

    def header_link(self, handler: Handler) -> None:
        start = int(handler.query.get("from") or 0)
        after = start + self.size
        link = {"Link": f'<{self.url}header_link?from={after}>; rel="next"'} if after < len(self.records) else {}
        handler.answer(self.records[start:after], **link)

    def single_page(self, handler: Handler) -> None:
        handler.answer(self.records)
