"""How many individuals are there: 200 answers to "is this the same one?", on real cats, real antelopes and scenes.

    python -m benchmarks.individual_counts [--draws 100] [--only cats|nyala|scenes] [--write FILE]

Each draw hides four animals, whose pictures are strangers; the gallery has the training pictures of the others and names the
rest, and what it calls unknown is grouped into candidates. The answers are the truth. Printed are the estimate's mean error
and how often the 95 % interval has the true number, with Wilson's interval over draws, beside two controls: the names and
candidates as they are counted without answers, and nested importance sampling with as many answers, in the form that the paper's
authors published (10 pictures with 20 neighbours each, the best of the shapes and temperatures that were tried).
"""

from __future__ import annotations

import json
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.individual_common import individual_options, write_figures
from benchmarks.individuals import N_HIDDEN, photographs
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.identify import load_model
from scd_core.identify.comparison import choose_whitening
from scd_core.identify.counting import Count, draw_order, estimate_count, tell_apart
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.grouping import find_similarity
from scd_core.identify.linkage import average_linkage
from scd_core.identify.sameness import Sameness
from scd_core.identify.strangers import find_stranger_limit
from scd_core.identify.whitening import CENTRE, group_space, hidden_groups
from scd_core.inputs.pairs import PairAnswer
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

N_ANSWERS = 200
ROUNDS = {"25 at a time": 25, "one at a time": 1}

Audited = tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_]]
"""Embeddings as they are compared, individuals, names or candidates."""


def audited(features: NDArray[np.float32], ids: NDArray[np.str_], splits: NDArray[np.str_], seed: int) -> Audited:
    """The pictures that a gallery of the known individuals names, and what it makes of them."""
    hidden = np.random.default_rng(seed).permutation(sorted(set(ids)))[:N_HIDDEN]
    is_stranger = np.isin(ids, hidden)
    train = ~is_stranger & (splits != "test")
    shown = is_stranger | (splits == "test")
    known, names = features[train], ids[train]
    whitening, held_out = choose_whitening(known, names.tolist())
    limit = find_stranger_limit(held_out, 0.1)
    white = unit_rows(features) if whitening is None else whitening(features, CENTRE)
    cosines = white[shown] @ white[train].T
    groups = names[cosines.argmax(1)].astype("<U32")
    unknown = cosines.max(1) < limit.similarity
    unit = group_space(whitening, known)(features[shown])
    if unknown.any():
        least = find_similarity(hidden_groups(known, names.tolist())) or 0.2
        labels = average_linkage(unit[unknown], np.ones(int(unknown.sum())), least)
        groups[unknown] = [f"candidate-{label}" for label in labels]
    return unit, ids[shown], groups


def scenes(seed: int) -> Audited:
    """Scenes of the demo's world, named by its network; four lots of scenes, of which other individuals are hidden."""
    features, ids = _rendered(seed % 4)
    splits = np.where(np.random.default_rng(seed).random(len(ids)) < 0.3, "train", "test")
    return audited(features, ids, splits, seed)


@cache
def _rendered(seed: int) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    world, classifier = preset_world("demo"), load_model(str(packaged_model("clean")))
    specs = [spec for spec in sample_specs(world, "audit", 260, seed) if spec.individual_id is not None]
    rng = np.random.default_rng(seed)
    specs = [specs[place] for place in rng.permutation(len(specs))[:300]]
    inputs = [classifier.preprocess(Image.fromarray(render(world, spec).image)) for spec in specs]
    parts = [classifier.features(torch.stack(inputs[at : at + 32])) for at in range(0, len(inputs), 32)]
    ids = np.array([str(spec.individual_id) for spec in specs])
    return torch.cat(parts).numpy(), ids


def asked(found: Audited, seed: int, per_round: int) -> tuple[Count, int]:
    """The estimate after at most 200 true answers in rounds, and the pictures compared."""
    unit, truth, groups = found
    order = draw_order({str(place): str(group) for place, group in enumerate(groups)}, {}, str(seed))
    given: list[PairAnswer] = []
    while True:
        left = N_ANSWERS - len(given)
        drawn = tell_apart(
            order,
            Sameness({}, given),
            lambda target, others: unit[[int(one) for one in others]] @ unit[int(target)],
            min(per_round, left),
            is_last=per_round > 1 and left <= per_round,
        )
        if not drawn.pairs:
            break
        given += [PairAnswer(one, two, bool(truth[int(one)] == truth[int(two)]), "") for one, two in drawn.pairs]
    counts = [len(members) for members in drawn.individuals]
    return estimate_count(counts, len(truth)), sum(counts)


def nested(found: Audited, seed: int, n: int = 10, m: int = 20, temperature: float = 0.2) -> Count:
    """Nested importance sampling: vertices by one over their weight, neighbours by similarity, 1 / n averaged."""
    unit, truth, _ = found
    rng = np.random.default_rng(seed)
    weights = np.exp((unit @ unit.T - 1) / temperature)
    chances = 1 / weights.sum(1)
    chances /= chances.sum()
    np.fill_diagonal(weights, 0)
    values = []
    for place in rng.choice(len(truth), n, p=chances):
        near = weights[place] / weights[place].sum()
        others = rng.choice(len(truth), m, p=near)
        size = 1 + float(np.mean((truth[others] == truth[place]) / near[others]))
        values.append(1 / (size * chances[place]))
    half = 1.96 * np.std(values, ddof=1) / np.sqrt(n)
    return Count(float(np.mean(values)), int(np.floor(np.mean(values) - half)), int(np.ceil(np.mean(values) + half)))


def measure(title: str, n_draws: int, world: partial) -> dict[str, object]:
    """Figures of all draws of a set of pictures."""
    rows: dict[str, list[tuple[float, float, bool, float]]] = {}
    told: list[int] = []
    for seed in range(n_draws):
        found = world(seed)
        true = len(set(found[1]))
        counts = {"nested importance sampling": nested(found, seed)}
        for name, per_round in ROUNDS.items():
            counts[name], n_told = asked(found, seed, per_round)
            told += [n_told] if per_round > 1 else []
        naive = len(set(found[2]))
        counts["names and candidates"] = Count(naive, naive, naive)
        for name, one in counts.items():
            ratio, width = one.estimate / true, (one.high - one.low) / true
            rows.setdefault(name, []).append((ratio, abs(ratio - 1), one.low <= true <= one.high, width))
    found_rows = {}
    for name, values in rows.items():
        ratio, error, covered, width = np.array(values, dtype=float).mean(0)
        low, high = wilson_interval(covered, n_draws)
        found_rows[name] = {"ratio": ratio, "error": error, "covered": covered, "width": width}
        found_rows[name] |= {"covered_low": float(low), "covered_high": float(high)}
    return {"title": title, "n_draws": n_draws, "told_apart": float(np.mean(told)), "figures": found_rows}


def main() -> None:
    """Print the figures."""
    args = individual_options(__doc__, 100, ["cats", "nyala", "scenes"]).parse_args()
    results = []
    for name in ("cats", "nyala", "scenes"):
        if args.only in (None, name):
            world = partial(scenes) if name == "scenes" else partial(audited, *photographs(name))
            results.append(measure(name, args.draws, world))
            print(json.dumps(results[-1], indent=1), flush=True)
    write_figures(args.write, results)


if __name__ == "__main__":
    main()
