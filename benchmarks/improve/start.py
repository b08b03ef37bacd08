"""How the benchmarks of a better model begin: their options, and a report that ends where the weights are not here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch

from benchmarks.common import Report, options
from benchmarks.real.sets import add_work, find_weights

__all__ = ["begun", "seeds_of", "set_options"]


def set_options(doc: str | None, seeds: Sequence[int]) -> argparse.ArgumentParser:
    """A parser with the options of every benchmark and ``--work``.

    Args:
        doc: the benchmark's docstring, whose first line is shown.
        seeds: the default.
    """
    parser = options(str(doc).splitlines()[0])
    parser.set_defaults(seed=list(seeds))
    add_work(parser)
    return parser


def begun(benchmark: str, chosen: argparse.Namespace) -> Report | None:
    """An empty report; None, with the file written that says so, where mobilenet_v2's weights are not here."""
    report = Report(benchmark, torch.device("cpu"))
    if find_weights() is not None:
        return report
    report.notes["improve"] = "left out: the weights are not here"
    report.finish(chosen.json)
    return None


def seeds_of(chosen: argparse.Namespace) -> list[int]:
    """The seeds that are run: the first alone with ``--quick``."""
    return list(chosen.seed[:1] if chosen.quick else chosen.seed)
