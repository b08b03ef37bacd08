"""Packages that are made of another package: with other weights or names, written beside it, and knowing their parent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from scd_core import __version__
from scd_core.errors import InputError
from scd_core.identify.architectures import last_linear, load_state
from scd_core.identify.class_means import Head
from scd_core.identify.classifier import Classifier
from scd_core.identify.package import Package, local_folder, read_package
from scd_core.identify.spec import MODEL_FILE, PackageSpec, write_spec

__all__ = ["check_target", "head_of", "lineage", "with_head", "with_tensors", "write_child"]


def check_target(url: str) -> Path:
    """The folder of a package that is to be written.

    Raises:
        InputError: it is not on a local disk, or holds a package already.
    """
    folder = local_folder(url)
    if (folder / MODEL_FILE).exists():
        raise InputError(
            f"--write {url}: holds a model package already; nothing is written over, choose another folder"
        )
    return folder


def lineage(parent: Package, command: str, now: datetime | None = None) -> dict[str, Any]:
    """What each `provenance` has of a package's parent: by which command it was made of it, when, and the parent's own."""
    return {
        "made_by": f"trapaudit {__version__} {command}",
        "made_at": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        "parent_digest": parent.digest,
        "parent_provenance": parent.spec.provenance,
    }


def head_of(package: Package) -> tuple[str, Head]:
    """Name and weights of a classifier's last linear layer.

    Raises:
        InputError: it has none, or is a program, which is one whole.
    """
    if package.spec.program is not None:
        raise InputError(
            f"model {package.url}: is a program ({package.spec.architecture}), which cannot get another head; pack its weights "
            "with an architecture"
        )
    name = last_linear(Classifier(package, torch.device("cpu")).model)
    state = load_state(package.weights, package.spec.weights)
    if package.gallery is not None or name is None or f"{name}.bias" not in state:
        raise InputError(
            f"model {package.url}: has no linear layer with a bias as its last, so it cannot get another head"
        )
    return name, Head(state[f"{name}.weight"].float().numpy(), state[f"{name}.bias"].float().numpy())


def with_head(package: Package, name: str, head: Head) -> bytes:
    """The package's weights, as safetensors, with a head in the place of its last linear layer `name`."""
    new = {f"{name}.weight": torch.from_numpy(head.weight), f"{name}.bias": torch.from_numpy(head.bias)}
    return with_tensors(package, new)


def with_tensors(package: Package, new: Mapping[str, torch.Tensor]) -> bytes:
    """The package's weights, as safetensors, with other tensors in the places of some."""
    state = {**load_state(package.weights, package.spec.weights), **new}
    return save({key: value.contiguous() for key, value in state.items()})


def write_child(url: str, spec: PackageSpec, files: Mapping[str | None, bytes | None]) -> Package:
    """Write a package into a folder that has none.

    Args:
        url: folder on a local disk.
        spec: its description.
        files: name -> content of each file that the description names; those that it does not name are not written.

    Raises:
        InputError: there is a package, or the folder cannot be written.
    """
    folder = check_target(url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            if name in spec.file_names and name is not None and data is not None:
                (folder / name).write_bytes(data)
    except OSError as error:
        raise InputError(f"--write {url}: cannot be written ({error})") from error
    write_spec(folder, spec)  # last: a folder without it is no package
    return read_package(str(folder))
