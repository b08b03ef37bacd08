"""The GPU limit of a worker: at most so many tasks compute on its GPU at once, however many runs it has taken."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from scd_core.errors import RunError
from scd_core.storage.meter import Meter, current_meter

__all__ = ["LIMIT_VARIABLE", "device_here", "gpu_slot"]

LIMIT_VARIABLE = "TRAPAUDIT_GPU_LIMIT"
"""Names the Prefect concurrency limit of this worker's GPU; `trapaudit deploy --gpu-limit NAME=N` makes it."""


def device_here(device: str) -> str:
    """The device of a task: in a process of Ray, where all GPUs are visible, the one that Ray gave to the task.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        ``cuda:N`` for ``cuda`` on Ray, otherwise `device` itself.
    """
    ray = sys.modules.get("ray")
    if device != "cuda" or ray is None or not ray.is_initialized():
        return device
    given = [str(number) for number in ray.get_gpu_ids()]
    if not given:
        return device
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return f"cuda:{visible.split(',').index(given[0]) if visible else given[0]}"


@contextmanager
def gpu_slot(device: str) -> Iterator[None]:
    """Hold a slot of this worker's GPU limit while inside, and count the time with the model and the time until then.

    A worker without the variable, or a task on the CPU, has no limit. The limit is strict: where it is named but was never
    made, the task fails, because computing without it is what runs a GPU out of memory.

    Args:
        device: the device the task computes on, as resolved: ``cpu``, ``cuda``, ``cuda:N``.

    Raises:
        RunError: the limit does not exist, or Prefect's server lost the slot.
    """
    name = os.environ.get(LIMIT_VARIABLE, "").strip()
    meter, began = current_meter(), time.monotonic()
    if not name or device.startswith("cpu"):
        with _with_model(meter, began):
            yield
        return
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
    from prefect.concurrency.sync import concurrency  # seconds to import, and only a worker with a GPU limit needs it

    try:
        with concurrency(name, occupy=1, strict=True), _with_model(meter, began):
            yield
    except ConcurrencySlotAcquisitionError as error:
        raise RunError(
            f"{LIMIT_VARIABLE}={name}: no such limit on the Prefect server; make it with "
            f"`trapaudit deploy --gpu-limit {name}=1`, or unset the variable"
        ) from error


def _with_model(meter: Meter | None, began: float) -> AbstractContextManager[None]:
    return nullcontext() if meter is None else meter.model(time.monotonic() - began)
