"""Overlay frames: the frames of a batch in which burned-in strips are found."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scd_core.media.groups import is_timed
from scd_core.names import PredictionStatus

__all__ = ["choose_overlay_frames", "of_deployments"]

_MOST = 12
"""Events of a deployment that are used; four suffice, and every shard of masks of the deployment decodes them again."""


def choose_overlay_frames(predictions: pa.Table, media: pa.Table) -> pa.Table:
    """Whole frames of up to 12 events of each deployment, spread over all that the batch has of it.

    They are chosen from the whole batch, selected for a mask or not, so that a deployment's strips are found however few
    of its frames are selected and wherever a shard ends.

    Args:
        predictions: rows of the table `predictions` of a batch, after triage.
        media: rows of the table `media` of the batch.

    Returns:
        Rows of `predictions` with the column `deployment_id` beside them, one for each event chosen.
    """
    is_frame = pc.and_(
        pc.equal(predictions.column("prediction_status"), PredictionStatus.OK),
        pc.is_null(predictions.column("detection_id")),
    )
    frames = predictions.filter(is_frame)
    deployment_of = dict(
        zip(media.column("media_id").to_pylist(), media.column("deployment_id").to_pylist(), strict=True)
    )
    events: dict[str, dict[str, int]] = defaultdict(dict)
    for place, (media_id, event) in enumerate(
        zip(frames.column("media_id").to_pylist(), frames.column("event_id").to_pylist(), strict=True)
    ):
        if deployment := deployment_of.get(media_id):
            # One frame of an event: those of a burst are alike, strip or not; frames without a time need not be of one burst.
            events[deployment].setdefault(event if event and is_timed(event) else media_id, place)
    chosen: list[tuple[int, str]] = []
    for deployment, places in events.items():
        order = list(places.values())
        spread = np.linspace(0, len(order) - 1, min(len(order), _MOST)).round().astype(int)
        chosen += [(order[number], deployment) for number in spread]
    deployments = pa.array([deployment for _, deployment in chosen], pa.string())
    return frames.take(pa.array([place for place, _ in chosen], pa.int64())).append_column("deployment_id", deployments)


def of_deployments(frames: pa.Table, media: pa.Table) -> pa.Table:
    """Those of :func:`choose_overlay_frames` that are of the deployments of some `media`."""
    return frames.filter(pc.is_in(frames.column("deployment_id"), media.column("deployment_id").combine_chunks()))
