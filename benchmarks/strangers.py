"""What tells strangers from known animals, and how sure a gallery is: scores that were tried, and calibration before and after.

    python -m benchmarks.strangers [--draws 12] [--write FILE]

Real cats and antelopes, features of mobilenet_v2 with ImageNet's weights. In each draw some animals are strangers, whole, and
a third of the pictures of each other animal is held out. Scores are chosen on one half of the animals (``tune``) and quoted
on the other (``quote``), where two animals are strangers; ``all`` hides four. Calibration is by the temperature that
`pack-gallery` fits, on the pictures held out of the gallery.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.metrics import roc_auc_score

from benchmarks.individual_common import individual_options, write_figures
from benchmarks.individuals import photographs
from scd_core.identify.calibrate import expected_calibration_error
from scd_core.identify.class_means import fit_class_means
from scd_core.identify.comparison import choose_whitening
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.strangers import gallery_temperature
from scd_core.identify.whitening import CENTRE

Floats = NDArray[np.float32]
SCALE = 16.0


def scores_of(
    known: Floats, names: NDArray[np.str_], query: Floats, temperature: float, unit: Floats, asked: Floats
) -> dict:
    """How known each picture looks by each score, the more the better; and the similarity to each individual under ``each``.

    Args:
        known: (N, D) features of the gallery.
        names: (N,) individuals.
        query: (M, D) features of the pictures.
        temperature: of the gallery.
        unit: (N, D) the gallery as it is compared.
        asked: (M, D) the pictures as they are compared.
    """
    kinds, place = np.unique(names, return_inverse=True)
    cosines, inner = asked @ unit.T, unit @ unit.T
    np.fill_diagonal(inner, -2.0)
    own_near, nearest = inner.max(1), np.sort(cosines, axis=1)[:, ::-1]
    each = np.stack([cosines[:, place == kind].max(1) for kind in range(len(kinds))], axis=1)
    best = np.sort(each, axis=1)[:, ::-1]
    prototypes = unit_rows(np.stack([unit[place == kind].mean(0) for kind in range(len(kinds))]))
    means = fit_class_means(unit_rows(known), place, len(kinds))
    moved = unit_rows(query).astype(np.float64)

    def squared(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        solved = np.stack([means.scatter @ one for one in vectors])
        inner_matrix = means.scatter @ means.scatter.T + means.level * np.eye(len(means.scatter))
        left = (vectors**2).sum(1) - (solved * np.linalg.solve(inner_matrix, solved.T).T).sum(1)
        return np.asarray(left / means.level)

    to_mean = np.stack([squared(moved - mean) for mean in means.means], axis=1).min(1)
    return {
        "each": each,
        "nearest picture (in use)": nearest[:, 0],
        "mean of the 3 nearest": nearest[:, :3].mean(1),
        "mean of the 5 nearest": nearest[:, :5].mean(1),
        "distance ratio to the next individual": -(1 - best[:, 0]) / (1 - best[:, 1] + 1e-6),
        "margin to the next individual": best[:, 0] - best[:, 1],
        "distance ratio to the gallery's own": -(1 - nearest[:, 0]) / (1 - own_near[cosines.argmax(1)] + 0.02),
        "softmax": softmax(SCALE * each / temperature, axis=1).max(1),
        "energy": logsumexp(SCALE * each / temperature, axis=1),
        "mean of each individual": (asked @ prototypes.T).max(1),
        "Mahalanobis": -to_mean,
        "relative Mahalanobis": squared(moved - unit_rows(known).mean(0)) - to_mean,
    }


def draw(features: Floats, ids: NDArray[np.str_], pool: list[str], n_hidden: int, seed: int) -> dict[str, NDArray]:
    """AUROC of each score, and confidence and rightness of held-out known pictures at temperature 1 and the fitted one."""
    rng = np.random.default_rng(seed)
    is_stranger = np.isin(ids, rng.permutation(sorted(pool))[:n_hidden])
    is_held = np.zeros(len(ids), dtype=bool)
    for name in sorted(set(pool) - set(ids[is_stranger])):
        own = rng.permutation(np.flatnonzero(ids == name))
        is_held[own[: len(own) // 3]] = True
    gallery = np.isin(ids, pool) & ~is_stranger & ~is_held
    known, names = features[gallery], ids[gallery]
    whitening, held_out = choose_whitening(known, names.tolist())
    temperature = gallery_temperature(held_out, SCALE) or 1.0
    query = np.concatenate([features[is_held], features[is_stranger]])
    compared = [unit_rows(part) if whitening is None else whitening(part, CENTRE) for part in (known, query)]
    found: Mapping[str, NDArray] = scores_of(known, names, query, temperature, *compared)
    truth = np.r_[np.ones(is_held.sum()), np.zeros(is_stranger.sum())]
    figures = {name: np.array([roc_auc_score(truth, score)]) for name, score in found.items() if name != "each"}
    each = found["each"][: int(is_held.sum())]
    figures["right"] = np.unique(names)[each.argmax(1)] == ids[is_held]
    for name, value in (("before", 1.0), ("after", temperature)):
        figures[f"confidence {name}"] = softmax(SCALE * each / value, axis=1).max(1)
    return figures


def main() -> None:
    """Print the figures."""
    args = individual_options(__doc__, 12).parse_args()
    written: dict[str, dict[str, list[float]]] = {}
    rng = np.random.default_rng(0)
    for kind, half in (("cats", 6), ("nyala", 5)):
        features, ids, _ = photographs(kind)
        names = sorted(set(ids))
        for part, pool, n_hidden in (("tune", names[:half], 2), ("quote", names[half:], 2), ("all", names, 4)):
            draws = [draw(features, ids, pool, n_hidden, seed) for seed in range(args.draws)]
            own = written[f"{kind} {part}"] = {}
            for name in draws[0]:
                if name != "right" and not name.startswith("confidence"):
                    values = np.concatenate([one[name] for one in draws])
                    ends = np.quantile(rng.choice(values, (2000, len(values))).mean(1), [0.025, 0.975])
                    own[f"AUROC, {name}"] = [round(float(value), 3) for value in (values.mean(), *ends)]
            right = np.concatenate([one["right"] for one in draws])
            for when in ("before", "after"):
                sure = np.concatenate([one[f"confidence {when}"] for one in draws])
                own[f"ECE {when}"] = [round(expected_calibration_error(sure, right), 3), len(right)]
            for name, value in own.items():
                print(f"{kind} {part:6s} {name:48s} {value}", flush=True)
    write_figures(args.write, {"draws": args.draws, "figures": written})


if __name__ == "__main__":
    main()
