"""Which candidate to ask about first: new individuals found per label, by several orders.

    python -m benchmarks.review_order [--draws 12] [--write FILE]

Real cats and antelopes, features of mobilenet_v2 with ImageNet's weights. Each draw hides five animals, and half of the pictures
of the others are named by a gallery of the rest. What it calls unknown is grouped into candidates; a label names the animal that
most of a candidate's pictures are of. The figure is the mean, over the first 10 labels, of the share of new animals found so far.
Orders: that of `review_rank` (the sum of entropies), the number of pictures, novelty (unlike all known ones), size times novelty,
and, as Active GCD does, one after another with less for those like a candidate asked about before (``diverse``); and random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from benchmarks.individual_common import individual_options, means_of_draws, write_figures
from benchmarks.individuals import photographs
from scd_core.identify.comparison import choose_whitening
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.grouping import find_similarity
from scd_core.identify.linkage import average_linkage
from scd_core.identify.strangers import find_stranger_limit, gallery_temperature
from scd_core.identify.whitening import CENTRE, group_space, hidden_groups

N_HIDDEN = 5
N_LABELS = 10
SCALE = 16.0


def diverse(worth: NDArray[np.float64], means: NDArray[np.float32]) -> list[int]:
    """Candidates one after another by their worth times (1 - likeness to those before) squared."""
    found: list[int] = []
    near = np.zeros(len(worth))
    while len(found) < len(worth):
        value = worth * (1 - np.maximum(0, near)) ** 2
        value[found] = -np.inf
        found.append(int(value.argmax()))
        near = np.maximum(near, means @ means[found[-1]])
    return found


def draw(features: NDArray[np.float32], ids: NDArray[np.str_], seed: int) -> dict[str, float]:
    """The figure of each order in one draw of hidden animals."""
    rng, names = np.random.default_rng(seed), sorted(set(ids))
    hidden = rng.permutation(names)[:N_HIDDEN]
    is_stranger, is_test = np.isin(ids, hidden), np.zeros(len(ids), dtype=bool)
    for name in sorted(set(ids[~is_stranger])):
        own = rng.permutation(np.flatnonzero(ids == name))
        is_test[own[: len(own) // 2]] = True
    known, own_names = features[~is_stranger & ~is_test], ids[~is_stranger & ~is_test].tolist()
    whitening, held_out = choose_whitening(known, own_names)
    unit, gallery = (unit_rows(part) if whitening is None else whitening(part, CENTRE) for part in (features, known))
    kinds, place = np.unique(own_names, return_inverse=True)
    cosines = unit @ gallery.T
    each = np.stack([cosines[:, place == kind].max(1) for kind in range(len(kinds))], axis=1)
    unknown = np.flatnonzero((is_test | is_stranger) & (each.max(1) < find_stranger_limit(held_out, 0.1).similarity))
    sure = softmax(SCALE * each / (gallery_temperature(held_out, SCALE) or 1.0), axis=1)
    entropy = -(sure * np.log(sure + 1e-30)).sum(1) / np.log(len(kinds))
    white = group_space(whitening, known)(features[unknown])
    joined = average_linkage(white, np.ones(len(white)), find_similarity(hidden_groups(known, own_names)) or 0.2)
    groups = [np.flatnonzero(joined == group) for group in np.unique(joined)]
    means = unit_rows(np.stack([white[group].mean(0) for group in groups]))
    size = np.array([len(group) for group in groups], dtype=np.float64)
    doubt = np.array([entropy[unknown[group]].sum() for group in groups])
    novelty = np.array([1 - each[unknown[group]].max(1).mean() for group in groups])
    whose = [Counter(ids[unknown[group]].tolist()).most_common(1)[0][0] for group in groups]
    new = set(hidden) & set(ids[unknown])

    def share(order: Sequence[int]) -> float:
        seen: set[str] = set()
        shares = []
        for one in list(order)[:N_LABELS]:
            seen |= {whose[one]} & new
            shares.append(len(seen) / len(new))
        return float(np.mean(shares))

    def by(value: NDArray[np.float64]) -> list[int]:
        return np.argsort(-value, kind="stable").tolist()

    return {
        "sum of entropies (review_rank)": share(by(doubt)),
        "size": share(by(size)),
        "novelty": share(by(novelty)),
        "size times novelty": share(by(size * novelty)),
        "diverse, sum of entropies": share(diverse(doubt, means)),
        "diverse, novelty and root of size": share(diverse(novelty * np.sqrt(size), means)),
        "random": float(np.mean([share(rng.permutation(len(groups)).tolist()) for _ in range(20)])),
        "candidates": float(len(groups)),
    }


def main() -> None:
    """Print the figures."""
    args = individual_options(__doc__, 12).parse_args()
    written = {}
    for kind in ("cats", "nyala"):
        features, ids, _ = photographs(kind)
        draws = [draw(features, ids, seed) for seed in range(args.draws)]
        written[kind] = means_of_draws(draws)
        for name, value in written[kind].items():
            print(f"{kind:6s} {name:36s} {value}", flush=True)
    write_figures(args.write, {"draws": args.draws, "figures": written})


if __name__ == "__main__":
    main()
