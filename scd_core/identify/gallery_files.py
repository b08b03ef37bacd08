"""Writing the gallery of a package: in its place, or into a new package; and taking pictures out of it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from scd_core.errors import InputError
from scd_core.identify.child import check_target, lineage, write_child
from scd_core.identify.gallery import EQUAL, read_gallery
from scd_core.identify.package import Package, local_folder, read_package
from scd_core.identify.spec import PackageSpec, validated, write_spec

__all__ = ["held_embeddings", "remove_embeddings", "replace_gallery", "write_gallery"]


def remove_embeddings(
    url: str, name: str, found: Tensor, write: str | None = None, *, is_used: bool = False
) -> tuple[Package, int]:
    """Take pictures of an individual out of a package's gallery; a name without pictures goes, too.

    It undoes :func:`scd_core.identify.packing.add_embeddings`: the package then gives the names that it gave before, and has the
    digest that it had, unless runs have used the name.

    Args:
        url: package; on a local disk where `write` is None.
        name: the individual that the pictures are of in the gallery.
        found: (N, D) of unit length; those that the gallery does not have under the name are passed over.
        write: folder of a new package, which knows its parent; None changes the package itself.
        is_used: runs named pictures by the package as it is. By the digest of before their pictures would count as done, and
            keep those names, so the new digest is another one.

    Returns:
        The package, and how many pictures it has less.

    Raises:
        InputError: the package has no gallery, does not know the name or has none of the pictures under it, or fewer than two
            names would be left.
    """
    package = read_package(url)
    spec = package.spec
    if write is not None:
        check_target(write)
    embeddings, classes = held_embeddings(package, found)
    if name not in spec.labels:
        raise InputError(f"model {url}: its gallery has no {name!r}, so nothing is to be taken back")
    own = spec.labels.index(name)
    gone = (classes == own) & ((embeddings @ found.T) > EQUAL).any(1)
    n_gone = int(gone.sum())
    if not n_gone:
        raise InputError(
            f"model {url}: {name} has none of these pictures in its gallery, so nothing is to be taken back"
        )
    embeddings, classes = embeddings[~gone], classes[~gone]
    labels = list(spec.labels)
    if own not in classes.tolist():
        del labels[own]
        classes = classes - (classes > own).long()
    changes = {"labels": labels, "taken_back": (spec.taken_back or 0) + is_used or None}
    changed = validated(spec.model_dump(mode="json") | changes, "individuals remove")
    removed = {"removed": {"individual": name, "n_pictures": n_gone}}
    return replace_gallery(package, url, changed, embeddings, classes, write, "individuals remove", removed), n_gone


def held_embeddings(package: Package, found: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings (M, D) of unit length and classes (M,) of a package's gallery, to hold others against.

    Args:
        package: the package.
        found: (N, D) the others.

    Raises:
        InputError: the package has no gallery, or one of another D.
    """
    if package.gallery is None:
        raise InputError(f"model {package.url}: has no gallery; see pack-gallery")
    embeddings, classes = read_gallery(package.gallery, package.spec)
    if found.shape[1:] != embeddings.shape[1:]:
        raise InputError(
            f"model {package.url}: its embeddings have {embeddings.shape[1]} values, these {found.shape[-1]}"
        )
    return embeddings, classes


def replace_gallery(
    package: Package,
    url: str,
    spec: PackageSpec,
    embeddings: Tensor,
    classes: Tensor,
    write: str | None,
    step: str,
    what: Mapping[str, Any],
) -> Package:
    """Give a package another gallery, in its place or as a new package.

    Args:
        package: with the old gallery.
        url: where it is.
        spec: with the labels of the new one.
        embeddings: (M, D) of unit length.
        classes: (M,), the place of each in the labels.
        write: folder of a new package, which knows its parent; None changes the package itself, on a local disk.
        step: what was done, for the new package's provenance.
        what: more of it.
    """
    if write is not None:
        own, data = _with_gallery(spec, embeddings, classes)
        own = own.model_copy(update={"provenance": lineage(package, step) | dict(what)})
        return write_child(write, own, package.files() | {own.gallery: data})
    folder = local_folder(url)
    written = write_gallery(folder, spec, embeddings, classes)
    if package.spec.gallery is not None and package.spec.gallery != written.spec.gallery:
        # Last, when nothing names the old file any more. One that cannot be removed does no harm.
        with contextlib.suppress(OSError):
            (folder / package.spec.gallery).unlink()
    return written


def _with_gallery(spec: PackageSpec, embeddings: Tensor, classes: Tensor) -> tuple[PackageSpec, bytes]:
    """A gallery's file, and the description that names it."""
    data = save({"embeddings": embeddings.contiguous(), "classes": classes.contiguous()})
    # Under a name of its own, so that a package that is read meanwhile is the old one or the new one, never half of both.
    gallery = f"gallery-{hashlib.sha256(data).hexdigest()[:12]}.safetensors"
    return validated(spec.model_dump(mode="json") | {"gallery": gallery}, "gallery"), data


def write_gallery(folder: Path, spec: PackageSpec, embeddings: Tensor, classes: Tensor) -> Package:
    """Write a gallery's file, and the ``model.json`` that names it.

    Args:
        folder: of the package.
        spec: of the package.
        embeddings: (M, D) of unit length.
        classes: (M,), the place of each in the labels.

    Raises:
        InputError: the folder cannot be written.
    """
    changed, data = _with_gallery(spec, embeddings, classes)
    try:
        (folder / str(changed.gallery)).write_bytes(data)
    except OSError as error:
        raise InputError(f"model {folder}: cannot be written ({error})") from error
    write_spec(folder, changed)
    return read_package(str(folder))
