"""Whether an embedding fine-tuned with an angular margin that follows the data names individuals better that it did not learn.

``python -m benchmarks.improve.margin --json FILE``. In each draw half of the cats and half of the nyala are learnt from, by the
last five blocks of mobilenet_v2 with ImageNet's weights; the others are a gallery of their training pictures and queries of their
test pictures, by kind. Losses: ``margin``, MadaCos (CFCD, Zhu et al., ICCV 2023: scale and margin by the median sample of a
batch), and ``softmax``, a plain linear layer. Whitening is fitted to each gallery again, where held-out pictures of it are named
no worse by it. Draws 100 and above are for choosing.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2

from benchmarks.common import DATA, Report, options
from benchmarks.improve.start import begun, seeds_of
from benchmarks.real.sets import ARCHITECTURE, find_weights
from scd_core.identify import InputSpec
from scd_core.identify.architectures import default_input
from scd_core.identify.comparison import choose_whitening
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.preprocess import preprocess

__all__ = ["main", "margin_logits"]

LOSSES = ("margin", "softmax")
KINDS = ("cats", "nyala")
MEDIAN_SHARE = 0.1
"""Probability that the margin gives the median sample's own name."""
_LEAST_SCALE = 32.0
_FROZEN = 14
_EPOCHS, _BATCH = 6, 32
_RATE = 1e-4


@dataclass(frozen=True)
class Photographs:
    """Of one kind, as the blocks that do not learn give them."""

    features: Tensor
    """(N, 96, 14, 14)."""
    names: NDArray[np.str_]
    is_query: NDArray[np.bool_]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=[0, 1, 2, 3])
    args = parser.parse_args(arguments)
    report = begun("improve_margin", args)
    if report is None:
        return None
    found = {kind: _photographs(kind) for kind in KINDS}
    report.progress(f"{sum(len(one.names) for one in found.values())} photographs")
    for seed in seeds_of(args):
        learnt = {kind: _learnt(one, seed) for kind, one in found.items()}
        for loss in ("before", *LOSSES):
            network = _blocks() if loss == "before" else _trained(found, learnt, loss, seed)
            for kind, one in found.items():
                row = {"seed": seed, "loss": loss, "kind": kind} | _judged(
                    network, one, ~np.isin(one.names, learnt[kind])
                )
                report.rows.append(row)
                report.progress(str(row))
    _summarise(report)
    report.finish(args.json)


def margin_logits(cosines: Tensor, truth: Tensor) -> Tensor:
    """MadaCos: ``s (cos y - m)`` for each sample's own name and ``s cos j`` for the others.

    With c the median cosine to the own name, ``s = max(32, log(9999999 (1 - a) / a) / (1 - c))`` and
    ``m = max(0, c - log(B a / (1 - a)) / s)``, B the median sample's sum of ``exp(s cos j)``: the median sample has its own name
    with probability a = .1.

    Args:
        cosines: (B, K) in -1 to 1.
        truth: (B,) int64.
    """
    own = cosines.gather(1, truth[:, None])
    with torch.no_grad():
        median, place = own[:, 0].median(0)
        odds = (1 - MEDIAN_SHARE) / MEDIAN_SHARE
        scale = max(_LEAST_SCALE, math.log(9_999_999 * odds) / max(1e-3, 1 - float(median)))
        others = (scale * cosines[place]).index_fill(0, truth[place], -torch.inf).logsumexp(0)
        margin = max(0.0, float(median - (others - math.log(odds)) / scale))
    return scale * cosines.scatter(1, truth[:, None], own - margin)


def _photographs(kind: str) -> Photographs:
    with (DATA / kind / "split.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    network: Any = mobilenet_v2()
    network.load_state_dict(torch.load(find_weights() or "", weights_only=True))
    first, spec, parts = network.features[:_FROZEN].eval(), InputSpec(**default_input(ARCHITECTURE)), []
    for row in rows:
        with Image.open(DATA / kind / row["file"]) as opened, torch.inference_mode():
            parts.append(first(preprocess(opened.convert("RGB"), spec)[None]))
    names = np.array([row["individual_id"] for row in rows])
    is_query = np.array([row["split"] == "test" for row in rows])
    for name in {row["individual_id"] for row in rows if row["split"] == "unknown"}:  # no parting of their own
        own = np.flatnonzero(names == name)
        is_query[own[len(own) // 2 :]] = True
    return Photographs(torch.cat(parts).clone(), names, is_query)


def _learnt(found: Photographs, seed: int) -> NDArray[np.str_]:
    """Half of the individuals."""
    names = np.unique(found.names)
    return np.random.default_rng(seed).permutation(names)[: len(names) // 2]


def _blocks() -> nn.Module:
    network: Any = mobilenet_v2()
    network.load_state_dict(torch.load(find_weights() or "", weights_only=True))
    blocks: nn.Module = network.features[_FROZEN:]
    return blocks.eval()


def _trained(found: dict[str, Photographs], learnt: dict[str, NDArray[np.str_]], loss: str, seed: int) -> nn.Module:
    """The last blocks, after they have learnt all photographs of the individuals of both kinds."""
    torch.manual_seed(seed)
    chosen = {kind: np.isin(one.names, learnt[kind]) for kind, one in found.items()}
    inputs = torch.cat([one.features[torch.from_numpy(chosen[kind])] for kind, one in found.items()])
    names = np.concatenate([np.char.add(kind, one.names[chosen[kind]]) for kind, one in found.items()])
    truth = torch.from_numpy(np.unique(names, return_inverse=True)[1].astype(np.int64))
    blocks = _blocks()
    centres = _embedded(blocks, inputs)
    weight = nn.Parameter(torch.stack([F.normalize(centres[truth == k]).mean(0) for k in range(int(truth.max()) + 1)]))
    groups = [{"params": blocks.parameters(), "lr": _RATE}, {"params": [weight], "lr": 10 * _RATE}]
    optimizer = torch.optim.Adam(groups)
    for _ in range(_EPOCHS):
        for some in torch.randperm(len(inputs)).split(_BATCH):
            features = blocks(inputs[some]).mean((2, 3))  # statistics of training stay: a batch is small
            if loss == "margin":
                logits = margin_logits(F.linear(F.normalize(features), F.normalize(weight)), truth[some])
            else:
                logits = F.linear(features, weight)
            value = F.cross_entropy(logits, truth[some])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return blocks


@torch.no_grad()
def _embedded(blocks: nn.Module, inputs: Tensor) -> Tensor:
    return torch.cat([blocks(part).mean((2, 3)) for part in inputs.split(32)])


def _judged(network: nn.Module, found: Photographs, is_judged: NDArray[np.bool_]) -> dict[str, Any]:
    """Rank 1 of the queries, and AUROC of unknown ones: each individual in turn is left out of the gallery."""
    features = _embedded(network, found.features[torch.from_numpy(is_judged)]).numpy()
    names, is_query = found.names[is_judged], found.is_query[is_judged]
    gallery, own = features[~is_query], names[~is_query]
    whitening = choose_whitening(gallery, own.tolist())[0]
    space = unit_rows if whitening is None else whitening
    cosines = space(features[is_query]) @ space(gallery).T
    asked = names[is_query]
    scores, is_known = [], []
    for name in np.unique(own):
        near = cosines[:, own != name].max(1)
        scores.append(near)
        is_known.append(asked != name)
    found_right = int((own[cosines.argmax(1)] == asked).sum())
    auroc = [
        roc_auc_score(known, near) for known, near in zip(is_known, scores, strict=True) if 0 < known.sum() < len(known)
    ]
    return {"n": len(asked), "right": found_right, "auroc": float(np.mean(auroc)), "whitened": whitening is not None}


def _summarise(report: Report) -> None:
    """Of each kind, over all draws: rank 1, AUROC, and how often a draw is better than before."""
    for kind in KINDS:
        rows = {
            loss: [row for row in report.rows if (row["loss"], row["kind"]) == (loss, kind)]
            for loss in ("before", *LOSSES)
        }
        for loss, own in rows.items():
            report.summary[f"{kind}_{loss}_rank1"] = sum(row["right"] for row in own) / sum(row["n"] for row in own)
            gains = [row["auroc"] for row in own]
            report.summary[f"{kind}_{loss}_auroc"] = float(np.mean(gains))
            if loss != "before" and len(own) > 1:
                gain = [a["right"] / a["n"] - b["right"] / b["n"] for a, b in zip(own, rows["before"], strict=True)]
                half = stats.t.ppf(0.975, len(gain) - 1) * np.std(gain, ddof=1) / len(gain) ** 0.5
                report.summary |= {
                    f"{kind}_{loss}_gain_low": float(np.mean(gain) - half),
                    f"{kind}_{loss}_gain_high": float(np.mean(gain) + half),
                }


if __name__ == "__main__":
    main()
