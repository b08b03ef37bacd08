"""What the benchmarks of individuals share: their options, intervals over draws, and the file of figures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

__all__ = ["individual_options", "means_of_draws", "write_figures"]


def individual_options(
    description: str | None, draws: int, only: Sequence[str] = (), what: str = "draws"
) -> argparse.ArgumentParser:
    """A parser with ``--draws``, ``--write`` and, where there are several sets of pictures, ``--only``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=draws, help=what)
    parser.add_argument("--write", type=Path, help="JSON file for the figures")
    if only:
        parser.add_argument("--only", choices=list(only))
    return parser


def means_of_draws(draws: Sequence[Mapping[str, float]], names: Iterable[str] | None = None) -> dict[str, list[float]]:
    """Mean of each figure over draws, and the ends of its 95 % bootstrap interval; to three digits."""
    rng = np.random.default_rng(0)
    found = {}
    for name in draws[0] if names is None else names:
        values = np.array([one[name] for one in draws], dtype=float)
        low, high = np.quantile(rng.choice(values, (2000, len(values))).mean(1), [0.025, 0.975])
        found[name] = [round(float(value), 3) for value in (values.mean(), low, high)]
    return found


def write_figures(path: Path | None, content: object) -> None:
    """Write figures as JSON, where a file is named."""
    if path is not None:
        path.write_text(json.dumps(content, indent=1) + "\n")
