"""Whether another preprocessing than the package's own names the team's labelled pictures clearly better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scd_core.audit.compare.paired import mcnemar
from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.identify.architectures import default_input
from scd_core.identify.classifier import Classifier, load_model
from scd_core.identify.preprocess import preprocess
from scd_core.identify.spec import PROGRAMS, InputSpec
from scd_core.inputs.joining import MediaIndex
from scd_core.media import MediaError, iter_images, list_source
from scd_core.names import UNKNOWN

__all__ = ["PreprocessingCheck", "Variant", "check_preprocessing"]

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
_NONE = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_BYTES = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}
_LEVEL = 0.05
_FEWEST = 10
_BATCH = 16

Prepare = Callable[[Image.Image], torch.Tensor]


@dataclass(frozen=True)
class Variant:
    """One preprocessing, and how it names the pictures."""

    name: str
    n_right: int
    mended: int
    """Pictures that it alone names right, against the package's own."""
    spoilt: int
    """Pictures that the package's own alone names right."""
    p_value: float
    """That it is no better, of McNemar's exact test, times the number of variants."""
    is_own: bool = False


@dataclass(frozen=True)
class PreprocessingCheck:
    """The package's own preprocessing beside others, the best first."""

    n: int
    """Labelled pictures that could be used."""
    n_left_out: int
    """Labelled pictures that could not: not there, not readable, or of an individual that the model does not know."""
    variants: tuple[Variant, ...]

    @property
    def better(self) -> list[Variant]:
        """Those that name clearly better."""
        return [one for one in self.variants if not one.is_own and one.p_value < _LEVEL]

    @property
    def words(self) -> str:
        """What to conclude, in a sentence."""
        own = next(one for one in self.variants if one.is_own)
        head = f"{own.n_right} of {self.n} pictures are named right with the package's own preprocessing"
        if not self.better:
            return f"{head}; no other one that was tried names clearly better"
        best = self.better[0]
        return (
            f"{head}, {best.n_right} with {best.name} ({best.mended} mended, {best.spoilt} spoilt, p {best.p_value:.2g}): "
            "pack the model again with it, or train as the package prepares"
        )


def check_preprocessing(
    url: str, source: str, labels: Mapping[str, str], *, device: str = "auto"
) -> PreprocessingCheck:
    """Name labelled whole frames under the package's preprocessing and under others that differ from it in one thing each.

    Tried are the other resize rules, interpolations, means and standard deviations, and the channels in the order blue, green,
    red. Another one is clearly better where McNemar's exact test, one-sided and times the number of variants (Bonferroni), is
    below 0.05: most mistakes of preprocessing cost a few percent, and so few pictures do not show them.

    Args:
        url: URL or path of a package.
        source: URL or path of the pictures.
        labels: file -> individual.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: the model names boxes and frames together, or fewer than 10 pictures are there that are labelled with names
            that the model knows.
    """
    classifier = load_model(url, device)
    if classifier.frame_head is not None:
        raise InputError(
            f"check: model {url} names an animal's box and its frame together, and this shows it whole frames alone; check it "
            "without --pictures"
        )
    wanted, rows = _labelled(classifier, source, labels)
    ways = _variants(classifier.spec.input, classifier.spec.architecture)
    truth: list[str] = []
    called: dict[str, list[str]] = {name: [] for name in ways}
    waiting: list[Image.Image] = []

    def name_all() -> None:
        for name, prepare in ways.items():
            logits = classifier.logits(torch.stack([prepare(picture) for picture in waiting]))
            best = classifier.probabilities(logits).argmax(dim=1).tolist()
            called[name] += [classifier.names[place] for place in best]
        waiting.clear()

    for row, picture in iter_images(rows, source, MediaConfig(), target_for=None):
        if isinstance(picture, MediaError):
            continue
        truth.append(wanted[row["uri"]])
        waiting.append(picture)
        if len(waiting) == _BATCH:
            name_all()
    if waiting:
        name_all()
    if len(truth) < _FEWEST:
        raise InputError(
            f"check: {len(truth)} labelled pictures of known individuals can be used; at least {_FEWEST} are needed"
        )
    right = {name: np.array([a == b for a, b in zip(names, truth, strict=True)]) for name, names in called.items()}
    variants = [_variant(name, is_right, right["own"], len(ways) - 1) for name, is_right in right.items()]
    ranked = tuple(sorted(variants, key=lambda one: (-one.n_right, not one.is_own, one.name)))
    return PreprocessingCheck(len(truth), len(labels) - len(truth), ranked)


def _labelled(
    classifier: Classifier, source: str, labels: Mapping[str, str]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Address -> name of the labelled pictures whose individual the model knows, and their rows."""
    objects = list_source(source, MediaConfig()).objects
    index = MediaIndex((item.uri, item.file) for item in objects)
    wanted: dict[str, str] = {}
    for file, name in labels.items():
        found = index.find(file)
        if len(found) == 1 and name in classifier.names and name != UNKNOWN:
            wanted[found[0]] = name
    rows = [
        {"uri": item.uri, "etag": item.etag, "size_bytes": item.size_bytes, "version_id": item.version_id}
        for item in objects
        if item.uri in wanted
    ]
    return wanted, rows


def _variants(own: InputSpec, architecture: str) -> dict[str, Prepare]:
    """Name -> how a picture becomes the input; ``own`` is the package's, each other differs from it in one thing."""
    found: dict[str, Prepare] = {"own": lambda picture: preprocess(picture, own)}

    def add(name: str, **values: Any) -> None:
        spec = own.model_copy(update=values)
        if spec != own:
            found[name] = lambda picture: preprocess(picture, spec)

    for rule in ("stretch", "pad"):
        add(f"--resize {rule}", resize=rule)
    shorter = max(own.size)
    for size in sorted({shorter, own.resize_size or shorter, round(shorter / 0.875)}):
        if size >= shorter:
            add(f"--resize crop --resize-size {size}", resize="crop", resize_size=size)
    for interpolation in ("nearest", "bilinear", "bicubic"):
        add(f"--interpolation {interpolation}", interpolation=interpolation)
    # A network as a file has no published values, and many such take bytes.
    is_program = architecture in PROGRAMS
    published = _BYTES if is_program else {key: tuple(default_input(architecture)[key]) for key in ("mean", "std")}
    for values in (published, _IMAGENET, _CLIP, _HALF, _NONE):
        if any(np.abs(np.subtract(values[key], getattr(own, key))).max() > 1e-3 for key in ("mean", "std")):
            words = " ".join(f"--{key} {','.join(f'{one:g}' for one in values[key])}" for key in ("mean", "std"))
            add(words, **values)
    turned = own.model_copy(update={"mean": own.mean[::-1], "std": own.std[::-1]})
    found["channels in the order blue, green, red"] = lambda picture: preprocess(picture, turned).flip(0)
    return found


def _variant(name: str, right: NDArray[np.bool_], own: NDArray[np.bool_], n_variants: int) -> Variant:
    mended, spoilt = int((right & ~own).sum()), int((~right & own).sum())
    p = min(1.0, n_variants * float(mcnemar(mended, spoilt))) if name != "own" else 1.0
    return Variant(name, int(right.sum()), mended, spoilt, p, is_own=name == "own")
