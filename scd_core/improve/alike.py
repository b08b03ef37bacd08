"""Pictures that are nearly one picture: they must not be learnt from and judged by at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["ALIKE", "join_alike", "thumbnail"]

SIDE = 24
"""Side of the grey thumbnail that is compared (pixels)."""

MIDDLE = 0.6
"""Share of an animal's crop, around its middle, that is compared: in its corners is what stands behind the animal."""

ALIKE = 0.95
"""Correlation from which two thumbnails are of nearly one picture. Copies of one photograph in two places of the real cats
have .989 or more, other pictures of the same cat .93 or less."""

_BLOCK = 2_000


def thumbnail(crop: Image.Image) -> NDArray[np.float32]:
    """(576,) grey middle of an animal's crop, mean 0 and length 1; zeros where it is of one colour."""
    cut = (1 - MIDDLE) / 2
    middle = crop.convert("L").crop(
        (
            int(crop.width * cut),
            int(crop.height * cut),
            max(int(crop.width * (1 - cut)), int(crop.width * cut) + 1),
            max(int(crop.height * (1 - cut)), int(crop.height * cut) + 1),
        )
    )
    values = np.asarray(middle.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32).ravel()
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-3 else np.zeros_like(values)


def join_alike(
    visit: NDArray[np.int64], content: NDArray[np.int64], thumbnails: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Number of the group of each target: targets of one visit, of one content, or whose animals are nearly one picture.

    Args:
        visit: (N,) number of each target's visit.
        content: (N,) number of each target's content; equal bytes have equal numbers.
        thumbnails: (N, 576) as of :func:`thumbnail`; zeros where there is none, which is like no other.

    Returns:
        (N,) numbers from 0; joined targets are joined through others as well.
    """
    first: list[NDArray[np.int64]] = []
    second: list[NDArray[np.int64]] = []
    for number in (visit, content):
        leader = np.unique(number, return_index=True)[1][np.unique(number, return_inverse=True)[1]]
        first.append(np.arange(len(number)))
        second.append(leader)
    for start in range(0, len(thumbnails), _BLOCK):
        rows, columns = np.nonzero(thumbnails[start : start + _BLOCK] @ thumbnails.T >= ALIKE)
        first.append(rows + start)
        second.append(columns)
    one, other = np.concatenate(first), np.concatenate(second)
    graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(visit), len(visit)))
    return connected_components(graph, directed=False)[1].astype(np.int64)
