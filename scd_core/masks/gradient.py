"""How far a name's gradient lies outside the animal: Grad-CAM of each picture, from the pass that names it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from scd_core.boxes import Box, located_box, pixel_box
from scd_core.identify.classifier import Classifier
from scd_core.identify.classify import Shifts
from scd_core.identify.weighing import weighed
from scd_core.masks.feature_layer import FeatureLayer, find_feature_layer
from scd_core.masks.log_odds import log_odds
from scd_core.masks.reliance import ANIMAL_MARGIN
from scd_core.names import GradientRegion
from scd_core.tables.rows import PredictionRow

__all__ = ["GradientNaming", "share_outside"]


class GradientNaming:
    """Logits of pictures, and how far the gradient of each picture's own name lies outside the animal.

    The pass is the one that names the pictures anyway. It keeps a graph from the feature layer on, so the gradient costs the
    network's last layers once more. The map is Grad-CAM's (:func:`scd_core.masks.comparators.grad_cam.grad_cam`): activations of
    the last feature layer, weighted by the mean gradient of the score, its negative values set to 0. The score is the log-odds
    of the strongest class of the name, which on real animals in real places separates names given for the place better than the
    logit does (docs/masks.md); with a gallery, the cosine similarity to the mean of that individual's embeddings, because a
    single nearest picture may be an odd one.

    Args:
        classifier: the model package in use.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._layer: FeatureLayer | None = None
        self._is_searched = False

    def __call__(
        self, batch: Tensor, rows: Sequence[PredictionRow], shifts: Shifts = None
    ) -> tuple[Tensor, list[PredictionRow]]:
        """Name pictures.

        Args:
            batch: (B, 3, H, W), normalised.
            rows: B prediction rows, of which `detection_id` and the box are read.
            shifts: of expected individuals, B of them, which have a part in what the picture's own name is.

        Returns:
            (B, K) logits, float32, on the CPU; and for each row its `gradient_outside` and `gradient_region`.
        """
        if not self._is_searched:
            self._layer, self._is_searched = self._found(batch[0]), True
        if self._layer is None:
            logits = self._classifier.logits(batch)
            why = GradientRegion.NO_LAYER if self._classifier.gives_gradient else GradientRegion.NO_GRADIENT
            return logits, [{"gradient_outside": None, "gradient_region": why} for _ in rows]
        logits_of, maps_of = [], []
        start = 0
        for part in self._classifier.passes(batch):
            of_part = None if shifts is None else shifts[start : start + len(part)]
            start += len(part)
            logits, maps = self._named(part, self._layer, of_part)
            logits_of.append(logits)
            maps_of.append(maps)
        columns = []
        for row, found in zip(rows, torch.cat(maps_of), strict=True):
            columns.append(_columns(row, found, batch.shape[-2:]))
        return torch.cat(logits_of), columns

    def _found(self, image: Tensor) -> FeatureLayer | None:
        network = self._classifier.naming_network
        if not self._classifier.gives_gradient:
            return None
        with torch.inference_mode(False), torch.enable_grad():
            try:
                return find_feature_layer(network, image.to(self._classifier.device))
            except ValueError:
                return None

    def _named(self, part: Tensor, layer: FeatureLayer, shifts: Shifts) -> tuple[Tensor, Tensor]:
        """(B, K) logits and (B, h, w) maps of one pass, both on the CPU."""
        network: Any = self._classifier.naming_network
        with torch.inference_mode(False), torch.enable_grad(), _graph_from(network, layer.name) as leaves:
            if self._classifier.has_gallery:
                embedded = network.embed(part)
                logits = network.similarity_logits(embedded)
                classes = self._classes(logits, shifts)
                scores = (embedded * network.prototypes()[classes]).sum(dim=1)
            else:
                logits = network(part)
                classes = self._classes(logits, shifts)
                scores = log_odds(logits, classes)
            (gradient,) = torch.autograd.grad(scores.sum(), leaves[-1])
        activations, gradients = (layer.as_picture(one.detach()) for one in (leaves[-1], gradient))
        maps = (gradients.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1).clamp_min(0)
        return logits.detach().float().cpu(), maps.float().cpu()

    def _classes(self, logits: Tensor, shifts: Shifts) -> Tensor:
        """(B,) int64 on the logits' device: the class of each picture's name."""
        own = logits.detach().float().cpu()
        return self._classifier.strongest_class(weighed(self._classifier, own, shifts)).to(logits.device)


@contextmanager
def _graph_from(network: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Inside, the output of a module is the first tensor that a gradient is taken for; it is kept in the list.

    Parameters are frozen and pictures need no gradient, so nothing is kept of the layers before it.
    """
    leaves: list[Tensor] = []
    owner = threading.get_ident()

    def cut(_module: object, _inputs: object, output: Tensor) -> Tensor | None:
        if threading.get_ident() != owner:
            return None
        leaves.append(output.detach().requires_grad_())
        return leaves[-1] + 0  # a layer after it may work in place, which a leaf does not allow

    handle = network.get_submodule(name).register_forward_hook(cut)
    try:
        yield leaves
    finally:
        handle.remove()


def _columns(row: PredictionRow, found: Tensor, size: Sequence[int]) -> PredictionRow:
    """`gradient_outside` and `gradient_region` of a row with its (h, w) map, for a picture of size (H, W)."""
    if row["detection_id"] is not None:
        return {"gradient_outside": None, "gradient_region": GradientRegion.PICTURE_IS_BOX}
    box = located_box(row)
    share = share_outside(found, box, size)
    region = GradientRegion.WINDOW if box is None else GradientRegion.BOX
    return {"gradient_outside": share, "gradient_region": GradientRegion.FLAT if share is None else region}


def share_outside(found: Tensor, box: Box | None, size: Sequence[int]) -> float | None:
    """Share of a map outside the animal.

    Args:
        found: (h, w), not negative.
        box: relative box of the animal, taken to reach :data:`scd_core.masks.reliance.ANIMAL_MARGIN` beyond its sides; None
            takes the window of half the width and half the height that holds most of the map: evidence on an animal is
            compact, wherever the animal is, and that on a place is not.
        size: (H, W) of the picture, to which the map is enlarged bilinearly.

    Returns:
        0-1; None for a map that is 0 everywhere or not finite.

    >>> round(share_outside(torch.ones(2, 2), (0.0, 0.0, 0.5, 1.0), (100, 100)), 3)
    0.45
    """
    # Scaled and in double precision: gradients of a confident picture may be too small to add up.
    scaled = found.double() / found.max().clamp_min(torch.finfo(found.dtype).tiny)
    rows, columns = _enlarging(found.shape[0], size[0]), _enlarging(found.shape[1], size[1])
    total = float(rows[-1] @ scaled @ columns[-1])
    if not 0 < total < float("inf"):
        return None
    if box is None:
        high, wide = max(1, size[0] // 2), max(1, size[1] // 2)
        inside = float(((rows[high:] - rows[:-high]) @ scaled @ (columns[wide:] - columns[:-wide]).T).max())
    else:
        left, top, right, bottom = pixel_box(box, size[1], size[0], ANIMAL_MARGIN)
        inside = float((rows[bottom] - rows[top]) @ scaled @ (columns[right] - columns[left]))
    return min(1.0, max(0.0, 1.0 - inside / total))


@lru_cache(maxsize=16)
def _enlarging(cells: int, pixels: int) -> Tensor:
    """(pixels + 1, cells): how much of each cell lies in the first n pixels of the axis, when cells are enlarged bilinearly.

    So the sum of an enlarged map over a rectangle needs no enlarged map.
    """
    weights = functional.interpolate(torch.eye(cells, dtype=torch.float64)[None], size=pixels, mode="linear")[0].T
    return functional.pad(weights.cumsum(0), (0, 0, 1, 0))
