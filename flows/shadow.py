"""The shadow of a night: a second model names beside the first, and whatever it meets, the night stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flows.runner import Runner
from scd_core.errors import InputError, TrapauditError, first_line
from scd_core.identify.package import read_package
from scd_core.job import Job, list_job, plan_job
from scd_core.request import settings_with_model
from scd_core.storage import clean_url
from scd_core.tables.batches import Batch

__all__ = ["ShadowResult", "run_shadow", "shadow_job"]


@dataclass(frozen=True)
class ShadowResult:
    """What the shadow of a night did."""

    model: str
    """The model, in words."""
    n_batches: int = 0
    """Batches that it named."""
    n_failed: int = 0
    """Batches that it did not; a later night does them again."""
    reason: str | None = None
    """Why the first of them failed, or why it did not begin."""

    @property
    def words(self) -> str:
        """All of it in one line."""
        named = f"shadow {self.model}: {self.n_batches} {'batch' if self.n_batches == 1 else 'batches'} named"
        if self.reason is None:
            return named
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return f"{named}{failed} ({self.reason}); the audit of the model in use stands"


def shadow_job(job: Job) -> Job:
    """The job of the request's `shadow`: the same pictures and boxes, another model, no masks, labels or flags.

    Args:
        job: of the model in use.

    Raises:
        InputError: the package cannot be used, or is the model in use.
    """
    given = {"model": job.request.shadow, "predictions": None, "labels": None, "flags": None}
    request = job.request.model_copy(update=given)
    package = read_package(str(job.request.shadow))
    if package.digest == job.package_digest:
        raise InputError(f"--shadow {clean_url(str(job.request.shadow))}: is the model in use; name another package")
    config = settings_with_model(request, package.spec)
    config = config.model_copy(
        update={
            "triage": config.triage.model_copy(update={"budget": 0, "control_rate": 0.0}),
            "classify": config.classify.model_copy(update={"measure_gradient": False}),
        }
    )
    detections = job.detections or (job.predictions.detections if job.predictions else None)
    return replace(
        job, request=request, config=config, spec=package.spec, model_digest=package.digest,
        package_digest=package.digest, gallery_digest=package.gallery_digest,
        predictions=None, detections=detections, labels=None, flags=None, is_shadow=True,
    )  # fmt: skip


def run_shadow(job: Job, runner: Runner) -> ShadowResult:
    """Name what is not named yet with the request's `shadow`: rows of its own `model_digest`, apart from all others.

    Args:
        job: the audit of the model in use, done.
        runner: runs the functions.

    Returns:
        What came of it; no failure is raised.
    """
    model = clean_url(job.request.shadow or "").rstrip("/").rpartition("/")[2]
    n_batches, n_failed, reason = 0, 0, None
    try:
        shadow = shadow_job(job)
        listed = list_job(shadow)
        shadow = replace(shadow, joined=replace(listed.joined, inputs=()))
        batches = plan_job(shadow, listed.objects)
        device = runner.model_device(shadow.config.classify.device) if batches else "none"
        if batches:
            runner.check_machines(shadow, device, batches[0].objects)
    except Exception as error:  # noqa: BLE001 - a shadow fails no night, whatever it meets
        return ShadowResult(model, reason=_why(error))
    for batch in batches:
        try:
            _named(shadow, batch, runner, device)
        except Exception as error:  # noqa: BLE001 - as above
            n_failed, reason = n_failed + 1, reason or _why(error)
        else:
            n_batches += 1
    return ShadowResult(model, n_batches, n_failed, reason)


def _named(shadow: Job, batch: Batch, runner: Runner, device: str) -> None:
    from flows.ahead import Ahead  # torch: a night with nothing new needs none
    from flows.batch import run_batch

    runner.progress.note(f"shadow batch {batch.batch_key}: {len(batch.objects)} objects of {batch.batch_date}")
    with Ahead(shadow, [batch], runner, device) as ahead:
        run_batch(shadow, batch, runner, device, ahead)


def _why(error: Exception) -> str:
    name = "" if isinstance(error, TrapauditError) else f"{type(error).__name__}: "
    return f"{name}{first_line(error)}"
