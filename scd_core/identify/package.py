"""Model packages: a folder or URL with ``model.json`` and weights, described, checked, written and given a digest."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scd_core.errors import InputError
from scd_core.storage.storage import open_source

__all__ = [
    "InputSpec",
    "Package",
    "PackageSpec",
    "check_package",
    "chosen_input",
    "fit_state",
    "local_folder",
    "new_package_state",
    "pack_model",
    "read_package",
    "validated",
    "write_spec",
]

MODEL_FILE = "model.json"
_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt")


class InputSpec(BaseModel):
    """How a picture becomes the network's input; part of the package, because a wrong resize costs most of the accuracy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: tuple[int, int] = Field(description="height and width of the input (pixels)")
    mean: tuple[float, float, float] = Field(description="mean per channel, of values in [0, 1]")
    std: tuple[float, float, float] = Field(description="standard deviation per channel, of values in [0, 1]")
    resize: Literal["stretch", "pad", "crop"] = Field(
        description="stretch: to size, aspect ignored; pad: fit inside, grey border; crop: shorter side to resize_size, centre"
    )
    resize_size: int | None = Field(None, gt=0, description="shorter side before the centre crop of `crop` (pixels)")
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    decode: Literal["full", "reduced"] = Field(
        "full",
        description="full: every pixel of a JPEG, the input that training had; reduced: `stretch` and `pad` decode a large "
        "JPEG at 1/2, 1/4 or 1/8 scale, several times faster, and logits differ by some hundredths",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if min(self.size) < 8 or max(self.size) > 4096:
            raise ValueError(f"size must lie in 8..4096 pixels, got {self.size}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")
        if self.resize == "crop" and (self.resize_size or 0) < max(self.size):
            raise ValueError(f"resize `crop` needs a resize_size of at least {max(self.size)}, got {self.resize_size}")
        return self


class PackageSpec(BaseModel):
    """Content of ``model.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    architecture: str = Field(description="torchvision/NAME, timm/NAME or scd_core/small_cnn")
    architecture_args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the architecture")
    labels: tuple[str, ...] = Field(
        description="name of each class, in class order; classes that share a name (the flanks of one individual) are one"
    )
    input: InputSpec
    temperature: float = Field(1.0, gt=0, description="logits are divided by it before the softmax")
    weights: str = Field("weights.safetensors", description="file beside model.json")
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    unknown_threshold: float | None = Field(None, ge=0, le=1, description="a probability below is called `unknown`")
    gallery: str | None = Field(None, description="safetensors file beside model.json: embeddings of known individuals")
    embedding: Literal["features", "head"] = Field(
        "features", description="with a gallery: embeddings are what the last layer reads, or what it gives"
    )
    embedding_size: int = Field(128, ge=2, description="with a gallery and embedding `head`: outputs of the network")
    similarity_scale: float = Field(16.0, gt=0, description="with a gallery: logits are cosine similarities times this")
    relations: dict[str, str] | None = Field(None, description="individual -> group or species")
    provenance: dict[str, Any] | None = Field(None, description="where the weights come from; not interpreted")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.labels) < 2:
            raise ValueError(f"labels must name at least 2 classes, got {len(self.labels)}")
        if "unknown" in self.labels:
            raise ValueError("'unknown' is what an unnamed individual is called; no class may have that label")
        for name in (self.weights, self.gallery):
            if name is not None and (Path(name).name != name or name in {"", ".", ".."}):
                raise ValueError(f"{name!r} must be a file beside {MODEL_FILE}, not a path")
        if not self.weights.endswith(_WEIGHT_SUFFIXES):
            raise ValueError(f"weights must be one of {', '.join(_WEIGHT_SUFFIXES)}, got {self.weights}")
        return self


@dataclass(frozen=True)
class Package:
    """A package as read: its description, the bytes of its files, and the digest over all of it."""

    url: str
    spec: PackageSpec
    weights: bytes
    gallery: bytes | None
    digest: str


def read_package(url: str) -> Package:
    """Read and verify a model package.

    Args:
        url: fsspec URL or path of the package's folder.

    Raises:
        InputError: no package there, ``model.json`` invalid, or the weights are not the ones it was packed with.
    """
    storage = open_source(url)
    try:
        text = storage.read(storage.path(MODEL_FILE))
    except FileNotFoundError as error:
        raise InputError(
            f"model {storage.url}: no {MODEL_FILE} there; make a package with `trapaudit model pack`"
        ) from error
    except OSError as error:
        raise InputError(f"model {storage.url}: cannot be read ({error})") from error
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"model {storage.url}: {MODEL_FILE} is not JSON ({error})") from error
    if isinstance(content, dict) and "input" not in content:
        raise InputError(
            f"model {storage.url}: {MODEL_FILE} has no `input`: preprocessing is part of a package; pack it again"
        )
    spec = validated(content, f"model {storage.url}: {MODEL_FILE}")
    files: dict[str, bytes] = {}
    for name in filter(None, (spec.weights, spec.gallery)):
        try:
            files[name] = storage.read(storage.path(name))
        except OSError as error:
            raise InputError(f"model {storage.url}: {name} is missing or cannot be read ({error})") from error
    found = hashlib.sha256(files[spec.weights]).hexdigest()
    if found != spec.weights_sha256:
        raise InputError(
            f"model {storage.url}: {spec.weights} has sha256 {found[:12]}, {MODEL_FILE} says {spec.weights_sha256[:12]}; "
            "the file was changed or cut short: pack the model again"
        )
    gallery = files[spec.gallery] if spec.gallery else None
    return Package(url, spec, files[spec.weights], gallery, _digest(spec, gallery))


def pack_model(
    folder: str | Path,
    *,
    architecture: str,
    weights: str | Path,
    labels: Sequence[str],
    size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    resize: str | None = None,
    decode: str | None = None,
    architecture_args: dict[str, Any] | None = None,
) -> Package:
    """Write a model package from a state dict and check that it loads.

    Sizes and normalisation default to the architecture's own transforms; the resize rule defaults to ``stretch``, because
    in a camera-trap frame the animal is where it is and a centre crop may lose it.

    Args:
        folder: where the package is written; must not hold a package yet.
        architecture: ``torchvision/NAME``, ``timm/NAME`` or ``scd_core/small_cnn``.
        weights: state dict, ``.safetensors`` or ``.pth`` (loaded with ``weights_only=True``).
        labels: one label per class, in class order.

    Raises:
        InputError: the folder holds a package, a file cannot be read, or the weights do not fit the architecture.
    """
    from safetensors.torch import save

    from scd_core.identify.architectures import build_network

    folder, weights = Path(folder), Path(weights)
    state = new_package_state(folder, weights)
    stored = save(state)
    content = {
        "architecture": architecture,
        "architecture_args": architecture_args or {},
        "labels": list(labels),
        "input": chosen_input(architecture, size, mean, std, resize, decode),
        "weights_sha256": hashlib.sha256(stored).hexdigest(),
    }
    spec = validated(content, "model pack")
    network = build_network(spec.architecture, len(spec.labels), spec.architecture_args)
    fit_state(network, state, spec, weights.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / spec.weights).write_bytes(stored)
    # model.json last: a folder without it is no package, so an interrupted pack leaves none.
    write_spec(folder, spec)
    return read_package(str(folder))


def new_package_state(folder: Path, weights: Path) -> dict[str, Any]:
    """State dict of the weights that a new package is made of.

    Raises:
        InputError: the folder holds a package already, or the weights cannot be read.
    """
    from scd_core.identify.architectures import load_state

    if (folder / MODEL_FILE).exists():
        raise InputError(f"{folder}: holds a model package already; choose another folder")
    try:
        data = weights.read_bytes()
    except OSError as error:
        raise InputError(f"weights {weights}: cannot be read ({error})") from error
    return load_state(data, weights.name)


def chosen_input(
    architecture: str,
    size: tuple[int, int] | None,
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
    resize: str | None,
    decode: str | None,
) -> dict[str, Any]:
    """Preprocessing of a new package: the architecture's own, but for what is given.

    Raises:
        InputError: there is no such architecture.
    """
    from scd_core.identify.architectures import default_input

    changes = {"size": size, "mean": mean, "std": std, "resize": resize, "decode": decode}
    return default_input(architecture) | {key: value for key, value in changes.items() if value is not None}


def check_package(url: str) -> dict[str, Any]:
    """Load a package whole, run one grey picture through it, and return what a person wants to know of it.

    Raises:
        InputError: whatever :func:`read_package` and :func:`scd_core.identify.load_model` refuse.
    """
    from PIL import Image

    from scd_core.identify.classifier import load_model

    classifier = load_model(url)
    spec = classifier.spec
    logits = classifier.logits(classifier.preprocess(Image.new("RGB", (640, 480), (128, 128, 128)))[None])
    return {
        "architecture": spec.architecture,
        "classes": len(spec.labels),
        "input": f"{spec.input.size[0]}x{spec.input.size[1]} {spec.input.resize}",
        "parameters": sum(parameter.numel() for parameter in classifier.model.parameters()),
        "temperature": spec.temperature,
        "unknown_threshold": spec.unknown_threshold,
        "logits_on_grey": f"{float(logits.min()):.2f}..{float(logits.max()):.2f}",
        "model_digest": classifier.digest,
    }


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


def write_spec(folder: Path, spec: PackageSpec) -> None:
    """Write ``model.json`` whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    text = json.dumps(spec.model_dump(mode="json", exclude_none=True), indent=2) + "\n"
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".model-", suffix=".json")
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder / MODEL_FILE)
    except OSError as error:
        raise InputError(f"model {folder}: cannot be written ({error})") from error


def fit_state(network: Any, state: dict[str, Any], spec: PackageSpec, name: str) -> None:
    """Load a state dict strictly, with one line where it does not fit."""
    own = network.state_dict()
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if missing or extra or wrong:
        parts = []
        if wrong:
            key = sorted(wrong)[0]
            parts.append(f"{key} has shape {tuple(state[key].shape)}, expected {tuple(own[key].shape)}")
        if missing:
            parts.append(f"{len(missing)} missing (first {missing[0]})")
        if extra:
            parts.append(f"{len(extra)} unexpected (first {extra[0]})")
        raise InputError(
            f"weights {name} do not fit {spec.architecture} with {len(spec.labels)} classes: {'; '.join(parts)}; "
            "check --architecture and the number of labels"
        )
    network.load_state_dict(state)


def validated(content: Any, where: str) -> PackageSpec:
    """The description of a package, checked.

    Raises:
        InputError: a field is wrong; `where` says where.
    """
    try:
        return PackageSpec.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: {field or 'content'}: {first['msg'].removeprefix('Value error, ')}") from error


def _digest(spec: PackageSpec, gallery: bytes | None) -> str:
    # Later fields are no part of the digest of a package that does not use them, which so keeps the digest that it had.
    without: dict[str, Any] = {"provenance": True}
    if not spec.gallery:
        without |= dict.fromkeys(("embedding", "embedding_size", "similarity_scale"), True)
    if spec.input.decode == "full":
        without["input"] = {"decode": True}
    content = json.dumps(spec.model_dump(mode="json", exclude=without), sort_keys=True).encode()
    return hashlib.sha256(content + hashlib.sha256(gallery or b"").digest()).hexdigest()
