"""CF-CAM: class activation maps with clustered channels and filtered gradients."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.cluster import DBSCAN
from torch import Tensor, nn

from scd_core.masks.comparators.single_map import layer_maps
from scd_core.masks.feature_layer import FeatureLayer, layer_signals
from scd_core.masks.result import Masks

__all__ = ["cf_cam", "channel_weights"]


def cf_cam(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    weighting: Literal["softmax", "linear"] = "softmax",
    dominant_share: float = 0.1,
    filter_sigma: float = 1.0,
    layer: str | None = None,
    batch_size: int = 32,
) -> Masks:
    r"""Cluster Filter Class Activation Mapping (He, Pan, Yao 2025, arXiv 2504.00060).

    With :math:`A^k` the feature maps and :math:`G^k = \partial y^c / \partial A^k`:

    1. Channels are clustered by DBSCAN on the Euclidean distances of the flattened :math:`A^k`; epsilon is the 25th
       percentile of those distances, the smallest cluster ``max(2, 5 %)`` of the channels. Channels outside every
       cluster are noise and are dropped.
    2. The gradient of a cluster is the mean of its channels' gradients under a Gaussian filter,
       :math:`\tilde G^j = g_\sigma * \frac{1}{|C_j|}\sum_{k \in C_j} G^k`.
    3. The ``dominant_share`` of the channels with the largest :math:`|\overline{G^k}|`, clustered or not, keep their
       own weight :math:`\alpha_k = \overline{G^k}`; the others of a cluster take
       :math:`\alpha_k = \overline{\tilde G^j}`.
    4. :math:`\omega = \mathrm{softmax}(\alpha)` over the channels kept and
       :math:`L_u = \mathrm{ReLU}(\sum_k \omega_k A^k_u)`.

    We could read the paper's abstract and its authors' README, not the paper. Steps 1, 2 and 4 follow what those say;
    the numbers they do not give (percentile, smallest cluster, width of the filter, share of dominant channels) are
    ours. So this is CF-CAM as described, and a comparison with it is one with this reading.

    **The softmax makes the map nearly class-blind.** The weights :math:`\alpha_k` are means of gradients, of the order
    of a hundredth, and ``softmax`` of numbers that small is ``(1 + alpha_k - mean) / K`` to first order: uniform but
    for a percent. The map is then the mean of the kept feature maps, the same for every class. The signs are gone
    as well, so channels that are evidence against the class count for it. ``weighting="linear"`` leaves the softmax out;
    :func:`scd_core.masks.metrics.class_sensitivity` measures the difference; the column of that name in
    ``docs/research/masks.md`` has both forms.

    Args:
        model: (B, 3, H, W) -> (B, K) logits; comes back as it was given.
        images: (N, 3, H, W), normalised.
        targets: (N,) int64.
        weighting: ``softmax`` as described, or ``linear`` for :math:`\omega = \alpha`.
        dominant_share: share of the channels that keep their own gradient, in [0, 1].
        filter_sigma: width of the Gaussian filter on the cluster's gradient (cells of the feature map).
        layer: as in :func:`scd_core.masks.grad_cam`.
        batch_size: images through the model at once.

    Returns:
        Masks, the map as all three regions. ``evaluations`` is 3: one for the map, two for its probabilities.

    Raises:
        ValueError: wrong shapes or values, a target out of range, no usable layer, or a setting out of range.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
        >>> cf_cam(model, torch.rand(1, 3, 8, 8), torch.tensor([0])).joint.shape
        torch.Size([1, 8, 8])
    """
    if weighting not in ("softmax", "linear"):
        raise ValueError(f"weighting: expected softmax or linear, got {weighting!r}")
    if not 0.0 <= dominant_share <= 1.0:
        raise ValueError(f"dominant_share: expected 0 to 1, got {dominant_share}")
    if not filter_sigma >= 0.0:
        raise ValueError(f"filter_sigma: expected at least 0 cells, got {filter_sigma}")

    def signals(found: FeatureLayer, part: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        return layer_signals(model, found, part, chosen, "logit")

    def maps(activations: Tensor, gradients: Tensor) -> Tensor:
        weights = torch.stack(
            [
                channel_weights(features, slopes, weighting, dominant_share, filter_sigma)
                for features, slopes in zip(activations, gradients)
            ]
        )
        return (weights[:, :, None, None] * activations).sum(dim=1)

    return layer_maps(model, images, targets, signals, maps, layer=layer, batch_size=batch_size, evaluations=1)


def channel_weights(
    activations: Tensor,
    gradients: Tensor,
    weighting: Literal["softmax", "linear"] = "softmax",
    dominant_share: float = 0.1,
    filter_sigma: float = 1.0,
) -> Tensor:
    """Weight of each channel of one image, steps 1 to 4 of :func:`cf_cam`; 0 for noise.

    Args:
        activations: (C, h, w).
        gradients: (C, h, w), of the target's logit.
        weighting: as in :func:`cf_cam`.
        dominant_share: as in :func:`cf_cam`.
        filter_sigma: as in :func:`cf_cam`.

    Returns:
        (C,) in the dtype of the activations.
    """
    slopes = gradients.double().cpu().numpy()
    own = slopes.mean(axis=(1, 2))
    clusters = _clusters(activations)
    alpha = np.zeros_like(own)
    for cluster in np.unique(clusters[clusters >= 0]):
        members = clusters == cluster
        # Zero outside the picture: with mirrored borders a filter would leave the mean as it is.
        alpha[members] = gaussian_filter(slopes[members].mean(axis=0), filter_sigma, mode="constant").mean()
    kept = clusters >= 0
    dominant = np.argsort(-np.abs(own), kind="stable")[: round(dominant_share * len(own))]
    alpha[dominant], kept[dominant] = own[dominant], True
    weights = np.zeros_like(alpha)
    if kept.any():
        weights[kept] = alpha[kept] if weighting == "linear" else _softmax(alpha[kept])
    return torch.from_numpy(weights).to(activations)


def _clusters(activations: Tensor) -> np.ndarray:
    """DBSCAN cluster of each channel, -1 for noise."""
    flat = activations.double().flatten(1)
    distances = torch.cdist(flat, flat).cpu().numpy()
    count = len(distances)
    if count < 2:
        return np.zeros(count, dtype=np.int64)
    epsilon = float(np.percentile(distances[~np.eye(count, dtype=bool)], 25))
    smallest = max(2, round(0.05 * count))
    # Channels that are silent on this picture all coincide; DBSCAN wants a radius above 0 all the same.
    return DBSCAN(eps=max(epsilon, 1e-12), min_samples=smallest, metric="precomputed").fit(distances).labels_


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()
