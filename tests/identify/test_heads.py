"""Heads that compare: the networks of MiewID and of CLIP, written here once more by hand, give the same logits and embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.identify.packing import add_individual, pack_gallery
from scd_core.masks import fit_masks
from scd_core.masks.settings import SCDConfig
from tests.services.extras import extra

timm = pytest.importorskip("timm")
NAMES = ("Luna", "Nyx", "Tara", "Zoe")
BACKBONE = "test_efficientnet"
GEM: Any = "gem-bn-arcface"


class ReId(nn.Module):
    """As re-identification code has it: its own pooling and neck, the vectors of ArcFace beside."""

    def __init__(self, n_rows: int) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.backbone = timm.create_model(BACKBONE, num_classes=0, global_pool="")
        width = self.backbone.num_features
        self.pooling = nn.ParameterDict({"p": nn.Parameter(torch.tensor([2.4]))})
        self.bn = nn.BatchNorm1d(width)
        self.final = nn.ParameterDict({"weight": nn.Parameter(torch.randn(n_rows, width))})
        self.train()
        with torch.no_grad():
            for _ in range(20):
                self.embedding(batch(8))
        self.eval()

    def embedding(self, x: torch.Tensor) -> torch.Tensor:
        features = self.backbone(x)
        p = self.pooling["p"]
        pooled = F.avg_pool2d(features.clamp(min=1e-6) ** p, features.shape[-2:]) ** (1.0 / p)
        return self.bn(pooled[:, :, 0, 0])

    def forward(self, x: torch.Tensor, classes: int) -> torch.Tensor:
        embedded, vectors = self.embedding(x), self.final["weight"]
        cosines = (embedded / embedded.norm(dim=1, keepdim=True)) @ (vectors / vectors.norm(dim=1, keepdim=True)).T
        return cosines.view(len(x), classes, -1).max(dim=2).values


def batch(n: int) -> torch.Tensor:
    found = torch.randn(n, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    return found * torch.linspace(0.3, 1.5, n).view(-1, 1, 1, 1)


def packed(folder: Path, state: Any, **given: Any) -> tuple[Any, list[str]]:
    torch.save(state, folder / "w.bin")
    steps: list[str] = []
    given = {"architecture": f"timm/{BACKBONE}", "labels": NAMES, "size": (64, 96), "head": GEM} | given
    pack_model(folder / "package", weights=folder / "w.bin", steps=steps, **given)
    return load_model(str(folder / "package")), steps


def test_a_neck_and_arcface_give_their_own_logits_embeddings_and_masks(tmp_path: Path) -> None:
    network = ReId(4)
    classifier, steps = packed(tmp_path, network.state_dict())
    with torch.inference_mode():
        expected, embedded = network(batch(5), 4), network.embedding(batch(5))
    assert float((expected.amax(0) - expected.amin(0)).max()) > 0.05, "the pictures must differ for the network"
    torch.testing.assert_close(classifier.logits(batch(5)), 16 * expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(classifier.features(batch(5)), embedded, atol=1e-4, rtol=0)
    assert any("p = 2.40" in step for step in steps)
    masks = fit_masks(classifier.model, batch(1), torch.tensor([1]), SCDConfig(steps=2))
    assert not masks.failures


def test_the_nearest_of_several_vectors_of_a_class_counts(tmp_path: Path) -> None:
    network = ReId(12)
    classifier, steps = packed(tmp_path, network.state_dict())
    assert classifier.spec.sub_centres == 3 and any("3 vectors a class" in step for step in steps)
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(batch(5)), 16 * network(batch(5), 4), atol=1e-4, rtol=0)


def test_other_names_of_the_same_head(tmp_path: Path) -> None:
    network = ReId(4)
    names = {"pooling.p": "module.gem.p", "final.weight": "module.arc_face.kernel"}
    state = {}
    for key, value in network.state_dict().items():
        other = names.get(key, f"module.{key.replace('bn.', 'bnneck.') if key.startswith('bn.') else key}")
        state[other] = value.T.contiguous() if other.endswith("kernel") else value
    classifier, _ = packed(tmp_path, {"state_dict": state})
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(batch(3)), 16 * network(batch(3), 4), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("left_out", "words", "given"),
    [
        ("pooling.", "has no the power `p` of GeM pooling|has no .*power", {}), ("bn.", "has no a neck|no a neck", {}),
        ("final.", "has no vectors of ArcFace; make it a gallery", {}),
        ("", "ArcFace has 4 vectors, and there are 3 labels", {"labels": NAMES[:3]}),
        ("", "is for timm/NAME", {"architecture": "torchvision/resnet18"}),
        ("", "GeM pooling, a neck and ArcFace together are read by --head gem-bn-arcface", {"head": None}),
        ("backbone.conv_stem", "do not fit", {}),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, left_out: str, words: str, given: dict[str, Any]) -> None:
    state = {key: value for key, value in ReId(4).state_dict().items() if not left_out or not key.startswith(left_out)}
    with pytest.raises(InputError, match=words) as caught:
        packed(tmp_path, state, **given)
    assert "\n" not in str(caught.value) and not (tmp_path / "package").exists()


def test_the_embedding_behind_a_neck_makes_a_gallery(tmp_path: Path) -> None:
    network, rng = ReId(7), np.random.default_rng(1)
    torch.save(network.state_dict(), tmp_path / "w.bin")
    files: dict[str, list[Path]] = {}
    for name in ("Luna", "Nyx"):
        for number in range(2):
            path = tmp_path / f"{name}{number}.png"
            Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(path)
            files.setdefault(name, []).append(path)
    given: dict[str, Any] = {"architecture": f"timm/{BACKBONE}", "weights": tmp_path / "w.bin", "size": (64, 96)}
    pack_gallery(tmp_path / "g", pictures=files, head=GEM, mean=(0.5,) * 3, std=(0.25,) * 3, **given)
    classifier = load_model(str(tmp_path / "g"))
    with torch.inference_mode():
        expected = F.normalize(network.embedding(batch(3)), dim=1)
    torch.testing.assert_close(classifier.embed(batch(3)), expected, atol=1e-4, rtol=0)
    Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)).save(tmp_path / "new.png")
    assert len(add_individual(str(tmp_path / "g"), "Tara", [tmp_path / "new.png"]).spec.labels) == 3


def test_an_image_tower_with_texts_gives_the_cosines_of_open_clip(tmp_path: Path) -> None:
    library = extra("open_clip")
    torch.manual_seed(0)
    model = library.create_model("ViT-S-32", pretrained=None, load_weights=False).eval()
    classifier, steps = packed(
        tmp_path, {f"module.{key}": value for key, value in model.state_dict().items()}, architecture="open_clip/ViT-S-32",
        head=None, size=None, prompt="a photo of a {}.",
    )  # fmt: skip
    assert classifier.spec.input.size == (224, 224) and classifier.spec.input.interpolation == "bicubic"
    assert any("'a photo of a Luna.'" in step for step in steps)
    pictures = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        texts = library.get_tokenizer("ViT-S-32")([f"a photo of a {name}." for name in NAMES])
        image, text, scale = model(pictures, texts)
        expected = scale * image @ text.T
    torch.testing.assert_close(classifier.logits(pictures), expected, atol=1e-4, rtol=0)
    with torch.inference_mode():
        torch.testing.assert_close(classifier.embed(pictures), image, atol=1e-5, rtol=0)
    assert not any(key.startswith(("transformer", "token_embedding")) for key in classifier.model.state_dict())
    with pytest.raises(InputError, match=r"needs one \{\}, where the label goes"):
        packed(make(tmp_path / "b"), model.state_dict(), architecture="open_clip/ViT-S-32", head=None, prompt="a cat")
    visual = {key: value for key, value in model.state_dict().items() if key.startswith("visual.")}
    with pytest.raises(InputError, match="the head needs the text tower as well"):
        packed(make(tmp_path / "c"), visual, architecture="open_clip/ViT-S-32", head=None)


@pytest.mark.parametrize("name", ["hf-hub:imageomics/bioclip", "local-dir:/tmp", "nothing", "roberta-ViT-B-32"])
def test_a_tower_that_would_be_loaded_from_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    extra("open_clip")
    with pytest.raises(InputError, match=r"not known to open_clip|is loaded from the network"):
        packed(tmp_path, {"visual.x": torch.ones(1)}, architecture=f"open_clip/{name}", head=None)


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder
