"""Shards on a Ray cluster of two machines (two raylets here): the same tables, also when one of them dies."""

from __future__ import annotations

import contextvars
import importlib.util
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.prefect_runner import task_runner_for
from scd_core.audit import read_table
from scd_core.errors import InputError, RunError
from scd_core.scenes import packaged_model
from scd_core.storage import Storage
from tests.conftest import absent
from tests.services import hang
from tests.services.audits import Silent, given_names, request_of
from tests.services.ports import free_port
from tests.services.wait import until

CLEAN = str(packaged_model("clean"))
CONFIG: dict[str, Any] = {
    "media": {"shard_size": 4}, "masks": {"steps": 4}, "triage": {"control_rate": 0.3}, "classify": {"device": "cpu"},
}  # fmt: skip
KEYS = {
    "media": ["media_id"], "predictions": ["target_id"], "masks": ["target_id"],
    "reclassifications": ["target_id", "strategy"],
}  # fmt: skip
STORE = 100 * 2**20


@pytest.fixture(scope="module", autouse=True)
def _ray_is_there() -> None:
    for name in ("ray", "prefect_ray"):
        if importlib.util.find_spec(name) is None:
            absent(f"{name} of the extra trapaudit[ray] is not installed")


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hanging")


@pytest.fixture(scope="module")
def cluster(hanging: Path) -> Iterator[Any]:
    """A head and a second machine that says it has two GPUs; `cluster.second` is that one."""
    from ray.cluster_utils import Cluster

    for attempt in range(3):
        try:
            head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
            made = Cluster(initialize_head=True, head_node_args=head)
            break
        except Exception:  # on a busy machine Ray gives up after 30 s
            if attempt == 2:
                raise
    made.second = made.add_node(num_cpus=1, num_gpus=2, object_store_memory=STORE)
    made.wait_for_nodes()
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def joined(cluster: Any) -> Iterator[Any]:
    """This process as one driver of the cluster, so that worker processes outlive a flow run and a test."""
    import ray

    ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    yield cluster
    ray.shutdown()


@pytest.fixture(scope="module")
def by_threads(card: Path, prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    return audit(card, tmp_path_factory.mktemp("threads"), "threads")


def audit(card: Path, out: Path, runner: Any, **config: Any) -> dict[str, pd.DataFrame]:
    from flows.audit_batch import audit_batch

    name = runner if isinstance(runner, str) else "ray"
    request = request_of(
        card / "images",
        CLEAN,
        out,
        CONFIG | config,
        detections=str(card / "detections.json"),
        report=False,
        runner=name,
    )
    chosen = task_runner_for(request) if isinstance(runner, str) else runner
    audit_batch.with_options(task_runner=chosen)(request)
    return {table: read_table(str(out), table) for table in KEYS}


def assert_same_tables(found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    for table, keys in KEYS.items():
        one, other = (frames[table].sort_values(keys).reset_index(drop=True) for frames in (found, expected))
        assert len(one) == len(other) > 0, table
        for column in one.columns.drop("run_id"):
            if pd.api.types.is_float_dtype(one[column]):
                pd.testing.assert_series_equal(one[column], other[column], atol=1e-4, rtol=1e-4)
            elif column != "topk":
                assert one[column].astype(str).tolist() == other[column].astype(str).tolist(), (table, column)
    assert expected["masks"]["area"].gt(0).all()


def test_two_machines_make_the_tables_of_threads_and_only_they_read_images(
    joined: Any, card: Path, tmp_path: Path, by_threads: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    driver, read = os.getpid(), Storage.read

    def not_here(self: Storage, path: str, **more: Any) -> bytes:
        assert os.getpid() != driver or not path.endswith(".JPG"), f"the driver reads {path}"
        return read(self, path, **more)

    monkeypatch.setattr(Storage, "read", not_here)
    assert_same_tables(audit(card, tmp_path, "ray"), by_threads)

    # The processes are those that worked: each was asked for the model by several shards, and loaded it once.
    @ray.remote
    def loads() -> tuple[str, int, int, int]:
        from scd_core.identify.classifier import _load_once

        info = _load_once.cache_info()
        return ray.get_runtime_context().get_node_id(), os.getpid(), info.misses, info.hits

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
    seen = ray.get([loads.options(scheduling_strategy=place).remote() for place in places])
    assert len({node for node, *_ in seen}) == 2, seen
    assert all(misses == 1 and hits > 2 for _, _, misses, hits in seen), seen


@pytest.mark.parametrize("model", [None, CLEAN])
def test_names_that_were_given_are_taken_and_explained_on_a_cluster(
    model: str | None, joined: Any, card: Path, tmp_path: Path, prefect_server: None
) -> None:
    from flows.audit_batch import audit_batch

    names = given_names(card, tmp_path / "names.csv")
    tables = []
    for runner in ("threads", "ray"):
        settings = CONFIG | {"masks": {"steps": 1}}
        given: dict[str, Any] = {"predictions": str(names), "report": False, "runner": runner}
        request = request_of(card / "images", model, tmp_path / runner, settings, **given)
        audit_batch.with_options(task_runner=task_runner_for(request))(request)
        tables.append({table: read_table(str(tmp_path / runner), table) for table in KEYS})
    for table, keys in KEYS.items():
        one, other = (found[table].sort_values(keys).reset_index(drop=True) for found in tables)
        for column in ("media_id", "predicted_id", "mask_status", "failure_reason"):
            if column in one.columns:
                assert one[column].astype(str).tolist() == other[column].astype(str).tolist(), (table, column)
    statuses = set(tables[1]["masks"]["mask_status"])
    assert statuses == ({"not_available"} if model is None else {"ok", "not_available"})


def test_tasks_with_a_model_get_the_gpus_and_keep_their_process(joined: Any, prefect_server: None) -> None:
    import ray
    from prefect import flow

    from flows.prefect_runner import PrefectRunner
    from tasks.gpu import device_here
    from tasks.work import Work

    def where(number: int) -> tuple[str, int, list[int], str]:
        return ray.get_runtime_context().get_node_id(), os.getpid(), ray.get_gpu_ids(), device_here("cuda")

    @flow(task_runner=task_runner_for(request_of("s", "m", "o", runner="ray", ray_address=joined.address)))
    def placed() -> tuple[str, list[Any]]:
        runner = PrefectRunner(Silent())
        device = runner.model_device("auto")
        work = Work(where, "where", uses_model=True)
        return device, runner.map(work, [(number,) for number in range(4)], lambda _: None)

    device, answers = placed()
    assert device == "cuda"
    assert {node for node, *_ in answers} == {joined.second.node_id}
    assert all(device == f"cuda:{gpus[0]}" and len(gpus) == 1 for _, _, gpus, device in answers)
    assert len({pid for _, pid, *_ in answers}) == 1


def test_a_gpu_that_cannot_compute_fails_the_run_at_once(
    joined: Any, card: Path, tmp_path: Path, prefect_server: None
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("the machine has a real GPU")
    for device in ("auto", "cuda"):
        with pytest.raises(RunError, match=r"Ray machine .*device cuda:\d: cannot compute"):
            audit(card, tmp_path, "ray", classify={"device": device})
    with pytest.raises(InputError, match="Ray gives out the GPUs"):
        audit(card, tmp_path, "ray", classify={"device": "cuda:1"})
    assert not list((tmp_path / "work").rglob("*.shard"))


@pytest.mark.timeout(1800)
def test_a_machine_that_dies_half_way_costs_nothing(
    cluster: Any, hanging: Path, card: Path, tmp_path: Path, by_threads: dict[str, pd.DataFrame]
) -> None:
    import ray
    from ray import cloudpickle

    from flows.ray_runner import RayRunner

    ray.shutdown()  # the driver of the tests above; this run has its own, which may lose a machine
    cloudpickle.register_pickle_by_value(hang)  # the worker processes do not know our tests
    third = cluster.add_node(num_cpus=1, object_store_memory=STORE, env_vars={hang.FOLDER: str(hanging)})
    cluster.remove_node(cluster.second)
    cluster.wait_for_nodes()
    runner = RayRunner(cluster.address, {"runtime_env": {"worker_process_setup_hook": hang.hang_in_the_middle}})
    done: list[dict[str, pd.DataFrame]] = []
    here = contextvars.copy_context()  # with the address of the server of these tests
    work = threading.Thread(target=here.run, args=(lambda: done.append(audit(card, tmp_path, runner)),), daemon=True)
    work.start()
    try:
        until(lambda: any(hanging.glob("hangs-*")), 600, "a read on the third machine that never ends")
        assert list(hanging.glob("read-*")), "the machine was to do a part of the work first"
        time.sleep(1)
        assert work.is_alive()
    finally:
        cluster.remove_node(third, allow_graceful=False)
        work.join(600)
    assert not work.is_alive() and done
    assert_same_tables(done[0], by_threads)


def test_a_machine_that_sees_other_files_is_told_by_name(card: Path, tmp_path: Path) -> None:
    from scd_core.identify.package import read_package
    from scd_core.tables.store import AuditStore
    from tasks.machine import Needs, missing_on_machine

    image = f"file://{next((card / 'images').rglob('*.JPG'))}"
    AuditStore(str(tmp_path / "audit")).check_writable()
    needs: dict[str, Any] = {
        "source": str(card / "images"), "first_uri": image, "model": CLEAN, "model_digest": read_package(CLEAN).digest,
        "out": str(tmp_path / "audit"), "api_url": "http://127.0.0.1:1/api", "device": "cpu",
    }  # fmt: skip
    for change, words in (
        ({"first_uri": image + ".gone"}, "SOURCE must be the same everywhere"),
        ({"model_digest": "0" * 64}, "MODEL must be the same everywhere"),
        ({"model": str(tmp_path / "none")}, "none"),
        ({"out": str(tmp_path / "elsewhere")}, "OUT must be the same everywhere"),
        ({"version": "0.0.1"}, "install the same version"),
        ({"device": "cuda:7"}, "cuda:7"),
        ({}, "PREFECT_API_URL"),
    ):
        assert words in (missing_on_machine(Needs(**needs | change)) or ""), change
    assert not (tmp_path / "elsewhere").exists()


def test_a_server_that_other_machines_cannot_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.ray_machines import _check_address

    for url in ("http://127.0.0.1:4200/api", "http://localhost:4200/api", "http://[::1]:4200/api"):
        with pytest.raises(RunError, match=r"192\.0\.2\.17: start one"):
            _check_address(url, {"192.0.2.17"})
        _check_address(url, {"127.0.0.1"})
    _check_address("http://prefect.example:4200/api", {"192.0.2.17"})


def test_deployments_take_the_runner_and_its_address() -> None:
    import yaml

    from deployments.deploy_file import Deployment, packaged_file, render

    content = yaml.safe_load(packaged_file().read_text())
    wanted = Deployment("s3://cards", "s3://model", "s3://audit", runner="ray", ray_address="10.0.0.1:6379")
    given = {item["name"]: item["parameters"] for item in render(wanted, content)["deployments"]}
    for name in ("nightly-audit", "audit-uploads"):
        assert (given[name]["request"]["runner"], given[name]["request"]["ray_address"]) == ("ray", "10.0.0.1:6379")
    assert set(given["refresh-error-report"]) == {"out"}
    plain = render(Deployment("s3://cards", "s3://model", "s3://audit"), content)["deployments"][0]["parameters"][
        "request"
    ]
    assert plain["runner"] == "prefect" and "ray_address" not in plain


def test_ray_that_is_not_there_is_one_line(
    trapaudit: Callable[..., Any], card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    run = ["run", card / "images", "--model", CLEAN, "--out", tmp_path / "audit"]
    refused = trapaudit(*run, "--runner", "ray", "--ray-address", nobody)
    assert (refused.code, refused.err.count("\n")) == (2, 1), refused.err
    assert nobody in refused.err and "ray start --head" in refused.err
    monkeypatch.setenv("RAY_ADDRESS", f"ray://{nobody}")
    assert f"ray://{nobody}: not reached" in trapaudit(*run, "--runner", "ray").err
    assert f"ray://{nobody}" in trapaudit("nightly", *run[1:], "--runner", "ray").err
    monkeypatch.delenv("RAY_ADDRESS")
    assert "expected HOST:6379" in trapaudit(*run, "--runner", "ray", "--ray-address", "cluster").err
    assert "is for --runner ray" in trapaudit(*run, "--ray-address", nobody).err
    monkeypatch.setitem(__import__("sys").modules, "flows.ray_runner", None)
    missing = trapaudit(*run, "--runner", "ray")
    assert (missing.code, "trapaudit[ray]" in missing.err) == (2, True), missing.err
    assert not (tmp_path / "audit" / "commits").exists()
