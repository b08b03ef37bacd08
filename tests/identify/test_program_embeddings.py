"""Embeddings and galleries of networks as a file: equal to those of the network that the file was exported from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from scd_core.audit import read_table
from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.identify.packing import add_individual, pack_gallery
from tests.identify.programs import LABELS, STATED, Last, as_onnx, exported, pictures, small
from tests.services.extras import extra

extra("onnx")
extra("onnxruntime")
extra("onnx2torch")

WRITE: dict[str, Callable[..., Path]] = {"onnx": as_onnx, "torch-export": exported}
PREPROCESSING = {key: value for key, value in STATED.items() if key != "labels"}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return small()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Pictures of two individuals: noise of two colours."""
    folder = tmp_path_factory.mktemp("known")
    generator = torch.Generator().manual_seed(1)
    found: dict[str, list[Path]] = {}
    for name, colour in (("Luna", (0.9, 0.3, 0.2)), ("Nyx", (0.2, 0.4, 0.9)), ("Tara", (0.3, 0.9, 0.3))):
        for number in range(3):
            values = torch.rand(48, 64, 3, generator=generator) * torch.tensor(colour)
            path = folder / f"{name}{number}.png"
            Image.fromarray((values * 255).byte().numpy()).save(path)
            found.setdefault(name, []).append(path)
    return found


def features_of(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """What the head of the network reads, by a hook on it."""
    read: list[torch.Tensor] = []
    head = next(module for module in reversed(list(network.modules())) if isinstance(module, nn.Linear))
    handle = head.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0]))
    with torch.inference_mode():
        network(batch)
    handle.remove()
    return read[0]


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("after", ["logits", "scaled", "probabilities"])
def test_what_the_last_layer_reads_is_the_embedding(kind: str, after: str, network: nn.Module, tmp_path: Path) -> None:
    ends = {
        "logits": lambda x: x,
        "scaled": lambda x: 3 * x.reshape(-1, 3) + 1,
        "probabilities": lambda x: x.softmax(1),
    }
    weights = WRITE[kind](Last(network, ends[after]), tmp_path / "m.bin")
    steps: list[str] = []
    output = "probabilities" if after == "probabilities" else None
    pack_model(tmp_path / "p", architecture=kind, weights=weights, output=output, steps=steps, **STATED)
    classifier = load_model(str(tmp_path / "p"))
    batch = pictures(10)
    expected = features_of(network, batch)
    assert float((expected.amax(0) - expected.amin(0)).max()) > 0.05, "the pictures must differ for the network"
    torch.testing.assert_close(classifier.features(batch), expected, atol=1e-3, rtol=0)
    assert classifier.has_features and not any("embeddings are not available" in step for step in steps)


@pytest.mark.parametrize("kind", WRITE)
def test_an_output_that_is_stated_is_the_embedding(kind: str, network: nn.Module, tmp_path: Path) -> None:
    both = Last(network, lambda x: x)
    weights = WRITE[kind](Two(network), tmp_path / "m.bin")
    name = "second" if kind == "torch-export" else output_names(weights)[1]
    pack_model(tmp_path / "p", architecture=kind, weights=weights, embedding_output=name, **STATED)
    classifier = load_model(str(tmp_path / "p"))
    with torch.inference_mode():
        torch.testing.assert_close(classifier.logits(pictures(5)), both(pictures(5)), atol=1e-3, rtol=0)
        torch.testing.assert_close(classifier.features(pictures(5)), both(pictures(5)).cos()[:, :2], atol=1e-3, rtol=0)
    assert classifier.no_masks is None
    with pytest.raises(InputError, match=r"--embedding-output absent: .* has no such output; there is"):
        pack_model(tmp_path / "q", architecture=kind, weights=weights, embedding_output="absent", **STATED)
    assert not (tmp_path / "q").exists()


class Two(nn.Module):
    """Logits, and two numbers made of them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()  # an exporter sets all parts to the mode that the whole had

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.network(x)
        return {"first": found, "second": found.cos()[:, :2]}


def output_names(path: Path) -> list[str]:
    import onnx

    return [one.name for one in onnx.load_model(path).graph.output]


def gallery_of(folder: Path, known: dict[str, list[Path]], **given: Any) -> Any:
    pack_gallery(folder, pictures=known, **PREPROCESSING | given)
    return load_model(str(folder))


@pytest.mark.parametrize("kind", WRITE)
def test_a_gallery_names_as_that_of_the_network_itself(
    kind: str, network: nn.Module, known: dict[str, list[Path]], tmp_path: Path
) -> None:
    """Of an embedding network without a head, as an export of MiewID is one; also with an individual added."""
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    two = {name: files for name, files in known.items() if name != "Tara"}
    built = gallery_of(
        tmp_path / "built", two, architecture="scd_core/small_cnn", weights=tmp_path / "w.safetensors",
        architecture_args={"width": 4},
    )  # fmt: skip
    whole = small()
    whole.head = nn.Identity()
    steps: list[str] = []
    found = gallery_of(
        tmp_path / "p", two, architecture=kind, weights=WRITE[kind](whole, tmp_path / "m.bin"), steps=steps
    )
    assert any("embeddings of" in step for step in steps) and not any("not available, so" in step for step in steps)
    torch.testing.assert_close(found.logits(pictures(7)), built.logits(pictures(7)), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.features(pictures(7)), built.features(pictures(7)), atol=1e-3, rtol=0)
    assert found.no_masks is None and found.has_features and found.unequal(pictures(7)) == {}
    assert found.spec.temperature == pytest.approx(built.spec.temperature, rel=1e-3)
    add_individual(str(tmp_path / "p"), "Tara", known["Tara"])
    add_individual(str(tmp_path / "built"), "Tara", known["Tara"])
    found, built = (load_model(str(tmp_path / name)) for name in ("p", "built"))
    assert found.names == LABELS
    torch.testing.assert_close(found.logits(pictures(7)), built.logits(pictures(7)), atol=1e-3, rtol=0)
    images = pictures(2).requires_grad_()
    found.model(images).sum().backward()
    assert images.grad is not None and float(images.grad.abs().max()) > 0


@pytest.mark.parametrize("kind", WRITE)
def test_a_gallery_by_what_the_layer_of_names_reads(
    kind: str, network: nn.Module, known: dict[str, list[Path]], tmp_path: Path
) -> None:
    weights = WRITE[kind](Last(network, lambda x: x.softmax(1)), tmp_path / "m.bin")
    with pytest.raises(InputError, match=r"holds probabilities of names, .* --embedding features"):
        gallery_of(tmp_path / "no", known, architecture=kind, weights=weights)
    assert not (tmp_path / "no").exists()
    if kind == "torch-export":  # whose softmax stays behind the layer that is taken out
        weights = WRITE[kind](Last(network, lambda x: x), tmp_path / "plain.bin")
    found = gallery_of(tmp_path / "p", known, architecture=kind, weights=weights, embedding="features")
    torch.testing.assert_close(found.features(pictures(5)), features_of(network, pictures(5)), atol=1e-3, rtol=0)
    assert found.no_masks is None


@pytest.mark.parametrize("kind", WRITE)
def test_an_output_that_is_no_embedding_is_refused(
    kind: str, network: nn.Module, known: dict[str, list[Path]], tmp_path: Path
) -> None:
    several = WRITE[kind](Two(network), tmp_path / "several.bin")
    with pytest.raises(InputError, match=r"has 2 outputs that may be the embedding .* --embedding-output"):
        gallery_of(tmp_path / "no", known, architecture=kind, weights=several)
    constant = WRITE[kind](Last(network, lambda x: x * 0 + 1), tmp_path / "constant.bin")
    with pytest.raises(InputError, match="is no embedding: expected 2 to 65536 finite numbers"):
        gallery_of(tmp_path / "no", known, architecture=kind, weights=constant)
    with pytest.raises(InputError, match="state --mean, --std"):
        gallery_of(tmp_path / "no", known, architecture=kind, weights=several, mean=None, std=None)
    with pytest.raises(InputError, match="--head: is for weights without their network"):
        gallery_of(tmp_path / "no", known, architecture=kind, weights=several, head="gem-bn-arcface")
    assert not (tmp_path / "no").exists()


def test_a_run_with_the_gallery_of_an_onnx_model_keeps_embeddings(
    network: nn.Module, known: dict[str, list[Path]], tmp_path: Path, trapaudit: Callable[..., Any], card: Path
) -> None:
    for name, files in known.items():
        (tmp_path / "known" / name).mkdir(parents=True)
        for file in files:
            (tmp_path / "known" / name / file.name).write_bytes(file.read_bytes())
    whole = small()
    whole.head = nn.Identity()
    weights = as_onnx(whole, tmp_path / "m.onnx")
    done = trapaudit(
        "model", "pack-gallery", tmp_path / "p", "--architecture", "onnx", "--weights", weights, "--gallery",
        tmp_path / "known", "--size", "48x64", "--mean", "0.5,0.4,0.3", "--std", "0.25,0.2,0.3",
        "--embedding-output", output_names(weights)[0],
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "embeddings of" in done.out
    (tmp_path / "c.yaml").write_text("masks: {steps: 1}\n")
    out = tmp_path / "out"
    done = trapaudit("run", card / "images", "--model", tmp_path / "p", "--out", out, "--config", tmp_path / "c.yaml")
    assert done.code == 0, done.err
    predictions, embeddings = read_table(str(out), "predictions"), read_table(str(out), "embeddings")
    assert len(embeddings) == (predictions["prediction_status"] == "ok").sum() > 0
    assert set(embeddings["embedding_space"]) == {load_model(str(tmp_path / "p")).spec.embedding_space}
    masks = read_table(str(out), "masks")
    assert not len(masks) or set(masks["mask_status"]) == {"ok"}
