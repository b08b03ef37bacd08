"""Networks of torch.export: the same logits and masks as the network itself, and nothing of a hostile archive is run."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.identify.exported_guard import safe_archive
from scd_core.identify.load_program import load_program
from scd_core.masks import fit_masks
from scd_core.masks.feature_layer import find_feature_layer
from scd_core.masks.settings import SCDConfig
from tests.identify.programs import LABELS, STATED, Last, changed, exported, pictures, small

MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return small()


@pytest.fixture(scope="module")
def archive(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(network, tmp_path_factory.mktemp("pt2") / "m.pt2")


def packed(folder: Path, weights: Path, **given: Any) -> tuple[Any, list[str]]:
    steps: list[str] = []
    given = STATED | {"architecture": "torch-export"} | given
    pack_model(folder / "package", weights=weights, steps=steps, **given)
    return load_model(str(folder / "package")), steps


def refused(folder: Path, data: bytes | Path, words: str, **given: Any) -> str:
    path = folder / "refused.pt2"
    path.write_bytes(data if isinstance(data, bytes) else data.read_bytes())
    with pytest.raises(InputError, match=words) as caught:
        packed(folder, path, **given)
    assert "\n" not in str(caught.value) and not (folder / "package").exists()
    return str(caught.value)


def test_a_program_gives_the_logits_features_and_masks_of_its_network(
    archive: Path, network: nn.Module, tmp_path: Path
) -> None:
    classifier, steps = packed(tmp_path, archive)
    batch = pictures(20)  # more than it takes at once
    with torch.inference_mode():
        expected = network(batch)
    assert float((expected.amax(0) - expected.amin(0)).max()) > 0.1, "the pictures must differ for the network"
    torch.testing.assert_close(classifier.logits(batch), expected, atol=1e-4, rtol=0)
    assert classifier.no_masks is None and any("masks are available" in step for step in steps)

    read: list[torch.Tensor] = []
    head = next(module for module in reversed(list(network.modules())) if isinstance(module, nn.Linear))
    handle = head.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0]))
    with torch.inference_mode():
        network(batch)
    handle.remove()
    torch.testing.assert_close(classifier.features(batch), read[0], atol=1e-5, rtol=0)

    settings = SCDConfig(steps=3)
    own, found = (fit_masks(one, batch[:2], torch.tensor([0, 2]), settings) for one in (network, classifier.model))
    torch.testing.assert_close(found.joint, own.joint, atol=1e-4, rtol=0)
    assert find_feature_layer(classifier.model, batch[0]).grid == find_feature_layer(network, batch[0]).grid


@pytest.mark.parametrize("batch", [1, 3])
def test_a_program_for_one_number_of_pictures_takes_any(tmp_path: Path, network: nn.Module, batch: int) -> None:
    classifier, steps = packed(tmp_path, exported(network, tmp_path / "m.pt2", batch=batch))
    assert any(f"it takes {batch} picture" in step for step in steps)
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(pictures(7)), network(pictures(7)), atol=1e-4, rtol=0)


def test_channels_last_and_probabilities_are_stated_and_checked(tmp_path: Path, network: nn.Module) -> None:
    path = exported(Last(network, lambda x: x.softmax(1), nhwc=True), tmp_path / "m.pt2", nhwc=True)
    refused(tmp_path, path, "was exported for pictures of 48x64x3", output="probabilities")
    refused(tmp_path, path, "gives probabilities .* --output probabilities", layout="nhwc")
    classifier, _ = packed(tmp_path, path, layout="nhwc", output="probabilities")
    with torch.inference_mode():
        expected = network(pictures(5)).log_softmax(1)
    torch.testing.assert_close(classifier.logits(pictures(5)), expected, atol=1e-4, rtol=0)
    plain = exported(network, tmp_path / "plain.pt2")
    (tmp_path / "b").mkdir()
    refused(tmp_path / "b", plain, "gives no probabilities .* leave out --output", output="probabilities")


def test_a_sigmoid_at_the_end_is_refused(tmp_path: Path, network: nn.Module) -> None:
    path = exported(Last(network, lambda x: torch.sigmoid(x).reshape(-1, 3)), tmp_path / "m.pt2")
    refused(tmp_path, path, "ends in a sigmoid, .* export it without its sigmoid")


def test_of_several_outputs_the_logits_are_taken(tmp_path: Path, network: nn.Module) -> None:
    path = exported(Last(network, lambda x: {"p": x.softmax(1), "other": x[:, :2], "y": x}), tmp_path / "m.pt2")
    classifier, _ = packed(tmp_path, path)
    assert classifier.spec.program.output == 2
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(pictures(2)), network(pictures(2)), atol=1e-4, rtol=0)


def test_what_a_program_does_not_state_must_be_stated(tmp_path: Path, archive: Path) -> None:
    refused(tmp_path, archive, "state --mean, --std as in training", mean=None, std=None)
    refused(tmp_path, archive, r"gives \(4, 3\) for 4 pictures, and there are 4 labels", labels=(*LABELS, "Zoe"))
    refused(tmp_path, archive, "was exported for pictures of 3x48x64, and .* 3x64x64", size=(64, 64))
    for given in ({"key": "model"}, {"head": "relu"}, {"architecture_args": {"width": 4}}):
        refused(tmp_path, archive, "is for weights without their network", **given)
    torch.save(small().state_dict(), tmp_path / "state.pth")
    refused(tmp_path, tmp_path / "state.pth", "holds tensors of torch.save and no network")
    with pytest.raises(InputError, match="--layout is for onnx and torch-export"):
        pack_model(
            tmp_path / "p",
            architecture="scd_core/small_cnn",
            weights=tmp_path / "state.pth",
            labels=LABELS,
            layout="nhwc",
        )


def test_pictures_and_paths_of_the_export_are_not_kept(archive: Path, tmp_path: Path) -> None:
    assert b"stack_trace" in archive.read_bytes(), "the archive must have them"
    packed(tmp_path, archive)
    stored = (tmp_path / "package" / "weights.pt2").read_bytes()
    assert b"stack_trace" not in stored and b"tests/identify" not in stored
    assert pictures(2).numpy().tobytes()[:64] in archive.read_bytes()
    assert pictures(2).numpy().tobytes()[:64] not in stored


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return open, (str(self.mark), "w")


def pickled(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Runs(mark), buffer)
    return buffer.getvalue()


Change = Callable[[dict[str, Any], Path], Any]


def node_of(content: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in content["graph_module"]["graph"]["nodes"] if name in one["target"])


def operation(content: dict[str, Any], mark: Path) -> None:
    node = content["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.os.system"
    node["inputs"] = [{"name": "command", "arg": {"as_string": f"touch {mark}"}, "kind": 1}]


def file_operation(content: dict[str, Any], mark: Path) -> None:
    node = content["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.ops.aten.from_file.default"
    node["inputs"] = [
        {"name": "filename", "arg": {"as_string": str(mark)}, "kind": 1},
        {"name": "shared", "arg": {"as_bool": True}, "kind": 1},
    ]


def expression(content: dict[str, Any], mark: Path) -> None:
    values = content["graph_module"]["graph"]["sym_int_values"]
    values["evil"] = {"as_expr": {"expr_str": f"__import__('os').system('touch {mark}')", "hint": None}}


def guard(content: dict[str, Any], mark: Path) -> None:
    content["guards_code"] = [f"__import__('os').system('touch {mark}') or True"]


def placeholder(content: dict[str, Any], mark: Path) -> None:
    content["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = f"x'] or open('{mark}', 'w') or ['"


def subgraph(content: dict[str, Any], mark: Path) -> None:
    node = content["graph_module"]["graph"]["nodes"][0]
    node["target"] = "torch.ops.higher_order.cond"


GRAPHS: dict[str, tuple[Change, str]] = {
    "an operation": (operation, "uses torch.os.system, which is none of PyTorch's own operations"),
    "an operation on a file": (
        file_operation,
        "of torch.ops.aten.from_file.default a text|takes a text such as the name",
    ),
    "an expression": (expression, "is no expression of sizes; it is not evaluated"),
    "a name": (placeholder, "which is none that torch.export gives"),
    "a graph in a graph": (subgraph, "uses torch.ops.higher_order.cond"),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_that_runs_more_than_operations_is_refused(archive: Path, tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "executed"
    change, words = GRAPHS[kind]

    def rewrite(text: bytes) -> bytes:
        content = json.loads(text)
        change(content, mark)
        return json.dumps(content).encode()

    refused(tmp_path, changed(archive.read_bytes(), {MODEL: rewrite}), words)
    assert not mark.exists()


def pickled_weight(text: bytes) -> bytes:
    content = json.loads(text)
    next(iter(content["config"].values()))["use_pickle"] = True
    return json.dumps(content).encode()


def test_pickles_compiled_code_and_guards_are_not_run(archive: Path, network: nn.Module, tmp_path: Path) -> None:
    mark, data = tmp_path / "executed", archive.read_bytes()
    evil = changed(data, {WEIGHTS: pickled_weight, "data/weights/weight_0": pickled(mark)})
    refused(tmp_path, evil, "pickled, which is not read")
    constant = {
        "config": {"c": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}
    }
    objects = {
        "data/constants/model_constants_config.json": json.dumps(constant).encode(),
        "data/constants/opaque_obj_0": pickle.dumps(Runs(mark)),
    }
    refused(tmp_path, changed(data, objects), "holds `data/constants/opaque_obj_0`, which is no tensor")
    refused(tmp_path, changed(data, {"data/weights/model.pt": pickled(mark)}), "holds `data/weights/model.pt`")
    refused(tmp_path, changed(data, {"data/aotinductor/m/m.so": b"\x7fELF"}), "holds a compiled library")
    assert not mark.exists()

    def with_guard(text: bytes) -> bytes:
        content = json.loads(text)
        guard(content, mark)
        return json.dumps(content).encode()

    # What need not be there is left out, and the rest is loaded.
    sample = changed(data, {"data/sample_inputs/model.pt": pickled(mark), MODEL: with_guard})
    (tmp_path / "sample.pt2").write_bytes(sample)
    classifier, _ = packed(tmp_path, tmp_path / "sample.pt2")
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(pictures(2)), network(pictures(2)), atol=1e-4, rtol=0)
    assert not mark.exists()
    with contextlib.suppress(Exception):  # how PyTorch fails after it is no matter
        torch.export.load(io.BytesIO(sample))
    assert mark.exists(), "the proof itself must be able to run"


def test_a_package_that_was_changed_after_packing_is_checked_again(archive: Path, tmp_path: Path) -> None:
    classifier, _ = packed(tmp_path, archive)
    mark = tmp_path / "executed"
    evil = changed(archive.read_bytes(), {WEIGHTS: pickled_weight, "data/weights/weight_0": pickled(mark)})
    with pytest.raises(InputError, match="pickled, which is not read"):
        load_program(evil, classifier.spec, torch.device("cpu"), "weights.pt2")
    assert not mark.exists()


def large_tensor(text: bytes) -> bytes:
    content = json.loads(text)
    config = content["config"]
    meta = config[next(iter(config))]["tensor_meta"]
    meta["sizes"], meta["strides"] = [{"as_int": 2**40}], [{"as_int": 0}]
    return json.dumps(content).encode()


class Large(nn.Module):
    """Makes a tensor of 10**13 numbers on the way, of which nothing is declared too large in the file."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.new_ones(1, 1, 1, 10**7) * x.new_ones(1, 1, 10**6, 1)
        return self.network(x) + wide.sum() * 0


def test_what_would_fill_the_memory_is_refused_before_it_is_made(
    archive: Path, network: nn.Module, tmp_path: Path
) -> None:
    data = archive.read_bytes()
    refused(tmp_path, changed(data, {"data/weights/weight_0": b"\0" * 50_000_000}, compressed=True), "is compressed")
    refused(tmp_path, changed(data, {WEIGHTS: large_tensor}), "is larger than what the file holds of it")
    refused(tmp_path, exported(Large(network), tmp_path / "l.pt2"), "makes a tensor that is too large")
    refused(tmp_path, changed(data, {MODEL: b"[" * 100_000}), "damaged archive of torch.export")
    refused(tmp_path, data[: len(data) // 2], "damaged archive")


def test_what_else_is_no_program_is_named(tmp_path: Path, network: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, pictures(1)), tmp_path / "script.pt")
    refused(tmp_path, tmp_path / "script.pt", "is a TorchScript program; pack it with --architecture torchscript")
    with pytest.raises(InputError, match=r"--architecture torch-export"):
        pack_model(
            tmp_path / "p",
            architecture="scd_core/small_cnn",
            labels=LABELS,
            weights=exported(network, tmp_path / "m.pt2"),
        )
    refused(tmp_path, b"\x08\x07\x12\x07pytorch", "pack it with --architecture onnx")
    refused(tmp_path, b"no archive at all", "is not an archive of torch.export.save")


def test_an_archive_is_the_same_after_it_was_written_anew(archive: Path) -> None:
    once = safe_archive(archive.read_bytes(), "m.pt2")
    assert safe_archive(once, "m.pt2") == once


def test_other_preprocessing_of_a_program_is_tried_too(
    tmp_path: Path, network: nn.Module, archive: Path, trapaudit: Callable[..., Any], card: Path
) -> None:
    """A network as a file has no published mean and standard deviation; values in [0, 255] are among what is tried."""
    names = sorted({line.split(",")[1] for line in (card / "labels.csv").read_text().splitlines()[1:]})
    packed(tmp_path, archive, labels=names[:3])
    done = trapaudit(
        "model", "check", tmp_path / "package", "--pictures", card / "images", "--labels", card / "labels.csv"
    )
    assert done.code == 0, done.err
    assert "--std 0.00392157" in done.out and "the package's own" in done.out
