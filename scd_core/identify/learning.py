"""A classifier learns a further name from means of what its head reads: no old picture is needed, and none of it is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from scd_core.errors import InputError
from scd_core.identify.child import check_target, head_of, lineage, with_head, write_child
from scd_core.identify.class_means import ClassMeans, Head, align_row, fit_class_means
from scd_core.identify.classifier import Classifier
from scd_core.identify.gallery_pictures import picture_inputs
from scd_core.identify.package import Package, read_package
from scd_core.identify.spec import validated
from scd_core.identify.spelling import checked_name
from scd_core.identify.strangers import HeldOut, gallery_temperature

__all__ = ["KnownPictures", "Learnt", "fit_known", "learn_individual", "learn_name"]

_FOLDS = 5
_FEWEST_PICTURES = 12
_CLEARLY = 0.01
"""Logits by which one name is before another."""
_MOST_OF_A_NAME = 100
_MOST = 40_000
"""Pictures of a name, and of all, that the means are taken from."""


@dataclass(frozen=True)
class KnownPictures:
    """What the head of a classifier reads of pictures of individuals that it knows."""

    features: NDArray[np.floating]
    """(N, D)."""
    names: Sequence[str]
    """N individuals."""
    groups: Sequence[str]
    """N events: pictures of one event are no independent proof of each other."""


@dataclass(frozen=True)
class Learnt:
    """A package with a further name, and what is to be known of it."""

    package: Package
    n_pictures: int
    n_named: int
    """Of these pictures that the package gives the name to: they were learnt from, so fewer than all are a warning."""
    is_aligned: bool
    """All rows of the head are made of the means; else the trained rows stay, and added names have rows beside them."""
    without_pictures: tuple[str, ...]
    """Names of which no picture was known when the means were taken: pictures of these may get the new name."""


def fit_known(parent: Package, head: Head, known: KnownPictures) -> tuple[ClassMeans, float]:
    """Distributions of the individuals that a classifier knows, and whether they make a head as good as its own.

    The head is made of the means where it names no fewer pictures right than the trained one, each fifth of the events of an
    individual named without them. Else, or where a name has no picture, the trained rows stay.

    Args:
        parent: the classifier.
        head: its last layer.
        known: labelled pictures; names that the classifier does not have are left out.

    Returns:
        The distributions, and the temperature of the head that they make or leave.

    Raises:
        InputError: fewer than 12 pictures, or than 2 individuals of two events.
    """
    kinds = tuple(dict.fromkeys(parent.spec.labels))
    place = {name: number for number, name in enumerate(kinds)}
    chosen = _some_of_each([place.get(name, -1) for name in known.names])
    features = np.asarray(known.features[chosen], dtype=np.float64)
    truth = np.array([place[known.names[one]] for one in chosen], dtype=np.int64)
    fold, n_several = _folds(truth, [known.groups[one] for one in chosen])
    if len(truth) < _FEWEST_PICTURES or n_several < 2:
        raise InputError(
            f"model {parent.url}: {len(truth)} labelled pictures of {len(set(truth.tolist()))} of its individuals are known, "
            f"{n_several} of these seen twice; it learns a name beside at least {_FEWEST_PICTURES} pictures and 2 seen twice"
        )
    scores = np.zeros((len(truth), len(kinds)))
    for number in range(_FOLDS):
        held = fold == number
        if held.any() and len(set(truth[~held].tolist())) > 1:
            scores[held] = fit_class_means(features[~held], truth[~held], len(kinds)).head().scores(features[held])
    means = fit_class_means(features, truth, len(kinds))
    trained = head.scores(features).astype(np.float64) / parent.spec.temperature
    rows_of: dict[str, list[int]] = {name: [] for name in kinds}
    for row, label in enumerate(parent.spec.labels):
        rows_of[label].append(row)
    by_name = np.stack([logsumexp(trained[:, rows], axis=1) for rows in rows_of.values()], axis=1)
    n_right = [int((found.argmax(1) == truth).sum()) for found in (scores, by_name)]
    is_aligned = bool((means.counts > 0).all()) and n_right[0] >= n_right[1]
    temperature = gallery_temperature(HeldOut(np.zeros(0), scores, truth), 1.0) if is_aligned else None
    return replace(means, is_aligned=is_aligned), temperature or parent.spec.temperature


def learn_name(
    parent: Package, name: str, found: NDArray[np.floating], known: KnownPictures | None, write: str
) -> Learnt:
    """Write a package that knows one name more, or more pictures of a name.

    Args:
        parent: a classifier; it stays as it is.
        name: the individual.
        found: (N, D) what the head reads of its pictures.
        known: labelled pictures of the individuals that it knows; used where the package holds no means yet.
        write: folder of the new package.

    Raises:
        InputError: the package has no head that can be changed, or too little is known of its individuals; the features are of
            another network; the name was trained, and its row stays; no picture would get the name; the folder holds a package.
    """
    if parent.frame_head is not None:
        raise InputError(
            f"model {parent.url}: names boxes by their whole frame as well, and learns no name by itself; label pictures of the "
            "individual, then `trapaudit improve`"
        )
    layer, head = head_of(parent)
    means, temperature = parent.read_class_means(), parent.spec.temperature
    if means is None:
        if known is None:
            raise InputError(
                f"model {parent.url}: holds no means of its individuals yet; give --known FOLDER, one folder of pictures each"
            )
        means, temperature = fit_known(parent, head, known)
    if found.shape[1] != means.means.shape[1]:
        raise InputError(
            f"model {parent.url}: its head reads {means.means.shape[1]} values, the pictures have {found.shape[1]}"
        )
    kinds = list(dict.fromkeys(parent.spec.labels))
    place = kinds.index(name) if name in kinds else len(kinds)
    if not means.is_aligned and place < means.n_trained:
        raise InputError(
            f"model {parent.url}: {name} is one of the names that it was trained with, whose rows stay; see `trapaudit improve`"
        )
    grown = means.with_pictures(place, found)
    labels, changed = _changed_head(parent.spec.labels, head, grown, name, place, temperature)
    by_means = [*kinds, name][: len(grown.counts)]
    n_near, other = _n_named(grown.head().scores(found), by_means, name, 1.0)
    n_named, _ = _n_named(changed.scores(found), labels, name, temperature)
    if not n_near or not n_named:
        raise InputError(
            f"name {name!r}: none of its {len(found)} pictures would get it, they look like {other}: are they one animal?"
        )
    weights, data = with_head(parent, layer, changed), grown.to_bytes()
    content = parent.spec.model_dump(mode="json") | {
        "labels": labels,
        "weights": "weights.safetensors",
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "features_of": parent.spec.embedding_space,
        "temperature": temperature,
        "class_means": f"means-{hashlib.sha256(data).hexdigest()[:12]}.safetensors",
        "provenance": _provenance(parent, name, len(found), grown),
    }
    spec = validated(content, "model add-individual")
    package = write_child(
        write, spec, {spec.weights: weights, spec.class_means: data, spec.whitening: parent.whitening}
    )
    without = tuple(kind for kind, count in zip(kinds, means.counts.tolist(), strict=True) if not count)
    return Learnt(package, len(found), n_named, grown.is_aligned, without)


def learn_individual(
    url: str,
    name: str,
    files: Sequence[str | Path],
    write: str,
    known: Mapping[str, Sequence[str | Path]] | None = None,
) -> Learnt:
    """Write a package that knows one name more, from pictures as the network gets them: crops where it classifies boxes.

    Args:
        url: package of a classifier.
        name: the individual.
        files: pictures of it.
        write: folder of the new package.
        known: individual -> pictures of it, each taken for an event of its own; used where the package holds no means yet.

    Raises:
        InputError: as for :func:`learn_name`; or a picture cannot be read, or the name is one of the package in another spelling.
    """
    check_target(write)
    parent = read_package(url)
    name = checked_name(name, parent.spec.labels)
    classifier = Classifier(parent, torch.device("cpu"))

    def features(own: str, pictures: Sequence[str | Path]) -> NDArray[np.float32]:
        parts = [classifier.features(one[None]) for one in picture_inputs(parent.spec, pictures, own)]
        return torch.cat(parts).numpy()

    read = None
    if known is not None and parent.class_means is None:
        strange = sorted(set(known) - set(parent.spec.labels))
        if strange:
            raise InputError(f"--known: {strange[0]!r} is none of the names of {url} ({len(strange)} such folders)")
        of = {own: features(own, pictures) for own, pictures in known.items()}
        names = [own for own, found in of.items() for _ in found]
        events = [str(number) for number in range(len(names))]
        read = KnownPictures(np.concatenate(list(of.values())), names, events)
    return learn_name(parent, name, features(name, files), read, write)


def _changed_head(
    labels: Sequence[str], head: Head, means: ClassMeans, name: str, place: int, temperature: float
) -> tuple[list[str], Head]:
    """Labels and head with a row for one individual: of all means, or beside the rows that were trained."""
    if means.is_aligned:
        kinds = list(dict.fromkeys(labels))
        return kinds if name in kinds else [*kinds, name], means.head()
    others = [row for row, label in enumerate(labels) if label != name]
    kept = Head(head.weight[others], head.bias[others])
    row = align_row(means, place, kept, temperature)
    if len(others) == len(labels):
        both = Head(np.concatenate([kept.weight, row.weight]), np.concatenate([kept.bias, row.bias]))
        return [*labels, name], both
    weight, bias = head.weight.copy(), head.bias.copy()
    own = labels.index(name)
    weight[own], bias[own] = row.weight[0], row.bias[0]
    return list(labels), Head(weight, bias)


def _n_named(scores: NDArray[np.floating], labels: Sequence[str], name: str, temperature: float) -> tuple[int, str]:
    """Pictures whose best logit is that of a name, clearly; and the other name that most of them are like."""
    is_own = np.array([label == name for label in labels])
    others = np.where(is_own, -np.inf, scores)
    # Equal pictures under two names have equal logits, but for rounding.
    clear = others.max(1) + _CLEARLY * temperature
    most = int(np.bincount(others.argmax(1), minlength=len(labels)).argmax())
    return int((scores[:, is_own].max(1) > clear).sum()), labels[most]


def _provenance(parent: Package, name: str, n_pictures: int, means: ClassMeans) -> dict[str, Any]:
    return lineage(parent, "model add-individual") | {
        "added": {"individual": name, "n_pictures": n_pictures},
        "head": "of class means" if means.is_aligned else "trained rows and added ones",
    }


def _some_of_each(places: Sequence[int]) -> list[int]:
    """Numbers of at most 100 pictures of each individual, and of about 40 000 in all; those of none (-1) are left out."""
    n_kinds = len({place for place in places if place >= 0})
    most = int(np.clip(_MOST // max(1, n_kinds), 2, _MOST_OF_A_NAME))
    counts: dict[int, int] = {}
    kept = []
    for number in np.random.default_rng(0).permutation(len(places)).tolist():
        place = places[number]
        if place >= 0 and counts.get(place, 0) < most:
            counts[place] = counts.get(place, 0) + 1
            kept.append(number)
    return sorted(kept)


def _folds(truth: NDArray[np.int64], groups: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """A fifth for each picture, by the events of its individual; and how many individuals have two events or more."""
    seen: dict[int, dict[str, int]] = {}
    fold = np.zeros(len(truth), dtype=np.int64)
    for number, (kind, group) in enumerate(zip(truth.tolist(), groups, strict=True)):
        of_kind = seen.setdefault(kind, {})
        fold[number] = (of_kind.setdefault(group, len(of_kind)) + kind) % _FOLDS
    return fold, sum(len(of_kind) > 1 for of_kind in seen.values())
