"""Where shards are worked on: threads of this process, or the machines of a Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from prefect.context import FlowRunContext
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from scd_core.errors import InputError
from scd_core.identify.classifier import resolve_device
from scd_core.job import Job
from scd_core.storage.objects import ObjectRef

if TYPE_CHECKING:
    from flows.ray_runner import RayRunner

__all__ = ["ADDRESS_VARIABLE", "Runner", "check_machines", "model_device", "model_submits", "runner_for"]

Runner = Literal["threads", "ray"]

THREADS = 4
"""Shards in work at once: fetching one overlaps with the model's work on another."""

ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Ray's own variable; an address that is given comes before it."""

_CONNECT_SECONDS = 10.0


def runner_for(runner: Runner, ray_address: str | None = None) -> TaskRunner[Any]:
    """Task runner by name.

    Args:
        runner: `threads` of this process, or `ray`.
        ray_address: of a Ray cluster: ``HOST:6379`` from one of its machines, ``ray://HOST:10001`` from elsewhere, ``auto``
            for the one that this machine belongs to. None takes the variable RAY_ADDRESS; without it Ray is started on this
            machine for the run.

    Raises:
        InputError: `ray` without the extra, an address that is none, an address without `ray`, or nobody answers there.
    """
    if runner == "threads":
        if ray_address:
            raise InputError(f"--ray-address {ray_address}: is for --runner ray")
        return ThreadPoolTaskRunner(max_workers=THREADS)
    try:
        from flows.ray_runner import RayRunner
    except ImportError as error:
        raise InputError(
            f"--runner ray: {error.name or 'prefect-ray'} is not installed; pip install 'trapaudit[ray]'"
        ) from error
    address = ray_address or os.environ.get(ADDRESS_VARIABLE) or None
    if address not in (None, "auto", "local"):
        _knock(address)
    return RayRunner(None if address == "local" else address)


def model_device(device: str) -> str:
    """The device that the tasks of this flow run compute on.

    Args:
        device: as configured: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: not a device name, or one that the runner cannot serve.
        RunError: no such device, or this build of torch has no code for it.
    """
    ray = _ray_runner()
    return str(resolve_device(device)) if ray is None else ray.model_device(device)


@contextmanager
def model_submits(device: str) -> Iterator[None]:
    """Task runs that are submitted inside use the model on `device`: on Ray, each is given a GPU where that is ``cuda``."""
    ray = _ray_runner()
    if ray is None:
        yield
    else:
        with ray.for_models(device):
            yield


def check_machines(job: Job, device: str, objects: Sequence[ObjectRef]) -> None:
    """Let each machine of a Ray cluster show that it can do its part, before work is given to it.

    A machine that cannot read SOURCE would call its images missing, and one with another version would make other rows.

    Args:
        job: the audit.
        device: what :func:`model_device` gave.
        objects: of SOURCE; one of the first that is there is looked for.

    Raises:
        RunError: a machine cannot, and which, and why.
    """
    ray = _ray_runner()
    if ray is not None:
        ray.check_machines(job, device, objects)


def _ray_runner() -> RayRunner | None:
    """The runner of this flow run where it is Ray's; ray is imported only then."""
    context = FlowRunContext.get()
    runner: Any = context.task_runner if context else None
    return runner if hasattr(runner, "check_machines") else None


def _knock(address: str) -> None:
    """Whether anybody listens at the address; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"Ray address {address}: expected HOST:6379, ray://HOST:10001 or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"Ray address {address}: not reached ({error.strerror or error}); start the cluster with `ray start --head`, "
            f"or mend --ray-address or {ADDRESS_VARIABLE}"
        ) from error
