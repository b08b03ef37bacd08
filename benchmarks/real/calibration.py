"""How honest the probabilities of models of real cats are, before and after a calibration, on pictures held out from it.

``python -m benchmarks.real.calibration --work FOLDER --json FILE``. The sets and models are those of
:mod:`benchmarks.real.run`. A temperature is fitted to four fifths of a set's test pictures, as ``trapaudit model calibrate``
does, and the last fifth is judged by it, in turns, so that each picture is judged by a temperature that has not seen it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from benchmarks.common import Report, options
from benchmarks.real.sets import RealSet, add_work, find_weights, make_set
from scd_core.identify import Classifier, load_model
from scd_core.identify.calibrate import Quality, fit_temperature, quality

__all__ = ["held_out_quality", "main"]

_FOLDS = 5
_COLUMNS = ("kind", "seed", "n", "accuracy", "log_loss_before", "log_loss_after", "ece_before", "ece_after")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=[3, 4, 5])
    add_work(parser)
    parser.add_argument("--kind", nargs="+", choices=("place", "thing"), default=["place", "thing"])
    args = parser.parse_args(arguments)
    report = Report("real_calibration", torch.device("cpu"))
    if find_weights() is None:
        report.notes["real"] = "left out: the weights are not here"
        return report.finish(args.json)
    for kind in args.kind:
        for seed in args.seed[:1] if args.quick else args.seed:
            found = make_set(args.work, kind, seed)
            classifier = load_model(str(found.model))
            before, after = held_out_quality(classifier, *_logits(classifier, found), seed)
            report.rows.append(
                {"kind": kind, "seed": seed, "n": before.n, "accuracy": before.accuracy}
                | {"log_loss_before": before.log_loss, "log_loss_after": after.log_loss}
                | {"ece_before": before.ece, "ece_after": after.ece}
            )
            report.progress(f"{kind} {seed}: {before} {after}")
        some = [row for row in report.rows if row["kind"] == kind]
        for name in ("accuracy", "log_loss_before", "log_loss_after", "ece_before", "ece_after"):
            report.summary[f"{name}_{kind}"] = sum(row[name] * row["n"] for row in some) / sum(row["n"] for row in some)
    report.notes["ece"] = (
        "15 bins of equal width, each set by itself; the summary is the mean over sets, by their pictures"
    )
    report.show(_COLUMNS, "calibration on pictures held out")
    report.finish(args.json)


def held_out_quality(
    classifier: Classifier, logits: torch.Tensor, names: Sequence[str], seed: int = 0
) -> tuple[Quality, Quality]:
    """Quality at the package's temperature, and at temperatures that were fitted to the other four fifths of the pictures.

    Args:
        classifier: whose classes the logits are.
        logits: (N, K), N at least 50.
        names: N true names, each one of the classifier's.
        seed: of the folds.
    """
    own = classifier.spec.temperature
    order = np.random.default_rng(seed).permutation(len(names))
    scaled = logits.double().clone()
    for fold in range(_FOLDS):
        held, others = order[fold::_FOLDS], np.delete(order, slice(fold, None, _FOLDS))
        fitted = fit_temperature(classifier, logits[others], [names[int(place)] for place in others])
        scaled[held] *= own / fitted
    return quality(classifier, logits, names, own), quality(classifier, scaled, names, own)


def _logits(classifier: Classifier, found: RealSet) -> tuple[torch.Tensor, list[str]]:
    """(N, K) logits of the test pictures, and their true names."""
    logits, names = [], []
    for file, truth in found.truth().items():
        with Image.open(found.pictures / file) as opened:
            image = classifier.preprocess(opened.convert("RGB"))
        logits.append(classifier.logits(image[None]))
        names.append(truth["individual_id"])
    return torch.cat(logits), names


if __name__ == "__main__":
    main()
