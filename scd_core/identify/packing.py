"""Making and extending model packages: from a state dict, or from an embedding network and pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn

from scd_core.errors import InputError
from scd_core.identify.architectures import fit_state, network_of
from scd_core.identify.checkpoint import read_checkpoint
from scd_core.identify.child import check_target
from scd_core.identify.classifier import Classifier
from scd_core.identify.comparison import fit_comparison
from scd_core.identify.expected import check_expected, run_once
from scd_core.identify.gallery import EQUAL, GalleryNetwork
from scd_core.identify.gallery_files import held_embeddings, replace_gallery, write_gallery
from scd_core.identify.gallery_pictures import check_new, embed_files, embed_individuals
from scd_core.identify.labels import check_labels
from scd_core.identify.new_package import input_of, read_weights, write_package
from scd_core.identify.pack_heads import embedding_state, fitted_state
from scd_core.identify.pack_program import pack_program, program_for_gallery
from scd_core.identify.package import Package, read_package
from scd_core.identify.spec import PROGRAMS, HeadName, PackageSpec, validated
from scd_core.identify.spelling import check_spellings, checked_name
from scd_core.identify.strangers import StrangerLimit
from scd_core.inputs.relations import check_relations, read_relations

__all__ = ["add_embeddings", "add_individual", "pack_gallery", "pack_model"]


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
    interpolation: str | None = None,
    resize_size: int | None = None,
    key: str | None = None,
    prefix: str | None = None,
    head: HeadName | Literal["gem-bn-arcface"] | None = None,
    allow: Collection[str] = (),
    expect: str | Path | None = None,
    steps: list[str] | None = None,
    layout: str | None = None,
    output: str | None = None,
    prompt: str | None = None,
    embedding_output: str | None = None,
    relations: str | Path | None = None,
) -> Package:
    """Write a model package from a state dict, or from a network as a program, and check that it loads.

    What weights are wrapped in is taken off (:mod:`scd_core.identify.checkpoint`), their names are brought to those of the
    architecture (:func:`scd_core.identify.fitting.fit_names`), and the network is run once at its input's size.

    Sizes and normalisation default to the architecture's own transforms; the resize rule defaults to ``stretch``, because
    in a camera-trap frame the animal is where it is and a centre crop may lose it.

    Args:
        folder: where the package is written; must not hold a package yet.
        architecture: ``torchvision/NAME``, ``timm/NAME`` or ``scd_core/small_cnn``; ``onnx``, ``torch-export``,
            ``torchscript`` for a program (:mod:`scd_core.identify.pack_program`), which needs `size`, `mean` and `std`.
        weights: state dict, ``.safetensors`` or ``.pth`` (loaded with ``weights_only=True``), also wrapped as training code saves
            it, Lightning's ``.ckpt`` among it; or the program.
        labels: one label per class, in class order.
        size: height and width of the input; this and the following default to the architecture's own.
        interpolation: ``nearest``, ``bilinear``, ``bicubic``.
        resize_size: shorter side before the centre crop of ``crop`` (pixels).
        key: path of the state dict in the file; None finds it.
        prefix: of the names of the weights; None finds it.
        head: activation between the two layers of a head of two; or `gem-bn-arcface` (:mod:`scd_core.identify.pack_heads`).
        allow: names of weights that may be left out.
        expect: file of pictures with their logits or best class by the model's own code, which the package must give too
            (:func:`scd_core.identify.expected.check_expected`).
        steps: gets what was done, one sentence a step.
        layout: of a program's input: ``nchw`` (default), ``nhwc``.
        output: what a program gives: ``logits`` (default), ``probabilities``.
        prompt: of ``open_clip/NAME``, a text in which ``{}`` stands for the label; None is ``a photo of {}``.
        embedding_output: of a program, the output that holds the embedding; None takes what its last layer reads.
        relations: file of what each name is (:func:`scd_core.inputs.relations.read_relations`), so that an error
            says how near the wrong name is, and the group of the true name counts as right.

    Raises:
        InputError: the folder holds a package, a file cannot be read, the weights do not fit the architecture, or the network
            does not give what is expected. No package is left then.
    """
    folder, weights = Path(folder), Path(weights)
    done = steps if steps is not None else []
    check_labels(labels, done)
    if architecture in (*PROGRAMS, "torchscript"):
        of_tensors = {
            "--key": key, "--prefix": prefix, "--head": head, "--allow": allow, "--architecture-args": architecture_args,
        }  # fmt: skip
        given = {
            "size": size,
            "mean": mean,
            "std": std,
            "resize": resize,
            "decode": decode,
            "interpolation": interpolation,
        }
        spec, stored = pack_program(
            read_weights(folder, weights), weights, architecture, labels, given | {"resize_size": resize_size},
            {"layout": layout, "gives": output}, embedding_output=embedding_output, unused=of_tensors, expect=expect,
            steps=done,
        )  # fmt: skip
        return write_package(folder, _related(spec, relations, done), stored)
    _check_for_programs(architecture, {"--layout": layout, "--output": output, "--embedding-output": embedding_output})
    content: dict[str, Any] = {
        "architecture": architecture,
        "architecture_args": architecture_args or {},
        "labels": list(labels),
        "input": {},
        "weights_sha256": "0" * 64,
    }
    found = read_checkpoint(read_weights(folder, weights), weights.name, key)
    content["input"] = input_of(
        architecture, size=size, mean=mean, std=std, resize=resize, decode=decode, interpolation=interpolation,
        resize_size=resize_size,
    )  # fmt: skip
    spec = validated(content, "model pack")
    state, more, fitting = fitted_state(found.state, spec, weights, head, prefix, allow, prompt)
    done += [*found.steps, *fitting]
    stored = save(state)
    spec = validated(content | more | {"weights_sha256": hashlib.sha256(stored).hexdigest()}, "model pack")
    network = network_of(spec)
    fit_state(network, state, spec, weights.name)
    done.append(run_once(network.eval(), spec, weights.name))
    if expect is not None:
        done.append(check_expected(network.eval(), spec, expect))
    return write_package(folder, _related(spec, relations, done), stored)


def _related(spec: PackageSpec, relations: str | Path | None, steps: list[str]) -> PackageSpec:
    """The description with the taxonomy of a file."""
    if relations is None:
        return spec
    found = read_relations(str(relations))
    steps.append(check_relations(found, spec.labels))
    return spec.model_copy(update={"relations": found})


def pack_gallery(
    folder: str | Path,
    *,
    architecture: str,
    weights: str | Path,
    pictures: Mapping[str, Sequence[str | Path]],
    embedding: str | None = None,
    embedding_size: int = 128,
    scale: float = 16.0,
    size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    resize: str | None = None,
    decode: str | None = None,
    architecture_args: dict[str, Any] | None = None,
    unknown_rate: float | None = None,
    head: Literal["gem-bn-arcface"] | None = None,
    layout: str | None = None,
    embedding_output: str | None = None,
    steps: list[str] | None = None,
    relations: str | Path | None = None,
    interpolation: str | None = None,
    resize_size: int | None = None,
) -> tuple[Package, StrangerLimit | None]:
    """Write a package of an embedding network and pictures of known individuals.

    Embeddings are compared whitened where that is no worse than plain cosine on pictures that are held out.

    Args:
        folder: where the package is written; must not hold a package yet.
        architecture: ``torchvision/NAME``, ``timm/NAME`` or ``scd_core/small_cnn``; ``onnx``, ``torch-export``,
            ``torchscript`` for a program, which needs `size`, `mean` and `std`.
        weights: state dict; a classifier's head in it is not used where `embedding` is ``features``; or the program.
        pictures: individual -> files of it; at least 2 individuals.
        embedding: ``features``: what the network's last layer would read; ``head``: what its last layer gives. None is
            ``features``, and ``head`` for a program.
        embedding_size: D of ``head``.
        scale: similarities are multiplied by it to make logits; `calibrate` fits the temperature over it.
        unknown_rate: also find the least similarity of a name, so that at most this share of pictures of individuals that are
            left out of the gallery gets one, 0-1.
        head: `gem-bn-arcface` where GeM pooling and a neck lie between the backbone and the embedding.
        layout: of a program's input: ``nchw`` (default), ``nhwc``.
        embedding_output: of a program, the output that holds the embedding; None takes the only one.
        steps: gets what was done, one sentence a step.
        relations: as for :func:`pack_model`, and so are the following.
        interpolation: see there.
        resize_size: see there.

    Returns:
        The package; and what its least similarity of a name costs, where `unknown_rate` is given.

    Raises:
        InputError: a file cannot be read, too few pictures for `unknown_rate`, or fewer than 2 individuals, or two equal ones.
    """
    folder, weights = Path(folder), Path(weights)
    done = steps if steps is not None else []
    data = read_weights(folder, weights)
    if len(pictures) < 2:
        raise InputError(
            f"gallery: {len(pictures)} individual; at least 2 are needed, because a name is a choice between individuals"
        )
    check_spellings(pictures)
    given = {
        "size": size, "mean": mean, "std": std, "resize": resize, "decode": decode, "interpolation": interpolation,
        "resize_size": resize_size,
    }  # fmt: skip
    if architecture in (*PROGRAMS, "torchscript"):
        spec, stored, network = program_for_gallery(
            data, weights, architecture, list(pictures), given, {"layout": layout}, embedding=embedding or "head",
            embedding_output=embedding_output, scale=scale, steps=done,
            unused={"--head": head, "--architecture-args": architecture_args},
        )  # fmt: skip
    else:
        _check_for_programs(architecture, {"--layout": layout, "--embedding-output": embedding_output})
        content: dict[str, Any] = {
            "architecture": architecture,
            "architecture_args": architecture_args or {},
            "labels": list(pictures),
            "input": input_of(architecture, **given),
            "embedding": embedding or "features",
            "similarity_scale": scale,
            "embedding_size": embedding_size,
            "head": head,
        }
        spec, stored, network = _built_for_gallery(data, weights.name, content)
    spec = _related(spec, relations, done)
    embeddings, classes = embed_individuals(network.eval().requires_grad_(False), spec, pictures)
    names = [spec.labels[place] for place in classes.tolist()]
    fitted, whitening, limit = fit_comparison(spec, embeddings.numpy(), names, unknown_rate)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / spec.weights).write_bytes(stored)
    if whitening is not None:
        (folder / str(fitted.whitening)).write_bytes(whitening)
    return write_gallery(folder, fitted, embeddings, classes), limit


def _built_for_gallery(data: bytes, name: str, content: Mapping[str, Any]) -> tuple[PackageSpec, bytes, nn.Module]:
    """The description of a gallery's package, the file of its weights, and the network that gives embeddings."""
    described = {"weights_sha256": "0" * 64, "gallery": "gallery.safetensors"} | dict(content)
    spec = validated(described, "model pack-gallery")
    state = embedding_state(read_checkpoint(data, name).state, spec, f"weights {name}")
    stored = save(state)
    spec = spec.model_copy(update={"weights_sha256": hashlib.sha256(stored).hexdigest()})
    network = network_of(spec)
    fit_state(network, state, spec, name)
    return spec, stored, network


def _check_for_programs(architecture: str, given: Mapping[str, str | None]) -> None:
    """Refuse options that are for a network as a file."""
    if used := [option for option, value in given.items() if value]:
        raise InputError(f"{used[0]} is for {' and '.join(PROGRAMS)}; {architecture} is built here")


def add_individual(url: str, name: str, files: Sequence[str | Path], write: str | None = None) -> Package:
    """Add pictures of an individual, new or known, to a package's gallery: no retraining, a new digest.

    The logits of all other individuals stay exactly what they were.

    Args:
        url: package on a local disk.
        name: the individual.
        files: pictures of it.
        write: as for :func:`add_embeddings`.

    Raises:
        InputError: the package has no gallery, a picture cannot be read, or is equal to one of another individual; the name
            is one that the gallery has in another spelling.
    """
    package = read_package(url)
    spec = package.spec
    if package.gallery is None:
        raise InputError(f"model {url}: has no gallery; see `learn_individual`")
    name = checked_name(name, spec.labels)
    if not files:
        raise InputError(f"gallery: no pictures of {name}; give at least one file")
    classifier = Classifier(package, torch.device("cpu"))
    model = classifier.model if spec.program is None else classifier.naming_network
    assert isinstance(model, GalleryNetwork)
    return add_embeddings(url, name, embed_files(model.network, spec, files, name), write)


def add_embeddings(url: str, name: str, found: Tensor, write: str | None = None) -> Package:
    """Add an individual to a package's gallery as :func:`add_individual` does, by embeddings of its pictures.

    Args:
        url: package on a local disk.
        name: the individual.
        found: (N, D) of unit length, of the package's `embedding_space`.
        write: folder of a new package, which knows its parent; None changes the package itself, on a local disk.

    Raises:
        InputError: the package has no gallery, or an embedding does not fit it or is equal to one of another individual.
    """
    package = read_package(url)
    spec = package.spec
    if write is not None:
        check_target(write)
    embeddings, held = held_embeddings(package, found)
    check_new(found, embeddings, held, spec.labels, name)
    is_held = ((found @ embeddings.T) > EQUAL).any(1)
    found = found[~is_held]
    if not len(found):
        raise InputError(f"gallery: all pictures given of {name} are in the gallery already")
    labels = spec.labels if name in spec.labels else (*spec.labels, name)
    classes = torch.cat((held, torch.full((len(found),), labels.index(name))))
    changed = validated(spec.model_dump(mode="json") | {"labels": list(labels)}, "model add-individual")
    added = {"added": {"individual": name, "n_pictures": len(found)}}
    return replace_gallery(
        package, url, changed, torch.cat((embeddings, found)), classes, write, "model add-individual", added
    )
