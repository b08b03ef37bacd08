"""Names that another tool gave under the masks of a network that names the picture otherwise: nothing follows from its views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import best_candidate
from scd_core.names import GradientRegion, Strategy
from scd_core.tables.rows import PredictionRow, ReclassificationRow

__all__ = ["kept_given", "other_names"]


def other_names(rows: Sequence[PredictionRow], tensors: Sequence[Tensor], classifier: Classifier) -> dict[str, str]:
    """What a network itself calls the pictures that another tool gave another name.

    Args:
        rows: prediction rows; those of names that the network gave are left out.
        tensors: (3, H, W) preprocessed pictures.
        classifier: the network.

    Returns:
        target_id -> the network's name of the unmasked picture, where it differs.
    """
    given = [place for place, row in enumerate(rows) if row.get("gradient_region") == GradientRegion.NO_NETWORK]
    if not given:
        return {}
    best = classifier.probabilities(classifier.logits(torch.stack([tensors[place] for place in given]))).argmax(dim=1)
    found = {}
    for place, index in zip(given, best.tolist(), strict=True):
        if classifier.names[index] != best_candidate(rows[place]):
            found[rows[place]["target_id"]] = classifier.names[index]
    return found


def kept_given(row: PredictionRow, result: ReclassificationRow, own: str) -> ReclassificationRow:
    """A row of the table `reclassifications` where the network calls the unmasked picture `own`: the given name stays.

    A view that the network calls otherwise than the tool shows no effect of the mask, since the picture without it is too.
    """
    reason = f"the model calls the whole picture {own}, so other names of its views are no effect of the mask"
    if result["strategy"] != Strategy.FUSED:
        return {**result, "is_flip": False, "reason": reason}
    kept: ReclassificationRow = {
        "predicted_id": row["predicted_id"],
        "probability": row["probability"],
        "is_flip": False,
        "reason": f"kept: {reason}",
    }
    return {**result, **kept}
