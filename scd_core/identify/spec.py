"""``model.json`` of a model package: what a package states of its network, labels and preprocessing, read and checked."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import unicodedata
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from scd_core.errors import InputError
from scd_core.names import UNKNOWN

__all__ = [
    "ACTIVATIONS", "GEM", "MODEL_FILE", "OPEN_CLIP", "PROGRAMS", "HeadName", "InputSpec", "PackageSpec", "ProgramSpec",
    "validated", "write_spec",
]  # fmt: skip

MODEL_FILE = "model.json"
HeadName = Literal["relu", "gelu", "silu", "tanh"]
ACTIVATIONS: tuple[HeadName, ...] = get_args(HeadName)
"""Between the two layers of a head."""
GEM: Literal["gem-bn-arcface"] = "gem-bn-arcface"
"""GeM pooling, batch normalisation and a head of cosines, as of MiewID."""
OPEN_CLIP = "open_clip/"
"""Beginning of the names of image towers with a head of texts."""
PROGRAMS = ("onnx", "torch-export")
"""Architectures that are the file of weights itself: a network as a program of known operations."""
_ARGUMENTS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("width", "patch_size", "embed_dim", "depth", "num_heads", "reg_tokens", "groups", "width_per_group", "growth_rate",
         "stem_width"),
        (int,),
    ),
    **dict.fromkeys(
        ("dynamic_img_size", "dynamic_img_pad", "strict_img_size", "class_token", "qkv_bias", "fc_norm", "no_embed_class",
         "transform_input", "aux_logits", "init_weights", "zero_init_residual"),
        (bool,),
    ),
    **dict.fromkeys(
        ("width_mult", "dropout", "drop_rate", "drop_path_rate", "attn_drop_rate", "proj_drop_rate", "pos_drop_rate",
         "stochastic_depth_prob", "init_values", "layer_scale"),
        (float, int),
    ),
    **dict.fromkeys(("img_size", "window_size"), (int, list)),
    "global_pool": (str,),
}  # fmt: skip
"""Arguments of an architecture that are passed on, and their types: none names a file, a class or an address."""
_LARGEST = {"depth": 128, "width": 1024, "groups": 1024, "growth_rate": 1024}
"""Largest number of some arguments, 8192 of the others: no package asks for a network that no memory holds."""
_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".onnx", ".pt2")


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
    box_use: Literal["classify", "locate"] | None = Field(
        None,
        description="what the network was trained on; classify: crops of animals' boxes; locate: whole frames. A run follows it "
        "where its settings do not give `classify.box_use`",
    )
    box_margin: float | None = Field(
        None,
        gt=0,
        le=4,
        description="share of an animal's box, on each of its four sides, that is shown with it: .5 shows a crop twice as wide "
        "and high as the box, as far as the frame reaches; null: the box alone",
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


class ProgramSpec(BaseModel):
    """How a network that came as a program takes a picture and gives its names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal["nchw", "nhwc"] = Field(
        "nchw", description="order of the input: channels first, or last as in Keras"
    )
    output: int = Field(0, ge=0, lt=256, description="number of the output that holds the names")
    gives: Literal["logits", "probabilities", "embeddings"] = Field(
        "logits",
        description="what the output holds; of probabilities that a softmax gives, the logarithm is taken; embeddings belong to "
        "a gallery",
    )
    embedding: int | None = Field(
        None,
        ge=0,
        lt=256,
        description="number of a further output, which holds the embedding of a picture; null: none does",
    )


class PackageSpec(BaseModel):
    """Content of ``model.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    architecture: str = Field(
        description="torchvision/NAME, timm/NAME, open_clip/NAME, scd_core/small_cnn; or a program: onnx, torch-export"
    )
    architecture_args: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the architecture")
    head: HeadName | Literal["gem-bn-arcface"] | None = Field(
        None,
        description="activation between the two layers of a head of two; gem-bn-arcface: GeM pooling, a neck and cosines; "
        "null for a head of one linear layer",
    )
    sub_centres: int | None = Field(None, ge=2, le=64, description="of gem-bn-arcface: vectors of one class")
    head_size: int | None = Field(
        None, ge=1, le=65536, description="outputs of the first of the two layers of such a head"
    )
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
    similarity_scale: float = Field(
        16.0, gt=0, description="with a gallery or a head of cosines: logits are cosine similarities times this"
    )
    unknown_similarity: float | None = Field(
        None, ge=-1, le=1, description="with a gallery: a best cosine similarity below is called `unknown`"
    )
    whitening: str | None = Field(
        None, description="safetensors file beside model.json: how embeddings are compared (docs/individuals.md)"
    )
    candidate_similarity: float | None = Field(
        None, ge=-1, le=1, description="mean whitened similarity from which two groups of unknowns are one individual"
    )
    class_means: str | None = Field(
        None,
        description="safetensors file beside model.json: what a classifier learns further names by (docs/individuals.md)",
    )
    frame_head: str | None = Field(
        None,
        description="safetensors file beside model.json: a second last layer, for what the network reads of the whole frame; its "
        "logits are added to those of the box",
    )
    features_of: str | None = Field(
        None, description="embedding space of the package whose network this one has, where only the head is another"
    )
    relations: dict[str, str] | None = Field(
        None, description="name -> its species or group, or a label of SpeciesNet with its taxonomy (docs/models.md)"
    )
    program: ProgramSpec | None = Field(None, description="of an architecture that is a program; null for others")
    taken_back: int | None = Field(
        None,
        ge=1,
        description="times that `individuals remove` took back a name that runs had used; it makes another digest, so that their "
        "pictures are named again",
    )
    provenance: dict[str, Any] | None = Field(None, description="where the weights come from; not interpreted")

    @property
    def file_names(self) -> tuple[str, ...]:
        """The files beside ``model.json`` that the package has."""
        names = (self.weights, self.gallery, self.whitening, self.class_means, self.frame_head)
        return tuple(name for name in names if name is not None)

    @property
    def hidden_layer(self) -> tuple[HeadName, int] | None:
        """Activation and size of the layer before the last one, of a head of two."""
        return None if self.head is None or self.head == GEM or self.head_size is None else (self.head, self.head_size)

    @property
    def has_cosines(self) -> bool:
        """Whether the head, and not a gallery, compares by cosine."""
        return self.head == GEM or self.architecture.startswith(OPEN_CLIP)

    @property
    def embedding_space(self) -> str:
        """Hash of what embeddings are made by: weights, architecture and preprocessing; 16 hexadecimal digits."""
        if self.features_of is not None:
            return self.features_of
        kind = self.embedding if self.gallery is not None else "features"
        parts: list[Any] = [
            self.architecture,
            self.architecture_args,
            self.weights_sha256,
            kind,
            self.input.model_dump(mode="json", exclude=None if self.input.box_margin else {"box_margin"}),
        ]
        if self.program is not None and (self.gallery is not None or self.program.embedding is not None):
            parts.append(self.program.output if self.gallery is not None else self.program.embedding)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @field_validator("labels")
    @classmethod
    def _composed(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        # A folder's name on a Mac is decomposed; what people type is composed.
        return tuple(unicodedata.normalize("NFC", name) for name in labels)

    @field_validator("architecture_args")
    @classmethod
    def _known_arguments(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name, value in given.items():
            if name not in _ARGUMENTS:
                raise ValueError(
                    f"{name!r} is not passed on to an architecture; allowed are {', '.join(sorted(_ARGUMENTS))}"
                )
            kinds = _ARGUMENTS[name]
            is_number = not isinstance(value, bool) or bool in kinds
            is_large = isinstance(value, int | float) and abs(value) > _LARGEST.get(name, 8192)
            if not isinstance(value, kinds) or not is_number or is_large:
                raise ValueError(
                    f"{name!r}: {str(value)[:40]!r} is no {' or '.join(kind.__name__ for kind in kinds)} in range"
                )
            if isinstance(value, list) and not (
                len(value) == 2 and all(type(one) is int and 0 < one <= 4096 for one in value)
            ):
                raise ValueError(f"{name!r}: expected two whole numbers, got {str(value)[:40]!r}")
            if isinstance(value, str) and value not in ("", "avg", "token", "map", "max", "avgmax", "catavgmax"):
                raise ValueError(f"{name!r}: {value[:40]!r} is no pooling of timm")
        return given

    @property
    def strangers_warning(self) -> str | None:
        """A line where a gallery has no limit below which it gives no name, so that each stranger gets one; else None."""
        if self.gallery is None or self.unknown_threshold is not None or self.unknown_similarity is not None:
            return None
        return (
            "the gallery has no limit below which a picture is called unknown: each stranger gets a known name; "
            "pack it with --unknown-rate 0.1, or calibrate it"
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.head in ACTIVATIONS) != (self.head_size is not None):
            raise ValueError("head and head_size belong together")
        if self.sub_centres is not None and self.head != GEM:
            raise ValueError(f"sub_centres belongs to the head {GEM}")
        if (self.program is None) == (self.architecture in PROGRAMS):
            raise ValueError(f"`program` belongs to the architectures {' and '.join(PROGRAMS)}, and to no other")
        if self.program is not None and (self.architecture_args or self.head):
            raise ValueError(f"architecture {self.architecture} has no arguments or other head")
        if self.program is not None and (self.gallery is None) == (self.program.gives == "embeddings"):
            raise ValueError("a gallery belongs to a program that gives embeddings, and to no other program")
        if len(self.labels) < 2:
            raise ValueError(f"labels must name at least 2 classes, got {len(self.labels)}")
        if UNKNOWN in self.labels:
            raise ValueError(f"{UNKNOWN!r} is what an unnamed individual is called; no class may have that label")
        for name in self.file_names:
            if Path(name).name != name or name in {"", ".", ".."}:
                raise ValueError(f"{name!r} must be a file beside {MODEL_FILE}, not a path")
        if self.frame_head is not None and (self.input.box_use != "classify" or self.gallery or self.program):
            raise ValueError(
                "frame_head belongs to a network of boxes (`box_use` classify), without a gallery and no program"
            )
        if not self.weights.endswith(_WEIGHT_SUFFIXES):
            raise ValueError(f"weights must be one of {', '.join(_WEIGHT_SUFFIXES)}, got {self.weights}")
        return self


def validated(content: Any, where: str) -> PackageSpec:
    """The description of a package, checked.

    Raises:
        InputError: a field is wrong; the message begins with `where`.
    """
    try:
        return PackageSpec.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: {field or 'content'}: {first['msg'].removeprefix('Value error, ')}") from error


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
