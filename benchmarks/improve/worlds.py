"""Whether what `trapaudit improve` expects comes true: worlds drawn from pictures of real cats that no model learnt.

``python -m benchmarks.improve.worlds --json FILE``. The audit's pictures and the kept-back ones of a set of
:mod:`benchmarks.improve` are one pool, of which the network's features are computed once. A world is half of its photographs,
drawn at random, one frame of each: they are the labels. The head that `improve` would recommend is fitted to them, and its
names of the other half, in places where the labels do not show the individual, are the truth that the expected share is held
against.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import Report
from benchmarks.improve.sets import ImproveSet, make_improve_set
from benchmarks.improve.start import begun, seeds_of, set_options
from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.identify import load_model
from scd_core.identify.classifier import Classifier
from scd_core.improve.labelled import Labelled
from scd_core.improve.rate import rate_of
from scd_core.improve.show import Shown, show_views
from scd_core.improve.trial import try_all
from scd_core.improve.ways import RUNNABLE
from scd_core.media import list_objects

__all__ = ["main", "pool_of", "shown_once"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = set_options(__doc__, [2, 4])
    parser.add_argument("--worlds", type=int, default=20, help="worlds of each set (%(default)s)")
    args = parser.parse_args(arguments)
    report = begun("improve_worlds", args)
    if report is None:
        return None
    for seed in seeds_of(args):
        found = make_improve_set(args.work, seed)
        classifier = load_model(str(found.biased.model))
        pool, photographs = pool_of(found)
        shown = shown_once(found.folder / "pool_views.pt", pool, classifier)
        report.progress(f"set {seed}: {len(pool.rows)} pictures of {len(set(photographs))} photographs")
        for number in range(4 if args.quick else args.worlds):
            rng = np.random.default_rng([seed, number])
            report.rows.append({"seed": seed, "world": number} | _world(pool, shown, classifier, photographs, rng))
        report.progress(f"set {seed}: {args.worlds} worlds")
    _summarise(report)
    report.finish(args.json)


def pool_of(found: ImproveSet) -> tuple[Labelled, list[str]]:
    """All pictures that the biased model did not learn, as labelled targets, and the photograph of each."""
    rows: list[dict[str, Any]] = []
    photographs = []
    truth = found.biased.truth()
    with (found.folder / "labels.csv").open(newline="") as handle:
        held = {row["file"]: row for row in csv.DictReader(handle)}
    for part, folder, table in (("audit", found.source, held), ("kept", found.biased.pictures, truth)):
        for ref in sorted(list_objects(str(folder), MediaConfig()), key=lambda one: one.file):
            row = table[ref.file]
            stem = Path(ref.file).stem.split("_")
            photographs.append(f"{part}_{stem[2] if part == 'audit' else stem[0].rstrip('ab')}")
            box = {f"bbox_{name}": float(row[name]) for name in ("x_min", "y_min", "width", "height")}
            rows.append(
                {
                    "batch_key": part, "target_id": ref.media_id, "media_id": ref.media_id, "detection_id": None,
                    "true_id": row["individual_id"], "camera": ref.file.split("/")[0], "visit": ref.media_id,
                    "hidden_boxes": None, "file": ref.file, "uri": ref.uri, "etag": ref.etag,
                    "size_bytes": ref.size_bytes, "version_id": None, "content_sha256": None, **box,
                }
            )  # fmt: skip
    return Labelled(rows, {"audit": str(found.source), "kept": str(found.biased.pictures)}), photographs


def shown_once(kept: Path, pool: Labelled, classifier: Classifier) -> Shown:
    """What the network makes of the pool; computed once."""
    if not kept.is_file():
        torch.save(show_views(pool, classifier, views=RUNNABLE), kept)
    found: Shown = torch.load(kept, weights_only=False)  # its own file
    return found


def _world(
    pool: Labelled, shown: Shown, classifier: Classifier, photographs: list[str], rng: np.random.Generator
) -> dict[str, Any]:
    """What is expected of the recommended way, and what it is worth on the other photographs."""
    names = sorted(set(photographs))
    chosen = set(rng.permutation(names)[: len(names) // 2].tolist())
    is_label = np.array([photograph in chosen for photograph in photographs])
    order = rng.permutation(np.flatnonzero(is_label))
    one_of_each = np.sort(order[np.unique([photographs[place] for place in order], return_index=True)[1]])
    labelled = pool.take(one_of_each)
    try:
        trial = try_all(labelled, shown.take(one_of_each), classifier)
    except InputError as error:
        return {"way": "refused", "reason": str(error)}
    best = trial.best
    if best is None or best.way.head is None:
        return {"way": "none" if best is None else best.way.key}
    expected = trial.expected
    known = {(row["true_id"], row["camera"]) for row in labelled.rows}
    others = np.flatnonzero(~is_label).tolist()
    places = [one for one in others if (pool.rows[one]["true_id"], pool.rows[one]["camera"]) not in known]
    called = trial.heads(best.way).scores(best.way.view, shown.take(np.array(places))).argmax(1)
    is_right = np.array([labelled.names[c] == pool.rows[p]["true_id"] for c, p in zip(called, places, strict=True)])
    photograph = np.unique([photographs[place] for place in places], return_inverse=True)[1]
    truth = rate_of(is_right, photograph, photograph)
    return {
        "way": best.way.key, "expected": expected.value, "low": expected.low, "high": expected.high, "n_expected": expected.n,
        "uncorrected": best.new.value,
        "truth": truth.value, "truth_low": truth.low, "truth_high": truth.high, "n_truth": truth.n,
        "is_inside": expected.low <= truth.value <= expected.high,
    }  # fmt: skip


def _summarise(report: Report) -> None:
    rows = [row for row in report.rows if "truth" in row]
    report.summary |= {
        "worlds": len(report.rows),
        "recommended": len(rows),
        "inside": sum(row["is_inside"] for row in rows),
        "below": sum(row["truth"] < row["low"] for row in rows),
        "above": sum(row["truth"] > row["high"] for row in rows),
        "mean_expected": float(np.mean([row["expected"] for row in rows])) if rows else None,
        "mean_truth": float(np.mean([row["truth"] for row in rows])) if rows else None,
        "mean_width": float(np.mean([row["high"] - row["low"] for row in rows])) if rows else None,
    }
    report.notes["truth"] = (
        "itself known from some 40 to 60 photographs only, so that even a perfect interval misses it at times"
    )


if __name__ == "__main__":
    main()
