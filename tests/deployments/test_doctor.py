"""What `trapaudit doctor` finds, and what it says to mend."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import typer
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from typer.testing import CliRunner

from deployments.cli.operations import register_commands
from deployments.doctor import _slots_are_in_memory, check_server, diagnose
from scd_core import __version__
from scd_core.doctor import check_device, check_disk, check_model, check_out, check_software, check_source
from scd_core.scenes import packaged_model
from scd_core.storage import Storage
from scd_core.tables.schema import SCHEMA_VERSION
from scd_core.tables.store import AuditStore
from tests.services.ports import free_port
from tests.services.servers import S3Server, at, new_bucket


@pytest.fixture
def card(tmp_path: Path) -> Path:
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "notes.txt").write_text("x")
    (folder / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0not much")
    return folder


def test_a_source_that_can_be_read(card: Path) -> None:
    assert check_source(str(card)).ok


def test_the_files_of_an_out_below_source_are_no_media(card: Path) -> None:
    out = card / "audit"
    out.mkdir()
    (card / "a.jpg").rename(out / "page.png")
    assert check_source(str(card)).ok
    check = check_source(str(card), str(out))
    assert not check.ok
    assert "holds no images" in check.found


def test_a_source_that_holds_nothing_or_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, words in (("empty", "holds no images"), ("nowhere", "does not exist")):
        check = check_source(str(tmp_path / name))
        assert not check.ok
        assert words in check.found
        assert check.mend


def test_a_source_whose_objects_may_not_be_read(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Storage, path: str, length: int) -> bytes:
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(Storage, "read_head", refuse)
    check = check_source(str(card))
    assert not check.ok
    assert "PermissionError AccessDenied" in check.found
    assert "may read" in check.mend


def test_an_out_that_will_do_is_left_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "audit"
    out.mkdir()
    assert check_out(str(out)).ok
    assert [path for path in out.rglob("*") if path.is_file()] == []
    assert not (out / "doctor").exists()


def test_what_to_do_about_a_disk_is_nothing_about_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for check in (check_source(str(tmp_path / "nowhere")), check_out(str(tmp_path / "file"))):
        assert not check.ok and "name a folder" in check.mend and "credentials" not in check.mend


def test_an_out_of_a_newer_version(tmp_path: Path) -> None:
    commit = {"schema_version": SCHEMA_VERSION + 1, "model_digest": "m", "config_digest": "c"}
    AuditStore(str(tmp_path)).commit("b1", commit | {"batch_date": "2026-03-01", "files": {}})
    check = check_out(str(tmp_path))
    assert not check.ok and "upgrade it" in check.found and "another OUT" in check.mend


def test_an_out_on_s3(moto: S3Server) -> None:
    with at(moto):
        bucket = new_bucket(moto)
        check = check_out(f"s3://{bucket}/audit")
        assert check.ok, check.found
        assert moto.client().list_objects_v2(Bucket=bucket).get("KeyCount") == 0
        missing = check_out("s3://doctor-none/audit")
    assert not missing.ok
    assert "s3:PutObject" in missing.mend


def test_an_out_whose_server_ignores_create_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Storage, path: str, data: bytes) -> bool:
        self.put(path, data)
        return True

    monkeypatch.setattr(Storage, "create", replace)
    check = check_out(str(tmp_path))
    assert not check.ok
    assert "If-None-Match" in check.mend
    assert not list(tmp_path.rglob("*.json"))


def test_an_out_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    check = check_out(str(tmp_path / "file"))
    assert not check.ok
    assert check.found.startswith(str(tmp_path / "file")) or "file" in check.found


def test_a_model(tmp_path: Path) -> None:
    whole = check_model(str(packaged_model("shortcut")))
    assert whole.ok
    assert "scd_core/small_cnn" in whole.found
    (tmp_path / "model.json").write_text("{}")
    broken = check_model(str(tmp_path))
    assert not broken.ok
    assert "trapaudit model" in broken.mend


@pytest.mark.parametrize("device", ["cuda:99", "sofa"])
def test_a_device_that_is_not_there(device: str) -> None:
    check = check_device(device)
    assert not check.ok
    assert device in check.found
    assert check_device("cpu").ok


def test_a_full_disk(tmp_path: Path) -> None:
    assert check_disk(str(tmp_path), least=1).ok
    full = check_disk(f"file://{tmp_path}/not/yet", least=10**18)
    assert not full.ok
    assert f"{tmp_path}/not/yet" in full.found
    assert "TMPDIR" in full.mend


@pytest.mark.parametrize(
    ("package", "version", "mend"),
    [("fastapi", "0.156.0", "pip install 'fastapi>=0.150,<0.151'"), ("sqlalchemy", "2.1.9", "sqlalchemy>=2.0,<2.1")],
)
def test_versions_that_do_not_go_together(
    monkeypatch: pytest.MonkeyPatch, package: str, version: str, mend: str
) -> None:
    import importlib.metadata

    assert check_software().ok
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version if name == package else real(name))
    check = check_software()
    assert not check.ok
    assert f"{package} {version}" in check.found
    assert mend in check.mend


def test_a_server_that_is_away() -> None:
    url = f"http://127.0.0.1:{free_port()}/api"
    with temporary_settings(updates={PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
        check = check_server()
    assert not check.ok
    assert check.found.startswith(f"{url}: not reached")
    assert "PREFECT_API_URL" in check.mend


def test_a_config_that_cannot_be_read(tmp_path: Path) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        checks = {check.name: check for check in diagnose(None, None, None, str(tmp_path / "none.yaml"))}
    assert not checks["config"].ok
    assert checks["server"].ok


def test_the_command_says_what_is_wrong_and_how_to_mend_it(tmp_path: Path, card: Path) -> None:
    app = typer.Typer()
    register_commands(app)
    good = ["--source", str(card), "--model", str(packaged_model("shortcut")), "--out", str(tmp_path / "out")]
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert CliRunner().invoke(app, ["doctor", *good]).exit_code == 0
        bad = CliRunner().invoke(app, ["doctor", "--source", str(tmp_path / "nowhere")])
    assert bad.exit_code == 1
    assert "WRONG source" in bad.output
    assert "mend: " in bad.output


def test_deploy_without_a_server_is_refused_in_words(tmp_path: Path) -> None:
    from deployments.deploy import register
    from deployments.deploy_file import Deployment
    from scd_core.errors import InputError

    wanted = Deployment("s3://cards", "s3://models/m", "s3://audit")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        with pytest.raises(InputError, match="set PREFECT_API_URL"):
            register(wanted)
        other = tmp_path / "other.yaml"
        other.write_text("a: [")
        with pytest.raises(InputError, match=r"not the prefect\.yaml of trapaudit"):
            register(wanted, other)


def test_deploy_to_a_server_that_is_not_there_is_one_clear_line() -> None:
    from deployments.server import wait_for_server
    from scd_core.errors import RunError

    url = f"http://127.0.0.1:{free_port()}/api"
    with (
        temporary_settings(updates={PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(RunError, match=r"Prefect server http://.+: not reached \(.+\); start it") as caught,
    ):
        asyncio.run(wait_for_server(url, seconds=0))
    assert "\n" not in str(caught.value)


def test_deploy_waits_for_a_server_that_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    from deployments.server import wait_for_server

    class Starting(FakeClient):
        async def api_healthcheck(self) -> Any:
            self.runs -= 1
            return ConnectionError("refused") if self.runs else None

    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda: server)
    server = Starting(__version__, 1, (), 2)
    asyncio.run(wait_for_server("http://server/api"))
    assert server.runs == 0


def test_the_commands_start_without_torch_and_prefect() -> None:
    code = (
        "import sys, deployments.cli.operations; print([name for name in ('torch', 'prefect') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class FakeClient:
    """A server with one deployment, as the doctor asks for it."""

    def __init__(self, version: str, workers: int, limits: tuple[str, ...], runs: int, minutes_old: float = 60) -> None:
        self.version, self.workers, self.limits, self.runs = version, workers, limits, runs
        self.age = timedelta(minutes=minutes_old)

    async def __aenter__(self) -> FakeClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def api_healthcheck(self) -> None:
        return None

    async def read_deployments(self, **_: object) -> list[Any]:
        schedules = [SimpleNamespace(active=True)]
        return [
            SimpleNamespace(
                id=UUID(int=1), name="nightly-audit", version=self.version, work_pool_name="trapaudit-process",
                schedules=schedules, paused=False, updated=datetime.now(UTC) - self.age,
            )
        ]  # fmt: skip

    async def read_flow_runs(self, **_: object) -> list[int]:
        return [1] * self.runs

    async def read_workers_for_work_pool(self, *_: object, **__: object) -> list[int]:
        return [1] * self.workers

    async def read_global_concurrency_limit_by_name(self, name: str) -> None:
        from prefect.exceptions import ObjectNotFound

        if name not in self.limits:
            raise ObjectNotFound(Exception())


@pytest.mark.parametrize(
    ("server", "found", "mend"),
    [
        (FakeClient("0.0.1", 1, ("gpu-a",), 1), "nightly-audit not of version", "run `trapaudit deploy`"),
        (FakeClient(__version__, 1, ("gpu-a",), 0), "a schedule, but no run is planned", "sqlalchemy<2.1"),
        (
            FakeClient(__version__, 0, ("gpu-a",), 1),
            "no worker of pool trapaudit-process",
            "prefect worker start --pool",
        ),
        (FakeClient(__version__, 1, (), 1), "TRAPAUDIT_GPU_LIMIT=gpu-a: no such limit", "--gpu-limit gpu-a=1"),
        (FakeClient(__version__, 1, ("gpu-a",), 1), "1 deployments", ""),
        (FakeClient(__version__, 1, ("gpu-a",), 0, minutes_old=1), "1 deployments", ""),
    ],
    ids=["version", "scheduler", "worker", "limit", "well", "just deployed"],
)
def test_what_a_server_lacks(server: FakeClient, found: str, mend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAPAUDIT_GPU_LIMIT", "gpu-a")
    monkeypatch.setattr("prefect.client.orchestration.get_client", lambda: server)
    with temporary_settings(updates={PREFECT_API_URL: "http://server/api"}):
        check = check_server()
    assert found in check.found
    assert mend in check.mend
    assert check.ok is (mend == "")


@pytest.mark.parametrize(
    ("answer", "in_memory"),
    [
        ({"server": {"concurrency": {"lease_storage": "prefect.server.concurrency.lease_storage.memory"}}}, True),
        ({"server": {"concurrency": {"lease_storage": "prefect.server.concurrency.lease_storage.filesystem"}}}, False),
        ({}, False),
    ],
)
def test_a_server_that_keeps_slots_in_memory_is_known(answer: dict[str, Any], *, in_memory: bool) -> None:
    class Client:
        async def request(self, *_: str) -> Any:
            return SimpleNamespace(json=lambda: answer)

    client: Any = Client()
    assert asyncio.run(_slots_are_in_memory(client)) is in_memory
