"""Requests that nobody should send: no failure of the server, nothing from outside OUT and SOURCE, no answer lost."""

from __future__ import annotations

import base64
import json
import random
import string
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from deployments.review.auth import HEADERS, read_passwords
from scd_core.errors import InputError
from tests.review.audit import TOKEN, client, label_rows, make_audit

SECRET = "what-lies-outside"
HOST = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("requests")
    make_audit(folder)
    (folder / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture(scope="module")
def out(folder: Path) -> str:
    return str(folder / "out")


class Requests:
    """Requests at random: addresses, parameters, headers and bodies, half of them nearly right."""

    PATHS = (
        "/api/queues", "/api/next", "/api/event", "/api/names", "/api/references", "/api/labels", "/api/undo", "/api/changes",
        "/api/agreement", "/", "/picture/", "/evidence/", "/static/", "/page/home", "/page/screen", "/page/near", "/api/",
        "/report",
    )  # fmt: skip
    NAMES = (
        "queue",
        "n",
        "target_id",
        "individual_id",
        "flank",
        "token",
        "size",
        "kind",
        "batch",
        "target",
        "name",
        "against",
    )

    def __init__(self, seed: int, folder: Path, targets: list[str]) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.targets = targets

    def text(self) -> str:
        """Something that is nearly a value, or leads outside, or is noise."""
        draw = self.random
        kinds = [
            lambda: draw.choice(self.targets),
            lambda: draw.choice(
                ["next", "second", "pairs", "slice:", "slice:../x", "candidates", "Luna", "Nyx", "left", "thumb"]
            ),
            lambda: "../" * draw.randrange(1, 9) + draw.choice(["secret.txt", "etc/passwd", "out/trapaudit.json"]),
            lambda: str(self.folder / draw.choice(["secret.txt", "out/trapaudit.json"])),
            lambda: f"file://{self.folder}/secret.txt",
            lambda: draw.choice(
                ["%2e%2e%2fsecret.txt", "..%00", "'; DROP TABLE labels; --", "$target", "<script>alert(1)</script>"]
            ),
            lambda: "".join(draw.choices(string.printable + "é\u202e\ud7ff\U0001f43e", k=draw.randrange(0, 40))),
            lambda: str(draw.choice([0, 1, -1, 5, 10**9, 10**30, "1e3", "١", "NaN"])),
            lambda: "x" * draw.choice([300, 5000]),
        ]
        return draw.choice(kinds)()

    def value(self, depth: int = 0):
        """A JSON value."""
        draw = self.random
        kinds = [lambda: self.text(), lambda: draw.choice([None, True, False, 0, -1, 2.5, 1e308, 10**40, float("inf")])]
        if depth < 3:
            kinds.append(lambda: [self.value(depth + 1) for _ in range(draw.randrange(4))])
            kinds.append(lambda: {self.text(): self.value(depth + 1) for _ in range(draw.randrange(4))})
        return draw.choice(kinds)()

    def answer(self) -> dict:
        """An answer of which some fields may be wrong."""
        draw = self.random
        found = {
            "target_id": draw.choice(self.targets),
            "individual_id": draw.choice(["Luna", "Nyx", "Odin"]),
            "seconds": 1.5,
        }
        if draw.random() < 0.3:
            found.pop("individual_id")
            found["state"] = draw.choice(["blank", "unknown", "unclear", self.text()])
        for _ in range(draw.choice([0, 0, 0, 1, 2])):
            name = draw.choice(
                ["target_id", "individual_id", "state", "seconds", "flank", "box", "queue", "shown", "replaces", "x"]
            )
            found[name] = self.value()
        return found

    def body(self) -> bytes:
        """A request's body."""
        draw = self.random
        if draw.random() < 0.6:
            return json.dumps([self.answer() for _ in range(draw.choice([1, 1, 1, 2, 3]))]).encode()
        kinds = [
            lambda: json.dumps(self.value()).encode(),
            lambda: json.dumps({"import_id": self.value()}).encode(),
            lambda: draw.randbytes(draw.randrange(200)),
            lambda: b"[" * 20_000,
            lambda: b'[{"target_id": "\\ud800", "individual_id": "\\ud800"}]',
            lambda: b"",
        ]
        return draw.choice(kinds)()

    def send(self, caller: TestClient):
        """Send one request and give its answer."""
        draw = self.random
        path = draw.choice(self.PATHS)
        if draw.random() < 0.3:
            path += quote(self.text(), safe=draw.choice(["", "/."]))
        params = {draw.choice(self.NAMES): self.text() for _ in range(draw.randrange(4))}
        method = draw.choice(["GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
        headers = {}
        if draw.random() < 0.2:
            name = draw.choice(["Host", "Origin", "Authorization", "Content-Type", "Cookie", "Range", "Sec-Fetch-Site"])
            headers[name] = quote(self.text(), safe=":/ ")
        content = self.body() if method in ("POST", "PUT") else None
        if method == "POST" and draw.random() < 0.5:
            path = draw.choice(["/api/labels", "/api/labels", "/api/undo"])
        return caller.request(method, path, params=params, content=content, headers=headers, follow_redirects=False)


@pytest.mark.parametrize(("seed", "n"), [(1, 1500), pytest.param(2, 10_000, marks=pytest.mark.slow)])
def test_random_requests_never_fail_the_server_lead_nowhere_and_lose_nothing(seed, n, folder, out):
    ana = client(out)
    targets = [one["target_id"] for one in ana.get("/api/next", params={"n": 60}).json()] + [
        "id-boxes/0.jpg:0",
        "id-none",
    ]
    sent, before = Requests(seed, folder, targets), len(label_rows(out))
    files = {path for path in folder.rglob("*") if "review" not in path.parts}
    statuses: dict[int, int] = {}
    written = 0
    for _ in range(n):
        answer = sent.send(ana)
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code < 500, (answer.status_code, answer.request.url, answer.text)
        assert SECRET not in answer.text and "root:" not in answer.text
        assert answer.headers["Content-Security-Policy"]
        if answer.status_code >= 400 and answer.request.method != "HEAD":
            detail = answer.json()["detail"]
            assert detail and "\n" not in detail and len(detail) < 500
        if answer.status_code == 200 and answer.request.url.path == "/api/labels":
            written += answer.json()["written"]
    assert {200, 400, 403, 404, 405} <= statuses.keys() and statuses[200] > n / 10, statuses
    assert written and len(label_rows(out)) == before + written
    new = {path for path in folder.rglob("*") if path.is_file()} - files
    assert {path.relative_to(out).parts[0] for path in new} <= {"labels", "review"}
    assert ana.get("/api/queues").status_code == 200


def test_a_refusal_that_quotes_a_long_request_stays_a_line(out):
    answer = client(out).post("/api/undo", json={"import_id": "x" * 100_000})
    assert answer.status_code == 400 and len(answer.json()["detail"]) == 400


def bare(out: str, **more) -> TestClient:
    """Somebody without a token."""
    caller = client(out, **more)
    del caller.headers["Authorization"]
    return caller


def test_without_the_token_there_is_nothing(out):
    nobody = bare(out)
    for path in ("/", "/api/queues", "/picture/x", "/static/review.js", "/nothing"):
        assert nobody.get(path).status_code == 401
        for token in ("", "x", TOKEN[:-1], TOKEN + "x"):
            assert nobody.get(path, params={"token": token}).status_code == 401
    assert nobody.post("/api/labels", json=[]).status_code == 401
    assert nobody.get("/api/queues", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_of_the_address_is_kept_in_a_cookie_that_no_script_reads(out):
    nobody = bare(out)
    answer = nobody.get("/api/queues", params={"token": TOKEN})
    assert answer.status_code == 200
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert nobody.get("/api/queues").status_code == 200  # the client keeps cookies as a browser does


def test_every_answer_has_the_policy_of_contents(out):
    ana = client(out)
    for answer in (
        ana.get("/api/queues"),
        ana.get("/nothing"),
        bare(out).get("/"),
        ana.get("/", headers={"Host": "evil.org"}),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert (
            policy == HEADERS["Content-Security-Policy"]
            and "unsafe" not in policy
            and policy.startswith("default-src 'none'")
        )
        assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["evil.org", "evil.org:8000", "127.0.0.1.evil.org", "", "192.168.1.7:8000"])
def test_a_foreign_host_is_refused_since_its_name_may_lead_here(out, host):
    assert client(out).get("/api/queues", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://evil.org", "null", "http://127.0.0.1:9999", "http://localhost:8000", "file://"]
)
def test_answers_that_another_page_sends_are_refused(out, origin):
    ana, content = client(out), [{"target_id": "id-boxes/1.jpg:0", "individual_id": "Luna"}]
    assert ana.post("/api/labels", json=content, headers={"Origin": origin}).status_code == 403
    assert ana.post("/api/labels", json=content, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert ana.post("/api/labels", json=content, headers={"Origin": HOST}).status_code == 200


def basic(name: str, password: str) -> dict[str, str]:
    """What a browser sends for a name and a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_people_at_other_machines_come_in_by_name_and_password(out):
    passwords = read_passwords("ben: open sesame\ncora:another one", "file")
    nobody = bare(out, passwords=passwords, is_loopback=False)
    lan = {"Host": "192.168.1.7:8000"}
    refused = nobody.get("/api/queues", headers=lan)
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"].startswith("Basic")
    for name, password in (("ben", "another one"), ("dan", "open sesame"), ("", ""), ("ben", "")):
        assert nobody.get("/api/queues", headers=lan | basic(name, password)).status_code == 401
    content = [{"target_id": "id-boxes/1.jpg:1", "individual_id": "Tara"}]
    assert nobody.post("/api/labels", json=content, headers=lan | basic("cora", "another one")).status_code == 200
    assert label_rows(out)[-1]["labelled_by"] == "cora"
    assert nobody.get("/api/queues", headers={"Host": "evil.org"} | basic("ben", " open sesame")).status_code == 403


@pytest.mark.parametrize("text", ["", "\n\n", "short", "ana:short", "ana:long enough\njust a line of text"])
def test_a_file_of_passwords_that_protects_nothing_is_refused(text):
    with pytest.raises(InputError, match="the file"):
        read_passwords(text, "the file")
