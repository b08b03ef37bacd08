"""Pictures for a gallery: embedded, and refused where the network sees the same in those of another individual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.identify.gallery import EQUAL
from scd_core.identify.preprocess import decode_size, preprocess
from scd_core.identify.spec import PackageSpec
from scd_core.media import MediaError
from scd_core.media.decode import decode_image

__all__ = ["check_different", "check_new", "embed_files", "embed_individuals", "picture_inputs"]


_AT_ONCE = 50_000_000
"""Similarities that are held at a time (200 MB)."""


def embed_individuals(
    network: nn.Module, spec: PackageSpec, pictures: Mapping[str, Sequence[str | Path]]
) -> tuple[Tensor, Tensor]:
    """Embeddings (M, D) of unit length of all pictures, and the class (M,) of each.

    Raises:
        InputError: a picture cannot be read, or is equal to one of another individual.
    """
    rows: list[Tensor] = []
    classes: list[Tensor] = []
    for place, (name, files) in enumerate(pictures.items()):
        rows.append(embed_files(network, spec, files, name))
        classes.append(torch.full((len(rows[-1]),), place))
    embeddings, own = torch.cat(rows), torch.cat(classes)
    check_different(embeddings, own, spec.labels, [str(file) for files in pictures.values() for file in files])
    return embeddings, own


@torch.inference_mode()
def embed_files(network: nn.Module, spec: PackageSpec, files: Sequence[str | Path], name: str) -> Tensor:
    """Embeddings (N, D) of unit length of pictures of one individual.

    Raises:
        InputError: there are none, or one cannot be read or has no embedding.
    """
    rows = [network(one[None]).flatten(1) for one in picture_inputs(spec, files, name)]
    embedded = torch.cat(rows).float()
    if not bool(torch.isfinite(embedded).all()) or bool((embedded.norm(dim=1) == 0).any()):
        raise InputError(f"gallery: the network's embedding of a picture of {name} is zero or not finite")
    return F.normalize(embedded, dim=1).clone()


def picture_inputs(spec: PackageSpec, files: Sequence[str | Path], name: str) -> Iterator[Tensor]:
    """The (3, H, W) input of each picture of one individual.

    Raises:
        InputError: there are none, or one cannot be read.
    """
    if not files:
        raise InputError(f"gallery: no pictures of {name}; each individual needs at least one")
    for file in files:
        try:
            picture: Image.Image = decode_image(
                Path(file).read_bytes(), target=decode_size(spec.input), max_pixels=MediaConfig().max_pixels
            )
        except (OSError, MediaError) as error:
            raise InputError(f"gallery: picture {file} of {name} cannot be read ({error})") from error
        yield preprocess(picture, spec.input)


def check_new(found: Tensor, held: Tensor, classes: Tensor, labels: Sequence[str], name: str) -> None:
    """Refuse a picture that the network takes for one of another individual.

    Raises:
        InputError: there is one.
    """
    is_other = torch.tensor([label != name for label in labels])[classes]
    equal = (found @ held.T > EQUAL) & is_other[None]
    if bool(equal.any()):
        raise _equal(name, labels[int(classes[int(equal.any(0).nonzero()[0])])])


def check_different(embeddings: Tensor, classes: Tensor, labels: Sequence[str], files: Sequence[str]) -> None:
    """Refuse pictures of two individuals that the network takes for one picture.

    Args:
        embeddings: (M, D) of unit length.
        classes: (M,) the individual of each.
        labels: of the classes.
        files: (M,) that the pictures are read from.

    Raises:
        InputError: there are two; the message has their files.
    """
    size = max(1, _AT_ONCE // max(1, len(embeddings)))
    for start in range(0, len(embeddings), size):
        part = slice(start, start + size)
        equal = embeddings[part] @ embeddings[: start + size].T > EQUAL
        equal &= classes[part, None] != classes[None, : start + size]
        if bool(equal.any()):
            here, there = (int(place) for place in equal.nonzero()[0])
            earlier, later = sorted((start + here, there))
            raise _equal(
                labels[int(classes[later])], labels[int(classes[earlier])], f" ({files[later]} and {files[earlier]})"
            )


def _equal(name: str, other: str, files: str = "") -> InputError:
    return InputError(
        f"gallery: a picture of {name} is equal to one of {other}{files}; if they are one animal give both the same name, "
        "else take the picture out"
    )
