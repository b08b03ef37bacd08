"""The next batch's ingest beside the masks of the one before, so that neither the network nor a GPU waits for the other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Self

from flows.batch_state import BatchState
from flows.logs import in_batch
from flows.runner import Runner
from flows.stages import STAGES
from scd_core.job import Job, Shard
from scd_core.names import Stage
from scd_core.tables.batches import Batch
from scd_core.tables.commit import adopt_commit

__all__ = ["Ahead"]


class Ahead:
    """Batches that are worked on one after the other, each with its ingest begun while the masks of the one before are made.

    What is done early is kept in OUT as any finished shard is, and counts for nobody until the batch is committed; so a run that
    dies, or whose batch another run commits meanwhile, leaves what any run does.

    Args:
        job: the audit.
        batches: in their order.
        runner: runs the functions.
        device: that functions with the model compute on; ``none`` without a model.
    """

    def __init__(self, job: Job, batches: Sequence[Batch], runner: Runner, device: str) -> None:
        self._job, self._runner, self._device = job, runner, device
        self._after = dict(zip((batch.batch_key for batch in batches), batches[1:], strict=False))
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._begun: tuple[str, Future[BatchState | None]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def begin_after(self, batch: Batch) -> None:
        """Begin with the batch after this one."""
        following = self._after.get(batch.batch_key)
        if following is not None:
            future = self._pool.submit(copy_context().run, self._ingest, following)
            self._begun = (following.batch_key, future)

    def state_of(self, batch: Batch) -> BatchState:
        """The state of a batch whose turn it is: with its ingest done, where that was begun before.

        Raises:
            Exception: what the ingest raised.
        """
        begun, self._begun = self._begun, None
        if begun is None or begun[0] != batch.batch_key:
            return self._new(batch)
        with self._runner.progress.stage(Stage.INGEST, len(batch.objects)) as advance:
            state = begun[1].result()
            advance(len(batch.objects))
        if state is None:
            return self._new(batch)
        state.is_ahead = None
        for line in state.held:
            state.note(line)
        return state

    def _ingest(self, batch: Batch) -> BatchState | None:
        if adopt_commit(self._job.request.out, batch.batch_key) is not None:
            return None
        state = self._new(batch)
        state.is_ahead = lambda: not self._ended.is_set()
        with in_batch(batch.batch_key), state.timed(Stage.INGEST):
            STAGES[Stage.INGEST](state)
        return state

    def _new(self, batch: Batch) -> BatchState:
        job, request = self._job, self._job.request
        config = job.config
        if job.spec is not None:
            classify = config.classify.model_copy(update={"device": self._device})
            config = config.model_copy(update={"classify": classify})
        shard = Shard(
            request.source, request.model, job.model_digest, request.out, batch.batch_key, config,
            job.package_digest or "", job.expected,
        )  # fmt: skip
        return BatchState(job, batch, shard, self._runner)
