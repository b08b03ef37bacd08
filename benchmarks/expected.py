"""Lists of expected individuals, true and false: what they do to the names that a gallery gives real cats and antelopes.

    python -m benchmarks.expected [--draws 12] [--write FILE]

Features of mobilenet_v2 with ImageNet's weights. In each draw a third of each animal's pictures is held out. Each lies at a place
of its own for which four animals are expected: the true one and three drawn ones (``true``), or four others (``false``).
The weights are those of `classify.expected_weight`; the names are given by the functions that name pictures in an audit.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.individual_common import individual_options, means_of_draws, write_figures
from benchmarks.individuals import photographs
from scd_core.identify.classifier import Classifier
from scd_core.identify.classify import name_from_logits
from scd_core.identify.comparison import choose_whitening
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.strangers import gallery_temperature
from scd_core.identify.weighing import shift_of
from scd_core.identify.whitening import CENTRE

SCALE = 16.0
N_EXPECTED = 4
WEIGHTS = (0.5, 1.0, 2.0, 4.0)


def naming(kinds: list[str], temperature: float) -> Any:
    """What a classifier is to the functions that name: labels, temperature, probabilities."""
    spec = SimpleNamespace(labels=tuple(kinds), temperature=temperature, unknown_threshold=None, gallery=None)
    found: Any = SimpleNamespace(spec=spec, names=tuple(kinds), _name_of_class=torch.arange(len(kinds)))
    found.probabilities = partial(Classifier.probabilities, found)
    return found


def draw(features: NDArray[np.float32], ids: NDArray[np.str_], seed: int) -> dict[str, float]:
    """Shares of held-out pictures of one draw; ``n`` is their number."""
    rng, is_held = np.random.default_rng(seed), np.zeros(len(ids), dtype=bool)
    for name in sorted(set(ids)):
        own = rng.permutation(np.flatnonzero(ids == name))
        is_held[own[: len(own) // 3]] = True
    known, names = features[~is_held], ids[~is_held]
    whitening, held_out = choose_whitening(known, names.tolist())
    unit, gallery = (
        unit_rows(part) if whitening is None else whitening(part, CENTRE) for part in (features[is_held], known)
    )
    kinds, place = np.unique(names, return_inverse=True)
    cosines = unit @ gallery.T
    logits = SCALE * np.stack([cosines[:, place == kind].max(1) for kind in range(len(kinds))], axis=1)
    classifier = naming(kinds.tolist(), gallery_temperature(held_out, SCALE) or 1.0)
    counts: dict[str, float] = {}
    for row, truth in zip(torch.from_numpy(logits).float(), ids[is_held].tolist(), strict=True):
        alone = name_from_logits(row, classifier, 1)["predicted_id"]
        counts["right, no list"] = counts.get("right, no list", 0.0) + (alone == truth)
        others = [name for name in kinds.tolist() if name != truth]
        lists = {
            "true": {truth, *rng.choice(others, N_EXPECTED - 1, replace=False)},
            "false": set(rng.choice(others, N_EXPECTED, replace=False)),
        }
        for kind, expected in lists.items():
            key = f"flagged, {kind} list"
            counts[key] = counts.get(key, 0.0) + (alone not in expected)
            if kind == "true" and alone != truth:
                key = "wrong and flagged, true list"
                counts[key] = counts.get(key, 0.0) + (alone not in expected)
            for weight in WEIGHTS:
                name = name_from_logits(row, classifier, 1, shift_of(expected, classifier, weight))["predicted_id"]
                for what, holds in (("right", name == truth), ("renamed", name != alone)):
                    key = f"{what}, {kind} list, weight {weight:g}"
                    counts[key] = counts.get(key, 0.0) + holds
    n = int(is_held.sum())
    n_wrong = n - counts["right, no list"]
    shares = {key: value / n for key, value in counts.items() if not key.startswith("wrong")}
    return shares | {"wrong ones flagged, true list": counts.get("wrong and flagged, true list", 0.0) / n_wrong, "n": n}


def main() -> None:
    """Print the figures."""
    args = individual_options(__doc__, 12).parse_args()
    written = {}
    for kind in ("cats", "nyala"):
        features, ids, _ = photographs(kind)
        written[kind] = means_of_draws([draw(features, ids, seed) for seed in range(args.draws)])
        for name, value in written[kind].items():
            print(f"{kind:6s} {name:36s} {value}", flush=True)
    write_figures(args.write, {"draws": args.draws, "figures": written})


if __name__ == "__main__":
    main()
