"""A slice that was tested: its statistics, as columns of the table ``error_slices``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

__all__ = ["TestedSlice", "slice_id"]


@dataclass
class TestedSlice:
    """A listed slice with its statistics; each field is the column of its name."""

    slice_id: str
    slice: list[tuple[str, str]]
    family: str
    n_events: int
    n_images: int
    n_errors: int
    exposure: float
    n_effective: float
    error_rate: float
    ci_low: float
    ci_high: float
    baseline_rate: float
    lift: float
    p_value: float
    n_tests: int
    e_weight: float = 0.0
    is_lower_bound: bool = False
    q_value: float = 1.0
    tested_within: str | None = None
    is_systematic: bool = False
    folded_into: str | None = None
    onset: datetime | None = None
    onset_low: datetime | None = None
    onset_high: datetime | None = None
    e_value: float | None = None
    announced_at: datetime | None = None
    trend: str | None = None
    labels_needed: int | None = None

    __test__ = False  # pytest takes every class called Test... for a test


def slice_id(values: Mapping[str, str]) -> str:
    """First 16 hex digits of the sha256 over a slice's keys and values: the same slice has the same id in every report."""
    return hashlib.sha256(json.dumps(sorted(values.items())).encode()).hexdigest()[:16]
