"""The relay behind real sockets: slow and silent connections are closed, and notifications get through beside them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments.conftest import SECRET, body
from tests.services.ports import free_port
from tests.services.wait import until

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def started(home: Path, seconds: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A relay that waits so long for headers and for bodies, and its port; its server is away."""
    port = free_port()
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "TRAPAUDIT_RELAY_SECRET": SECRET,
        "TRAPAUDIT_RELAY_SOURCES": "s3://cards",
        "TRAPAUDIT_RELAY_PORT": str(port),
        "TRAPAUDIT_RELAY_HEADER_SECONDS": str(seconds),
        "TRAPAUDIT_RELAY_BODY_SECONDS": str(seconds),
        "TRAPAUDIT_RELAY_TIDY_SECONDS": "0",
    }
    process = subprocess.Popen([sys.executable, "-m", "deployments.relay"], env=environment, cwd=ROOT)
    try:
        until(lambda: answers(port), 240, "the relay listens", pause=0.5)
        yield port, process
    finally:
        process.terminate()
        process.wait(120)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with started(tmp_path_factory.mktemp("prefect"), 3) as (port, _):
        yield port


def answers(port: int) -> bool:
    try:
        return get(port, "/health")[0] == 200
    except OSError:
        return False


def get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120) as answer:
        return answer.status, answer.read().decode()


def post(port: int, path: str, headers: dict[str, str] | None = None) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body("a/b.jpg"), headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has closed it; what it answered before is read and forgotten."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


HEAD = b"POST /notifications HTTP/1.1\r\nHost: relay\r\nContent-Length: 100000\r\n"
SLOW = {
    "silent": b"",
    "headers that never end": b"POST /notifications HTTP/1.1\r\nHost: relay\r\nX-A: b\r\n",
    "a body without the secret": HEAD + b"\r\n{",
    "a body with the secret": HEAD + f"X-Trapaudit-Secret: {SECRET}\r\n\r\n".encode() + b"{",
}


def test_three_hundred_slow_connections_are_closed_and_a_notification_gets_through_meanwhile(relay: int) -> None:
    slow = []
    for number in range(300):
        connection = socket.create_connection(("127.0.0.1", relay), timeout=60)
        connection.sendall(list(SLOW.values())[number % len(SLOW)])
        slow.append(connection)
    assert post(relay, "/notifications", {"x-trapaudit-secret": SECRET}) == 202
    until(lambda: all(is_closed(connection) for connection in slow), 300, "all slow connections are closed", pause=0.5)
    assert post(relay, "/notifications", {"x-trapaudit-secret": SECRET}) == 202
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("kind", ["headers that never end", "a body without the secret", "a body with the secret"])
def test_one_that_drips_is_closed_as_well(relay: int, kind: str) -> None:
    """Bytes that keep coming do not put the end off."""
    connection = socket.create_connection(("127.0.0.1", relay), timeout=60)
    connection.sendall(SLOW[kind])

    def drip() -> bool:
        if is_closed(connection):
            return True
        connection.setblocking(True)
        try:
            connection.sendall(b"X")
        except OSError:
            return True
        return False

    until(drip, 120, "it is closed", pause=0.3)
    connection.close()


def full_of_answers(port: int) -> socket.socket:
    """A connection that asks until no more answers fit into it, or it is closed, and takes none."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", port))
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n" * 50)
    return connection


def test_one_that_takes_no_answers_is_closed(relay: int) -> None:
    """Else a thousand of them would be all connections that the relay has."""
    connection = full_of_answers(relay)
    until(lambda: is_gone(connection), 120, "it is closed", pause=0.5)
    connection.close()


def is_gone(connection: socket.socket) -> bool:
    """Whether the other side has closed it, without taking its answers."""
    connection.settimeout(0.1)
    try:
        connection.sendall(b"G" * 65_536)
    except TimeoutError:
        return False
    except OSError:
        return True
    return False


def test_a_relay_ends_though_somebody_takes_no_answers(tmp_path: Path) -> None:
    """Else it is killed, and what waits in it is lost."""
    with started(tmp_path, 3600) as (port, process):
        connection = full_of_answers(port)
        process.terminate()
        process.wait(60)
        connection.close()


def test_the_secret_is_not_taken_from_the_query(relay: int) -> None:
    assert post(relay, f"/notifications?secret={SECRET}") == 401
    assert post(relay, f"/notifications/no?secret={SECRET}") == 401
    assert post(relay, f"/notifications/{SECRET}") == 202, "Ceph sends no headers"


def test_several_requests_of_one_connection_are_answered(relay: int) -> None:
    """Over a longer time than the limit of one request's headers."""
    connection = http.client.HTTPConnection("127.0.0.1", relay, timeout=60)
    for _ in range(3):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
        kept = connection.sock
        time.sleep(1.5)
    assert connection.sock is kept and not is_closed(kept)
    connection.close()


def test_the_sample_board_asks_for_what_the_relay_has(relay: int) -> None:
    board = json.loads((ROOT / "deployments" / "grafana.json").read_text())
    asked = set(re.findall(r"trapaudit_\w+", json.dumps([panel["targets"] for panel in board["panels"]])))
    lines = get(relay, "/metrics")[1].splitlines()
    given = {line.split()[0] for line in lines if not line.startswith("#")}
    of_stages = {line.split()[2] for line in lines if line.startswith("# TYPE trapaudit_run_stage")}
    assert asked and asked <= given | of_stages, "a count that is zero is there as well"
    assert of_stages and not of_stages & given, "no run is known where the server is away"
    until(lambda: "trapaudit_run_read_failures_total 0" not in get(relay, "/metrics")[1], 120, "a failure is counted")


def test_prometheus_reads_the_counts_and_no_names(relay: int) -> None:
    assert post(relay, "/notifications", {"x-trapaudit-secret": SECRET}) == 202
    status, text = get(relay, "/metrics")
    assert status == 200 and "cards" not in text
    values = dict(line.split() for line in text.splitlines() if not line.startswith("#"))
    assert float(values["trapaudit_relay_notifications_total"]) >= 1
    assert "trapaudit_relay_waiting" in values
