"""Weights as the world saves them: unwrapped, renamed and run; what does not fit is refused by name, and nothing is executed."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.identify.architectures import build_network
from scd_core.identify.checkpoint import read_checkpoint

CNN = "scd_core/small_cnn"
LABELS = ("Luna", "Nyx", "Tara")
State = dict[str, torch.Tensor]


def small(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(CNN, 3, {"width": 4}).eval()


def packed(folder: Path, content: Any, name: str = "w.pth", **given: Any) -> tuple[Any, list[str]]:
    """The classifier of what was saved, and the steps."""
    torch.save(content, folder / name)
    steps: list[str] = []
    given = {"architecture": CNN, "labels": LABELS, "architecture_args": {"width": 4}} | given
    pack_model(folder / "package", weights=folder / name, steps=steps, **given)
    return load_model(str(folder / "package")), steps


def assert_same(classifier: Any, network: nn.Module) -> None:
    height, width = classifier.spec.input.size
    batch = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(batch), network(batch), atol=1e-4, rtol=0)


def refused(folder: Path, content: Any, words: str, **given: Any) -> None:
    with pytest.raises(InputError, match=words) as caught:
        packed(folder, content, **given)
    assert "\n" not in str(caught.value)
    assert not (folder / "package").exists()


WRAPPED: dict[str, Callable[[State], Any]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "best": 0.5, "arch": "x"},
    "model": lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": torch.tensor(1.0)},
    "net": lambda state: {"net": state},
    "twice": lambda state: {"model": {"state_dict": state}},
    "module": lambda state: {f"module.{key}": value for key, value in state.items()},
    "compiled": lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
    "base_model": lambda state: {"state_dict": {f"base_model.{key}": value for key, value in state.items()}, "args": {"n": 3}},
    "lightning": lambda state: {
        "state_dict": {f"model.{key}": value for key, value in state.items()},
        "pytorch-lightning_version": "2.2.0", "epoch": 1, "hyper_parameters": argparse.Namespace(lr=0.1, name="x"),
        "callbacks": {}, "loops": {"fit": [1, 2]},
    },
    "backbone beside its head": lambda state: {
        (key if key.startswith("head") else f"backbone.{key}"): value for key, value in state.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("form", WRAPPED)
def test_wrapped_weights_give_the_same_logits(tmp_path: Path, form: str) -> None:
    network = small()
    classifier, _ = packed(tmp_path, WRAPPED[form](network.state_dict()), "w.ckpt" if form == "lightning" else "w.pth")
    assert_same(classifier, network)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept_as_float(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {
        key: value.to(dtype) if value.is_floating_point() else value for key, value in small().state_dict().items()
    }
    classifier, steps = packed(tmp_path, state)
    network = small()
    network.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    )
    assert_same(classifier, network)
    assert any("are kept as float32" in step for step in steps)


def test_averaged_weights_are_taken_only_when_asked_for(tmp_path: Path) -> None:
    plain, averaged = small(1), small(2)
    content = {"model": plain.state_dict(), "model_ema": averaged.state_dict()}
    classifier, steps = packed(tmp_path, content)
    assert_same(classifier, plain)
    assert "`model_ema` are not taken" in steps[0]
    (tmp_path / "b").mkdir()
    asked, _ = packed(tmp_path / "b", content, key="model_ema")
    assert_same(asked, averaged)
    (tmp_path / "c").mkdir()
    refused(tmp_path / "c", {"state_dict_ema": averaged.state_dict()}, "--key state_dict_ema")


def test_several_state_dicts_need_a_key(tmp_path: Path) -> None:
    refused(tmp_path, {"model": small(1).state_dict(), "net": small(2).state_dict()}, "several state dicts .* --key")
    refused(tmp_path, {"model": small(1).state_dict()}, "no state dict under --key weights", key="weights")


def test_a_head_of_another_name_is_renamed(tmp_path: Path) -> None:
    network = small()
    head = next(key for key in network.state_dict() if key.endswith("weight") and network.state_dict()[key].dim() == 2)
    own = head.removesuffix(".weight")
    state = {key.replace(f"{own}.", "my_head."): value for key, value in network.state_dict().items()}
    classifier, steps = packed(tmp_path, state)
    assert_same(classifier, network)
    assert any("`my_head` is taken for" in step for step in steps)


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh"])
def test_a_head_of_two_layers(tmp_path: Path, activation: Any) -> None:
    torch.manual_seed(3)
    network = build_network(CNN, 3, {"width": 4}, (activation, 7)).eval()
    own = next(
        key for key in network.state_dict() if key.endswith(".0.weight") and network.state_dict()[key].dim() == 2
    )
    stem = own.removesuffix(".0.weight")
    names = {f"{stem}.0.": "fc.1.", f"{stem}.2.": "fc.4."}
    state = {}
    for key, value in network.state_dict().items():
        found = next((name for name in names if key.startswith(name)), None)
        state[key if found is None else names[found] + key.removeprefix(found)] = value
    classifier, steps = packed(tmp_path, state, head=activation)
    assert_same(classifier, network)
    assert any(f"with {activation} between them" in step for step in steps)
    (tmp_path / "b").mkdir()
    refused(tmp_path / "b", state, r"head of two layers .* --head relu\|gelu")
    (tmp_path / "c").mkdir()
    refused(tmp_path / "c", small().state_dict(), "is for a head of two linear layers", head=activation)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("pooling.p", "GeM pooling"), ("global_pool.p", "GeM pooling"), ("bn.weight", "a neck"), ("neck.0.weight", "a neck"),
        ("bnneck.running_mean", "a neck"), ("final.weight", "ArcFace"), ("arcface.weight", "ArcFace"),
        ("arc_margin.w", "ArcFace"), ("module.pooling.p", "GeM pooling"),
    ],
)  # fmt: skip
def test_all_keys_fit_and_the_model_is_another(tmp_path: Path, name: str, kind: str) -> None:
    state = small().state_dict() | {name: torch.ones(4)}
    refused(tmp_path, state, f"`{name}`, of {kind}", allow=(name,))


def test_what_is_left_out_is_listed_and_allowed_by_name(tmp_path: Path) -> None:
    state = small().state_dict() | {"criterion.weight": torch.ones(3), "aux.0.bias": torch.ones(2)}
    refused(tmp_path, state, "unused, .* `criterion.weight`, `aux.0.bias`; leave them out with --allow")
    refused(tmp_path, state, "unused, .* `aux.0.bias`", allow=("criterion.weight",))
    classifier, steps = packed(tmp_path, state, allow=("criterion.weight", "aux."))
    assert_same(classifier, small())
    assert any(step == "left out as allowed: `criterion.weight`, `aux.0.bias`" for step in steps)


def test_the_prefix_that_was_asked_for(tmp_path: Path) -> None:
    first, second = small(1).state_dict(), small(2).state_dict()
    state = {f"online.{key}": value for key, value in first.items()} | {
        f"ema.{key}": value for key, value in second.items()
    }
    classifier, _ = packed(tmp_path, state, prefix="ema", allow=("online.",))
    assert_same(classifier, small(2))
    (tmp_path / "b").mkdir()
    refused(tmp_path / "b", state, "no name begins with --prefix nothing.", prefix="nothing")


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, build_network(CNN, 3, {"width": 6}).state_dict(), "do not fit")
    refused(tmp_path, build_network(CNN, 5, {"width": 4}).state_dict(), "do not fit")


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_weights_that_see_no_picture_are_refused(tmp_path: Path, value: float) -> None:
    state = {
        key: torch.full_like(one, value) if one.is_floating_point() else one
        for key, one in small().state_dict().items()
    }
    refused(tmp_path, state, "damaged")


def test_a_wrong_size_ends_before_a_package_is_made(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    network = build_network("timm/test_vit", 3)
    refused(
        tmp_path, network.state_dict(), "cannot be run on 64x96 pixels", architecture="timm/test_vit",
        architecture_args={"dynamic_img_size": False}, size=(64, 96),
    )  # fmt: skip


KINDS = {
    "page.pth": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page"),
    "lfs.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git-LFS pointer"),
    "lfs.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git-LFS pointer"),
    "m.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x05", "is an ONNX model"),
    "renamed.pth": (b"\x08\x07\x12\x07pytorch\x1a\x05", "is an ONNX model"),
    "m.h5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "is an HDF5 file of Keras"),
    "m.tflite": (b"\x1c\0\0\0TFL3" + b"\0" * 64, "is a TensorFlow Lite model"),
    "w.pth.gz": (b"\x1f\x8b\x08\0" + b"\0" * 32, "is gzipped"),
    "empty.pth": (b"", "is empty"),
    "cut.safetensors": (b"\xff" * 64, "cannot be read as a state dict"),
    "noise.pth": (bytes(range(256)), "cannot be read|more than tensors"),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_first_bytes_decide_the_message(name: str) -> None:
    data, words = KINDS[name]
    with pytest.raises(InputError, match=words) as caught:
        read_checkpoint(data, name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def zipped(*names: str, compressed: bool = False, content: bytes = b"x") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zipped("a/b.txt"), "zip archive without weights"),
        (zipped("net/constants.pkl", "net/data.pkl", "net/code/__torch__.py"), "TorchScript"),
        (zipped("net/archive_format", "net/models/model.json", "net/data/weights/w.pt"), "torch.export"),
        (zipped("config.json", "metadata.json", "model.weights.h5"), "Keras"),
        (zipped("a/data.pkl", "a/version", compressed=True, content=b"\0" * 10_000_000), "is compressed"),
        (zipped("a/data.pkl")[:-30], "damaged archive|cannot be read"),
    ],
    ids=["nothing", "torchscript", "torch.export", "keras", "compressed", "cut short"],
)
def test_archives_that_are_no_weights(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_checkpoint(data, "w.pth")


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("place", ["hyper_parameters", "state_dict", "alone", "old"])
def test_code_in_weights_is_not_run(tmp_path: Path, place: str) -> None:
    mark = tmp_path / "executed"
    content: Any = {"state_dict": small().state_dict()}
    if place == "old":
        data = pickle.dumps(Runs(mark))
    else:
        content = Runs(mark) if place == "alone" else content | {place: Runs(mark)}
        buffer = io.BytesIO()
        torch.save(content, buffer)
        data = buffer.getvalue()
    for name in ("w.pth", "w.ckpt"):
        with pytest.raises(InputError) as caught:
            read_checkpoint(data, name)
        assert "\n" not in str(caught.value)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Runs(mark)))  # noqa: S301 - only here it is meant to run
    assert mark.exists(), "the proof itself must be able to run"


def test_a_model_that_was_pickled_whole_names_its_class() -> None:
    buffer = io.BytesIO()
    torch.save(nn.Linear(2, 2), buffer)
    with pytest.raises(InputError, match=r"torch\.nn\.modules\.linear\.Linear.*save model.state_dict\(\) alone"):
        read_checkpoint(buffer.getvalue(), "w.pth")


def test_a_tensor_larger_than_its_file_is_refused() -> None:
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(1).expand(1_000_000, 1_000_000)}, buffer)
    with pytest.raises(InputError, match="of which the file holds a part only"):
        read_checkpoint(buffer.getvalue(), "w.pth")


@pytest.mark.parametrize(
    "arguments",
    [
        {"checkpoint_path": "/tmp/evil.pth"}, {"pretrained": True}, {"pretrained_cfg": {"url": "http://x"}}, {"num_classes": 5},
        {"width": "4"}, {"width": True}, {"width": 10**9}, {"act_layer": "os.system"}, {"global_pool": "x/y"}, {"img_size": [1]},
        {"features_only": True}, {"weights": "DEFAULT"}, {"img_size": [9999, 9999]},
    ],
)  # fmt: skip
def test_arguments_that_an_architecture_does_not_get(tmp_path: Path, arguments: dict[str, Any]) -> None:
    refused(tmp_path, small().state_dict(), "architecture_args", architecture_args=arguments)


def test_a_package_with_such_arguments_is_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    """timm loads `checkpoint_path` by itself, and older versions of it unpickled it."""
    pytest.importorskip("timm")
    mark = tmp_path / "executed"
    torch.save(build_network("timm/test_vit", 3).state_dict(), tmp_path / "w.pth")
    pack_model(tmp_path / "package", architecture="timm/test_vit", weights=tmp_path / "w.pth", labels=LABELS)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Runs(mark)))
    path = tmp_path / "package" / "model.json"
    content = json.loads(path.read_text())
    for arguments in ({"checkpoint_path": str(tmp_path / "evil.pth")}, {"pretrained_cfg": {"file": "evil.pth"}}):
        path.write_text(json.dumps(content | {"architecture_args": arguments}))
        with pytest.raises(InputError, match="is not passed on to an architecture"):
            load_model(str(tmp_path / "package"))
    path.write_text('{"architecture_args": ' + "[" * 100_000)
    with pytest.raises(InputError) as caught:
        load_model(str(tmp_path / "package"))
    assert "\n" not in str(caught.value) and not mark.exists()


def test_a_timm_network_gives_its_own_logits_on_a_picture(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=3, dynamic_img_size=True).eval()
    classifier, _ = packed(
        tmp_path, {"state_dict": {f"base_model.{key}": value for key, value in network.state_dict().items()}},
        architecture="timm/test_vit", architecture_args={"dynamic_img_size": True}, size=(112, 112), interpolation="bicubic",
    )  # fmt: skip
    assert classifier.spec.input.interpolation == "bicubic"
    assert_same(classifier, network)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(4)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return [tmp_path / "a.png", tmp_path / "b.png"]


def own_logits(network: nn.Module, picture: Path) -> list[float]:
    """By hand: the packaged default of the small network at its own size needs no resize."""
    values = torch.from_numpy(np.array(Image.open(picture).convert("RGB"))).permute(2, 0, 1).float() / 255
    with torch.inference_mode():
        return list(network(((values - 0.5) / 0.25)[None])[0].tolist())


def test_what_the_models_own_code_gives_is_compared(tmp_path: Path, pictures: list[Path]) -> None:
    network = small()
    rows = [{"file": one.name, "logits": own_logits(network, one)} for one in pictures]
    best = LABELS[int(np.argmax(rows[0]["logits"]))]
    (tmp_path / "e.json").write_text(json.dumps([*rows, {"file": "a.png", "top1": best}]))
    _, steps = packed(tmp_path, network.state_dict(), expect=tmp_path / "e.json")
    assert steps[-1].startswith("as expected: 2 pictures with logits")
    text = f"file,top1,logits\na.png,{best},{' '.join(map(str, rows[0]['logits']))}\n"
    (tmp_path / "e.csv").write_text(text)
    (tmp_path / "c").mkdir()
    packed(tmp_path / "c", network.state_dict(), expect=tmp_path / "e.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file,top1\na.png,Luna\na.png,Nyx\na.png,Tara\n", "is called .* expected"),
        ("file,logits\na.png,1 2 3\n", "differ by up to .* --interpolation"),
        ("file,logits\na.png,1 2\n", "2 logits, expected 3"),
        ("file,logits\na.png,1 2 x\n", "no numbers"),
        ("file,top1\na.png,Nobody\n", "none of the labels"),
        ("file,top1\ngone.png,Luna\n", "cannot be read"),
        ("file\na.png\n", "expected `file` and `top1` or `logits`"),
        ("[1]", "item 0 is no object"),
        ("[" * 100_000, "not JSON"),
        ("[]", "has no picture"),
    ],
)
def test_what_differs_leaves_no_package(tmp_path: Path, pictures: list[Path], content: str, words: str) -> None:
    (tmp_path / "e.txt").write_text(content)
    refused(tmp_path, small().state_dict(), words, expect=tmp_path / "e.txt")


def test_the_command_says_what_it_did(tmp_path: Path, trapaudit: Callable[..., Any]) -> None:
    torch.save(
        {"state_dict": {f"model.{key}": value for key, value in small().state_dict().items()}}, tmp_path / "w.ckpt"
    )
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    given = (
        "model", "pack", tmp_path / "p", "--architecture", CNN, "--weights", tmp_path / "w.ckpt", "--labels",
        tmp_path / "labels.txt",
    )  # fmt: skip
    done = trapaudit(*given, "--architecture-args", '{"width": 4}', "--interpolation", "bicubic")
    assert done.code == 0, done.err
    assert "the state dict is under `state_dict`" in done.out and "the prefix `model.` is taken off" in done.out
    assert trapaudit("model", "check", tmp_path / "p").code == 0
    for text in ("{", "[1]", "[" * 100_000):
        bad = trapaudit(*given[:2], tmp_path / "q", *given[3:], "--architecture-args", text)
        assert bad.code == 2 and bad.err.count("\n") == 1 and "--architecture-args" in bad.err


def test_further_ways_of_saving_are_read(tmp_path: Path) -> None:
    """A prefix of another name on all weights, counts of training, a key of another name; two of them are not guessed between."""
    torch.manual_seed(0)
    network = build_network("torchvision/resnet18", 3).eval()
    state = network.state_dict()
    batch = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = network(batch)

    def under(prefix: str) -> dict[str, torch.Tensor]:
        return {prefix + key: value for key, value in state.items()}

    saved = {
        "student": under("student.backbone."),
        "averaged": under("module.") | {"n_averaged": torch.tensor(5)},
        "counts": {key: value for key, value in state.items() if "num_batches" not in key},
        "key": {"net_state_dict": state, "optimizer": {"state": {0: {"exp_avg": torch.rand(3)}}}, "epoch": 3},
    }
    given: dict[str, Any] = {"architecture": "torchvision/resnet18", "labels": ("a", "b", "c"), "size": (64, 64)}
    for name, content in saved.items():
        torch.save(content, tmp_path / f"{name}.pth")
        pack_model(tmp_path / name, weights=tmp_path / f"{name}.pth", **given)
        torch.testing.assert_close(load_model(str(tmp_path / name)).logits(batch), expected, atol=1e-4, rtol=0)
    torch.save({"student_net": state, "teacher_net": state}, tmp_path / "two.pth")
    with pytest.raises(InputError, match=r"holds several state dicts .* name one with --key"):
        pack_model(tmp_path / "two", weights=tmp_path / "two.pth", **given)
    torch.save(under("student.") | under("teacher."), tmp_path / "both.pth")
    with pytest.raises(InputError, match="do not fit"):
        pack_model(tmp_path / "both", weights=tmp_path / "both.pth", **given)
