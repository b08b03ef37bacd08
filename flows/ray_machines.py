"""Each machine of a Ray cluster is checked before work is given to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import ray
from prefect.logging import get_run_logger
from ray.exceptions import GetTimeoutError, NodeDiedError, RayError, TaskUnschedulableError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scd_core.errors import RunError, first_line
from scd_core.job import Job
from scd_core.storage.objects import ObjectRef
from tasks.machine import Needs, is_seen, missing_on_machine

__all__ = ["GPU_OPTIONS", "check_machines", "last_line"]

GPU_OPTIONS: dict[str, Any] = {
    "num_gpus": 1,
    "max_calls": 0,
    "runtime_env": {"env_vars": {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}},
}
"""A GPU of its own, in a process that is used again, with all GPUs visible."""

_CHECK_SECONDS = 300.0
_LOOKED_FOR = 20


def check_machines(job: Job, device: str, objects: Sequence[ObjectRef], api_url: str) -> None:
    """Have every machine check SOURCE, MODEL, OUT, the server and its GPU; see :meth:`flows.runner.Runner.check_machines`.

    A machine that dies meanwhile, or is too busy to answer within 5 minutes, is left to Ray.

    Raises:
        RunError: a machine cannot do its part.
    """
    machines = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    _check_address(api_url, {node["NodeManagerAddress"] for node in machines})
    answers = {}
    seen = next((item.uri for item in objects[:_LOOKED_FOR] if is_seen(job.request.source, item.uri)), None)
    for node in machines:
        has_gpu = device == "cuda" and node["Resources"].get("GPU", 0) >= 1
        needs = Needs(
            source=job.request.source, first_uri=seen, model=job.request.model,
            model_digest=job.package_digest or job.model_digest, out=job.request.out, api_url=api_url,
            device="cuda" if has_gpu else "cpu",
        )  # fmt: skip
        options: dict[str, Any] = {
            "num_cpus": 0,
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        }
        check: Any = ray.remote(**options | (GPU_OPTIONS if has_gpu else {}))(missing_on_machine)
        answers[check.remote(needs)] = f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
    for answer, machine in answers.items():
        try:
            found = ray.get(answer, timeout=_CHECK_SECONDS)
        except (GetTimeoutError, NodeDiedError, TaskUnschedulableError, WorkerCrashedError) as error:
            get_run_logger().warning("machine %s did not answer (%s)", machine, type(error).__name__)
            continue
        except RayError as error:
            found = f"{last_line(error)}; install the same trapaudit there"
        if found is not None:
            raise RunError(f"Ray machine {machine}: {found}")


def _check_address(api_url: str, machines: set[str]) -> None:
    """Refuse a server that only this machine can reach, where others have work to report."""
    host = urlsplit(api_url).hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    others = machines - {ray.util.get_node_ip_address(), "127.0.0.1"}
    if is_loopback and others:
        raise RunError(
            f"Prefect's server {api_url} cannot be reached from the Ray machine {min(others)}: start one with "
            "`prefect server start --host 0.0.0.0`, and set PREFECT_API_URL to an address that all machines reach"
        )


def last_line(error: BaseException) -> str:
    """The message of an error in one line: the last line of a traceback from another machine."""
    lines = str(error).split("\n") if isinstance(error, RayError) else []
    return next((line.strip() for line in reversed(lines) if line.strip()), first_line(error))
