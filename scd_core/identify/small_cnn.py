"""A small convolutional classifier that trains on a CPU in minutes: whole frames or crops to individuals."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SmallCNN"]


class SmallCNN(nn.Module):
    """Convolutions down to a feature map, its mean, and a linear layer.

    ``forward(x) = classifier(features(x))``; :meth:`classifier` pools first, so that a mask may be multiplied with the
    feature map between the two, and Grad-CAM (Selvaraju et al. 2017) may read it. Fully convolutional: any input of at
    least 16 x 16 pixels.

    Batch normalisation (Ioffe & Szegedy 2015) rather than group normalisation: in evaluation it is affine, so what the
    network says of one region does not depend on the contrast of another, as a mask would change it.

    Args:
        n_classes: individuals, K.
        width: channels of the first stage; the later ones have 2, 4 and 8 times as many.
        dropout: share of the pooled features dropped in training, 0-1.

    Raises:
        ValueError: ``n_classes`` is below 2 or ``width`` below 1.

    Example:
        >>> model = SmallCNN(8).eval()
        >>> model(torch.zeros(2, 3, 120, 160)).shape
        torch.Size([2, 8])
        >>> model.features(torch.zeros(2, 3, 120, 160)).shape
        torch.Size([2, 128, 15, 20])
    """

    def __init__(self, n_classes: int, width: int = 16, dropout: float = 0.1) -> None:
        super().__init__()
        if n_classes < 2:
            raise ValueError(f"SmallCNN: n_classes must be at least 2, got {n_classes}")
        if width < 1:
            raise ValueError(f"SmallCNN: width must be at least 1, got {width}")
        self.n_classes, self.width = n_classes, width
        self.stages = nn.Sequential(
            _block(3, width, stride=2, kernel=5),
            _block(width, 2 * width, stride=2),
            _block(2 * width, 2 * width),
            _block(2 * width, 4 * width, stride=2),
            _block(4 * width, 4 * width),
            _block(4 * width, 8 * width),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8 * width, n_classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Feature map (B, 8 * width, H / 8, W / 8) of images (B, 3, H, W)."""
        return self.stages(images)

    def classifier(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of a feature map (B, 8 * width, h, w)."""
        return self.head(self.dropout(self.pool(features).flatten(1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) of normalised images (B, 3, H, W)."""
        return self.classifier(self.features(images))


def _block(n_in: int, n_out: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )
