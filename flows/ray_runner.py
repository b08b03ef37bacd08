"""Shards on a Ray cluster (extra `trapaudit[ray]`): how it is joined, and what a shard gets of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import ray
from prefect.client.orchestration import get_client
from prefect.futures import PrefectFuture
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings
from prefect.tasks import Task
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options

from flows.ray_machines import GPU_OPTIONS, check_machines, last_line
from scd_core.errors import InputError, RunError
from scd_core.job import Job
from scd_core.storage.objects import ObjectRef

__all__ = ["RayRunner"]

NODE_DEATHS = 5
"""So often a shard is begun again elsewhere because its machine or process died. Errors of the work itself are retried by
Prefect's own `retries`."""

_LOCAL_STORE_BYTES = 512 * 2**20


class RayRunner(RayTaskRunner[Any]):
    """prefect-ray's task runner, with what an audit needs of it.

    - Shards are spread over the machines, and begun again elsewhere when a machine dies.
    - Tasks with a model have a GPU each where there are some, and stay in processes that have it loaded: Ray would end
      the process of a GPU task after each one. So all GPUs are left visible, and a task computes on the one it was given
      (:func:`tasks.gpu.device_here`).
    - Tasks report to the Prefect server of the run, also where the run started one for itself.

    Args:
        address: of a cluster, ``auto``, or None for a Ray of this machine's own, which ends with the run.
        init_kwargs: more arguments of ``ray.init``.
    """

    def __init__(self, address: str | None = None, init_kwargs: dict[str, Any] | None = None) -> None:
        super().__init__(address, init_kwargs)
        self._began_ray = False
        self._api_url: str | None = None
        self._device = "cpu"

    def __enter__(self) -> Self:
        """Join the cluster, or start Ray here.

        Raises:
            RunError: Ray refused, or is of another version than this one.
        """
        if not ray.is_initialized():
            quiet = not os.environ.get("TRAPAUDIT_VERBOSE")
            wanted: dict[str, Any] = {
                "log_to_driver": not quiet,
                "logging_level": logging.ERROR if quiet else logging.INFO,
            }
            if self.address is None:
                wanted |= {"address": "local", "include_dashboard": False, "object_store_memory": _LOCAL_STORE_BYTES}
            else:
                wanted |= {"address": self.address}
            try:
                ray.init(**wanted | self.init_kwargs)
            except Exception as error:  # Ray has plain ones too, as where its processes are slow to start
                where = self.address or "on this machine"
                raise RunError(f"Ray {where}: cannot be used ({last_line(error)})") from error
            self._began_ray = True
        return super().__enter__()

    def __exit__(self, *exc_info: Any) -> None:
        """Leave the cluster, or end the Ray that this run started."""
        super().__exit__(*exc_info)
        if self._began_ray:
            self._began_ray = False
            ray.shutdown()

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: dict[str, set[Any]] | None = None,
    ) -> Any:
        """Submit a task run; its arguments travel to the machine that does it."""
        if self._api_url is None:
            self._api_url = _api_url()
        settings = temporary_settings({PREFECT_API_URL: self._api_url})
        with settings, remote_options(max_retries=NODE_DEATHS, scheduling_strategy="SPREAD"):
            return super().submit(task, parameters, wait_for, dependencies)

    def model_device(self, device: str) -> str:
        """``cuda`` or ``cpu``: what tasks with a model compute on in this cluster, which may differ from this machine.

        Raises:
            InputError: one GPU is named by its number; Ray gives them out.
            RunError: a GPU is wanted, and no machine has one.
        """
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"device {device}: Ray gives out the GPUs of its machines; use auto, cpu or cuda")
        n_gpus = ray.cluster_resources().get("GPU", 0)
        if device == "cuda" and n_gpus < 1:
            raise RunError("device cuda: no machine of the Ray cluster has a GPU; use auto or cpu, or add one")
        self._device = "cuda" if device != "cpu" and n_gpus >= 1 else "cpu"
        return self._device

    def for_models(self) -> AbstractContextManager[None]:
        """Options of the task runs submitted inside: one GPU each where :meth:`model_device` gave ``cuda``."""
        return remote_options(**GPU_OPTIONS) if self._device == "cuda" else nullcontext()

    def check_machines(self, job: Job, device: str, objects: Sequence[ObjectRef]) -> None:
        """Check that every machine can do its part; see :func:`flows.ray_machines.check_machines`."""
        self._api_url = self._api_url or _api_url()
        check_machines(job, device, objects, self._api_url)


def _api_url() -> str:
    """Address of the Prefect server of this run, also of one that the run started for itself."""
    url = get_current_settings().api.url
    return url or str(get_client(sync_client=True).api_url)
