"""Each recipe's commands, run with files of the same form: random weights of the same family, synthetic pictures."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scd_core.audit import read_table
from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.identify.architectures import build_network
from scd_core.identify.packing import pack_gallery
from tests.docs.commands import ROOT, shown
from tests.services.extras import extra

Call = Callable[..., Any]
RECIPES = ROOT / "docs" / "recipes"
FAST = "masks: {steps: 1}\ntriage: {budget: 1, control_rate: 0.02}\nreclassify: {strategies: [mask_crop]}\n"


@pytest.fixture
def place(card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures, labels and detections as a team has them."""
    shutil.copytree(card / "images", tmp_path / "cards")
    for name in ("labels.csv", "detections.json"):
        shutil.copy(card / name, tmp_path / name)
    (tmp_path / "config.yaml").write_text(FAST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fewer(folder: Path, n: int) -> None:
    """Leave the first pictures of a card and make no masks, where the network is a large one."""
    (folder / "config.yaml").write_text("classify: {measure_gradient: false}\ntriage: {budget: 0, control_rate: 0.0}\n")
    for file in list(truth(folder))[n:]:
        (folder / "cards" / file).unlink()


def truth(folder: Path) -> dict[str, str]:
    with (folder / "labels.csv").open() as file:
        return {row["file"]: row["individual_id"] for row in csv.DictReader(file)}


def follow(name: str, trapaudit: Call, replaced: dict[str, str] | None = None) -> list[str]:
    """Run the commands of the blocks of a page; the subcommands that were run."""
    done = []
    for command in shown(name, (RECIPES / name).read_text()):
        if not command.is_whole or command.words[0] != "trapaudit":
            continue
        words = [(replaced or {}).get(word, word) for word in command.words[1:]]
        if words[0] == "run":
            shutil.rmtree("audit", ignore_errors=True)
            words += ["--config", "config.yaml"]
        outcome = trapaudit(*words)
        assert outcome.code == 0, f"{command}\n{outcome.err}"
        done.append(" ".join(words[:2]) if words[0] == "model" else words[0])
    return done


def test_every_recipe_has_a_test_and_a_link() -> None:
    text = Path(__file__).read_text()
    pages = sorted(path.name for path in RECIPES.glob("*.md"))
    assert len(pages) >= 5
    models = (ROOT / "docs" / "models.md").read_text()
    for name in pages:
        assert f'"{name}"' in text, name
        assert f"(recipes/{name})" in models, name


def test_speciesnet(place: Path, trapaudit: Call) -> None:
    entries = []
    for number, (file, name) in enumerate(truth(place).items()):
        label = f"0000-{number};mammalia;carnivora;felidae;panthera;onca;{name}"
        box = {"category": "1", "label": "animal", "conf": 0.9, "bbox": [0.1, 0.1, 0.5, 0.5]}
        lists = {"classes": [label, "1;;;;;;blank"], "scores": [0.8, 0.1]}
        entries.append({
            "filepath": f"/home/me/cards/{file}", "detections": [box], "classifications": lists, "prediction": label,
            "prediction_score": 0.8, "prediction_source": "classifier", "model_version": "4.0.1a",
        })  # fmt: skip
    entries[0] |= {"prediction": "2;mammalia;primates;hominidae;homo;sapiens;human", "prediction_score": 0.99}
    (place / "predictions.json").write_text(json.dumps({"predictions": entries}))
    assert follow("speciesnet.md", trapaudit) == ["run"]
    rows = read_table("audit", "predictions")
    assert (rows["prediction_status"] == "no_animal").sum() == 1 and (rows["prediction_status"] == "ok").sum() == len(
        rows
    ) - 1
    errors = read_table("audit", "errors")
    assert sorted(errors["error_type"].value_counts().items()) == [("correct", len(rows) - 1), ("exclusion", 1)]
    assert list(read_table("audit", "runs")["model_name"]) == ["SpeciesNet 4.0.1a (predictions.json)"]


def test_addaxai(place: Path, trapaudit: Call) -> None:
    content = json.loads((place / "detections.json").read_text())
    names = truth(place)
    classes = {name: str(number) for number, name in enumerate(sorted(set(names.values())))}
    content["classification_categories"] = {key: name for name, key in classes.items()}
    for image in content["images"]:
        for box in image["detections"]:
            box["classifications"] = [[classes[names[image["file"]]], 0.9]]
    (place / "image_recognition_file.json").write_text(json.dumps(content))
    assert follow("addaxai.md", trapaudit) == ["run"]
    assert set(read_table("audit", "errors")["error_type"]) == {"correct"}


def test_deepfaune(place: Path, trapaudit: Call) -> None:
    timm = pytest.importorskip("timm")
    names = sorted(set(truth(place).values()))
    torch.manual_seed(0)
    small = "vit_small_patch14_dinov2"
    network = timm.create_model(small, num_classes=len(names), dynamic_img_size=True).eval()
    state = {f"base_model.{key}": value for key, value in network.state_dict().items()}
    torch.save(
        {"args": {"backbone": small, "num_classes": len(names), "epochs": 3}, "state_dict": state}, "deepfaune.pt"
    )
    (place / "names.txt").write_text("\n".join(names) + "\n")
    with (place / "deepfaune.csv").open("w", newline="") as file:
        rows = [(one, name, "0.97") for one, name in truth(place).items()]
        csv.writer(file).writerows([("file", "individual_id", "probability"), *rows])
    fewer(place, 4)
    done = follow("deepfaune.md", trapaudit, {"timm/vit_large_patch14_dinov2": f"timm/{small}"})
    assert done == ["model pack", "run", "run"]
    classifier = load_model("deepfaune")
    batch = torch.rand(2, 3, 182, 182)
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(batch), network(batch), atol=1e-4, rtol=0)
    assert classifier.spec.input.size == (182, 182) and classifier.spec.input.interpolation == "bicubic"


def test_megadescriptor(place: Path, trapaudit: Call) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0)
    torch.save(network.state_dict(), "pytorch_model.bin")
    for file, name in truth(place).items():
        (place / "known" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "cards" / file, place / "known" / name / file.replace("/", "_"))
    fewer(place, 4)
    assert follow("megadescriptor.md", trapaudit) == ["model pack-gallery", "run"]
    rows = read_table("audit", "predictions")
    assert (rows["prediction_status"] == "ok").all()


def test_miewid(place: Path, trapaudit: Call) -> None:
    pytest.importorskip("timm")
    names = sorted(set(truth(place).values()))
    network = build_network("timm/test_efficientnet", 2 * len(names), head="gem-bn-arcface")
    torch.save(network.state_dict(), "trained.bin")
    without = {key: value for key, value in network.state_dict().items() if not key.startswith("final.")}
    torch.save(without, "miewid.bin")
    for allow in ((), ("pooling.p", "bn.", "final.")):
        with pytest.raises(InputError, match=r"`pooling\.p`, of GeM pooling, .* --head gem-bn-arcface"):
            pack_model(
                "package", architecture="timm/test_efficientnet", weights="trained.bin", labels=names, allow=allow
            )
    with pytest.raises(InputError, match=r"`pooling\.p`, of GeM pooling"):
        pack_gallery(
            "g", architecture="timm/test_efficientnet", weights="miewid.bin", pictures={"a": ["x"], "b": ["y"]}
        )
    (place / "names.txt").write_text("\n".join(names) + "\n")
    for file, name in truth(place).items():
        (place / "known" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "cards" / file, place / "known" / name / file.replace("/", "_"))
    fewer(place, 4)
    for name in ("onnx", "onnxruntime", "onnx2torch"):
        extra(name)
    embedding = build_network("timm/test_efficientnet", 2 * len(names), head="gem-bn-arcface")
    embedding.load_state_dict(network.state_dict())
    embedding.final = torch.nn.Identity()
    torch.onnx.export(
        embedding.eval(), (torch.rand(1, 3, 96, 96),), "miewid.onnx", input_names=["x"], dynamo=False,
        dynamic_axes={"x": {0: "n"}}, opset_version=17,
    )  # fmt: skip
    smaller = {"timm/efficientnetv2_rw_m": "timm/test_efficientnet", "440": "96"}
    done = follow("miewid.md", trapaudit, smaller)
    assert done == ["model pack-gallery", "run", "model pack", "run", "model pack-gallery", "run"]
    batch = torch.rand(3, 3, 96, 96)
    built, exported = load_model("miewid"), load_model("exported")
    torch.testing.assert_close(exported.embed(batch), built.embed(batch), atol=1e-3, rtol=0)
    torch.testing.assert_close(exported.logits(batch), built.logits(batch), atol=1e-3, rtol=0)
    assert exported.no_masks is None
    assert load_model("named").spec.sub_centres == 2
    assert (read_table("audit", "predictions")["prediction_status"] == "ok").all()


def test_bioclip(place: Path, trapaudit: Call) -> None:
    library = extra("open_clip")
    torch.manual_seed(0)
    model = library.create_model("ViT-S-32", pretrained=None, load_weights=False)
    torch.save(model.state_dict(), "open_clip_pytorch_model.bin")
    (place / "names.txt").write_text("\n".join(sorted(set(truth(place).values()))) + "\n")
    fewer(place, 4)
    done = follow("bioclip.md", trapaudit, {"open_clip/ViT-B-16": "open_clip/ViT-S-32"})
    assert done == ["model pack", "run"]
    rows = read_table("audit", "predictions")
    assert (rows["prediction_status"] == "ok").all() and len(read_table("audit", "embeddings")) == len(rows)


def test_pytorch_wildlife(place: Path, trapaudit: Call) -> None:
    names = sorted(set(truth(place).values()))
    torch.manual_seed(0)
    backbone = build_network("torchvision/resnet18", 1000).eval()
    classifier = torch.nn.Linear(512, len(names))
    state = {f"net.feature.{key}": value for key, value in backbone.state_dict().items()}
    state |= {f"net.classifier.{key}": value for key, value in classifier.state_dict().items()}
    torch.save({"epoch": 9, "state_dict": state, "hyper_parameters": {"num_classes": len(names)}}, "amazon.ckpt")
    (place / "names.txt").write_text("\n".join(names) + "\n")
    with pytest.raises(InputError, match=r"unused, .* `fc.weight`, `fc.bias`; leave them out with --allow"):
        pack_model("p", architecture="torchvision/resnet18", weights="amazon.ckpt", labels=names)
    fewer(place, 4)
    done = follow("pytorch-wildlife.md", trapaudit, {"torchvision/resnet50": "torchvision/resnet18"})
    assert done == ["model pack", "run"]
    batch = torch.rand(2, 3, 224, 224)
    backbone.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = classifier(backbone(batch))
    torch.testing.assert_close(load_model("amazon").logits(batch), expected, atol=1e-4, rtol=0)


def test_zamba(place: Path, trapaudit: Call) -> None:
    timm = pytest.importorskip("timm")
    names = sorted(set(truth(place).values()))
    torch.manual_seed(0)
    network = timm.create_model("test_efficientnet", num_classes=len(names)).eval()
    state = {f"model.{key}": value for key, value in network.state_dict().items()}
    hyper = {"lr": 1e-5, "image_size": 224, "model_name": "test_efficientnet", "species": names, "scheduler": None}
    content = {"state_dict": state | {"loss_fn.weight": torch.ones(len(names))}, "hyper_parameters": hyper}
    torch.save(content | {"global_step": 5, "pytorch-lightning_version": "2.4.0"}, "zamba.ckpt")
    (place / "names.txt").write_text("\n".join(names) + "\n")
    detected = json.loads((place / "detections.json").read_text())
    classes = {name: str(number) for number, name in enumerate(names)}
    detected["classification_categories"] = {key: name for name, key in classes.items()}
    for image in detected["images"]:
        for box in image["detections"]:
            box["classifications"] = [[classes[truth(place)[image["file"]]], 0.9]]
    (place / "zamba_predictions.json").write_text(json.dumps(detected))
    fewer(place, 4)
    done = follow("zamba.md", trapaudit, {"timm/tf_efficientnetv2_l": "timm/test_efficientnet"})
    assert done == ["model pack", "run", "run"]
    batch = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(load_model("zamba").logits(batch), network(batch), atol=1e-4, rtol=0)
    assert set(read_table("audit", "errors")["error_type"]) == {"correct"}


class OfKeras(torch.nn.Module):
    """Channels last in [0, 255] in, a softmax out."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(x.permute(0, 3, 1, 2) / 127.5 - 1)
        return logits.softmax(1)


def test_keras(place: Path, trapaudit: Call) -> None:
    for name in ("onnx", "onnxruntime", "onnx2torch"):
        extra(name)
    names = sorted(set(truth(place).values()))
    torch.manual_seed(0)
    network = build_network("scd_core/small_cnn", len(names), {"width": 4}).eval()
    torch.onnx.export(
        OfKeras(network).eval(), (torch.rand(1, 120, 160, 3),), "model.onnx", input_names=["x"], dynamo=False,
        dynamic_axes={"x": {0: "n"}}, opset_version=17,
    )  # fmt: skip
    (place / "names.txt").write_text("\n".join(names) + "\n")
    assert follow("keras.md", trapaudit) == ["model pack", "run"]
    classifier = load_model("keras")
    picture = Image.open(place / "cards" / next(iter(truth(place)))).convert("RGB")
    small = torch.from_numpy(np.array(picture.resize((160, 120), Image.Resampling.BILINEAR))).permute(2, 0, 1)
    with torch.inference_mode():
        expected = network(small[None] / 127.5 - 1).log_softmax(1)
    torch.testing.assert_close(classifier.logits(classifier.preprocess(picture)[None]), expected, atol=1e-3, rtol=0)
    assert (read_table("audit", "masks")["mask_status"] == "ok").any()
