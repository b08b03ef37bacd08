"""Networks by name: torchvision's classifiers, timm's and open_clip's (with their extras), and the small one of the demo."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scd_core.errors import InputError, first_line
from scd_core.identify.checkpoint import load_content, plain_state
from scd_core.identify.fitting import with_hidden_layer
from scd_core.identify.heads import CosineHead, HeadedNetwork
from scd_core.identify.open_clip_tower import image_tower, tower_input
from scd_core.identify.small_cnn import SmallCNN
from scd_core.identify.spec import GEM, OPEN_CLIP, HeadName, PackageSpec

__all__ = [
    "build_network",
    "default_input",
    "features_at",
    "fit_state",
    "last_linear",
    "load_state",
    "network_of",
    "without_head",
]


def build_network(
    architecture: str,
    n_classes: int,
    args: dict[str, Any] | None = None,
    head: tuple[HeadName, int] | Literal["gem-bn-arcface"] | None = None,
    sub_centres: int = 1,
    scale: float = 16.0,
) -> nn.Module:
    """A network with random weights that maps (B, 3, H, W) to (B, n_classes).

    Args:
        architecture: its name.
        n_classes: outputs.
        args: further arguments of the architecture.
        head: activation and size of a layer before the last one; `gem-bn-arcface`; None for the own head.
        sub_centres: of `gem-bn-arcface`, vectors of one class.
        scale: of the cosines of a head that compares.

    Raises:
        InputError: the architecture is not known, or does not take these arguments or this head.
    """
    if head == GEM:
        backbone, width = _backbone(architecture, args)
        return HeadedNetwork(backbone, CosineHead(width, n_classes, sub_centres, scale), has_neck=True)
    if architecture.startswith(OPEN_CLIP):
        if args or head:
            raise InputError(f"architecture {architecture}: takes no --architecture-args and no --head")
        backbone, width = image_tower(architecture.removeprefix(OPEN_CLIP))
        return HeadedNetwork(backbone, CosineHead(width, n_classes, 1, scale), has_neck=False)
    network = _built(architecture, n_classes, args)
    if head is None:
        return network
    last = last_linear(network)
    if last is None:
        raise InputError(f"architecture {architecture}: has no linear head that could have two layers")
    return with_hidden_layer(network, last, head[1], head[0])


def _built(architecture: str, n_classes: int, args: dict[str, Any] | None) -> nn.Module:
    family, name = _split(architecture)
    try:
        if family == "torchvision":
            return _torchvision().get_model(name, weights=None, num_classes=n_classes, **(args or {}))
        if family == "timm":
            return _timm().create_model(name, pretrained=False, num_classes=n_classes, **(args or {}))
        return SmallCNN(n_classes, **(args or {}))
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError, MemoryError) as error:
        raise InputError(
            f"architecture {architecture}: cannot be built with {n_classes} classes ({first_line(error)})"
        ) from error


def network_of(spec: PackageSpec) -> nn.Module:
    """The network that a package describes, with random weights; with a gallery the one that gives its embeddings.

    Raises:
        InputError: as :func:`build_network`.
    """
    n_outputs = spec.embedding_size if spec.gallery is not None else len(spec.labels)
    head = GEM if spec.head == GEM else spec.hidden_layer
    network = build_network(
        spec.architecture, n_outputs, spec.architecture_args, head, spec.sub_centres or 1, spec.similarity_scale
    )
    return without_head(network)[0] if spec.gallery is not None and spec.embedding == "features" else network


def _backbone(architecture: str, args: dict[str, Any] | None) -> tuple[nn.Module, int]:
    """A network of timm without pooling and head, (B, 3, H, W) -> (B, C, h, w), and C."""
    family, name = _split(architecture)
    if family != "timm":
        raise InputError(f"architecture {architecture}: --head {GEM} is for timm/NAME")
    try:
        backbone = _timm().create_model(name, pretrained=False, num_classes=0, **(args or {}) | {"global_pool": ""})
    except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, KeyError, MemoryError) as error:
        raise InputError(
            f"architecture {architecture}: cannot be built with --head {GEM} ({first_line(error)})"
        ) from error
    return backbone, int(backbone.num_features)


def default_input(architecture: str) -> dict[str, Any]:
    """Size, mean, standard deviation and interpolation that the architecture's published weights expect.

    Raises:
        InputError: the architecture is not known, or has no published transforms.
    """
    if architecture.startswith(OPEN_CLIP):
        return tower_input(architecture.removeprefix(OPEN_CLIP))
    family, name = _split(architecture)
    if family == "torchvision":
        preset = _torchvision().get_model_weights(name).DEFAULT.transforms()
        side = preset.crop_size[0]
        found = {"mean": preset.mean, "std": preset.std, "interpolation": preset.interpolation.value}
        return {"size": (side, side), "resize": "stretch", "resize_size": preset.resize_size[0], **found}
    if family == "timm":
        timm = _timm()
        config = timm.data.resolve_data_config({}, model=timm.create_model(name, pretrained=False))
        _, height, width = config["input_size"]
        found = {"mean": config["mean"], "std": config["std"], "interpolation": config["interpolation"]}
        return {"size": (height, width), "resize": "stretch", "resize_size": int(height / config["crop_pct"]), **found}
    return {"size": (120, 160), "resize": "stretch", "mean": (0.5,) * 3, "std": (0.25,) * 3}


def last_linear(network: nn.Module) -> str | None:
    """Name of the network's last linear layer, its head; None where there is none."""
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return names[-1] if names else None


@contextmanager
def features_at(network: nn.Module, layer: str, *, after: bool = False) -> Iterator[list[Tensor]]:
    """Inside, what a layer reads in each pass of this thread is put into the list: (B, D), float32, on the CPU.

    A gradient of the pass is kept.

    Args:
        network: any.
        layer: its name in the network, such as that of the last linear layer; "" is the network itself.
        after: keep what the layer gives, not what it reads.
    """
    kept: list[Tensor] = []
    owner = threading.get_ident()

    def keep(_module: nn.Module, given: tuple[Tensor, ...], output: Tensor | None = None) -> None:
        if threading.get_ident() == owner:
            kept.append((given[0] if output is None else output).flatten(1).float().cpu())

    module = network.get_submodule(layer)
    handle = module.register_forward_hook(keep) if after else module.register_forward_pre_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()


def without_head(network: nn.Module) -> tuple[nn.Module, str]:
    """The network with its last linear layer replaced by the identity, so that it gives features; and that layer's name.

    Raises:
        InputError: it has no linear layer.
    """
    name = last_linear(network)
    if name is None:
        raise InputError(f"architecture {type(network).__name__}: has no linear head; use embedding `head`")
    parent, _, own = name.rpartition(".")
    # A module of a Sequential is set under its number, which is its attribute's name as well.
    setattr(network.get_submodule(parent), own, nn.Identity())
    return network, name


def load_state(data: bytes, name: str) -> dict[str, torch.Tensor]:
    """A state dict from bytes; nothing is ever unpickled beyond tensors (``weights_only=True``).

    Raises:
        InputError: not a state dict, or a file that holds code.
    """
    content = load_content(data, name)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    return plain_state(content, name)


def fit_state(network: nn.Module, state: dict[str, torch.Tensor], spec: PackageSpec, name: str) -> None:
    """Load a state dict into a network strictly.

    Raises:
        InputError: a tensor is missing, is too many or has another shape; `name` is the weights' file.
    """
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


def _split(architecture: str) -> tuple[str, str]:
    family, _, name = architecture.partition("/")
    if family == "torchvision":
        models = _torchvision()
        if name in models.list_models(module=models) and not name.startswith("quantized_"):
            return family, name
    elif family == "timm" and name:
        if _timm().is_model(name.split(".")[0]):
            return family, name
    elif architecture == "scd_core/small_cnn":
        return family, name
    raise InputError(
        f"architecture {architecture}: not known; use torchvision/NAME (a classifier), timm/NAME, open_clip/NAME or "
        "scd_core/small_cnn; or a network as a file: onnx, torch-export, torchscript"
    )


def _torchvision() -> Any:
    from torchvision import models  # seconds to import, which networks of other families do not need

    return models


def _timm() -> Any:
    # An extra that need not be installed.
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise InputError("architecture timm/...: timm is not installed; pip install 'trapaudit[timm]'") from error
    return timm
