"""Masks of confused pairs: what in a picture is evidence for the one name and not the other, and the reverse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from scd_core.boxes import located_box
from scd_core.config import AuditConfig
from scd_core.identify.classifier import Classifier
from scd_core.identify.content import draw_name
from scd_core.identify.pictures import best_candidate, iter_pictures
from scd_core.identify.weighing import frames_of
from scd_core.masks.engine import fit_masks
from scd_core.masks.rows import mask_seed, mass_columns
from scd_core.masks.settings import mask_settings
from scd_core.media import MediaError
from scd_core.names import FlagReason, MaskMethod, MaskStatus
from scd_core.tables.mask_png import encode_mask
from scd_core.tables.rows import MaskRow, MediaRow, PredictionRow

__all__ = ["choose_contrasts", "contrast_masks"]


def choose_contrasts(
    rows: Sequence[PredictionRow], confusions: Collection[tuple[str, str]], most: int
) -> dict[str, str]:
    """The pictures that get masks of a pair, and the rival of each one's name.

    Args:
        rows: selected prediction rows of a whole batch.
        confusions: pairs (true individual, name given to it) that the audit has found.
        most: pictures of each pair; 0 for none.

    Returns:
        target_id -> the individual that the audit has found to be given this row's name, one of its candidates. The same
        pictures whatever their order.
    """
    chosen: dict[str, str] = {}
    taken = Counter[tuple[str, str]]()
    flagged = [row for row in rows if FlagReason.KNOWN_CONFUSION in (row["flag_reasons"] or ())]
    for row in sorted(flagged, key=draw_name):
        candidates = [candidate["individual_id"] for candidate in row["topk"] or ()]
        if best_candidate(row) != row["predicted_id"]:  # called unknown
            continue
        for rival in candidates[1:]:
            pair = (rival, str(row["predicted_id"]))
            if pair in confusions and taken[pair] < most:
                taken[pair] += 1
                chosen[row["target_id"]] = rival
                break
    return chosen


def contrast_masks(
    rows: Sequence[PredictionRow],
    rivals: Mapping[str, str],
    media: Mapping[str, MediaRow],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
) -> list[MaskRow]:
    """Fit the masks of pairs: the score is the logit of the one name less that of the other.

    Args:
        rows: prediction rows; those without a rival are passed over.
        rivals: of :func:`choose_contrasts`.
        media: media_id -> media row.
        classifier: the model package in use.
        source: SOURCE of the media.
        config: settings.

    Returns:
        Two mask rows per picture that could be read: of the given name against its rival (`contrast_id`), and of the rival
        against the given name.
    """
    wanted: list[tuple[PredictionRow, str, str]] = []
    tensors: list[Tensor] = []
    paired = [row for row in rows if row["target_id"] in rivals]
    for row, picture in iter_pictures(paired, media, source, config, classifier.spec.input):
        if not isinstance(picture, MediaError):
            given, rival = str(best_candidate(row)), rivals[row["target_id"]]
            wanted += [(row, given, rival), (row, rival, given)]
            tensors += [classifier.preprocess(picture)] * 2
    if not wanted:
        return []
    stacked = torch.stack(tensors)
    logits = torch.cat([classifier.logits(part) for part in stacked.split(config.classify.batch_size)])
    added = frames_of([row for row, _, _ in wanted], logits)
    logits = logits if added is None else logits + added
    targets = classifier.best_class(logits, [name for _, name, _ in wanted])
    against = classifier.best_class(logits, [rival for _, _, rival in wanted])
    seeds = torch.tensor([mask_seed(draw_name(row), config.triage.seed) for row, _, _ in wanted])
    with classifier.lock:
        masks = fit_masks(
            classifier.model, stacked.to(classifier.device), targets, mask_settings(config.masks), seeds,
            contrast=against, added=added, on_error="record",
        )  # fmt: skip
    found: list[MaskRow] = []
    for place, (row, name, rival) in enumerate(wanted):
        found.append(
            {
                "target_id": row["target_id"],
                "media_id": row["media_id"],
                "detection_id": row["detection_id"],
                "method": MaskMethod.SCD,
                "predicted_id": name,
                "contrast_id": rival,
                "seed": int(seeds[place]),
                "mask_status": MaskStatus.FAILED,
                "failure_reason": masks.failures.get(place),
            }
        )
        if place in masks.failures:
            continue
        joint = masks.joint[place].float().cpu().numpy()
        found[-1] |= mass_columns(joint, located_box(row)) | {
            "mask_status": MaskStatus.OK,
            "mask_png": encode_mask(joint),
            "ssr_probability": float(masks.ssr_probability[place]),
            "sdr_probability": float(masks.sdr_probability[place]),
            "area": float(masks.area[place]),
            "iterations": int(masks.iterations[place]),
            "evaluations": int(masks.evaluations[place]),
            "is_converged": bool(masks.converged[place]),
        }
    return found
