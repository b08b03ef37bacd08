"""Model packages: what is read, what is refused, and that preprocessing is torchvision's own."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save

from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model, read_package
from scd_core.identify.architectures import build_network
from scd_core.identify.check import check_package
from scd_core.identify.classify import name_from_logits
from scd_core.scenes import packaged_model

LABELS = ("Luna", "Nyx", "Orion")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = build_network("torchvision/mobilenet_v3_small", 3)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    folder = tmp_path / "package"
    pack_model(
        folder,
        architecture="torchvision/mobilenet_v3_small",
        weights=tmp_path / "weights.pth",
        labels=LABELS,
        size=(64, 96),
    )
    return folder


def changed(package: Path, **values: object) -> None:
    path = package / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_packed_model_gives_the_networks_own_logits(package: Path, tmp_path: Path) -> None:
    network = build_network("torchvision/mobilenet_v3_small", 3).eval()
    network.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
    classifier = load_model(str(package))
    batch = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(batch), network(batch))


@pytest.mark.parametrize("size", [(500, 333), (120, 640), (224, 224)])
def test_crop_preprocessing_is_torchvisions_own(size: tuple[int, int], tmp_path: Path) -> None:
    from torchvision.models import MobileNet_V2_Weights

    from scd_core.identify.preprocess import preprocess
    from scd_core.identify.spec import InputSpec

    picture = Image.fromarray(np.random.default_rng(3).integers(0, 255, (*size, 3), dtype=np.uint8))
    preset = MobileNet_V2_Weights.IMAGENET1K_V2.transforms()
    spec = InputSpec(
        size=(224, 224),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        resize="crop",
        resize_size=preset.resize_size[0],
    )
    torch.testing.assert_close(preprocess(picture, spec), preset(picture), atol=1e-6, rtol=0)


def test_stretch_and_pad_keep_the_whole_picture(package: Path) -> None:
    from scd_core.identify.preprocess import preprocess
    from scd_core.identify.spec import InputSpec

    picture = Image.new("RGB", (300, 100), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, 10, 100))  # a mark at the left edge, which a centre crop loses
    common = {"size": (64, 64), "mean": (0.0,) * 3, "std": (1.0,) * 3}
    stretched = preprocess(picture, InputSpec(**common, resize="stretch"))
    padded = preprocess(picture, InputSpec(**common, resize="pad"))
    cropped = preprocess(picture, InputSpec(**common, resize="crop", resize_size=64))
    assert stretched[:, :, 0].min() > 0.9
    assert padded[:, 32, 0].min() > 0.5
    assert cropped.max() == 0


def test_classes_of_one_name_are_summed(package: Path) -> None:
    changed(package, labels=["Luna", "Nyx", "Luna"])
    classifier = load_model(str(package))
    logits = torch.tensor([[1.0, 2.0, 1.5]])
    by_class = torch.softmax(logits.double(), 1)[0]
    assert classifier.names == ("Luna", "Nyx")
    torch.testing.assert_close(
        classifier.probabilities(logits)[0], torch.stack([by_class[0] + by_class[2], by_class[1]])
    )
    assert classifier.best_class(logits, ["Luna"]).tolist() == [2]


def test_a_class_of_logit_minus_infinity_has_probability_0(package: Path) -> None:
    classifier = load_model(str(package))
    named = name_from_logits(torch.tensor([1.0, -torch.inf, 0.0]), classifier, 3)
    assert named["prediction_status"] == "ok" and named["predicted_id"] == "Luna"
    assert named["topk"][2] == {"individual_id": "Nyx", "probability": 0.0}
    assert named["probability"] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)
    for useless in ([torch.nan, 0, 1], [torch.inf, 0, 1], [-torch.inf] * 3):
        assert name_from_logits(torch.tensor(useless), classifier, 3)["prediction_status"] == "failed"


def test_weights_that_give_no_numbers_do_not_pass_the_check(package: Path) -> None:
    state = load_file(package / "weights.safetensors")
    state["classifier.3.bias"][0] = torch.nan
    data = save(state)
    (package / "weights.safetensors").write_bytes(data)
    changed(package, weights_sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(InputError, match="weights are damaged"):
        check_package(str(package))


def test_weights_without_values_are_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="`meta`"):
        pack_model(tmp_path / "p", architecture="scd_core/small_cnn", weights=tmp_path / "w.pth", labels=LABELS)


def test_the_digest_covers_weights_and_description(package: Path) -> None:
    first = read_package(str(package)).digest
    changed(package, temperature=2.0)
    assert read_package(str(package)).digest != first


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"labels": ["Luna"]}, "at least 2 classes"),
        ({"labels": ["Luna", "unknown", "Nyx"]}, "unknown"),
        ({"labels": ["Luna", "Nyx"]}, "do not fit"),
        ({"architecture": "torchvision/resnet18"}, "do not fit"),
        ({"architecture": "torchvision/fasterrcnn_resnet50_fpn"}, "not known"),
        ({"architecture": "keras/mobilenet"}, "not known"),
        ({"weights_sha256": "0" * 64}, "sha256"),
        ({"weights": "../weights.pth"}, "not a path"),
        ({"weights": "gone.safetensors"}, "missing"),
        ({"temperature": 0}, "temperature"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_package_that_does_not_fit_is_refused_in_one_line(
    package: Path, values: dict[str, object], words: str
) -> None:
    changed(package, **values)
    with pytest.raises(InputError, match=words) as caught:
        load_model(str(package))
    assert "\n" not in str(caught.value)


def test_a_package_without_preprocessing_is_refused(package: Path) -> None:
    content = json.loads((package / "model.json").read_text())
    del content["input"]
    (package / "model.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="preprocessing"):
        read_package(str(package))


def test_weights_cut_short_are_refused(package: Path) -> None:
    path = package / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cut short"):
        load_model(str(package))


class Evil:
    """Runs a command when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def test_a_pth_that_holds_code_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    torch.save({"weight": Evil(mark)}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="more than tensors"):
        pack_model(
            tmp_path / "package",
            architecture="torchvision/mobilenet_v3_small",
            weights=tmp_path / "evil.pth",
            labels=LABELS,
        )
    assert not mark.exists()
    assert not (tmp_path / "package").exists()
    # The fixture is really evil: unpickled, it runs.
    pickle.loads(pickle.dumps(Evil(mark)))  # noqa: S301
    assert mark.exists()


def test_a_package_is_not_overwritten(package: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already"):
        pack_model(
            package, architecture="torchvision/mobilenet_v3_small", weights=tmp_path / "weights.pth", labels=LABELS
        )


def test_a_field_of_older_packages_is_read_and_keeps_its_digest(package: Path) -> None:
    """`relations` was part of ``model.json`` and of the digest until nothing used it; digests stay comparable."""
    without = read_package(str(package)).digest
    changed(package, relations=None)
    assert read_package(str(package)).digest == without
    changed(package, relations={"Luna": "jaguar"})
    assert read_package(str(package)).digest not in ("", without)
    assert read_package(str(packaged_model("clean"))).digest.startswith("8b93be5c58f0293b")
