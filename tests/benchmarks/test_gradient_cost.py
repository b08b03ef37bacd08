"""The cost of the gradient is measured on both ways to name, in turns."""

from __future__ import annotations

from benchmarks.gradient_cost import gradient_ratios


def test_both_ways_are_measured_in_every_turn() -> None:
    found = gradient_ratios("scd_core/small_cnn", 2, 3)
    assert found["turns"] == 3 and found["seconds_plain"] > 0 < found["seconds_gradient"]
    assert 0 < found["ratio_low"] <= found["ratio"] <= found["ratio_high"]
