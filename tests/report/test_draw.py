"""Evidence drawn on pictures lies where the mask says."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from scd_core.audit.report.charts import ReliabilityBin, interval_chart, reliability_chart
from scd_core.audit.report.draw import (
    draw_box,
    draw_evidence,
    jpeg_uri,
    lit_view,
    mask_over_frame,
    shrink,
)
from scd_core.identify.pictures import crop_to_box


def png(mask: np.ndarray) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def corner() -> bytes:
    """A map of 8 x 8 cells with evidence in the upper left quarter only."""
    mask = np.zeros((8, 8))
    mask[:4, :4] = 120
    return png(mask)


def noise(width: int = 120, height: int = 80) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3)).astype(np.uint8))


def test_mask_is_stretched_to_its_peak(corner: bytes) -> None:
    mask = mask_over_frame(corner, (160, 80))
    assert mask.shape == (80, 160) and mask.max() == 1
    assert mask[:30, :60].min() > 0.9 and mask[50:, 90:].max() < 0.05


def test_mask_of_a_box_stays_in_the_box(corner: bytes) -> None:
    mask = mask_over_frame(corner, (100, 100), (0.5, 0.5, 0.4, 0.4))
    assert mask[:50].max() == mask[:, :50].max() == mask[90:].max() == 0
    assert mask[52:66, 52:66].min() > 0.8


def test_empty_mask_is_empty() -> None:
    assert mask_over_frame(png(np.zeros((4, 4))), (20, 10)).max() == 0


def test_heat_is_where_the_evidence_is(corner: bytes) -> None:
    picture = Image.new("RGB", (160, 80), (90, 90, 90))
    drawn = np.asarray(draw_evidence(picture, mask_over_frame(corner, (160, 80)))).astype(int)
    inside, outside = drawn[8:30, 8:60], drawn[50:, 100:]
    assert (inside[..., 0] - inside[..., 2]).mean() > 40, "hot colours are red"
    assert np.ptp(outside, axis=-1).max() <= 2, "the rest stays grey"
    white = (drawn == 255).all(-1)
    assert white.any() and white[:45, :90].sum() == white.sum(), "a contour around the evidence, nowhere else"


def test_picture_without_evidence_has_no_heat_and_no_contour() -> None:
    drawn = np.asarray(draw_evidence(Image.new("RGB", (40, 30), (80, 80, 80)), np.zeros((30, 40), np.float32)))
    assert np.ptp(drawn) <= 1


def test_box_is_drawn_at_its_edge() -> None:
    drawn = np.asarray(draw_box(Image.new("RGB", (100, 100)), (0.2, 0.3, 0.5, 0.4))).astype(int)
    lit = np.argwhere(drawn[..., 2] > 200)
    assert lit.min(0).tolist() == [31, 21] and lit.max(0).tolist() == [68, 68]
    assert drawn[40:60, 30:60].max() == 0


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 1.0, 1.0), (0.99, 0.99, 0.5, 0.5), (-0.2, -0.1, 0.05, 0.05), (0.5, 0.5, 0.0, 0.0)]
)
def test_boxes_at_the_border_and_without_size(box: tuple[float, float, float, float]) -> None:
    picture = noise()
    assert draw_box(picture, box).size == picture.size
    assert min(crop_to_box(picture, box).size) >= 1
    assert mask_over_frame(png(np.full((4, 4), 9)), picture.size, box).shape == (80, 120)


def test_jpeg_has_no_metadata() -> None:
    """Coordinates in the EXIF block of a picture must not leave with the report."""
    picture = noise()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    sink = io.BytesIO()
    picture.save(sink, "JPEG", exif=exif.tobytes())
    with Image.open(sink) as opened:
        assert opened.getexif()
        uri = jpeg_uri(opened, 70)
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as again:
        assert again.format == "JPEG" and not again.getexif()


def test_shrink_never_enlarges() -> None:
    assert shrink(noise(120, 80), 60, 60).size == (60, 40)
    assert shrink(noise(20, 10), 60, 60).size == (20, 10)


def test_interval_chart_puts_rates_on_one_axis() -> None:
    chart = str(interval_chart(0.4, 0.2, 0.6, 0.1, scale=0.8))
    assert 'chart-dot" d="M50.00' in chart and 'chart-interval" d="M25.00 12H75.00"' in chart
    assert 'chart-baseline" d="M12.50' in chart
    assert "chart-baseline" not in interval_chart(0.4, 0.2, 0.6, None)


def test_reliability_dots_are_where_the_rates_are() -> None:
    chart = str(reliability_chart([ReliabilityBin(0.5, 1.0, 0.8, 1.0, 10), ReliabilityBin(1.0, 0.0, 0.0, 0.2, 40)]))
    assert 'cx="171.0" cy="12.0" r="6.0"' in chart and 'cx="296.0" cy="262.0" r="9.0"' in chart


def test_late_is_lit_where_the_evidence_lies(corner: bytes) -> None:
    frame = Image.new("RGB", (140, 84), (200, 200, 200))
    lit = np.asarray(lit_view(frame, mask_over_frame(corner, frame.size))).astype(int)
    assert lit[5, 5].mean() > 190 and lit[80, 135].mean() < 40
