"""CLIP models of open_clip (BioCLIP among them): the image tower, and a head made of the texts of the labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from scd_core.errors import InputError, first_line
from scd_core.identify.fitting import Fitted, fit_names

__all__ = ["fit_tower", "image_tower", "tower_input"]

_MOST = 64
"""Texts in one pass."""


def image_tower(name: str) -> tuple[nn.Module, int]:
    """The image tower with random weights, (B, 3, H, W) -> (B, D), and D.

    Args:
        name: of open_clip, such as ``ViT-B-16``.

    Raises:
        InputError: open_clip is not installed, does not have it, or would load parts of it from elsewhere.
    """
    model = _model(name)
    return model.visual, int(_config(name)["embed_dim"])


def tower_input(name: str) -> dict[str, Any]:
    """Size, mean, standard deviation and interpolation that the image tower was trained with.

    Raises:
        InputError: as :func:`image_tower`.
    """
    found = _model(name).visual.preprocess_cfg
    height, width = (found["size"],) * 2 if isinstance(found["size"], int) else found["size"]
    own = {"mean": tuple(found["mean"]), "std": tuple(found["std"]), "interpolation": found["interpolation"]}
    return {"size": (height, width), "resize": "stretch", "resize_size": min(height, width), **own}


@torch.inference_mode()
def fit_tower(
    state: dict[str, Tensor], name: str, labels: Sequence[str], prompt: str, *, allow: Sequence[str], where: str
) -> tuple[Fitted, float]:
    """Weights of the image tower, and a head of what the text tower makes of each label; and the scale of its cosines.

    Args:
        state: of both towers.
        name: of open_clip.
        labels: one per class.
        prompt: a text in which ``{}`` stands for the label.
        allow: names of weights that may be left out.
        where: the file, in messages.

    Raises:
        InputError: as :func:`image_tower`; the weights are not those of the model; or the prompt has no place for the label.
    """
    if prompt.count("{}") != 1:
        raise InputError(f"--prompt {prompt[:60]!r}: needs one {{}}, where the label goes, such as 'a photo of {{}}'")
    model: Any = _model(name)
    fitted = fit_names(state, model, None, allow=allow, where=where)
    own = model.state_dict()
    wrong = sorted(key for key in own if key not in fitted.state or fitted.state[key].shape != own[key].shape)
    if wrong:
        hint = "" if any(key.startswith("visual.") for key in wrong) else "; the head needs the text tower as well"
        raise InputError(
            f"{where}: do not fit open_clip/{name}: {len(wrong)} missing or of another shape (first {wrong[0]}){hint}"
        )
    model.load_state_dict(fitted.state)
    model.eval()
    tokens = _library().get_tokenizer(name)([prompt.replace("{}", label) for label in labels])
    texts = torch.cat([model.encode_text(part, normalize=True) for part in tokens.split(_MOST)])
    tower = {f"backbone.{key}": value.contiguous() for key, value in model.visual.state_dict().items()}
    fitted.state = {key: value.clone() for key, value in (tower | {"final.weight": texts.float()}).items()}
    fitted.steps.append(f"the head is made of the text of each label, such as {prompt.replace('{}', labels[0])!r}")
    return fitted, float(model.logit_scale.exp())


def _model(name: str) -> Any:
    config = _config(name)
    text = config.get("text_cfg", {})
    if text.get("hf_model_name") or text.get("hf_tokenizer_name"):
        raise InputError(
            f"architecture open_clip/{name}: its text tower is loaded from the network; export the image tower with its head to "
            "ONNX instead (--architecture onnx)"
        )
    try:
        with _quiet():
            return _library().create_model(name, pretrained=None, load_weights=False, pretrained_text=False)
    except (RuntimeError, TypeError, ValueError, KeyError, OSError, AssertionError) as error:
        raise InputError(f"architecture open_clip/{name}: cannot be built ({first_line(error)})") from error


def _config(name: str) -> dict[str, Any]:
    library = _library()
    if name not in library.list_models():  # other names are addresses, which open_clip would load
        raise InputError(f"architecture open_clip/{name}: not known to open_clip; BioCLIP is open_clip/ViT-B-16")
    found: dict[str, Any] = library.get_model_config(name)
    return found


def _library() -> Any:
    # An extra that need not be installed.
    try:
        import open_clip
    except ImportError as error:
        raise InputError(
            "architecture open_clip/...: open_clip is not installed; pip install 'trapaudit[open_clip]'"
        ) from error
    return open_clip


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, open_clip does not warn that a network has random weights, which are loaded next."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
