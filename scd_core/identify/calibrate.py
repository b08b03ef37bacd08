"""Calibration: the temperature, and the threshold of `unknown`, that fit a package to labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.identify.classifier import Classifier, load_model
from scd_core.identify.package import local_folder, read_package
from scd_core.identify.preprocess import decode_size
from scd_core.identify.spec import PackageSpec, write_spec
from scd_core.media import MediaError, iter_images, list_source
from scd_core.names import UNKNOWN

__all__ = [
    "Calibration",
    "Quality",
    "calibrate_package",
    "expected_calibration_error",
    "fit_temperature",
    "fit_unknown_threshold",
    "held_out_losses",
    "quality",
    "store_calibration",
]

_RANGE = (np.log(0.02), np.log(50.0))
_FEWEST = 10
_FOLDS = 5
_CLEARANCE = 1e-3
"""Of a threshold above the last probability that must not pass; rounding moves one by less than 1e-5."""


@dataclass(frozen=True)
class Quality:
    """How good a classifier's probabilities are on labelled pictures."""

    n: int
    accuracy: float
    log_loss: float
    """Mean negative log-probability of the truth (nats)."""
    ece: float
    """Expected calibration error, 0-1."""


@dataclass(frozen=True)
class Calibration:
    """What a calibration found and stored."""

    before: Quality
    after: Quality
    temperature_before: float
    temperature: float
    threshold_before: float | None
    unknown_threshold: float | None
    held_out_before: float
    """Log-loss of the package's own temperature (nats)."""
    held_out: float
    """Log-loss of each fifth of the pictures at the temperature that the others give (nats)."""
    n_left_out: int
    """Labelled pictures that did not count towards the temperature: of unknown individuals, or not readable."""
    digest: str
    """The package's new digest."""
    is_of_boxes: bool
    """The package names boxes, and was shown whole pictures."""

    @property
    def is_refused(self) -> bool:
        """The fitted temperature makes log-loss worse on pictures that it was not fitted to, so the old one stays."""
        return self.held_out >= self.held_out_before


def calibrate_package(
    url: str, source: str, labels: dict[str, str], *, unknown_rate: float | None = None, device: str = "auto"
) -> Calibration:
    """Fit a package's temperature to labelled whole frames and store it, where it holds on frames held out.

    The temperature is also fitted five times to four fifths of the frames. Where the log-loss of the fifths that were left out
    is not below that of the package's own temperature, that one stays (:attr:`Calibration.is_refused`).

    Args:
        url: package on a local disk.
        source: URL or path of the images.
        labels: file relative to SOURCE, or URI -> individual, or ``unknown``.
        unknown_rate: also fit the threshold of `unknown`, so that at most this share of the pictures labelled
            ``unknown`` is called known, 0-1.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: the package cannot be read or changed, a label names an individual that the model does not know, or
            the pictures are too few.
    """
    local_folder(url)
    classifier = load_model(url, device)
    spec = classifier.spec
    if classifier.frame_head is not None:
        raise InputError(
            f"calibrate: model {url} names an animal's box and its frame together, and calibrating shows it whole frames alone; "
            "its temperature was fitted by `trapaudit improve`"
        )
    strange = sorted(set(labels.values()) - set(classifier.names) - {UNKNOWN})
    if strange:
        raise InputError(
            f"calibrate: the model does not know {strange[0]!r} ({len(strange)} such names); "
            "label them `unknown`, or mend the file"
        )
    logits, names, n_failed = _labelled_logits(classifier, source, labels)
    known = [place for place, name in enumerate(names) if name != UNKNOWN]
    of_known, truths = logits[known], [names[place] for place in known]
    fitted = fit_temperature(classifier, of_known, truths)
    held_out_before, held_out = held_out_losses(classifier, of_known, truths)
    temperature = fitted if held_out < held_out_before else spec.temperature
    threshold = spec.unknown_threshold
    if unknown_rate is not None:
        confidence = _confidence_of_strangers(classifier, logits, names, spec.temperature / temperature)
        threshold = fit_unknown_threshold(confidence, unknown_rate)
    return Calibration(
        before=quality(classifier, of_known, truths, spec.temperature),
        after=quality(classifier, of_known, truths, temperature),
        temperature_before=spec.temperature,
        temperature=temperature,
        threshold_before=spec.unknown_threshold,
        unknown_threshold=threshold,
        held_out_before=held_out_before,
        held_out=held_out,
        n_left_out=len(names) - len(known) + n_failed,
        digest=store_calibration(url, temperature, threshold),
        is_of_boxes=spec.input.box_use == "classify",
    )


def _confidence_of_strangers(
    classifier: Classifier, logits: torch.Tensor, names: Sequence[str], factor: float
) -> NDArray[np.floating]:
    """Calibrated probability of the best name on pictures of animals that the model does not know.

    Where none are labelled ``unknown``, each known individual is left out of the gallery in turn. A network trained on its
    classes knows them, so this holds for galleries alone.
    """
    strangers = [place for place, name in enumerate(names) if name == UNKNOWN]
    chosen = logits[strangers]
    if not strangers and classifier.has_gallery and len(classifier.names) > 2:
        own = torch.tensor([[label == name for label in classifier.spec.labels] for name in names])
        chosen = logits.masked_fill(own, float("-inf"))
    return classifier.probabilities(chosen * factor).amax(1).numpy() if len(chosen) else np.zeros(0)


def expected_calibration_error(confidence: NDArray[np.floating], is_right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over bins of equal width, weighted by their number (Guo et al. 2017, eq. 3).

    Args:
        confidence: (N,) probability of the given name, 0-1; a bin holds its upper edge.
        is_right: (N,).
        bins: number of bins.
    """
    place = np.clip(np.ceil(np.asarray(confidence, dtype=np.float64) * bins).astype(int) - 1, 0, bins - 1)
    gaps = [
        abs(float(is_right[place == b].mean()) - float(confidence[place == b].mean())) * int((place == b).sum())
        for b in np.unique(place)
    ]
    return sum(gaps) / len(confidence) if len(confidence) else float("nan")


def quality(classifier: Classifier, logits: torch.Tensor, names: Sequence[str], temperature: float) -> Quality:
    """Accuracy, log-loss and calibration error of the names' probabilities at a temperature.

    Args:
        classifier: whose classes the logits are.
        logits: (N, K).
        names: N true names, each one of the classifier's.
        temperature: by which logits are divided.
    """
    probabilities = classifier.probabilities(logits * (classifier.spec.temperature / temperature)).numpy()
    truth = _places(classifier, names)
    best = probabilities.argmax(1)
    of_truth = np.maximum(probabilities[np.arange(len(truth)), truth], 1e-300)
    is_right = best == truth
    ece = expected_calibration_error(probabilities.max(1), is_right)
    return Quality(len(truth), float(is_right.mean()), float(-np.log(of_truth).mean()), ece)


def fit_temperature(classifier: Classifier, logits: torch.Tensor, names: Sequence[str]) -> float:
    """Temperature of least log-loss (Guo et al. 2017, section 4.2), between 0.02 and 50.

    Of n pictures each counts as (n + 1) / (n + 2) of its own name and 1 / (n + 2) of not being it (Platt 1999, section 2.2):
    where all are named right the plain loss is least at a temperature of 0, as if no picture could ever be named wrong. "Not
    its name" is one event, whatever the number of names: spread over a thousand of them, each of which a good model holds for
    impossible, the same share would raise the temperature.

    Raises:
        InputError: fewer than 10 pictures, or all of one name, to which no temperature can be fitted.
    """
    if len(names) < _FEWEST or len(set(names)) < 2:
        raise InputError(
            f"calibrate: {len(names)} labelled pictures of {len(set(names))} known individuals; "
            f"a temperature needs at least {_FEWEST} of at least 2"
        )
    return _temperature(classifier, logits, _places(classifier, names))


def _temperature(classifier: Classifier, logits: torch.Tensor, truth: NDArray[np.int64]) -> float:
    share = (len(truth) + 1) / (len(truth) + 2)

    def loss(log_t: float) -> float:
        found = classifier.probabilities(logits * (classifier.spec.temperature / float(np.exp(log_t)))).numpy()
        own = found[np.arange(len(truth)), truth].copy()
        found[np.arange(len(truth)), truth] = 0.0
        # The others are summed: 1 less the own probability would round to 0.
        kinds = share * np.log(np.maximum(own, 1e-300)) + (1 - share) * np.log(np.maximum(found.sum(1), 1e-300))
        return -float(kinds.mean())

    found = minimize_scalar(loss, bounds=_RANGE, method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def held_out_losses(classifier: Classifier, logits: torch.Tensor, names: Sequence[str]) -> tuple[float, float]:
    """Log-loss of the package's temperature, and that of fitted ones on the fifths that they were not fitted to (nats).

    Args:
        classifier: whose classes the logits are.
        logits: (N, K), N at least 10.
        names: N true names, each one of the classifier's.
    """
    truth = _places(classifier, names)
    order = np.random.default_rng(0).permutation(len(truth))
    at = np.full(len(truth), classifier.spec.temperature)
    for fold in range(_FOLDS):
        others = np.delete(order, slice(fold, None, _FOLDS))
        at[order[fold::_FOLDS]] = _temperature(classifier, logits[others], truth[others])

    def loss(temperature: NDArray[np.floating]) -> float:
        scale = torch.from_numpy(classifier.spec.temperature / temperature)[:, None]
        found = classifier.probabilities(logits.double() * scale).numpy()[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(found, 1e-300)).mean())

    return loss(np.full(len(truth), classifier.spec.temperature)), loss(at)


def _places(classifier: Classifier, names: Sequence[str]) -> NDArray[np.int64]:
    return np.array([classifier.names.index(name) for name in names])


def fit_unknown_threshold(confidence: NDArray[np.floating], false_known_rate: float) -> float:
    """Threshold under which pictures of unknown individuals are called known at no more than a stated rate.

    It lies a thousandth above the first probability that must not pass, or half-way to the next one where that is nearer: a
    picture's logits are rounded otherwise in another batch, and the same picture must not pass then.

    Args:
        confidence: (N,) calibrated probability of the best name on pictures of individuals that the model does not know.
        false_known_rate: share of them that may still be called known, 0-1.

    Raises:
        InputError: fewer pictures than it takes to see the rate at all, or too many that the model is wholly sure of.
    """
    needed = int(np.ceil(1 / false_known_rate)) if false_known_rate > 0 else _FEWEST
    if len(confidence) < needed:
        raise InputError(
            f"calibrate: {len(confidence)} pictures of unknown individuals, a rate of {false_known_rate:g} needs {needed}; "
            "label them `unknown`"
        )
    ordered = np.sort(np.asarray(confidence, dtype=np.float64))[::-1]
    allowed = int(np.floor(false_known_rate * len(ordered)))
    if allowed == len(ordered):
        return 0.0
    if ordered[allowed] >= 1.0:
        raise InputError(
            f"calibrate: {int((ordered >= 1.0).sum())} of {len(ordered)} pictures of unknown individuals are named with "
            f"probability 1, so no threshold lets only {false_known_rate:g} of them pass; the model cannot recognise unknowns"
        )
    above = ordered[ordered > ordered[allowed]]
    gap = (above[-1] if len(above) else 1.0) - ordered[allowed]
    return max(float(ordered[allowed] + min(gap / 2, _CLEARANCE)), float(np.nextafter(ordered[allowed], 2.0)))


def _labelled_logits(
    classifier: Classifier, source: str, names: dict[str, str], batch_size: int = 32
) -> tuple[torch.Tensor, list[str], int]:
    """Logits of the labelled pictures of SOURCE.

    Args:
        classifier: the model package in use.
        source: URL or path of the images.
        names: file relative to SOURCE, or URI -> true name.
        batch_size: images per forward pass.

    Returns:
        (N, K) logits, the N names, and how many labelled files could not be read.

    Raises:
        InputError: no labelled file is in SOURCE.
    """
    settings = MediaConfig()
    listed = list_source(source, settings).objects
    columns = ("file", "uri", "etag", "version_id", "size_bytes")
    chosen = [
        {name: getattr(item, name) for name in columns} for item in listed if item.file in names or item.uri in names
    ]
    if not chosen:
        raise InputError(
            f"calibrate: none of the {len(names)} labelled files is in {source}; paths must be relative to SOURCE"
        )
    side = decode_size(classifier.spec.input)
    logits: list[torch.Tensor] = []
    truths: list[str] = []
    waiting: list[torch.Tensor] = []
    failed = 0
    for row, image in iter_images(chosen, source, settings, target_for=lambda _row: side):
        if isinstance(image, MediaError):
            failed += 1
            continue
        waiting.append(classifier.preprocess(image))
        truths.append(names.get(row["file"]) or names[row["uri"]])
        if len(waiting) == batch_size:
            logits.append(classifier.logits(torch.stack(waiting), leave_out_equal=True))
            waiting.clear()
    if waiting:
        logits.append(classifier.logits(torch.stack(waiting), leave_out_equal=True))
    if not logits:
        raise InputError(f"calibrate: none of the {len(chosen)} labelled files of {source} can be read")
    return torch.cat(logits), truths, failed


def store_calibration(url: str, temperature: float, unknown_threshold: float | None) -> str:
    """Write temperature and threshold into a package on a local disk, whole or not at all.

    Returns:
        The package's new digest.

    Raises:
        InputError: the package is not on a local disk, or cannot be written.
    """
    folder = local_folder(url)
    changes = {"temperature": temperature, "unknown_threshold": unknown_threshold}
    write_spec(folder, PackageSpec.model_validate(read_package(url).spec.model_dump() | changes))
    return read_package(url).digest
