"""What labels are worth that `trapaudit improve --label-next` chooses: names in new places after 30 more, against random ones.

``python -m benchmarks.improve.next_labels --json FILE``. Of a set of :mod:`benchmarks.improve`, 30 frames of the audit are
drawn at random and labelled, a logistic head on crops is fitted, and 30 more are labelled: drawn at random, those of the
smallest margin, or those that are listed. The head that all 60 give names the kept-back photographs, each at another cat's
place. The rule was chosen on set 4; 2 is for quoting.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.improve.sets import make_improve_set
from benchmarks.improve.start import begun, seeds_of, set_options
from benchmarks.improve.worlds import pool_of, shown_once
from scd_core.identify import load_model
from scd_core.improve.heads import fit_head
from scd_core.improve.label_next import choose_next
from scd_core.improve.names import HeadKind, View

N_LABELS = 30
"""Known at first, and labelled then."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = set_options(__doc__, [2, 4])
    parser.add_argument("--draws", type=int, default=60, help="draws of the first labels (%(default)s)")
    args = parser.parse_args(arguments)
    report = begun("improve_next_labels", args)
    if report is None:
        return None
    for seed in seeds_of(args):
        found = make_improve_set(args.work, seed)
        classifier = load_model(str(found.biased.model))
        pool, _ = pool_of(found)
        features = shown_once(found.folder / "pool_views.pt", pool, classifier).features[View.BOX_CROP]
        truth = found.biased.truth()
        is_kept = np.array([row["batch_key"] == "kept" for row in pool.rows])
        is_judged = is_kept & np.array([truth.get(row["file"], {}).get("is_shifted") == "true" for row in pool.rows])
        rights = [
            _draw(features, pool.truth, ~is_kept, is_judged, np.random.default_rng([seed, number]))
            for number in range(4 if args.quick else args.draws)
        ]
        report.rows.append({"seed": seed, "draws": len(rights), "n_judged": int(is_judged.sum()), **_summed(rights)})
        report.progress(str(report.rows[-1]))
    report.show(tuple(report.rows[0]), f"right in new places before and after {N_LABELS} more labels")
    report.finish(args.json)


def _draw(
    features: np.ndarray[Any, Any],
    truth: np.ndarray[Any, Any],
    is_pool: np.ndarray[Any, Any],
    is_judged: np.ndarray[Any, Any],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Share of kept-back pictures named rightly at first, and after labels of each kind."""
    n_names = int(truth.max()) + 1
    order = rng.permutation(np.flatnonzero(is_pool))
    first, rest = order[:N_LABELS], order[N_LABELS:]

    def share(learnt: np.ndarray[Any, Any]) -> float:
        head = fit_head(HeadKind.LOGISTIC, features[learnt], truth[learnt], n_names)
        return float((head.scores(features[is_judged]).argmax(1) == truth[is_judged]).mean())

    head = fit_head(HeadKind.LOGISTIC, features[first], truth[first], n_names)
    scores = np.sort(head.scores(features[rest]), axis=1)
    chosen = {
        "random": rest[:N_LABELS],
        "margin": rest[np.argsort(scores[:, -1] - scores[:, -2])[:N_LABELS]],
        "listed": rest[choose_next(features[rest], features[first], head, N_LABELS)],
    }
    return {"first": share(first)} | {name: share(np.concatenate((first, more))) for name, more in chosen.items()}


def _summed(rights: list[dict[str, float]]) -> dict[str, float]:
    """Means over draws, and gains over random labels with their standard error over draws."""
    found = {name: float(np.mean([one[name] for one in rights])) for name in rights[0]}
    for name in ("margin", "listed"):
        gains = np.array([one[name] - one["random"] for one in rights])
        found |= {f"{name}_gain": float(gains.mean()), f"{name}_error": float(gains.std(ddof=1) / len(gains) ** 0.5)}
    return found


if __name__ == "__main__":
    main()
