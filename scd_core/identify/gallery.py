"""Individuals by gallery: an embedding network whose logits are scaled cosine similarities to pictures of known animals."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scd_core.errors import InputError
from scd_core.identify.architectures import load_state
from scd_core.identify.spec import PackageSpec
from scd_core.identify.whitening import CENTRE, Whitening

__all__ = ["EQUAL", "GalleryNetwork", "read_gallery"]

EQUAL = 0.9999
"""Cosine similarity from which two pictures are the same one to the network."""

_ROUNDING = 1e-5
"""How far a stored embedding of 32 bits may be from unit length and still be one."""


class GalleryNetwork(nn.Module):
    """Logits ``scale * max_i cos(W network(x), W embedding_i)`` per individual, i over the individual's gallery pictures.

    The nearest picture decides, so an individual with many pictures has no advantage over one with few, and an individual
    that is added leaves the logits of all others as they were.

    Args:
        network: normalised float (B, 3, H, W) -> (B, D).
        embeddings: (M, D) of unit length.
        classes: (M,) int64, the individual of each.
        scale: similarities in [-1, 1] are multiplied by it.
        whitening: W; None compares embeddings as they are.
    """

    embeddings: Tensor
    classes: Tensor

    def __init__(
        self, network: nn.Module, embeddings: Tensor, classes: Tensor, scale: float, whitening: Whitening | None = None
    ) -> None:
        super().__init__()
        self.network, self.scale, self.whitening = network, scale, whitening
        self.n_classes = int(classes.max()) + 1
        for name, values in (whitening.arrays() if whitening else {}).items():
            self.register_buffer(f"white_{name}", torch.from_numpy(values))
        self.register_buffer("embeddings", self._whitened(embeddings))
        self.register_buffer("classes", classes)

    def embed(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, D) of unit length, whitened where the package has a whitening."""
        return self._whitened(F.normalize(self.network(images).flatten(1), dim=1))

    def share_whitening(self, other: GalleryNetwork) -> None:
        """Whiten as another gallery does, whose embeddings this one has, whitened already."""
        self.whitening = other.whitening
        for name in other.whitening.arrays() if other.whitening else ():
            self.register_buffer(f"white_{name}", getattr(other, f"white_{name}"))

    def _whitened(self, embedded: Tensor) -> Tensor:
        """What :meth:`Whitening.__call__` gives, for tensors that may need a gradient."""
        if self.whitening is None:
            return embedded
        mean, directions, gains = (
            getattr(self, f"white_{name}").to(embedded.dtype) for name in ("mean", "directions", "gains")
        )
        moved = embedded - CENTRE * mean
        return F.normalize(moved - ((moved @ directions.T) * gains) @ directions, dim=1)

    def similarity_logits(self, embedded: Tensor, *, leave_out_equal: bool = False) -> Tensor:
        """(B, D) of unit length -> (B, K) logits.

        Args:
            embedded: as of :meth:`embed`.
            leave_out_equal: gallery pictures that are the picture itself do not count (leave one out).
        """
        cosines = embedded @ self.embeddings.to(embedded.dtype).T
        if leave_out_equal:
            cosines = cosines.masked_fill(cosines > EQUAL, -1.0)
        start = cosines.new_full((len(cosines), self.n_classes), -1.0)
        nearest = start.scatter_reduce(1, self.classes.expand(len(cosines), -1), cosines, "amax", include_self=True)
        return self.scale * nearest

    def prototypes(self) -> Tensor:
        """(K, D) of unit length: the mean of each individual's embeddings."""
        sums = self.embeddings.new_zeros(self.n_classes, self.embeddings.shape[1])
        return F.normalize(sums.index_add_(0, self.classes, self.embeddings), dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of normalised images (B, 3, H, W)."""
        return self.similarity_logits(self.embed(images))


def read_gallery(data: bytes, spec: PackageSpec) -> tuple[Tensor, Tensor]:
    """Embeddings (M, D) of unit length and classes (M,) of a gallery file.

    What is of unit length there stays as it is to the last bit, so that a gallery that gets pictures and loses them again is the
    one that it was.

    Raises:
        InputError: not a gallery, or one that does not fit the package's labels.
    """
    state = load_state(data, str(spec.gallery))
    where = f"gallery {spec.gallery}"
    if set(state) != {"embeddings", "classes"}:
        raise InputError(
            f"{where}: expected tensors `embeddings` and `classes`, found {', '.join(sorted(state)) or 'none'}"
        )
    embeddings, classes = state["embeddings"].float(), state["classes"].long()
    if embeddings.ndim != 2 or classes.shape != embeddings.shape[:1] or not len(classes):
        raise InputError(
            f"{where}: expected embeddings (M, D) and classes (M,), got {tuple(embeddings.shape)} and {tuple(classes.shape)}"
        )
    if not bool(torch.isfinite(embeddings).all()) or bool((embeddings.norm(dim=1) == 0).any()):
        raise InputError(f"{where}: holds an embedding that is zero or not finite")
    if set(classes.tolist()) != set(range(len(spec.labels))):
        raise InputError(f"{where}: its classes must be 0..{len(spec.labels) - 1}, one at least per label")
    is_unit = (embeddings.norm(dim=1, keepdim=True) - 1).abs() < _ROUNDING
    return torch.where(is_unit, embeddings, F.normalize(embeddings, dim=1)), classes
