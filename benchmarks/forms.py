"""Logits of packages against those of the libraries that the models come from, on real photographs.

    python -m benchmarks.forms [--json benchmarks/results/forms.json] [--quick]

Each form of docs/models.md is packed as a team would, and names the same preprocessed photographs as the network itself does.
mobilenet_v2 has ImageNet's weights; the others have random ones, with statistics of the photographs and a head that tells them
apart, since their weights can't be had here. `masks` counts the photographs on which PyTorch gives onnxruntime's logits to 1e-4,
so that a mask may be made; `of_embeddings` is the largest difference of embeddings of unit length; `seconds` is what loading
takes. A form whose library is not installed is left out.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision import models

from benchmarks.common import DATA, Report, options
from benchmarks.real.sets import find_weights
from scd_core.identify import load_model, pack_model
from scd_core.identify.architectures import features_at, last_linear
from scd_core.identify.packing import pack_gallery
from scd_core.identify.preprocess import preprocess
from scd_core.identify.spec import InputSpec

FOLDERS = ("jaguar", "southwest", "ena24", "cats", "nyala", "imagenet_animals")
N_CLASSES = 20
N_KNOWN = 3
LABELS = tuple(f"class {number}" for number in range(N_CLASSES))
IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True)
class Form:
    """One form: what is saved, how it is packed, and what the network itself gives."""

    name: str
    network: nn.Module
    save: Callable[[Path], None]
    given: dict[str, Any]
    expected: Callable[[Tensor], Tensor] | None = None
    """Inputs -> logits; None is the network."""
    labels: tuple[str, ...] = LABELS
    embedding: Callable[[Tensor], Tensor] | None = None
    """Inputs -> embeddings; None is what the last linear layer of the network reads."""
    is_gallery: bool = False
    """Whether it is packed with pictures of known individuals, and `expected` gives embeddings alone."""


class OfKeras(nn.Module):
    """Channels last in [0, 255] in, a softmax out, around a network of normalised pictures."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities (B, K) of pictures (B, H, W, 3)."""
        found: Tensor = self.network(_normalised(x.permute(0, 3, 1, 2) / 255))
        return found.softmax(1)


def _normalised(x: Tensor) -> Tensor:
    mean, std = (torch.tensor(IMAGENET[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (x - mean) / std


def photographs(n: int) -> list[Image.Image]:
    """RGB photographs, as many of each folder as there are, in turn."""
    found: list[list[Path]] = []
    for name in FOLDERS:
        files = sorted(path for path in (DATA / name).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        found.append([path for path in files if path.stat().st_size])
    pictures: list[Image.Image] = []
    for place in range(max(map(len, found), default=0)):
        for files in found:
            if place < len(files) and len(pictures) < n:
                with Image.open(files[place]) as opened:
                    opened.draft("RGB", (1000, 1000))
                    pictures.append(ImageOps.exif_transpose(opened).convert("RGB"))
    return pictures


def settled(network: nn.Module, head: nn.Parameter | None, batch: Tensor) -> nn.Module:
    """A network of random weights with statistics of real pictures, whose logits differ between them by some units."""
    with torch.no_grad():
        network.train()
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = None
        for part in batch.split(8):
            network(part)
        network.eval()
        if head is not None:
            spread = float(network(batch).std(dim=0).mean())
            head.mul_(2 / max(spread, 1e-9))
    return network


def forms(batch: Tensor, only: str = "") -> Iterator[Form]:
    """Every form whose libraries are here, or one group of them; `batch` is a sample of pictures (B, 3, 224, 224)."""
    return (one for make in (_mobilenet, _vit, _miewid, _bioclip) if only in make.__name__ for one in make(batch))


def _mobilenet(_batch: Tensor) -> Iterator[Form]:
    weights = find_weights()
    if weights is not None:
        real = models.mobilenet_v2()
        real.load_state_dict(torch.load(weights, weights_only=True))
        labels = tuple(f"class {number}" for number in range(1000))
        state = {f"module.{key}": value for key, value in real.state_dict().items()}
        plain = {"architecture": "torchvision/mobilenet_v2", "size": (224, 224)}
        yield Form(
            "state dict, wrapped: mobilenet_v2", real.eval(), _tensors({"state_dict": state}), plain, labels=labels
        )
        yield from _programs("mobilenet_v2", real.eval(), labels)


def _vit(batch: Tensor) -> Iterator[Form]:
    if _has("timm"):
        import timm

        torch.manual_seed(1)
        vit: Any = timm.create_model("vit_small_patch16_224", num_classes=N_CLASSES)
        nn.init.normal_(vit.head.weight)
        settled(vit, vit.head.weight, batch)
        named = {"architecture": "timm/vit_small_patch16_224", "size": (224, 224), **IMAGENET}
        yield Form(
            "state dict, prefix: vit_small",
            vit,
            _tensors({f"base_model.{k}": v for k, v in vit.state_dict().items()}),
            named,
        )
        yield from _programs("vit_small", vit, LABELS)


def _tensors(content: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


def _has(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _programs(name: str, network: nn.Module, labels: tuple[str, ...]) -> Iterator[Form]:
    stated = {"size": (224, 224), **IMAGENET}

    def export(path: Path) -> None:
        dynamic = ({0: torch.export.Dim("n", min=1, max=32)},)
        torch.export.save(torch.export.export(network, (torch.rand(2, 3, 224, 224),), dynamic_shapes=dynamic), path)

    yield Form(f"torch.export: {name}", network, export, stated | {"architecture": "torch-export"}, labels=labels)
    script = torch.jit.script(network)
    yield Form(
        f"TorchScript: {name}", network, lambda path: script.save(str(path)), stated | {"architecture": "torchscript"},
        labels=labels,
    )  # fmt: skip
    if not (_has("onnx") and _has("onnxruntime")):
        return
    given = stated | {"architecture": "onnx"}
    yield Form(f"ONNX: {name}", network, _onnx(network, (1, 3, 224, 224)), given, labels=labels)
    scaled = {
        "size": (224, 224),
        "mean": (0.0,) * 3,
        "std": (1 / 255,) * 3,
        "layout": "nhwc",
        "output": "probabilities",
    }
    yield Form(
        f"ONNX as of Keras: {name}", network, _onnx(OfKeras(network), (1, 224, 224, 3)), scaled | {"architecture": "onnx"},
        lambda x: network(_normalised(x / 255)).log_softmax(1),
        labels,
        lambda x: _read_by_head(network, _normalised(x / 255)),
    )  # fmt: skip


def _onnx(network: nn.Module, shape: tuple[int, ...]) -> Callable[[Path], None]:
    def export(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.rand(*shape),),
                path,
                input_names=["x"],
                dynamo=False,
                dynamic_axes={"x": {0: "n"}},
                opset_version=17,
            )

    return export


class _ReId(nn.Module):
    """The form of MiewID, written by hand."""

    def __init__(self, name: str, rows: int) -> None:
        super().__init__()
        import timm

        self.backbone: Any = timm.create_model(name, num_classes=0, global_pool="")
        width: Any = self.backbone.num_features
        self.pooling = nn.ParameterDict({"p": nn.Parameter(torch.tensor([2.6]))})
        self.bn = nn.BatchNorm1d(width)
        self.final = nn.ParameterDict({"weight": nn.Parameter(torch.randn(rows, width))})

    def embedded(self, x: Tensor) -> Tensor:
        """What the neck gives, (B, D)."""
        features, p = self.backbone(x), self.pooling["p"]
        pooled = nn.functional.avg_pool2d(features.clamp(min=1e-6) ** p, (7, 7)) ** (1 / p)
        found: Tensor = self.bn(pooled[:, :, 0, 0])
        return found

    def forward(self, x: Tensor) -> Tensor:
        """16 times the cosines (B, K) of the nearest of three vectors of a class."""
        embedded, vectors = self.embedded(x), self.final["weight"]
        cosines = (embedded / embedded.norm(dim=1, keepdim=True)) @ (vectors / vectors.norm(dim=1, keepdim=True)).T
        return 16 * cosines.view(len(x), -1, 3).amax(2)


def _miewid(batch: Tensor) -> Iterator[Form]:
    if not _has("timm"):
        return
    torch.manual_seed(2)
    network: Any = settled(_ReId("efficientnetv2_rw_t", 3 * N_CLASSES), None, batch)
    given = {"architecture": "timm/efficientnetv2_rw_t", "head": "gem-bn-arcface", "size": (224, 224), **IMAGENET}
    name, embed = "efficientnetv2_rw_t", network.embedded
    yield Form(f"GeM, neck, ArcFace: {name}", network, _tensors(network.state_dict()), given, embedding=embed)
    for form in _programs(name, Embedding(network), LABELS):
        if "Keras" not in form.name:
            yield replace(form, name=f"gallery by {form.name}, GeM, neck", embedding=embed, is_gallery=True)


class Embedding(nn.Module):
    """A network without its head, as one is exported to embed pictures."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (B, D)."""
        found: Tensor = self.network.embedded(x)
        return found


def _bioclip(_batch: Tensor) -> Iterator[Form]:
    if not _has("open_clip"):
        return
    import open_clip

    torch.manual_seed(3)
    model: Any = open_clip.create_model("ViT-B-16", pretrained=None, load_weights=False).eval()
    texts = open_clip.get_tokenizer("ViT-B-16")([f"a photo of {label}" for label in LABELS])

    def expected(x: Tensor) -> Tensor:
        image, text, scale = model(x, texts)
        found: Tensor = scale * image @ text.T
        return found

    given = {"architecture": "open_clip/ViT-B-16"}
    yield Form(
        "image tower and texts: ViT-B-16",
        model.visual,
        _tensors(model.state_dict()),
        given,
        expected,
        embedding=model.visual,
    )


@torch.inference_mode()
def measured(form: Form, pictures: list[Image.Image], folder: Path) -> dict[str, Any]:
    """The row of one form."""
    suffix = {"onnx": ".onnx", "torch-export": ".pt2"}.get(form.given["architecture"], ".pth")
    weights = folder / f"weights{suffix}"
    with torch.inference_mode(False):
        form.save(weights)
        if form.is_gallery:
            _pack_gallery(form, weights, pictures, folder)
        else:
            pack_model(folder / "package", weights=weights, labels=form.labels, **form.given)
        began = time.perf_counter()
        classifier = load_model(str(folder / "package"))
        seconds = time.perf_counter() - began
    embed = form.embedding or (lambda x: _read_by_head(form.network, x))
    expected = form.expected or form.network
    largest, apart, best, exact, spread = 0.0, 0.0, 0, 0, []
    known: Tensor | None = None
    for start in range(0, len(pictures), 8):
        batch = torch.stack([classifier.preprocess(one) for one in pictures[start : start + 8]])
        embedded, found = nn.functional.normalize(embed(batch).flatten(1), dim=1), classifier.logits(batch)
        apart = max(apart, float((embedded - classifier.embed(batch)).abs().max()))
        if form.is_gallery:  # the first pictures are the known individuals, two each
            known = embedded[: 2 * N_KNOWN] if known is None else known
            own = 16 * (embedded @ known.T).unflatten(1, (N_KNOWN, 2)).amax(2)
        else:
            own = expected(batch).float()
        largest = max(largest, float((own - found).abs().max()))
        best += int((own.argmax(1) == found.argmax(1)).sum())
        spread.append(own)
        exact += len(batch) - len(classifier.unequal(batch)) if classifier.no_masks is None else 0
    return {
        "form": form.name,
        "photographs": len(pictures),
        "largest_difference": largest,
        "of_embeddings": apart,
        "same_name": best,
        "spread_of_logits": float(torch.cat(spread).std(dim=0).mean()),
        "masks": exact,
        "seconds": seconds,
    }


def _pack_gallery(form: Form, weights: Path, pictures: list[Image.Image], folder: Path) -> None:
    """Package of a gallery: the first photographs, two an individual."""
    known: dict[str, list[Path]] = {}
    for number, picture in enumerate(pictures[: 2 * N_KNOWN]):
        path = folder / f"{number}.png"
        picture.save(path)
        known.setdefault(f"individual {number // 2}", []).append(path)
    given = {key: value for key, value in form.given.items() if key != "output"}
    pack_gallery(folder / "package", weights=weights, pictures=known, **given)


def _read_by_head(network: nn.Module, batch: Tensor) -> Tensor:
    """What the last linear layer of a network reads."""
    with features_at(network, last_linear(network) or "") as read:
        network(batch)
    return read[-1]


def main() -> None:
    """Measure every form that can be measured here."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", default="", metavar="TEXT", help="only mobilenet, vit, miewid or bioclip")
    arguments = parser.parse_args()
    pictures = photographs(24 if arguments.quick else 60)
    if not pictures:
        raise SystemExit(f"forms: no photographs in {DATA}")
    report = Report("forms", torch.device("cpu"))
    spec = InputSpec(size=(224, 224), resize="stretch", resize_size=None, **IMAGENET)
    sample = torch.stack([preprocess(one, spec) for one in pictures[:24]])
    for form in forms(sample, arguments.only):
        with tempfile.TemporaryDirectory() as folder:
            report.rows.append(measured(form, pictures, Path(folder)))
        report.progress(f"{form.name}: {report.rows[-1]['largest_difference']:.2g}")
    columns = ["form", "photographs", "largest_difference", "of_embeddings", "same_name", "spread_of_logits", "masks"]
    report.show([*columns, "seconds"], "Forms")
    report.summary = {name: max(row[name] for row in report.rows) for name in ("largest_difference", "of_embeddings")}
    report.notes["forms"] = "largest absolute difference of logits between the package and the network itself"
    report.finish(arguments.json)


if __name__ == "__main__":
    main()
