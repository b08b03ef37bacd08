"""Names added to a classifier one by one: what old names lose, and what new ones reach beside a head that is trained anew.

    python -m benchmarks.learning [--draws 10] [--write FILE]

Real cats and antelopes (21 animals), features of mobilenet_v2 with ImageNet's weights, which never saw them. A third of each
animal's pictures is held out. A head is trained on the others of some animals; then animals are added one by one
(:mod:`scd_core.identify.class_means`), and nothing but means and one covariance is kept of earlier pictures. The control is a
logistic regression on all pictures of all of them, and the old head before, which had fewer names to confuse. Both ways of
adding are measured: ``means`` makes the whole head of class means, in which added names are held back, ``rows`` keeps the
trained rows. What was tuned was tuned on six cats and five antelopes (``tune``); ``quote`` are the others; ``all`` are both,
for ten additions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.individual_common import individual_options, means_of_draws, write_figures
from benchmarks.individuals import photographs
from scd_core.identify.class_means import ClassMeans, Head, align_row, fit_class_means
from scd_core.improve.heads import fit_head
from scd_core.improve.names import HeadKind

Floats = NDArray[np.float32]
PARTS = {"tune": (5, 6), "quote": (4, 6), "all": (11, 10)}
"""Animals that are known at first, and that are added."""


def with_rows(means: ClassMeans, head: Head, new: list[Floats]) -> Head:
    """The trained head with a row beside it for each addition."""
    for features in new:
        place = len(means.counts)
        means = means.with_pictures(place, features)
        row = align_row(means, place, head, 1.0)
        head = Head(np.concatenate([head.weight, row.weight]), np.concatenate([head.bias, row.bias]))
    return head


def draw(
    features: Floats, ids: NDArray[np.str_], pool: list[str], sizes: tuple[int, int], seed: int
) -> dict[str, float]:
    """Figures of one order of the animals; ``n`` are held-out pictures."""
    rng, (n_old, n_new) = np.random.default_rng(seed), sizes
    names = rng.permutation(pool)[: n_old + n_new]
    learn: list[int] = []
    held: list[int] = []
    for name in names:
        own = rng.permutation(np.flatnonzero(ids == name))
        held += own[: len(own) // 3].tolist()
        learn += own[len(own) // 3 :].tolist()
    place = {name: number for number, name in enumerate(names)}
    truth, test = (np.array([place[ids[one]] for one in part]) for part in (learn, held))
    known, shown, is_old = features[learn], features[held], test < n_old
    first = fit_head(HeadKind.LOGISTIC, known[truth < n_old], truth[truth < n_old], n_old)
    means = fit_class_means(known[truth < n_old], truth[truth < n_old], n_old)
    new = [known[truth == number] for number in range(n_old, n_old + n_new)]
    grown = means
    for features_of_one in new:
        grown = grown.with_pictures(len(grown.counts), features_of_one)
    heads = {
        "means": grown.head(),
        "means, none held back": replace(grown, leads=np.full(n_new, np.nan)).head(),
        "rows": with_rows(replace(means, is_aligned=False), first, new),
        "trained anew": fit_head(HeadKind.LOGISTIC, known, truth, n_old + n_new),
    }
    found = {
        "old, before": float((first.scores(shown[is_old]).argmax(1) == test[is_old]).mean()),
        "old, means before": float((means.head().scores(shown[is_old]).argmax(1) == test[is_old]).mean()),
    }
    for kind, head in heads.items():
        is_right = head.scores(shown).argmax(1) == test
        found |= {f"old, {kind}": float(is_right[is_old].mean()), f"new, {kind}": float(is_right[~is_old].mean())}
        among = head.scores(shown[is_old])[:, :n_old].argmax(1)
        found[f"old among old, {kind}"] = float((among == test[is_old]).mean())
    return found | {"n old": float(is_old.sum()), "n new": float((~is_old).sum())}


def main() -> None:
    """Print the figures."""
    args = individual_options(__doc__, 10).parse_args()
    cats, cat_ids, _ = photographs("cats")
    nyala, nyala_ids, _ = photographs("nyala")
    features = np.concatenate([cats, nyala])
    ids = np.array([f"cat {name}" for name in cat_ids] + [f"nyala {name}" for name in nyala_ids])
    of_cats, of_nyala = sorted(set(ids[: len(cats)])), sorted(set(ids[len(cats) :]))
    pools = {"tune": of_cats[:6] + of_nyala[:5], "quote": of_cats[6:] + of_nyala[5:], "all": of_cats + of_nyala}
    figures = {}
    for part, pool in pools.items():
        found = [draw(features, ids, pool, PARTS[part], seed) for seed in range(args.draws)]
        figures[part] = means_of_draws(found)
        for name, value in figures[part].items():
            print(f"{part:6s} {name:32s} {value}", flush=True)
    write_figures(args.write, {"draws": args.draws, "figures": figures})


if __name__ == "__main__":
    main()
