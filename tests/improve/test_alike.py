"""Pictures that are nearly one: found across cameras, and through one another; others are not joined."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from scd_core.improve.alike import join_alike, thumbnail


def picture(seed: int) -> Image.Image:
    values = np.kron(np.random.default_rng(seed).integers(0, 255, (12, 12, 3)), np.ones((10, 10, 1)))
    return Image.fromarray(values.astype(np.uint8))


def test_a_smaller_and_darker_copy_is_alike_and_another_picture_is_not():
    first, copy, other = picture(1), ImageEnhance.Brightness(picture(1).resize((70, 90))).enhance(0.8), picture(2)
    thumbnails = np.stack([thumbnail(one) for one in (first, copy, other)])
    assert join_alike(np.arange(3), np.arange(3), thumbnails).tolist() == [0, 0, 1]


def test_what_stands_in_the_corners_does_not_count():
    first, framed = picture(1), picture(3)
    framed.paste(first.crop((20, 20, 100, 100)), (20, 20))
    thumbnails = np.stack([thumbnail(one) for one in (first, framed)])
    assert join_alike(np.arange(2), np.arange(2), thumbnails).tolist() == [0, 0]


def test_one_colour_is_like_nothing():
    grey = thumbnail(Image.new("RGB", (40, 40), (90, 90, 90)))
    assert not grey.any() and join_alike(np.arange(2), np.arange(2), np.stack([grey, grey])).tolist() == [0, 1]


def test_visits_and_contents_join_through_one_another():
    nothing = np.zeros((5, 4), np.float32)
    visit, content = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 1, 2, 3])
    assert join_alike(visit, content, nothing).tolist() == [0, 0, 0, 1, 2]
