"""Adapting a network to one camera's pictures without labels: class-aware feature alignment (CAFA, Jung et al., ICCV 2023)."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from scd_core.identify.architectures import features_at, last_linear
from scd_core.identify.class_means import ClassMeans
from scd_core.identify.classifier import Classifier

__all__ = ["Anchors", "adapt", "alignment_loss", "why_not_adapted"]

BATCH = 16
LEARNING_RATE = 1e-3
"""Of Adam, in one pass over the pictures, as a camera in use would see them. More passes make every name one name on cameras
whose places mislead the model."""

_LEAST = 1e-6


@dataclass(frozen=True)
class Anchors:
    """Where pictures of each name lie among the features, for :func:`alignment_loss`."""

    whitener: Tensor
    """(D, D) W; ``W W'`` is the inverse of the covariance."""
    means: Tensor
    """(K, D) of each name, times W."""
    has_mean: Tensor
    """(K,) whether pictures of the name are known."""

    @classmethod
    def of(cls, means: ClassMeans) -> Anchors:
        """The anchors of class means with one shrunk covariance for all."""
        covariance = means.scatter.T @ means.scatter + means.level * np.eye(means.scatter.shape[1])
        whitener = np.linalg.cholesky(np.linalg.inv(covariance))
        return cls(
            torch.from_numpy(whitener).float(),
            torch.from_numpy(means.means @ whitener).float(),
            torch.from_numpy(means.counts > 0),
        )


def alignment_loss(features: Tensor, named: Tensor, anchors: Anchors) -> Tensor:
    """Mean of ``log(D(x; y) / sum of D(x; c) over the other names c)``.

    D is the squared Mahalanobis distance to a name's mean. That the distances stand as a ratio within a logarithm is from
    memory of the paper. Pictures whose own name has no mean do not count; without any the loss is 0.

    Args:
        features: (B, D), as the network's last layer reads them.
        named: (B,) int64, the name that the network gives each.
        anchors: of K names.

    Returns:
        A scalar.
    """
    counts = anchors.has_mean[named]
    spread = (features[counts] @ anchors.whitener)[:, None] - anchors.means
    distances = (spread**2).sum(-1).clamp_min(_LEAST)
    own = distances.gather(1, named[counts, None])[:, 0]
    others = (distances * anchors.has_mean).sum(1) - own
    return (own / others.clamp_min(_LEAST)).log().sum() / max(1, len(own))


def why_not_adapted(classifier: Classifier) -> str | None:
    """Why a model cannot be adapted in this way, in words; None where it can."""
    if classifier.spec.program is not None:
        return f"MODEL is a program ({classifier.spec.architecture}); pack its weights with an architecture"
    if classifier.has_gallery:
        return "MODEL has a gallery; add this camera's pictures to it (`trapaudit model add-individual`)"
    if not _norm_layers(classifier.model):
        return "the network has no batch norm whose scales and shifts could follow a camera"
    if classifier.frame_head is not None:
        return "MODEL names boxes by their whole frame as well, which adapting to crops would leave as it is"
    return None if last_linear(classifier.model) else "the network has no linear layer"


def adapt(classifier: Classifier, inputs: Tensor, anchors: Anchors, seed: int = 0) -> nn.Module:
    """A copy of the network whose batch norm's scales and shifts have followed one camera's pictures.

    One pass with Adam. The means and variances of training stay: replaced by the camera's own they cost more names than they won.

    Args:
        classifier: the model, of which :func:`why_not_adapted` is None; stays as it is.
        inputs: (N, 3, H, W) normalised pictures of the camera, without labels.
        anchors: of the model's names, from pictures of other cameras.
        seed: of the order of the pictures.
    """
    network = copy.deepcopy(classifier.model)
    head = last_linear(network)
    assert head is not None
    parameters = [one.requires_grad_(True) for layer in _norm_layers(network) for one in layer.parameters()]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    for some in order.split(BATCH):
        with features_at(network, head) as read:
            logits: Tensor = network(inputs[some].to(classifier.device))
        named = classifier.probabilities(logits.detach().float().cpu()).argmax(1)
        loss = alignment_loss(read[0], named, anchors)
        optimizer.zero_grad()
        if anchors.has_mean[named].any():
            loss.backward()
            optimizer.step()
    return network.requires_grad_(False)


def _norm_layers(network: nn.Module) -> list[nn.Module]:
    """The layers of batch norm that have scales and shifts."""
    return [one for one in network.modules() if isinstance(one, _BatchNorm) and one.affine]
