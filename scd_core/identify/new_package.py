"""What every new package is made by: its file of weights read, its preprocessing, and the folder written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scd_core.errors import InputError
from scd_core.identify.architectures import default_input
from scd_core.identify.package import Package, read_package
from scd_core.identify.spec import MODEL_FILE, PackageSpec, write_spec

__all__ = ["input_of", "read_weights", "write_package"]


def write_package(folder: Path, spec: PackageSpec, stored: bytes) -> Package:
    """Write a package without a gallery."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / spec.weights).write_bytes(stored)
    # model.json last: a folder without it is no package, so an interrupted pack leaves none.
    write_spec(folder, spec)
    return read_package(str(folder))


def read_weights(folder: Path, weights: Path) -> bytes:
    """The file that a new package is made of.

    Raises:
        InputError: the folder holds a package already, or the file cannot be read.
    """
    if (folder / MODEL_FILE).exists():
        raise InputError(f"{folder}: holds a model package already; choose another folder")
    try:
        return weights.read_bytes()
    except OSError as error:
        raise InputError(f"weights {weights}: cannot be read ({error})") from error


def input_of(architecture: str, **given: Any) -> dict[str, Any]:
    """Preprocessing of a new package: the architecture's own, but for what is given.

    Raises:
        InputError: there is no such architecture.
    """
    own = default_input(architecture)
    if given.get("size") is not None and given.get("resize_size") is None and given.get("resize") == "crop":
        own["resize_size"] = None  # that of another size: it must be stated
    return own | {key: value for key, value in given.items() if value is not None}
