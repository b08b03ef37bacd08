"""ONNX models: names by onnxruntime, masks by PyTorch where both agree, and nothing outside of the file is read or run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from scd_core.audit import read_table
from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.masks import fit_masks
from scd_core.masks.settings import SCDConfig
from tests.identify.programs import LABELS, STATED, Last, as_onnx, pictures, small
from tests.services.extras import extra

onnx = extra("onnx")
extra("onnxruntime")
extra("onnx2torch")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return small()


@pytest.fixture(scope="module")
def model(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_onnx(network, tmp_path_factory.mktemp("onnx") / "m.onnx")


def packed(folder: Path, weights: Path, **given: Any) -> tuple[Any, list[str]]:
    steps: list[str] = []
    pack_model(folder / "package", architecture="onnx", weights=weights, steps=steps, **STATED | given)
    return load_model(str(folder / "package")), steps


def refused(folder: Path, weights: Path, words: str, **given: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        packed(folder, weights, **given)
    assert "\n" not in str(caught.value) and not (folder / "package").exists()


def saved(content: Any, path: Path) -> Path:
    path.write_bytes(content.SerializeToString())
    return path


def assert_same(classifier: Any, network: nn.Module, n: int = 5) -> None:
    with torch.inference_mode():
        expected = network(pictures(n))
    assert float((expected.amax(0) - expected.amin(0)).max()) > 0.1, "the pictures must differ for the network"
    torch.testing.assert_close(classifier.logits(pictures(n)), expected, atol=1e-3, rtol=0)


def test_an_onnx_model_gives_the_logits_and_masks_of_its_network(
    model: Path, network: nn.Module, tmp_path: Path
) -> None:
    classifier, steps = packed(tmp_path, model)
    assert_same(classifier, network)
    assert classifier.no_masks is None and classifier.unequal(pictures(5)) == {}
    assert any("masks are available" in step for step in steps) and any("not available" in step for step in steps)
    settings = SCDConfig(steps=3)
    own, found = (fit_masks(one, pictures(2), torch.tensor([0, 2]), settings) for one in (network, classifier.model))
    torch.testing.assert_close(found.joint, own.joint, atol=1e-3, rtol=0)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_model_for_one_number_of_pictures_takes_any(tmp_path: Path, network: nn.Module, batch: int) -> None:
    classifier, steps = packed(tmp_path, as_onnx(network, tmp_path / "m.onnx", batch=batch))
    assert any(f"it takes {batch} picture" in step for step in steps)
    assert_same(classifier, network, 7)
    assert classifier.no_masks is None


@pytest.mark.parametrize("limits", [{"min": 1e-6}, {"max": 0.5}, {"min": -0.5, "max": 0.5}])
def test_values_cut_at_one_end_have_masks(tmp_path: Path, network: nn.Module, limits: dict[str, float]) -> None:
    """GeM pooling cuts from below alone; an exporter writes the other end as an input without a name."""
    cut = Last(network, lambda x: x.clamp(**limits) + 0.5 * x)
    classifier, _ = packed(tmp_path, as_onnx(cut, tmp_path / "m.onnx"))
    assert classifier.no_masks is None
    assert_same(classifier, cut)


def test_channels_last_and_probabilities_as_of_keras(tmp_path: Path, network: nn.Module) -> None:
    path = as_onnx(Last(network, lambda x: x.softmax(1), nhwc=True), tmp_path / "m.onnx", nhwc=True)
    refused(tmp_path, path, r"takes pictures of 48x64x3, .* state --layout nhwc", output="probabilities")
    refused(tmp_path, path, "gives probabilities .* --output probabilities", layout="nhwc")
    classifier, _ = packed(tmp_path, path, layout="nhwc", output="probabilities")
    assert_same(classifier, Last(network, lambda x: x.log_softmax(1)))
    assert classifier.no_masks is None


def test_a_sigmoid_at_the_end_is_refused(tmp_path: Path, network: nn.Module) -> None:
    refused(tmp_path, as_onnx(Last(network, torch.sigmoid), tmp_path / "m.onnx"), "ends in a sigmoid")


def test_the_labels_are_as_many_as_the_classes(tmp_path: Path, model: Path) -> None:
    refused(tmp_path, model, r"gives \(4, 3\) for 4 pictures, and there are 4 labels", labels=(*LABELS, "Zoe"))
    refused(tmp_path, model, "state --size, --mean", size=None, mean=None)
    refused(tmp_path, model, r"takes pictures of 3x48x64, and --size and --layout give 3x64x64", size=(64, 64))


def test_a_model_that_pytorch_does_not_repeat_names_only(
    tmp_path: Path, network: nn.Module, trapaudit: Callable[..., Any], card: Path
) -> None:
    """An operation that the converter lacks; the run says for each mask why there is none."""
    content = onnx.load_model(as_onnx(network, tmp_path / "m.onnx"))
    last = content.graph.output[0].name
    content.graph.node.append(onnx.helper.make_node("Mish", [last], ["mish"]))
    content.graph.output[0].name = "mish"
    content.opset_import[0].version = 18
    weights = saved(content, tmp_path / "mish.onnx")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    done = trapaudit(
        "model", "pack", tmp_path / "package", "--architecture", "onnx", "--weights", weights, "--labels",
        tmp_path / "labels.txt", "--size", "48x64", "--mean", "0.5,0.4,0.3", "--std", "0.25,0.2,0.3",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "the ONNX model gives names only: it has an operation that is not converted to PyTorch" in done.out
    classifier = load_model(str(tmp_path / "package"))
    with torch.inference_mode():
        torch.testing.assert_close(
            classifier.logits(pictures(3)), nn.functional.mish(network(pictures(3))), atol=1e-3, rtol=0
        )
    out = tmp_path / "out"
    done = trapaudit("run", card / "images", "--model", tmp_path / "package", "--out", out)
    assert done.code == 0, done.err
    predictions, masks = read_table(str(out), "predictions"), read_table(str(out), "masks")
    assert (predictions["prediction_status"] == "ok").all() and set(predictions["gradient_region"]) == {"no_gradient"}
    assert len(read_table(str(out), "embeddings")) == 0
    assert len(masks) and set(masks["mask_status"]) == {"not_available"}
    assert masks["failure_reason"].str.contains("gives names only").all()
    again = read_table(str(out), "reclassifications")
    assert set(again["strategy_status"]) == {"not_available"} and len(again) == len(masks)
    assert f"{len(masks)} masks are not available" in done.err
    assert read_table(str(out), "runs")["n_not_available"].tolist() == [len(masks)]
    page = (out / "report" / "index.html").read_text()
    assert "not available: the ONNX model gives names only" in page and "file of predictions" not in page


def test_a_picture_on_which_pytorch_differs_gets_no_mask(
    model: Path, tmp_path: Path, trapaudit: Callable[..., Any], card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(tmp_path, model)
    from scd_core.identify.classifier import Classifier

    whole = Classifier.unequal
    monkeypatch.setattr(Classifier, "unequal", lambda self, batch: whole(self, batch) | {0: 0.5})
    out = tmp_path / "out"
    (tmp_path / "c.yaml").write_text("masks: {steps: 1}\n")
    done = trapaudit(
        "run", card / "images", "--model", tmp_path / "package", "--out", out, "--config", tmp_path / "c.yaml"
    )
    assert done.code == 0, done.err
    masks = read_table(str(out), "masks")
    off = masks[masks["mask_status"] == "not_available"]
    assert len(off) and (masks["mask_status"] == "ok").any()
    assert off["failure_reason"].str.contains("logits of this picture differ by 0.5").all()
    assert off["contrast_id"].isna().all()
    page = (out / "report" / "index.html").read_text()
    assert f", {len(off)} not available" in page and "not available: the ONNX model" not in page


def outside(content: Any, location: str, **more: str) -> None:
    tensor = max(content.graph.initializer, key=lambda one: len(one.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def test_tensors_in_other_files_are_taken_from_its_own_folder_alone(
    model: Path, network: nn.Module, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    content = onnx.load_model(model)
    data = max(content.graph.initializer, key=lambda one: len(one.raw_data)).raw_data
    (folder / "m.data").write_bytes(b"before" + data)
    (tmp_path / "secret").write_bytes(data)
    (folder / "link").symlink_to(tmp_path / "secret")
    for location in ("../secret", str(tmp_path / "secret"), "link", "a/../../secret"):
        content = onnx.load_model(model)
        outside(content, location)
        refused(tmp_path, saved(content, folder / "m.onnx"), "outside its own folder; it is not read")
    for location, more, words in (
        ("gone", {}, "which holds tensors of it, cannot be read"),
        ("m.data", {"offset": "6", "length": "8"}, "has 8 bytes in m.data, expected"),
        ("m.data", {"offset": "100"}, "is too short"),
        ("m.data", {"offset": "-6"}, "bytes in m.data"),
    ):
        content = onnx.load_model(model)
        outside(content, location, **more)
        refused(tmp_path, saved(content, folder / "m.onnx"), words)
    content = onnx.load_model(model)
    outside(content, "m.data", offset="6")
    classifier, _ = packed(tmp_path, saved(content, folder / "m.onnx"))
    assert_same(classifier, network)
    # A package is one file: one that was made otherwise is refused when it is loaded, wherever its tensors are.
    path = tmp_path / "package" / "model.json"
    described = json.loads(path.read_text())
    import hashlib

    (tmp_path / "package" / "m.data").write_bytes(b"before" + data)
    weights = (folder / "m.onnx").read_bytes()
    (tmp_path / "package" / "weights.onnx").write_bytes(weights)
    path.write_text(json.dumps(described | {"weights_sha256": hashlib.sha256(weights).hexdigest()}))
    with pytest.raises(InputError, match="keeps tensors in other files"):
        load_model(str(tmp_path / "package"))


def huge_initializer(content: Any) -> None:
    content.graph.initializer.add(name="huge", data_type=1, dims=[2**20, 2**20])


def huge_constant(content: Any) -> None:
    content.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2**20, 2**20]), "shape"))
    content.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["shape"], ["huge"]))


def loop(content: Any) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    content.graph.node.append(onnx.helper.make_node("Loop", ["", ""], [], body=body))


def other_domain(content: Any) -> None:
    content.opset_import.append(onnx.helper.make_opsetid("evil.ops", 1))
    content.graph.node.append(onnx.helper.make_node("Run", [content.graph.input[0].name], ["z"], domain="evil.ops"))


def nothing(content: Any) -> None:
    del content.graph.node[:]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (huge_initializer, "`huge` of .* numbers is too large"), (huge_constant, "makes a tensor of .* which is too large"),
        (loop, "has a Loop"), (other_domain, "uses evil.ops::Run"), (nothing, "is no ONNX model, or an empty one"),
    ],
)  # fmt: skip
def test_a_model_that_is_more_than_a_network_is_refused(
    model: Path, tmp_path: Path, change: Callable[[Any], None], words: str
) -> None:
    content = onnx.load_model(model)
    change(content)
    refused(tmp_path, saved(content, tmp_path / "m.onnx"), words)


def test_names_of_a_model_are_not_written_into_code(model: Path, network: nn.Module, tmp_path: Path) -> None:
    """The converter makes Python of an ONNX graph, with the names of its operations in it."""
    mark = tmp_path / "executed"
    content = onnx.load_model(model)
    for number, node in enumerate(content.graph.node):
        node.name = f"a{number}\") or open('{mark}', 'w') or getattr(self, \"a"
    classifier, _ = packed(tmp_path, saved(content, tmp_path / "m.onnx"))
    assert classifier.no_masks is None
    classifier.model(pictures(1))
    assert_same(classifier, network)
    assert not mark.exists()


def test_damaged_files_are_named(tmp_path: Path, model: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(model.read_bytes()[:200])
    refused(tmp_path, tmp_path / "cut.onnx", "is no ONNX model, or|is no valid ONNX model|does not run it")
    (tmp_path / "page.onnx").write_bytes(b"<!DOCTYPE html>")
    refused(tmp_path, tmp_path / "page.onnx", "is a web page")
    torch.save(small().state_dict(), tmp_path / "state.onnx")
    refused(tmp_path, tmp_path / "state.onnx", "holds tensors of torch.save and no network")


def test_without_its_library_a_package_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import builtins

    whole = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    refused(tmp_path, model, r"onnxruntime is not installed; pip install 'trapaudit\[onnx\]'")
