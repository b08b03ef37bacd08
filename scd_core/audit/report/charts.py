"""Inline SVG of the report: rates with their intervals against the baseline, and the reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

__all__ = ["ReliabilityBin", "interval_chart", "reliability_chart"]


@dataclass(frozen=True)
class ReliabilityBin:
    """Labelled predictions of similar probability."""

    probability: float
    """Mean probability given, 0-1."""
    accuracy: float
    """Weighted share that is right, 0-1."""
    ci_low: float
    ci_high: float
    n: int
    """Predictions in the bin."""


def interval_chart(rate: float, low: float, high: float, baseline: float | None, scale: float = 1.0) -> Markup:
    """A rate as a dot on its interval, and the baseline as a line across, on an axis from 0 to `scale`.

    The drawing stretches with its place and holds no text, so it stays legible at any width; what it shows is
    written beside it, and it is hidden from screen readers.

    Args:
        rate: error rate, 0-1.
        low: lower end of its interval, 0-1.
        high: upper end of its interval, 0-1.
        baseline: rate elsewhere, 0-1; None draws no line.
        scale: right end of the axis, 0-1.
    """

    def x(value: float) -> str:
        return f"{100 * min(max(value / scale, 0.0), 1.0):.2f}"

    base = ""
    if baseline is not None:
        base = f'<path class="chart-baseline" d="M{x(baseline)} 2V22"/>'
    return Markup(
        '<svg class="interval" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<path class="chart-axis" d="M0 12H100"/>'
        f'<path class="chart-interval" d="M{x(low)} 12H{x(high)}"/>{base}'
        f'<path class="chart-dot" d="M{x(rate)} 12h0.001"/></svg>'
    )


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Markup:
    """Reliability diagram: for each bin, the share that is right against the probability that was given.

    A dot on the diagonal means that a probability of .8 is right 8 times of 10; below it, the model is too sure. Dots grow
    with the number of predictions, lines are intervals. The numbers stand in a table beside it.
    """
    left, top, side = 46, 12, 250
    most = max((found.n for found in bins), default=1)

    def x(value: float) -> float:
        return left + side * value

    def y(value: float) -> float:
        return top + side * (1 - value)

    parts = [f'<rect class="chart-frame" x="{left}" y="{top}" width="{side}" height="{side}"/>']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            f'<path class="chart-grid" d="M{x(tick):.1f} {top}V{top + side}M{left} {y(tick):.1f}H{left + side}"/>'
        )
        parts.append(
            f'<text class="chart-text" x="{x(tick):.1f}" y="{top + side + 16}" text-anchor="middle">{tick:.0%}</text>'
        )
        parts.append(
            f'<text class="chart-text" x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.0%}</text>'
        )
    parts.append(f'<path class="chart-ideal" d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>')
    for found in bins:
        parts.append(
            f'<path class="chart-whisker" d="M{x(found.probability):.1f} {y(found.ci_low):.1f}V{y(found.ci_high):.1f}"/>'
        )
    for found in bins:
        radius = 3 + 6 * (found.n / most) ** 0.5
        parts.append(
            f'<circle class="chart-bin" cx="{x(found.probability):.1f}" cy="{y(found.accuracy):.1f}" r="{radius:.1f}"/>'
        )
    parts.append(
        f'<text class="chart-text" x="{left + side / 2}" y="{top + side + 36}" text-anchor="middle">probability given</text>'
    )
    parts.append(
        f'<text class="chart-text" transform="translate(11 {top + side / 2}) rotate(-90)" text-anchor="middle">share right</text>'
    )
    return Markup(
        '<svg class="reliability" viewBox="0 0 322 306" role="img" '
        'aria-label="Reliability diagram; its numbers are in the table that follows">' + "".join(parts) + "</svg>"
    )
