"""Individuals by gallery: an embedding network whose logits are scaled cosine similarities to pictures of known animals."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.identify.architectures import build_network, load_state, without_head
from scd_core.identify.package import (
    Package,
    PackageSpec,
    chosen_input,
    fit_state,
    local_folder,
    new_package_state,
    read_package,
    validated,
    write_spec,
)
from scd_core.identify.preprocess import decode_size, preprocess

__all__ = ["GalleryNetwork", "add_individual", "pack_gallery", "read_gallery"]

EQUAL = 0.9999
"""Cosine similarity from which two pictures are the same one to the network."""


class GalleryNetwork(nn.Module):
    """Logits ``scale * max_i cos(network(x), embedding_i)`` per individual, i over the individual's gallery pictures.

    The nearest picture decides, so an individual with many pictures has no advantage over one with few, and an individual
    that is added leaves the logits of all others as they were.

    Args:
        network: normalised float (B, 3, H, W) -> (B, D).
        embeddings: (M, D) of unit length.
        classes: (M,) int64, the individual of each.
        scale: similarities in [-1, 1] are multiplied by it.
    """

    embeddings: Tensor
    classes: Tensor

    def __init__(self, network: nn.Module, embeddings: Tensor, classes: Tensor, scale: float) -> None:
        super().__init__()
        self.network, self.scale = network, scale
        self.n_classes = int(classes.max()) + 1
        self.register_buffer("embeddings", embeddings)
        self.register_buffer("classes", classes)

    def embed(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, D) of unit length."""
        return F.normalize(self.network(images).flatten(1), dim=1)

    def similarity_logits(self, embedded: Tensor, *, leave_out_equal: bool = False) -> Tensor:
        """(B, D) of unit length -> (B, K) logits.

        Args:
            embedded: as of :meth:`embed`.
            leave_out_equal: gallery pictures that are the picture itself do not count (leave one out).
        """
        cosines = embedded @ self.embeddings.to(embedded.dtype).T
        if leave_out_equal:
            cosines = cosines.masked_fill(cosines > EQUAL, -1.0)
        start = cosines.new_full((len(cosines), self.n_classes), -1.0)
        nearest = start.scatter_reduce(1, self.classes.expand(len(cosines), -1), cosines, "amax", include_self=True)
        return self.scale * nearest

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of normalised images (B, 3, H, W)."""
        return self.similarity_logits(self.embed(images))


def read_gallery(data: bytes, spec: PackageSpec) -> tuple[Tensor, Tensor]:
    """Embeddings (M, D) of unit length and classes (M,) of a gallery file.

    Raises:
        InputError: not a gallery, or one that does not fit the package's labels.
    """
    state = load_state(data, str(spec.gallery))
    where = f"gallery {spec.gallery}"
    if set(state) != {"embeddings", "classes"}:
        raise InputError(
            f"{where}: expected tensors `embeddings` and `classes`, found {', '.join(sorted(state)) or 'none'}"
        )
    embeddings, classes = state["embeddings"].float(), state["classes"].long()
    if embeddings.ndim != 2 or classes.shape != embeddings.shape[:1] or not len(classes):
        raise InputError(
            f"{where}: expected embeddings (M, D) and classes (M,), got {tuple(embeddings.shape)} and {tuple(classes.shape)}"
        )
    if not bool(torch.isfinite(embeddings).all()) or bool((embeddings.norm(dim=1) == 0).any()):
        raise InputError(f"{where}: holds an embedding that is zero or not finite")
    if set(classes.tolist()) != set(range(len(spec.labels))):
        raise InputError(f"{where}: its classes must be 0..{len(spec.labels) - 1}, one at least per label")
    return F.normalize(embeddings, dim=1), classes


def pack_gallery(
    folder: str | Path,
    *,
    architecture: str,
    weights: str | Path,
    pictures: Mapping[str, Sequence[str | Path]],
    embedding: str = "features",
    embedding_size: int = 128,
    scale: float = 16.0,
    size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    resize: str | None = None,
    decode: str | None = None,
    architecture_args: dict[str, Any] | None = None,
) -> Package:
    """Write a package of an embedding network and pictures of known individuals.

    Args:
        folder: where the package is written; must not hold a package yet.
        architecture: ``torchvision/NAME``, ``timm/NAME`` or ``scd_core/small_cnn``.
        weights: state dict; a classifier's head in it is not used where `embedding` is ``features``.
        pictures: individual -> files of it; at least 2 individuals.
        embedding: ``features``: what the network's last layer would read; ``head``: what its last layer gives.
        embedding_size: D of ``head``.
        scale: similarities are multiplied by it to make logits; `calibrate` fits the temperature over it.

    Raises:
        InputError: a file cannot be read, fewer than 2 individuals, or two that are equal to the network.
    """
    folder, weights = Path(folder), Path(weights)
    state = new_package_state(folder, weights)
    if len(pictures) < 2:
        raise InputError(
            f"gallery: {len(pictures)} individual; at least 2 are needed, because a name is a choice between individuals"
        )
    network = build_network(architecture, embedding_size, architecture_args)
    if embedding == "features":
        network, head = without_head(network)
        state = {key: value for key, value in state.items() if not key.startswith(f"{head}.")}
    stored = save(state)
    content = {
        "architecture": architecture,
        "architecture_args": architecture_args or {},
        "labels": list(pictures),
        "input": chosen_input(architecture, size, mean, std, resize, decode),
        "weights_sha256": hashlib.sha256(stored).hexdigest(),
        "embedding": embedding,
        "similarity_scale": scale,
        "embedding_size": embedding_size,
        "gallery": "gallery.safetensors",
    }
    spec = validated(content, "model pack-gallery")
    fit_state(network, state, spec, weights.name)
    network.eval().requires_grad_(False)
    rows: list[Tensor] = []
    classes: list[Tensor] = []
    for place, (name, files) in enumerate(pictures.items()):
        found = _embed_files(network, spec, files, name)
        if rows:
            _check_new(found, torch.cat(rows), torch.cat(classes), spec.labels, name)
        rows.append(found)
        classes.append(torch.full((len(found),), place))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / spec.weights).write_bytes(stored)
    return _write(folder, spec, torch.cat(rows), torch.cat(classes))


def add_individual(url: str, name: str, files: Sequence[str | Path]) -> Package:
    """Add pictures of an individual, new or known, to a package's gallery: no retraining, a new digest.

    The logits of all other individuals stay exactly what they were.

    Args:
        url: package on a local disk.
        name: the individual.
        files: pictures of it.

    Raises:
        InputError: the package has no gallery, a picture cannot be read, or is equal to one of another individual.
    """
    folder = local_folder(url)
    package = read_package(url)
    spec = package.spec
    if package.gallery is None:
        raise InputError(
            f"model {url}: has no gallery, so an individual cannot be added without training; see pack-gallery"
        )
    if not files:
        raise InputError(f"gallery: no pictures of {name}; give at least one file")
    from scd_core.identify.classifier import Classifier

    model = Classifier(package, torch.device("cpu")).model
    assert isinstance(model, GalleryNetwork)
    found = _embed_files(model.network, spec, files, name)
    _check_new(found, model.embeddings, model.classes, spec.labels, name)
    is_held = ((found @ model.embeddings.T) > EQUAL).any(1)
    found = found[~is_held]
    if not len(found):
        raise InputError(f"gallery: all pictures given of {name} are in the gallery already")
    old = spec.gallery
    labels = spec.labels if name in spec.labels else (*spec.labels, name)
    classes = torch.cat((model.classes, torch.full((len(found),), labels.index(name))))
    changed = validated(spec.model_dump(mode="json") | {"labels": list(labels)}, "model add-individual")
    written = _write(folder, changed, torch.cat((model.embeddings, found)), classes)
    if old is not None and old != written.spec.gallery:
        # Last, when nothing names it any more. One that cannot be removed does no harm.
        with contextlib.suppress(OSError):
            (folder / old).unlink()
    return written


def _write(folder: Path, spec: PackageSpec, embeddings: Tensor, classes: Tensor) -> Package:
    data = save({"embeddings": embeddings.contiguous(), "classes": classes.contiguous()})
    # Under a name of its own, so that a package that is read meanwhile is the old one or the new one, never half of both.
    gallery = f"gallery-{hashlib.sha256(data).hexdigest()[:12]}.safetensors"
    try:
        (folder / gallery).write_bytes(data)
    except OSError as error:
        raise InputError(f"model {folder}: cannot be written ({error})") from error
    changed = validated(spec.model_dump(mode="json") | {"gallery": gallery}, "gallery")
    write_spec(folder, changed)
    return read_package(str(folder))


@torch.inference_mode()
def _embed_files(network: nn.Module, spec: PackageSpec, files: Sequence[str | Path], name: str) -> Tensor:
    from scd_core.media import MediaError
    from scd_core.media.decode import decode_image

    if not files:
        raise InputError(f"gallery: no pictures of {name}; each individual needs at least one")
    rows = []
    for file in files:
        try:
            picture: Image.Image = decode_image(
                Path(file).read_bytes(), target=decode_size(spec.input), max_pixels=MediaConfig().max_pixels
            )
        except (OSError, MediaError) as error:
            raise InputError(f"gallery: picture {file} of {name} cannot be read ({error})") from error
        rows.append(network(preprocess(picture, spec.input)[None]).flatten(1))
    embedded = torch.cat(rows).float()
    if not bool(torch.isfinite(embedded).all()) or bool((embedded.norm(dim=1) == 0).any()):
        raise InputError(f"gallery: the network's embedding of a picture of {name} is zero or not finite")
    return F.normalize(embedded, dim=1).clone()


def _check_new(found: Tensor, held: Tensor, classes: Tensor, labels: Sequence[str], name: str) -> None:
    """Refuse a picture that the network cannot tell from one of another individual."""
    cosines = found @ held.T
    others = torch.tensor([labels[place] != name for place in classes.tolist()])
    equal = (cosines > EQUAL) & others[None]
    if bool(equal.any()):
        other = labels[int(classes[int(equal.any(0).nonzero()[0])])]
        raise InputError(
            f"gallery: a picture of {name} is equal to one of {other}; if they are one animal give both the same name, "
            "else take the picture out"
        )
