"""Fitting weights to a package's network; to heads that compare among them: necks with ArcFace, and the towers of open_clip."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from scd_core.errors import InputError
from scd_core.identify.architectures import build_network, last_linear, without_head
from scd_core.identify.fitting import fit_names
from scd_core.identify.open_clip_tower import fit_tower
from scd_core.identify.spec import GEM, OPEN_CLIP, HeadName, PackageSpec

__all__ = ["NamedHead", "embedding_state", "fit_named_head", "fitted_state"]

_OUTER = re.compile(r"^(?:(?:module|_orig_mod|model|net|network)\.)*")
_BACKBONE = re.compile(r"^(?:backbone|encoder|base_model|feature_extractor)\.")
_POWER = re.compile(r"(?:\w+\.)?p")
_NORM = re.compile(r"(?:bn_?neck|neck|bottleneck|bn)\.(\w+)", re.I)
_MATRIX = re.compile(r"\w+\.(weight|kernel|w)", re.I)


@dataclass(frozen=True)
class NamedHead:
    """Weights under the names of :class:`scd_core.identify.heads.HeadedNetwork`."""

    state: dict[str, Tensor]
    content: dict[str, Any]
    """Fields of ``model.json``."""
    steps: list[str]


def fitted_state(
    state: dict[str, Tensor],
    spec: PackageSpec,
    weights: Path,
    head: HeadName | Literal["gem-bn-arcface"] | None,
    prefix: str | None,
    allow: Collection[str],
    prompt: str | None,
) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
    """Weights under the names of a package's network.

    Args:
        state: as they were saved.
        spec: of the package, without its head.
        weights: their file.
        head: as for :func:`scd_core.identify.packing.pack_model`, and so are the following.
        prefix: see there.
        allow: see there.
        prompt: see there.

    Returns:
        The weights; fields of ``model.json`` that they decide; and what was done, one sentence a step.

    Raises:
        InputError: they do not fit.
    """
    where = f"weights {weights.name}"
    if head == GEM or spec.architecture.startswith(OPEN_CLIP):
        described = spec.model_copy(update={"head": head})
        named = fit_named_head(
            state, described, prompt=prompt or "a photo of {}", prefix=prefix, allow=tuple(allow), where=where
        )
        return named.state, named.content, named.steps
    if prompt:
        raise InputError(f"--prompt is for {OPEN_CLIP}NAME, whose head is made of texts")
    network = build_network(spec.architecture, len(spec.labels), spec.architecture_args)
    fitted = fit_names(state, network, last_linear(network), prefix=prefix, activation=head, allow=allow, where=where)
    is_of_two = head is not None and fitted.head_size is not None
    return fitted.state, {"head": head, "head_size": fitted.head_size} if is_of_two else {}, fitted.steps


def embedding_state(state: dict[str, Tensor], spec: PackageSpec, where: str) -> dict[str, Tensor]:
    """Weights under the names of the network that gives a gallery's embeddings.

    Raises:
        InputError: they do not fit.
    """
    if spec.head == GEM:
        return fit_named_head(state, spec, prompt="", prefix=None, allow=(), where=where, as_gallery=True).state
    if spec.architecture.startswith(OPEN_CLIP):
        state = {
            key.replace("visual.", "backbone.", 1): value for key, value in state.items() if key.startswith("visual.")
        }
    network = build_network(spec.architecture, spec.embedding_size, spec.architecture_args)
    if spec.embedding == "features":
        network, last = without_head(network)
        state = {key: value for key, value in state.items() if not key.startswith(f"{last}.")}
    return fit_names(state, network, None, where=where).state


def fit_named_head(
    state: dict[str, Tensor],
    spec: PackageSpec,
    *,
    prompt: str,
    prefix: str | None,
    allow: Sequence[str],
    where: str,
    as_gallery: bool = False,
) -> NamedHead:
    """Fit weights to a network whose head compares.

    Args:
        state: weights as they were saved.
        spec: its architecture, arguments and labels; `head` is `gem-bn-arcface` or the architecture is of open_clip.
        prompt: of open_clip, the text in which ``{}`` stands for a label.
        prefix: taken off the backbone's names; None finds it.
        allow: names of weights that may be left out.
        where: the file, in messages.
        as_gallery: the head is a gallery's, so that ArcFace's vectors are left out.

    Raises:
        InputError: a part of the head is missing or has no place; the message names it.
    """
    if spec.head != GEM:
        name = spec.architecture.removeprefix(OPEN_CLIP)
        tower, scale = fit_tower(state, name, spec.labels, prompt, allow=allow, where=where)
        return NamedHead(tower.state, {"similarity_scale": scale}, tower.steps)
    parts, backbone = _split(state, where)
    network = build_network(spec.architecture, 2, spec.architecture_args, head=GEM)
    fitted = fit_names(backbone, network.get_submodule("backbone"), None, prefix=prefix, allow=allow, where=where)
    found = {f"backbone.{key}": value for key, value in fitted.state.items()}
    found |= {"pooling.p": parts["pooling.p"]} | {key: value for key, value in parts.items() if key.startswith("bn.")}
    steps = [*fitted.steps, f"GeM pooling with p = {float(parts['pooling.p']):.2f}, then batch normalisation"]
    matrix = parts.get("final.weight")
    if as_gallery:
        return NamedHead(found, {"head": GEM}, [*steps, "the head of ArcFace is not used: the gallery names"])
    if matrix is None:
        raise InputError(
            f"{where}: has no vectors of ArcFace; make it a gallery of known individuals: model pack-gallery --head {GEM}"
        )
    rows, n = len(matrix), len(spec.labels)
    if rows % n:
        raise InputError(
            f"{where}: ArcFace has {rows} vectors, and there are {n} labels; the labels must be as many, or a whole part of them"
        )
    content: dict[str, Any] = {"head": GEM}
    if rows > n:
        content["sub_centres"] = rows // n
    each = f"{rows // n} vectors a class, of which the nearest counts" if rows > n else "a vector a class"
    steps.append(
        f"logits are {spec.similarity_scale:g} times the cosines of ArcFace, {each}; `model calibrate` fits their temperature"
    )
    return NamedHead(found | {"final.weight": matrix}, content, steps)


def _split(state: dict[str, Tensor], where: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The neck and the head under their own names, and the weights of the backbone."""
    parts: dict[str, Tensor] = {}
    backbone: dict[str, Tensor] = {}
    matrices: dict[str, Tensor] = {}
    for key, value in state.items():
        inner = _OUTER.sub("", key)
        if _BACKBONE.match(inner):
            backbone[inner] = value
        elif _POWER.fullmatch(inner) and value.numel() == 1:
            parts["pooling.p"] = value.reshape(1)
        elif norm := _NORM.fullmatch(inner):
            parts[f"bn.{norm[1]}"] = value
        elif value.dim() == 2 and (matrix := _MATRIX.fullmatch(inner)):
            matrices[inner] = value.T.contiguous() if matrix[1] == "kernel" else value
        else:
            backbone[inner] = value
    missing = [
        what
        for what, key in (("the power `p` of GeM pooling", "pooling.p"), ("a neck such as `bn`", "bn.running_mean"))
        if key not in parts
    ]
    if missing:
        raise InputError(
            f"{where}: has no {' and no '.join(missing)}, which --head {GEM} needs; without them leave --head out"
        )
    if len(matrices) > 1:
        raise InputError(
            f"{where}: has several layers behind its neck ({', '.join(f'`{one}`' for one in matrices)}); such a head is not read"
        )
    for key, value in matrices.items():
        if value.shape[1] != len(parts["bn.running_mean"]):
            raise InputError(
                f"{where}: `{key}` has vectors of {value.shape[1]} values, the neck of {len(parts['bn.running_mean'])}"
            )
        parts["final.weight"] = value
    return parts, backbone
