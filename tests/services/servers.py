"""Fixtures: real S3 servers for tests, Ceph's object gateway and moto's, and empty buckets on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import s3fs
from botocore.config import Config

from tests.services.ports import free_port
from tests.services.proxy import FaultyProxy, faulty
from tests.services.shared import run_folder, shared

SCRIPT = Path(__file__).with_name("rgw.sh")
CEPH = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin")


@dataclass(frozen=True)
class S3Server:
    """A running server and the keys it knows."""

    name: str
    endpoint: str
    region: str
    key: str = "testing"
    secret: str = "testing123"
    folder: Path | None = None

    def env(self) -> dict[str, str]:
        """The standard AWS variables for this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def restart_gateway(self) -> None:
        """Kill Ceph's gateway and start it again; objects, topics and queues of notifications stay."""
        subprocess.run([SCRIPT, "restart-gateway", self.folder], check=True, timeout=600)

    def client(self) -> Any:
        """A boto3 client of its own, so that tests do not check the code with itself."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=self.region,
            config=Config(max_pool_connections=32, retries={"max_attempts": 2}),
        )


def unavailable(reason: str) -> None:
    """Absence is a failure in CI, a skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; CI must have it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if missing := [name for name in CEPH if shutil.which(name) is None]:
        unavailable(f"Ceph's object gateway is not installed (no {missing[0]}; Debian: radosgw ceph-mon ceph-osd)")

    def start() -> dict[str, Any]:
        # Ceph's sockets need a short path.
        known = {"folder": f"/tmp/rgw-{uuid.uuid4().hex[:8]}", "port": free_port()}
        try:
            subprocess.run(
                [SCRIPT, "start", known["folder"], str(known["port"]), str(free_port())], check=True, timeout=600
            )
        except BaseException:
            stop(known)
            raise
        return known

    def stop(known: dict[str, Any]) -> None:
        subprocess.run([SCRIPT, "stop", known["folder"]], check=False, timeout=300)
        shutil.rmtree(known["folder"], ignore_errors=True)

    with shared(run_folder(tmp_path_factory), "ceph", start, stop) as known:
        yield S3Server("ceph", f"http://127.0.0.1:{known['port']}", "default", folder=Path(known["folder"]))


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    try:
        from moto.server import ThreadedMotoServer
    except ImportError:
        unavailable("moto[server] is not installed")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield S3Server("moto", f"http://127.0.0.1:{port}", "us-east-1")
    server.stop()


@contextmanager
def at(server: S3Server) -> Iterator[S3Server]:
    """The server's variables in the environment, no others, and no client left of before or for after."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in server.env().items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield server
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def through(server: S3Server, faults: Mapping[str, float], seed: int = 0) -> Iterator[FaultyProxy]:
    """Inside of :func:`at`: the same server behind a proxy that plants faults."""
    with faulty(server.endpoint, faults, seed) as proxy, at(replace(server, endpoint=proxy.endpoint)):
        yield proxy


def new_bucket(server: S3Server, files: Mapping[str, bytes] | None = None) -> str:
    """Name of a new bucket that holds some files."""
    name = f"b{uuid.uuid4().hex[:12]}"
    client = server.client()
    client.create_bucket(Bucket=name)
    for key, data in (files or {}).items():
        client.put_object(Bucket=name, Key=key, Body=data)
    return name


@pytest.fixture(params=["moto", "ceph"])
def s3_server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """Each server in turn, in the environment."""
    with at(request.getfixturevalue(request.param)) as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """Name of a new, empty bucket."""
    return new_bucket(s3_server)
