"""How much of each list the page of a report shows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LIMITS", "Limits"]


@dataclass(frozen=True)
class Limits:
    """How much of each list the page shows; the rest is counted, and is one query away."""

    slices: int = 20
    explained: int = 12
    unproved: int = 40
    cameras: int = 40
    individuals: int = 12
    pairs: int = 30
    suspected: int = 40
    suspected_pictures: int = 6
    contrasts: int = 2
    single_errors: int = 6
    label_next: int = 30
    label_file: int = 200
    label_pictures: int = 12
    quarantined: int = 100
    inputs: int = 40
    history: int = 12
    picture_bytes: int = 3_500_000
    contrast_bytes: int = 500_000
    label_picture_bytes: int = 500_000


LIMITS = Limits()
