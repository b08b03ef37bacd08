"""Model packages as they are read: a folder or URL with ``model.json`` and weights, checked and given a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scd_core.errors import InputError
from scd_core.identify.class_means import ClassMeans, Head, read_class_means, read_head
from scd_core.identify.spec import MODEL_FILE, PackageSpec, validated
from scd_core.identify.whitening import Whitening, read_whitening
from scd_core.inputs.text import read_object
from scd_core.storage import open_source

__all__ = ["Package", "local_folder", "read_package"]


@dataclass(frozen=True)
class Package:
    """A package as read: its description, the bytes of its files, and the digest over all of it."""

    url: str
    spec: PackageSpec
    weights: bytes
    gallery: bytes | None
    digest: str
    whitening: bytes | None = None
    class_means: bytes | None = None
    frame_head: bytes | None = None

    @property
    def gallery_digest(self) -> str | None:
        """sha256 of its gallery; None without one."""
        return None if self.gallery is None else hashlib.sha256(self.gallery).hexdigest()

    def read_whitening(self) -> Whitening | None:
        """How embeddings of the package are compared; None where they are as they are.

        Raises:
            InputError: the file is not a whitening.
        """
        return None if self.whitening is None else read_whitening(self.whitening, str(self.spec.whitening))

    def read_class_means(self) -> ClassMeans | None:
        """Distributions of its individuals' features; None where it holds none.

        Raises:
            InputError: the file does not hold those of its individuals.
        """
        if self.class_means is None:
            return None
        return read_class_means(self.class_means, str(self.spec.class_means), len(set(self.spec.labels)))

    def read_frame_head(self) -> Head | None:
        """The last layer for the whole frame; None where boxes alone are named by.

        Raises:
            InputError: the file does not hold a layer of its classes.
        """
        if self.frame_head is None:
            return None
        return read_head(self.frame_head, str(self.spec.frame_head), len(self.spec.labels))

    def files(self) -> dict[str | None, bytes | None]:
        """Name -> content of its files beside ``model.json``."""
        spec = self.spec
        return {
            spec.weights: self.weights,
            spec.gallery: self.gallery,
            spec.whitening: self.whitening,
            spec.class_means: self.class_means,
            spec.frame_head: self.frame_head,
        }


def read_package(url: str) -> Package:
    """Read and verify a model package.

    Args:
        url: fsspec URL or path of the package's folder.

    Raises:
        InputError: no package there, ``model.json`` invalid, or the weights are not the ones it was packed with.
    """
    storage = open_source(url)
    try:
        text = read_object(storage, storage.path(MODEL_FILE), f"model {storage.url}: {MODEL_FILE}", is_small=True)
    except InputError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise InputError(
            f"model {storage.url}: no {MODEL_FILE} there; make a package with `trapaudit model pack`"
        ) from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"model {storage.url}: {MODEL_FILE} is not JSON ({error})") from error
    if isinstance(content, dict) and "input" not in content:
        raise InputError(
            f"model {storage.url}: {MODEL_FILE} has no `input`: preprocessing is part of a package; pack it again"
        )
    spec = validated(content, f"model {storage.url}: {MODEL_FILE}")
    files: dict[str, bytes] = {}
    for name in spec.file_names:
        try:
            files[name] = storage.read(storage.path(name))
        except OSError as error:
            raise InputError(f"model {storage.url}: {name} is missing or cannot be read ({error})") from error
    found = hashlib.sha256(files[spec.weights]).hexdigest()
    if found != spec.weights_sha256:
        raise InputError(
            f"model {storage.url}: {spec.weights} has sha256 {found[:12]}, {MODEL_FILE} expects {spec.weights_sha256[:12]}; "
            "the file was changed or cut short: pack the model again"
        )
    gallery = files[spec.gallery] if spec.gallery else None
    whitening = files[spec.whitening] if spec.whitening else None
    means = files[spec.class_means] if spec.class_means else None
    frame_head = files[spec.frame_head] if spec.frame_head else None
    digest = _digest(spec, (gallery, whitening, means, frame_head))
    return Package(url, spec, files[spec.weights], gallery, digest, whitening, means, frame_head)


def local_folder(url: str) -> Path:
    """Folder of a package on a local disk.

    Raises:
        InputError: the package is elsewhere, where it cannot be changed.
    """
    path = url.removeprefix("file://")
    if "://" in path:
        raise InputError(
            f"model {url}: only a package on a local disk can be changed; copy it, change it, upload it anew"
        )
    return Path(path)


_LATER = (
    "features_of", "head", "head_size", "whitening", "unknown_similarity", "candidate_similarity", "program", "class_means",
    "sub_centres", "frame_head", "taken_back",
)  # fmt: skip
"""Fields that came after the first release; null where a package does not use them."""


def _digest(spec: PackageSpec, parts: Sequence[bytes | None]) -> str:
    # A package keeps its digest when the format changes: fields that came later count only where a package uses them.
    without: dict[str, Any] = {"provenance": True}
    without |= {name: True for name in _LATER if getattr(spec, name) is None}
    if not spec.gallery:
        without |= dict.fromkeys(("embedding", "embedding_size"), True)
        without |= {} if spec.has_cosines else {"similarity_scale": True}
    unused = {"decode": spec.input.decode == "full", "box_use": spec.input.box_use is None}
    unused["box_margin"] = spec.input.box_margin is None
    without["input"] = {name: True for name, is_unused in unused.items() if is_unused}
    if spec.program is not None and spec.program.embedding is None:
        without["program"] = {"embedding": True}
    described = spec.model_dump(mode="json", exclude=without)
    content = json.dumps(described, sort_keys=True).encode()
    gallery, *others = parts
    sums = [
        hashlib.sha256(gallery or b"").digest(),
        *(hashlib.sha256(one).digest() for one in others if one is not None),
    ]
    return hashlib.sha256(content + b"".join(sums)).hexdigest()
