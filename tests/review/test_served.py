"""`trapaudit review` as a process: its address, its end by Ctrl-C, and what is left when it is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.review.audit import label_rows, make_audit
from tests.services.wait import until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_audit(tmp_path_factory.mktemp("served"))


class Served:
    """A review in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        parts = urlsplit(address)
        self.root, self.token = f"{parts.scheme}://{parts.netloc}", parts.query.removeprefix("token=")

    def ask(self, path: str, content: object = None):
        """The JSON of an answer."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.root + path, body, {"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)


@contextmanager
def served(out: str, *options: str) -> Iterator[Served]:
    """Start the command, and end it at last."""
    code = "import sys; sys.argv[0] = 'trapaudit'; from deployments.cli.entry import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "review", out, "--no-browser", "--as", "ana", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, process.stderr.read() if process.stderr else ""
        yield Served(process, address)
    finally:
        process.kill()
        process.communicate()


def test_the_address_is_the_first_line_and_ctrl_c_ends_it_well(out: str) -> None:
    with served(out) as review:
        assert review.root.startswith("http://127.0.0.1:") and len(review.token) >= 24
        assert review.ask("/api/next?n=1")
        review.process.send_signal(signal.SIGINT)
        output, errors = review.process.communicate(timeout=60)
        assert review.process.returncode == 0 and output == "" and "Traceback" not in errors


def test_two_reviews_have_other_tokens(out: str) -> None:
    with served(out) as one, served(out) as other:
        assert one.token != other.token
        one.token = other.token
        with pytest.raises(urllib.error.HTTPError, match="401"):
            one.ask("/api/queues")


def target_of(row: dict[str, Any]) -> str:
    """What a label names: a box of a picture, or the picture."""
    return f"{row['media_id']}:{row['detection_id']}" if row["detection_id"] else row["media_id"]


def test_nothing_is_lost_when_the_server_is_killed_between_two_answers(out: str) -> None:
    """Whatever was answered with 200 is in the table, whole; what was not may be sent again and is there once."""
    confirmed: dict[str, str] = {}
    sent: list[str] = []
    for _ in range(3):
        with served(out) as review:
            items = review.ask("/api/next?queue=next&n=40")

            def answer(review: Served = review, items: list = items) -> None:
                for one in items:
                    content = [{"target_id": one["target_id"], "individual_id": one["predicted_id"], "queue": "next"}]
                    sent.append(one["target_id"])
                    try:
                        confirmed[one["target_id"]] = review.ask("/api/labels", content)["import_id"]
                    except (OSError, ValueError):
                        return

            thread = threading.Thread(target=answer)
            n = len(confirmed)
            thread.start()
            until(lambda n=n: len(confirmed) >= n + 5, 120, "five answers are written")
            review.process.kill()
            thread.join(120)
            assert len(confirmed) < n + len(items), "the server was killed on the way"
        rows = {target_of(row): row["import_id"] for row in label_rows(out)}
        assert confirmed.items() <= rows.items() and rows.keys() <= set(sent)
    with served(out) as review:
        left = {one["target_id"] for one in review.ask("/api/next?queue=next&n=100")}
        assert not left & confirmed.keys()
        last = next(one for one in reversed(sent))
        content = [{"target_id": last, "individual_id": "Luna", "queue": "next"}]
        review.ask("/api/labels", content)
        assert review.ask("/api/labels", content)["written"] == 0


def test_a_port_that_is_taken_and_a_bind_without_passwords_are_one_line(out: str, trapaudit, tmp_path: Path) -> None:
    with served(out) as review:
        port = review.root.rpartition(":")[2]
        taken = trapaudit("review", out, "--no-browser", "--port", port)
        assert taken.code == 2 and "--port" in taken.err and taken.err.count("\n") == 1
    bare = trapaudit("review", out, "--no-browser", "--bind", "0.0.0.0")
    assert bare.code == 2 and "--password-file" in bare.err and bare.err.count("\n") == 1
    empty = tmp_path / "passwords"
    empty.write_text("")
    assert trapaudit("review", out, "--bind", "0.0.0.0", "--password-file", empty).code == 2
    assert trapaudit("review", tmp_path / "nothing", "--no-browser").code == 2
    assert trapaudit("review", out, "--no-browser", "--as", "a\nb").code == 2
