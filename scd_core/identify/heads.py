"""Heads that compare: cosines of a picture's features and one vector a class, behind a plain backbone or one with a neck."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CosineHead", "GeM", "HeadedNetwork"]

_EPSILON = 1e-6


class GeM(nn.Module):
    """Generalised mean pooling, ``mean(x ** p) ** (1 / p)`` over the picture: (B, C, h, w) -> (B, C).

    Between the average (p = 1) and the maximum (p large) of Radenovic, Tolias, Chum 2018 (arXiv 1711.02512).

    Example:
        >>> GeM()(torch.full((2, 4, 3, 3), 0.5)).shape
        torch.Size([2, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, features: Tensor) -> Tensor:
        """Pooled features.

        Raises:
            ValueError: the features have no place in the picture, as those of a backbone that pools itself.
        """
        if features.dim() != 4:
            raise ValueError(f"GeM pools features (B, C, h, w), and the backbone gives {tuple(features.shape)}")
        return features.clamp_min(_EPSILON).pow(self.p).mean((2, 3)).pow(1 / self.p)


class CosineHead(nn.Linear):
    """Logits ``scale * max_j cos(x, w_kj)`` of class k, j over its sub-centres: ArcFace without its margin.

    Args:
        n_features: D.
        n_classes: K.
        sub_centres: vectors of one class, in rows that follow each other.
        scale: of the cosines.
    """

    def __init__(self, n_features: int, n_classes: int, sub_centres: int = 1, scale: float = 16.0) -> None:
        super().__init__(n_features, n_classes * sub_centres, bias=False)
        self.sub_centres, self.scale = sub_centres, scale

    def forward(self, input: Tensor) -> Tensor:
        """(B, D) -> (B, K)."""
        cosines = F.linear(F.normalize(input, dim=1), F.normalize(self.weight, dim=1))
        return self.scale * cosines.unflatten(1, (-1, self.sub_centres)).amax(2)


class HeadedNetwork(nn.Module):
    """A backbone, a neck of GeM pooling and batch normalisation where there is one, and a head that compares.

    Args:
        backbone: (B, 3, H, W) -> (B, C, h, w) with a neck, (B, D) without.
        head: of C or D features.
        has_neck: whether pooling and batch normalisation lie between.
    """

    def __init__(self, backbone: nn.Module, head: CosineHead, *, has_neck: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling: nn.Module = GeM() if has_neck else nn.Identity()
        self.bn: nn.Module = nn.BatchNorm1d(head.in_features) if has_neck else nn.Identity()
        self.final: nn.Module = head

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of normalised images (B, 3, H, W)."""
        found: Tensor = self.final(self.bn(self.pooling(self.backbone(images))))
        return found

    def with_backbone(self, backbone: nn.Module) -> HeadedNetwork:
        """The same neck and head behind another backbone."""
        found = HeadedNetwork.__new__(HeadedNetwork)
        nn.Module.__init__(found)
        found.backbone, found.pooling, found.bn, found.final = backbone, self.pooling, self.bn, self.final
        return found.train(self.training)
