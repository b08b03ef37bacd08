"""What a mask method returns: the maps of every image, what they do to the prediction, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

__all__ = ["NO_GRADIENT", "Masks"]

NO_GRADIENT = (
    "expected a score that depends on the picture, got a gradient of zero everywhere: logits that are saturated or rounded, "
    "or a picture that is equal to its infill"
)
"""Why an image has no mask where nothing in it moves the score."""


@dataclass(frozen=True)
class Masks:
    """Masks of N images, on the device of the images that were given.

    A method that makes one map per image (a comparator) gives that map as `sufficient`, `destroying` and `joint`.
    An image in `failures` has maps of zeros and probabilities of NaN.

    Attributes:
        sufficient: (N, H, W) float32 in [0, 1]; 1 = this pixel is kept by the smallest region that suffices.
        destroying: (N, H, W) float32 in [0, 1]; 1 = this pixel is in the smallest region whose removal destroys
            the prediction.
        joint: (N, H, W) float32 in [0, 1]; sqrt(sufficient * destroying): 1 = evidence in both.
        ssr_probability: (N,) float32; p(target) of the image with only `sufficient` kept.
        sdr_probability: (N,) float32; p(target) of the image with `destroying` removed.
        area: (N,) float32; mean of `joint`, as a share of the frame.
        iterations: (N,) int64; optimisation steps taken.
        converged: (N,) bool; the maps stood still before the last step.
        evaluations: (N,) int64; images that went through the model for this image, checks included.
        seeds: (N,) int64; seed of each image's noise.
        failures: image index -> why it has no mask; empty where everything went well.
    """

    sufficient: torch.Tensor
    destroying: torch.Tensor
    joint: torch.Tensor
    ssr_probability: torch.Tensor
    sdr_probability: torch.Tensor
    area: torch.Tensor
    iterations: torch.Tensor
    converged: torch.Tensor
    evaluations: torch.Tensor
    seeds: torch.Tensor
    failures: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, images: torch.Tensor, seeds: torch.Tensor) -> Masks:
        """Masks of zeros for images (N, 3, H, W), to be filled; probabilities are NaN."""
        count, _, height, width = images.shape
        device = images.device
        blank = torch.zeros(count, height, width, device=device)
        unknown = torch.full((count,), torch.nan, device=device)
        none = torch.zeros(count, dtype=torch.int64, device=device)
        return cls(
            sufficient=blank,
            destroying=blank.clone(),
            joint=blank.clone(),
            ssr_probability=unknown,
            sdr_probability=unknown.clone(),
            area=torch.zeros(count, device=device),
            iterations=none,
            converged=torch.zeros(count, dtype=torch.bool, device=device),
            evaluations=none.clone(),
            seeds=seeds.to(device, torch.int64).clone(),
        )

    def __len__(self) -> int:
        return len(self.joint)
