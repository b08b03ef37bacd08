"""A proxy between an S3 client and its server that delays, resets, truncates, alters and refuses, by seed."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

__all__ = ["FAULTS", "FaultyProxy", "faulty"]

FAULTS = {
    "delay": 0.05,
    "reset": 0.04,  # before the request reaches the server
    "reset_after": 0.04,  # the server has done it, its answer is lost
    "truncate": 0.05,
    "500": 0.04,
    "503": 0.04,
    "403": 0.01,
    "429": 0.02,  # with Retry-After
    "short": 0.02,  # a body that is whole by its own length, and lacks its second half
    "flip": 0.04,  # one byte of an object is another
    "page": 0.03,  # 200 and a page of a gateway; the server hears nothing
    "drip": 0.02,
}
"""Fault -> share of requests that meet it."""

_ERROR = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>planted</Message><RequestId>0</RequestId></Error>"
_CODES = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied", "429": "TooManyRequests"}
_PAGE = b"<!DOCTYPE html><html><body>Please sign in to this network.</body></html>"
_HOP = {"connection", "expect", "transfer-encoding", "keep-alive"}


class FaultyProxy(ThreadingHTTPServer):
    """Forwards every request to one server, except where the dice say otherwise."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, target: str, faults: Mapping[str, float], seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.planted: Counter[str] = Counter()
        self.drip_seconds = 0.05
        """Pause after each tenth of a body that drips (s)."""
        self._faults = dict(faults)
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def draw(self) -> str | None:
        with self._lock:
            point = self._dice.random()
            for fault, share in self._faults.items():
                point -= share
                if point < 0:
                    self.planted[fault] += 1
                    return fault
        return None

    def place(self, length: int) -> int:
        with self._lock:
            return self._dice.randrange(length)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def handle_one_request(self) -> None:
        # Any method; http.server asks for one do_... per method.
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        fault = self.server.draw()
        body = self._body()
        if fault == "delay":
            time.sleep(0.3)
        if fault == "reset":
            return self._reset()
        if fault in _CODES:
            return self._refuse(int(fault), _CODES[fault])
        if fault == "page":
            return self._answer(200, [("Content-Type", "text/html")], _PAGE)
        status, headers, answer = self._forward(body)
        if fault == "reset_after":
            return self._reset()
        is_object = self.command == "GET" and status == 200 and "xml" not in str(dict(headers).get("Content-Type"))
        if fault == "flip" and is_object and answer:
            at = self.server.place(len(answer))
            answer = answer[:at] + bytes([answer[at] ^ 0x10]) + answer[at + 1 :]
        if fault == "short" and self.command == "GET" and status == 200:
            answer = answer[: len(answer) // 2]
        self._answer(status, headers, answer, cut=fault == "truncate", drips=fault == "drip")

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        link = http.client.HTTPConnection(self.server.target, timeout=300)
        try:
            link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP | {"content-length"}:
                    link.putheader(name, value)
            link.putheader("Content-Length", str(len(body)))
            link.endheaders(body)
            found = link.getresponse()
            return found.status, found.getheaders(), found.read()
        finally:
            link.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, cut: bool = False, drips: bool = False
    ) -> None:
        self.send_response_only(status)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        for name, value in headers:
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", lengths[0] if self.command == "HEAD" and lengths else str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut and len(body) > 1:
            self.wfile.write(body[: len(body) // 2])
            return self._reset()
        piece = max(1, len(body) // 10) if drips else max(1, len(body))
        for start in range(0, len(body), piece):
            self.wfile.write(body[start : start + piece])
            time.sleep(self.server.drip_seconds if drips else 0)

    def _refuse(self, status: int, code: str) -> None:
        body = b"" if self.command == "HEAD" else _ERROR.format(code=code).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def faulty(target: str, faults: Mapping[str, float], seed: int) -> Iterator[FaultyProxy]:
    """A running proxy in front of a server."""
    proxy = FaultyProxy(target, faults, seed)
    thread = threading.Thread(
        target=proxy.serve_forever, args=(0.02,), daemon=True
    )  # or `shutdown` waits half a second
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
