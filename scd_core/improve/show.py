"""What the network makes of each labelled picture in each view: its logits, and the features that its last layer reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from scd_core.boxes import Box, box_from_row, widened
from scd_core.errors import InputError
from scd_core.identify.architectures import last_linear
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import crop_to_box
from scd_core.improve.alike import thumbnail
from scd_core.improve.labelled import Labelled
from scd_core.improve.names import View
from scd_core.improve.pictures import iter_labelled
from scd_core.masks.infill import blend, make_infill
from scd_core.masks.reliance import animal_mask
from scd_core.media import MediaError
from scd_core.reclassify.late import late_logits, pooled_layer
from scd_core.reclassify.strategies import BLUR_SIGMA

__all__ = ["MARGINS", "SHOWN", "Shown", "show_views"]

SHOWN = (View.WHOLE, View.BOX_CROP, View.WIDE_CROP, View.WIDER_CROP, View.POOLED, View.BLURRED)
"""Views that the network is run on; others are made of these."""

MARGINS = {View.BOX_CROP: 0.0, View.WIDE_CROP: 0.15, View.WIDER_CROP: 0.5}
"""Share of the box that each crop shows on each of its sides."""

_BATCH = 16
_NO_BOX = "no labelled picture has an animal's box: give `--detections` to `trapaudit run`"


@dataclass(frozen=True)
class Shown:
    """What the network makes of N targets."""

    logits: dict[View, NDArray[np.float32]]
    """(N, K) of each view; rows of zeros where the target has no such view."""
    features: dict[View, NDArray[np.float32]]
    """(N, D) of each view; none where the network's last linear layer does not give its logits."""
    has_view: dict[View, NDArray[np.bool_]]
    """(N,) whether the target could be shown so."""
    is_read: NDArray[np.bool_]
    """(N,) whether the picture could be read."""
    thumbnails: NDArray[np.float32]
    """(N, 576) of each animal's crop."""
    missing: dict[View, str] = field(default_factory=dict)
    """View -> why there is none of it."""
    no_head: str | None = None
    """Why the network's last layer cannot be replaced; None where it can."""

    def take(self, places: NDArray[np.int64]) -> Shown:
        """Some of the targets, by their places."""
        return Shown(
            {view: one[places] for view, one in self.logits.items()},
            {view: one[places] for view, one in self.features.items()},
            {view: one[places] for view, one in self.has_view.items()},
            self.is_read[places],
            self.thumbnails[places],
            self.missing,
            self.no_head,
        )


@dataclass(frozen=True)
class _Prepared:
    whole: Tensor
    crops: dict[View, Tensor]
    """The box with each margin; none without a box."""
    box: Box | None
    thumbnail: NDArray[np.float32] | None


def show_views(
    labelled: Labelled,
    classifier: Classifier,
    progress: Callable[[int], None] = lambda n: None,
    views: Sequence[View] = SHOWN,
) -> Shown:
    """Run the network over the views of all labelled targets.

    Persons and vehicles are filled with grey before. The crops are what `trapaudit run` shows a model whose boxes are
    classified (`classify.box_use`), with the margin of its package (`input.box_margin`).

    Args:
        labelled: the targets.
        classifier: the model.
        progress: called with the number of targets that are done.
        views: those of :data:`SHOWN` that are wanted.

    Raises:
        InputError: no picture can be read.
        RunError: the storage did not answer.
    """
    n = len(labelled.rows)
    runner = _Runner(classifier)
    logits: dict[View, NDArray[np.float32]] = {}
    features: dict[View, NDArray[np.float32]] = {}
    has_view = {view: np.zeros(n, bool) for view in views}
    is_read = np.zeros(n, bool)
    thumbnails = np.zeros((n, 576), np.float32)
    first_failure = ""
    for places, pictures in _batches(labelled, classifier):
        usable = [(place, one) for place, one in zip(places, pictures, strict=True) if isinstance(one, _Prepared)]
        first_failure = first_failure or next((str(one) for one in pictures if isinstance(one, MediaError)), "")
        for place, one in usable:
            is_read[place] = True
            if one.thumbnail is not None:
                thumbnails[place] = one.thumbnail
        for view in views:
            chosen = [(place, one) for place, one in usable if view == View.WHOLE or one.box is not None]
            if not chosen or view in runner.missing:
                continue
            found, read = runner.run(view, [one for _, one in chosen])
            at = [place for place, _ in chosen]
            has_view[view][at] = True
            logits.setdefault(view, np.zeros((n, found.shape[1]), np.float32))[at] = found
            if read is not None:
                features.setdefault(view, np.zeros((n, read.shape[1]), np.float32))[at] = read
        progress(len(places))
    if not is_read.any():
        raise InputError(
            f"improve: none of the {n} labelled pictures can be read ({first_failure}); SOURCE must be where it was audited"
        )
    missing = dict(runner.missing)
    for view in views:
        if view not in logits:
            missing.setdefault(view, _NO_BOX)
    return Shown(logits, features, has_view, is_read, thumbnails, missing, runner.no_head)


def _batches(labelled: Labelled, classifier: Classifier) -> Iterator[tuple[list[int], list[_Prepared | MediaError]]]:
    """Places of targets and what was made of their pictures, a batch at a time."""

    def prepare(row: Mapping[str, Any], image: Image.Image) -> _Prepared:
        box = box_from_row(row)
        whole = classifier.preprocess(image)
        if box is None:
            return _Prepared(whole, {}, None, None)
        crops = {view: crop_to_box(image, widened(box, margin)) for view, margin in MARGINS.items()}
        inputs = {view: classifier.preprocess(crop) for view, crop in crops.items()}
        return _Prepared(whole, inputs, box, thumbnail(crops[View.BOX_CROP]))

    found = iter_labelled(labelled, prepare)
    while batch := list(islice(found, _BATCH)):
        yield [place for place, _ in batch], [made for _, made in batch]


class _Runner:
    """Runs the network on a view, and reads what its last linear layer reads."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self.head = last_linear(classifier.model)
        self.missing: dict[View, str] = {}
        self.no_head: str | None = None
        self._layer = pooled_layer(classifier)
        if isinstance(self._layer, str):
            self.missing[View.POOLED] = self._layer
        if classifier.has_gallery:
            self.no_head = "MODEL has a gallery: add pictures to it (`trapaudit model add-individual`)"
        elif self.head is None:
            self.no_head = "the network has no linear layer"

    def run(self, view: View, pictures: Sequence[_Prepared]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """(B, K) logits and (B, D) features of some pictures; no features where the last layer cannot be replaced."""
        classifier, layer = self.classifier, self._layer
        whole = torch.stack([one.whole for one in pictures])
        keep = torch.stack(
            [animal_mask(one.box, one.whole.shape) for one in pictures if one.box is not None] or [whole[0]]
        )
        if view == View.POOLED:
            assert not isinstance(layer, str)
            return late_logits(classifier, layer, whole, keep).numpy(), None
        if view == View.WHOLE:
            inputs = whole
        elif view in MARGINS:
            inputs = torch.stack([one.crops[view] for one in pictures])
        else:
            infill = make_infill(whole, "blur", BLUR_SIGMA, torch.zeros(len(whole), dtype=torch.int64))
            inputs = blend(whole, keep, infill)
        with classifier.reading_features() as read:
            logits = classifier.logits(inputs)
        if self.no_head is None and not self._gives_logits(read, logits):
            self.no_head = f"the network's last linear layer ({self.head}) does not give its logits"
        return logits.numpy(), torch.cat(read).numpy() if self.no_head is None else None

    @torch.inference_mode()
    def _gives_logits(self, read: Sequence[Tensor], logits: Tensor) -> bool:
        """Whether the last linear layer, on what it read, gives the logits."""
        own: Any = self.classifier.model.get_submodule(self.head or "")
        features = torch.cat(list(read)) if read else torch.zeros(0)
        if own.bias is None or len(features) != len(logits) or features.shape[-1] != own.in_features:
            return False
        return torch.allclose(F.linear(features, own.weight.cpu(), own.bias.cpu()), logits, rtol=1e-3, atol=1e-3)
