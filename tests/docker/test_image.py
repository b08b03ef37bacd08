"""The images, built for real, and used as an operator uses them: another user, a root that cannot be written, no rights."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

import pytest
import yaml

from scd_core.scenes import write_scenes
from tests.services.containers import build, engine, running, start
from tests.services.ports import free_port
from tests.services.wait import until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
OTHER = ("--user", "12345:12345")
"""A user that the image has no name for; HOME is not theirs to write."""

MODEL = "/opt/trapaudit/example-model"
HEALTH = ("python", "-m", "deployments.health")
KEPT = ("PREFECT_HOME", "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE")
"""Where the server of `docker/compose.yaml` keeps who holds a slot."""


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    build()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A few scenes at `in/images`, and an `out` that user 12345 may write."""
    write_scenes(str(tmp_path / "in"), n_events=4, seed=4127)
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    return tmp_path


def mounts(site: Path) -> tuple[str, ...]:
    return ("--volume", f"{site}/in/images:/data/in:ro", "--volume", f"{site}/out:/data/out")


def compose_environment(service: str) -> dict[str, str]:
    return yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"][service]["environment"]


def name(part: str) -> str:
    return f"trapaudit-{part}-{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("image", ["server", "worker"])
def test_an_image_is_for_a_user_without_rights_and_is_watched(image: str) -> None:
    (known,) = json.loads(engine("image", "inspect", f"localhost/trapaudit:{image}").stdout)
    assert known["Config"]["User"] == "10001:10001"
    assert known["Healthcheck"]["Test"][:4] == ["CMD", *HEALTH]
    done = start(image, "sh", "-c", "id -u; touch /opt/trapaudit/x /home/trapaudit/x 2>&1; echo; trapaudit --help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("10001\n")
    assert done.stdout.count("Read-only file system") == 2
    assert "nightly" in done.stdout


def test_sizes() -> None:
    """What docs/deploying.md says of them; the base made here is about 60 MB larger than the official one."""
    for image, limit in (("server", 1.1e9), ("worker", 8e9)):
        (known,) = json.loads(engine("image", "inspect", f"localhost/trapaudit:{image}").stdout)
        assert known["Size"] < limit, f"{image}: {known['Size'] / 1e6:.0f} MB"


def test_the_server_image_says_what_it_has_no_part_for() -> None:
    done = start("server", "trapaudit", "doctor", options=OTHER)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "trapaudit: torch is not installed here: run this where a worker runs, or install trapaudit anew"
    ]


def test_an_audit_and_doctor_by_any_user(site: Path) -> None:
    given = (*OTHER, *mounts(site))
    done = start("worker", "trapaudit", "run", "/data/in", "--model", MODEL, "--out", "/data/out", options=given)
    assert done.returncode == 0, done.stderr
    rows = start("server", "trapaudit", "sql", "/data/out", "select count(*) n from predictions", options=given)
    assert rows.returncode == 0, rows.stderr
    assert "predictions" in {path.name for path in (site / "out").iterdir()}
    done = start(
        "worker", "trapaudit", "doctor", "--source", "/data/in", "--model", MODEL, "--out", "/data/out", options=given
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert "create" in done.stdout + done.stderr
    report = start("worker", "trapaudit", "report", "/data/out", options=given)
    assert report.returncode == 0, report.stderr


def test_a_night_by_a_server_and_a_worker(site: Path) -> None:
    """As compose starts them, on SQLite: registered, begun by hand, committed, reported."""
    for path in (site / "in").rglob("*"):
        os.utime(path, (time.time() - 86_400,) * 2)  # what was written just now waits until its upload is complete
    port = free_port()
    server, writable = f"http://127.0.0.1:{port}/api", (*OTHER, "--tmpfs", "/tmp")
    client = (*writable, "--env", f"PREFECT_API_URL={server}")
    audit = [
        f"TRAPAUDIT_{key}={value}" for key, value in (("SOURCE", "/data/in"), ("MODEL", MODEL), ("OUT", "/data/out"))
    ]
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    kept = tuple(f"--env={name}={text}" for name, text in compose_environment("prefect").items() if name in KEPT)
    volume = name("kept")
    kept += ("--volume", f"{volume}:/var/lib/trapaudit")
    with running(name("prefect"), "server", *command, options=(*writable, *kept)) as prefect:
        said = lambda: engine("logs", prefect).stderr[-2000:]  # noqa: E731
        until(lambda: engine("exec", prefect, *HEALTH, f"{server}/ready").returncode == 0, 300, said, pause=1)
        done = start("worker", "trapaudit", "deploy", options=(*client, *(f"--env={one}" for one in audit)))
        assert done.returncode == 0, done.stderr
        with running(name("worker"), "worker", options=(*client, *mounts(site))) as worker:
            begun = engine("exec", worker, "prefect", "deployment", "run", "nightly-audit/nightly-audit")
            assert begun.returncode == 0, begun.stderr
            said = lambda: engine("logs", worker).stderr[-2000:]  # noqa: E731
            until(lambda: list((site / "out/commits").glob("*.json")), 1200, said, pause=5)
            until(lambda: (site / "out/report/index.html").exists(), 600, said, pause=5)
        slots = engine("exec", prefect, "ls", "/var/lib/trapaudit/concurrency_leases")
        assert slots.returncode == 0, "who holds a slot stands on the volume, which another user may write"
    engine("volume", "rm", volume)
    rows = start(
        "server", "trapaudit", "sql", "/data/out", "select count(*) n from media", options=(*OTHER, *mounts(site))
    )
    assert "12" in rows.stdout, rows.stdout + rows.stderr


def test_the_relay_runs_and_its_health_check_passes() -> None:
    port = free_port()
    options = (
        *OTHER, "--env", "TRAPAUDIT_RELAY_SECRET=" + "7d" * 16, "--env", f"TRAPAUDIT_RELAY_PORT={port}",
        "--env", "TRAPAUDIT_SOURCE=s3://cards", "--env", "TRAPAUDIT_OUT=s3://audit", "--env", f"TRAPAUDIT_MODEL={MODEL}",
        "--env", f"PREFECT_API_URL=http://127.0.0.1:{free_port()}/api",
    )  # fmt: skip
    with running(name("relay"), "server", options=options) as relay:
        until(
            lambda: engine("exec", relay, *HEALTH, f"http://127.0.0.1:{port}/health").returncode == 0,
            300,
            lambda: engine("logs", relay).stderr,
            pause=1,
        )
        assert engine("exec", relay, *HEALTH, f"http://127.0.0.1:{port}/nothing").returncode == 1
        assert engine("stop", "--time", "60", relay).returncode == 0
