"""Stages as Prefect task runs of the flow run around them, on its task runner: threads, or the machines of a Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.futures import as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.flow_progress import FlowProgress
from flows.runner import Progress
from flows.threads_runner import THREADS
from scd_core.errors import InputError
from scd_core.identify.classifier import resolve_device
from scd_core.job import Job
from scd_core.request import AuditRequest
from scd_core.storage.objects import ObjectRef
from tasks.work import Work

if TYPE_CHECKING:
    from prefect.states import State
    from prefect.tasks import Task

    from flows.ray_runner import RayRunner

__all__ = ["ADDRESS_VARIABLE", "PrefectRunner", "task_runner_for"]

ADDRESS_VARIABLE = "RAY_ADDRESS"
"""Ray's own variable; an address that is given comes before it."""

_CONNECT_SECONDS = 10.0


class PrefectRunner:
    """The runner inside a flow run; see :class:`flows.runner.Runner`.

    Args:
        progress: shows how far the audit is; None tells the flow run's log and its progress artifact.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.run_id = str(runtime.flow_run.get_id() or "")
        self.progress = progress or FlowProgress()
        context = FlowRunContext.get()
        runner: Any = context.task_runner if context else None
        self._ray: RayRunner | None = runner if hasattr(runner, "check_machines") else None

    def map(self, work: Work, calls: Sequence[tuple[Any, ...]], done: Callable[[int], None]) -> list[Any]:
        """Results of calls of one function, in their order."""
        of_model = nullcontext() if self._ray is None or not work.uses_model else self._ray.for_models()
        with of_model:
            futures = [
                _task_of(work, f"{work.name}-{number}").submit(*arguments) for number, arguments in enumerate(calls)
            ]
        place = {id(future): number for number, future in enumerate(futures)}
        for future in as_completed(list(futures)):
            future.wait()
            done(place[id(future)])
        return [future.result() for future in futures]

    def call(self, work: Work, *arguments: Any) -> Any:
        """The result of one call."""
        return _task_of(work)(*arguments)

    def model_device(self, device: str) -> str:
        """The device of this machine, or of the cluster's machines."""
        return str(resolve_device(device)) if self._ray is None else self._ray.model_device(device)

    def check_machines(self, job: Job, device: str, objects: Sequence[ObjectRef]) -> None:
        """Check each machine of a Ray cluster."""
        if self._ray is not None:
            self._ray.check_machines(job, device, objects)


def task_runner_for(request: AuditRequest) -> TaskRunner[Any]:
    """The Prefect task runner of a request.

    Args:
        request: `runner`, and `ray_address`, of a Ray cluster: ``HOST:6379`` from one of its machines,
            ``ray://HOST:10001`` from elsewhere, ``auto`` for the one that this machine belongs to. None takes the variable
            RAY_ADDRESS; without it Ray is started on this machine for the run.

    Raises:
        InputError: `ray` without the extra, an address that is none, an address without `ray`, or nobody answers there.
    """
    if request.runner != "ray":
        if request.ray_address:
            raise InputError(f"--ray-address {request.ray_address}: is for --runner ray")
        return ThreadPoolTaskRunner(max_workers=THREADS)
    try:
        from flows.ray_runner import RayRunner  # an extra, which a run without it never imports
    except ImportError as error:
        raise InputError(
            f"--runner ray: {error.name or 'prefect-ray'} is not installed; pip install 'trapaudit[ray]'"
        ) from error
    address = request.ray_address or os.environ.get(ADDRESS_VARIABLE) or None
    if address not in (None, "auto", "local"):
        _check_reachable(address)
    return RayRunner(None if address == "local" else address)


def _task_of(work: Work, run_name: str | None = None) -> Task[..., Any]:
    """A Prefect task of a function, with its retries; results are not kept by Prefect: shards and commits are."""
    made: Task[..., Any] = task(
        name=work.name,
        task_run_name=run_name,
        tags=list(work.tags),
        retries=work.retries,
        retry_delay_seconds=list(work.retry_delays) if work.retries else 0,
        retry_jitter_factor=work.retry_jitter or None,
        retry_condition_fn=_may_pass,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(work.function)
    return made


def _may_pass(task: Task[..., Any], run: Any, state: State[Any]) -> bool:
    """Whether another try may end otherwise; bad input stays bad."""
    return not isinstance(state.result(raise_on_failure=False), InputError)


def _check_reachable(address: str) -> None:
    """Check that something listens at the address; Ray itself would try for minutes."""
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
