"""What the views of the animal alone, which need no mask, would suggest for every picture of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.real.sets import RealSet
from scd_core.config import ReclassifyConfig
from scd_core.identify import load_model
from scd_core.reclassify import MaskedPicture, reclassify
from scd_core.reclassify.decision import ALONE

__all__ = ["LEVELS", "alone_rows", "sure_rows"]

LEVELS = (0.8, 0.9, ReclassifyConfig().min_alone, 0.98)
"""How sure the two crops must be of another name; the setting is one of them."""

CONFIG = ReclassifyConfig(strategies=ALONE, max_sure=0.0, min_alone=min(LEVELS))
"""Only the first question of the decision: no picture is unsure enough for a closer look."""


def alone_rows(found: RealSet) -> list[dict[str, Any]]:
    """Of each test picture its row of ``truth.csv`` with the columns that :func:`benchmarks.real.run.count_outcomes` reads.

    Nothing is certified, so ``final_id`` is the model's name. ``suggested_probability`` is that of the suggestion, which is made
    from the least of :data:`LEVELS` on; :func:`sure_rows` leaves those of a level.
    """
    classifier = load_model(str(found.model))
    rows = []
    for file, truth in found.truth().items():
        with Image.open(found.pictures / file) as opened:
            picture = opened.convert("RGB")
        x, y, width, height = (float(truth[name]) for name in ("x_min", "y_min", "width", "height"))
        mask = np.ones((8, 8), dtype=np.float32)
        masked = MaskedPicture(picture, mask, classifier.spec.input, box=(x, y, width, height))
        probabilities = classifier.probabilities(classifier.logits(masked.tensor[None]))[0]
        called = classifier.names[int(probabilities.argmax())]
        decision = reclassify(classifier, [masked], CONFIG)[0][-1]
        name = called if decision.index is None else classifier.names[decision.index]
        rows.append(
            {
                **truth,
                "predicted_id": called,
                "final_id": called,
                "suggested_id": name if name != called else None,
                "suggested_probability": decision.probability,
                "cause": None,
                "is_flagged": False,
                "is_masked": False,
            }
        )
    return rows


def sure_rows(rows: Sequence[Mapping[str, Any]], level: float) -> list[dict[str, Any]]:
    """Rows of :func:`alone_rows` without suggestions that are less sure than `level`."""
    return [dict(row) if row["suggested_probability"] >= level else {**row, "suggested_id": None} for row in rows]
