"""Galleries: logits by hand, individuals added without forgetting, unknowns found, grouped and ranked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from typer.testing import CliRunner

from deployments.cli.model import model_app
from scd_core.errors import InputError
from scd_core.identify import load_model, read_package
from scd_core.identify.classify import name_from_logits
from scd_core.identify.packing import add_individual, pack_gallery
from scd_core.masks import fit_masks
from scd_core.masks.settings import SCDConfig
from scd_core.reclassify import MaskedPicture, reclassify
from scd_core.scenes import SceneSpec, packaged_model, preset_world, render, sample_specs


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Frames of scenes by individual, at least 4 each of 5 individuals."""
    folder = tmp_path_factory.mktemp("gallery")
    world = preset_world("demo")
    specs: dict[str, list[tuple[int, SceneSpec]]] = {}
    for number, spec in enumerate(sample_specs(world, "audit", 60, 77)):
        if spec.individual_id is not None:
            specs.setdefault(spec.individual_id, []).append((number, spec))
    enough = [(name, some[:4]) for name, some in sorted(specs.items()) if len(some) >= 4][:5]
    assert len(enough) == 5
    found: dict[str, list[Path]] = {}
    for name, some in enough:
        (folder / name).mkdir()
        found[name] = [folder / name / f"{number}.png" for number, _ in some]
        for path, (_, spec) in zip(found[name], some, strict=True):
            Image.fromarray(render(world, spec).image).save(path)
    return found


@pytest.fixture
def package(tmp_path: Path, pictures: dict[str, list[Path]]) -> Path:
    weights = packaged_model("clean") / "weights.safetensors"
    spec = read_package(str(packaged_model("clean"))).spec
    first = {name: files[:2] for name, files in list(pictures.items())[:3]}
    pack_gallery(
        tmp_path / "m", architecture=spec.architecture, weights=weights, pictures=first,
        architecture_args=spec.architecture_args, size=spec.input.size, mean=spec.input.mean, std=spec.input.std,
    )  # fmt: skip
    return tmp_path / "m"


def _batch(classifier: object, files: list[Path]) -> torch.Tensor:
    return torch.stack([classifier.preprocess(Image.open(file)) for file in files])  # type: ignore[attr-defined]


def test_logits_are_scaled_cosines_of_the_nearest_picture(package: Path, pictures: dict[str, list[Path]]) -> None:
    classifier = load_model(str(package))
    plain = load_model(str(packaged_model("clean")))
    queries = [files[3] for files in pictures.values()]
    batch = _batch(classifier, queries)

    def features(images: torch.Tensor) -> torch.Tensor:
        return F.normalize(plain.model.get_submodule("stages")(images).mean((2, 3)), dim=1)  # type: ignore[operator]

    with torch.no_grad():
        expected = torch.stack(
            [(features(batch) @ features(_batch(plain, files[:2])).T).amax(1) for files in list(pictures.values())[:3]],
            dim=1,
        )
    assert torch.allclose(classifier.logits(batch), 16 * expected, atol=1e-3)


def test_an_individual_is_added_without_forgetting(package: Path, pictures: dict[str, list[Path]]) -> None:
    before = load_model(str(package))
    name = list(pictures)[4]
    weights = (package / "weights.safetensors").read_bytes()
    queries = [files[3] for files in pictures.values()]
    old = before.logits(_batch(before, queries))
    result = CliRunner().invoke(model_app, ["add-individual", str(package), name, *map(str, pictures[name][:2])])
    assert result.exit_code == 0, result.output
    after = load_model(str(package))
    new = after.logits(_batch(after, queries))
    assert after.names == (*before.names, name)
    assert after.digest != before.digest
    assert torch.equal(new[:, :3], old)
    assert (package / "weights.safetensors").read_bytes() == weights
    itself = after.logits(_batch(after, pictures[name][:1]))[0]
    assert after.names[int(itself.argmax())] == name
    assert float(itself.max()) == pytest.approx(16, abs=1e-3)
    # The gallery before is gone, and nothing else was left behind.
    kept = {"model.json", "weights.safetensors", read_package(str(package)).spec.gallery}
    assert {path.name for path in package.iterdir()} == kept


def test_a_package_is_whole_when_adding_fails_half_way(
    package: Path, pictures: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new gallery is written, model.json is not: the package is the old one, and the next try mends it."""
    from scd_core.identify import gallery_files

    digest = read_package(str(package)).digest
    name = list(pictures)[4]

    def refuse(*_: object) -> None:
        raise InputError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(gallery_files, "write_spec", refuse)
        with pytest.raises(InputError, match="no space"):
            add_individual(str(package), name, pictures[name][:2])
    assert read_package(str(package)).digest == digest
    assert add_individual(str(package), name, pictures[name][:2]).spec.labels[-1] == name
    assert len(list(package.iterdir())) == 3


def test_one_picture_of_each_individual_is_enough(tmp_path: Path, pictures: dict[str, list[Path]]) -> None:
    spec = read_package(str(packaged_model("clean"))).spec
    one_each = {name: files[:1] for name, files in pictures.items()}
    pack_gallery(
        tmp_path / "m", architecture=spec.architecture, weights=packaged_model("clean") / "weights.safetensors",
        pictures=one_each, size=spec.input.size, mean=spec.input.mean, std=spec.input.std,
        architecture_args=spec.architecture_args,
    )  # fmt: skip
    classifier = load_model(str(tmp_path / "m"))
    held = _batch(classifier, [files[0] for files in pictures.values()])
    assert classifier.logits(held).argmax(1).tolist() == list(range(len(pictures)))
    # Left out, an individual of one picture has the least similarity there is; nothing is not finite.
    assert bool(torch.isfinite(classifier.logits(held, leave_out_equal=True)).all())


def test_two_equal_individuals_are_refused_by_both_names(tmp_path: Path, pictures: dict[str, list[Path]]) -> None:
    spec = read_package(str(packaged_model("clean"))).spec
    first = next(iter(pictures.values()))
    with pytest.raises(InputError, match=r"picture of Bela is equal to one of Ada.*same name"):
        pack_gallery(
            tmp_path / "m", architecture=spec.architecture, weights=packaged_model("clean") / "weights.safetensors",
            pictures={"Ada": first[:1], "Bela": first[:2]}, size=spec.input.size, architecture_args=spec.architecture_args,
        )  # fmt: skip
    assert not (tmp_path / "m" / "model.json").exists()


def test_equal_individuals_and_known_pictures_are_refused(package: Path, pictures: dict[str, list[Path]]) -> None:
    first, second, *_ = pictures
    digest = read_package(str(package)).digest
    with pytest.raises(InputError, match=f"equal to one of {first}"):
        add_individual(str(package), "newcomer", pictures[first][:1])
    with pytest.raises(InputError, match="in the gallery already"):
        add_individual(str(package), second, pictures[second][:1])
    with pytest.raises(InputError, match="cannot be read"):
        add_individual(str(package), "newcomer", [package / "model.json"])
    assert read_package(str(package)).digest == digest


def test_a_gallery_of_one_is_refused_and_a_classifier_has_none(tmp_path: Path, pictures: dict[str, list[Path]]) -> None:
    name, files = next(iter(pictures.items()))
    weights = packaged_model("clean") / "weights.safetensors"
    with pytest.raises(InputError, match="at least 2 are needed"):
        pack_gallery(tmp_path / "m", architecture="scd_core/small_cnn", weights=weights, pictures={name: files})
    plain = shutil.copytree(packaged_model("clean"), tmp_path / "plain")
    with pytest.raises(InputError, match="has no gallery"):
        add_individual(str(plain), name, files)


def test_a_gallery_file_that_does_not_fit_is_refused(package: Path) -> None:
    from safetensors.torch import save

    gallery = package / str(read_package(str(package)).spec.gallery)
    gallery.write_bytes(save({"embeddings": torch.randn(2, 128), "classes": torch.tensor([0, 1])}))
    with pytest.raises(InputError, match="one at least per label"):
        load_model(str(package))


def test_masks_and_strategies_work_on_a_gallery(package: Path, pictures: dict[str, list[Path]]) -> None:
    classifier = load_model(str(package))
    files = [files[3] for files in list(pictures.values())[:3]]
    batch = _batch(classifier, files)
    targets = classifier.logits(batch).argmax(1)
    masks = fit_masks(classifier.model, batch, targets, SCDConfig(steps=8))
    assert bool((masks.ssr_probability > masks.sdr_probability).all())
    opened = [Image.open(file).convert("RGB") for file in files]
    masked = [
        MaskedPicture(picture, joint.numpy(), classifier.spec.input)
        for picture, joint in zip(opened, masks.joint, strict=True)
    ]
    for outcomes in reclassify(classifier, masked):
        assert outcomes[-1].index is not None


def test_the_same_picture_does_not_prove_itself(package: Path, pictures: dict[str, list[Path]]) -> None:
    classifier = load_model(str(package))
    held = _batch(classifier, next(iter(pictures.values()))[:1])
    with_itself, without = classifier.logits(held), classifier.logits(held, leave_out_equal=True)
    assert float(with_itself[0, 0]) == pytest.approx(16, abs=1e-3)
    assert float(without[0, 0]) < 16 - 1e-3
    assert torch.equal(with_itself[:, 1:], without[:, 1:])


def test_a_threshold_above_all_makes_every_frame_unknown(package: Path, pictures: dict[str, list[Path]]) -> None:
    from scd_core.identify.calibrate import store_calibration

    store_calibration(str(package), 1.0, 1.0)
    classifier = load_model(str(package))
    for logits in classifier.logits(_batch(classifier, [files[3] for files in pictures.values()])):
        named = name_from_logits(logits, classifier, 3)
        assert named["predicted_id"] == "unknown" and named["prediction_status"] == "ok"
