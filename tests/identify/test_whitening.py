"""Whitening against scikit-learn and a full inverse root; limits of strangers by hand; a gallery that uses both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.covariance import ledoit_wolf
from torch.nn import functional as F
from typer.testing import CliRunner

from deployments.cli.model import model_app
from scd_core.errors import InputError
from scd_core.identify import comparison, load_model, packing, read_package
from scd_core.identify.packing import add_individual, pack_gallery
from scd_core.identify.strangers import HeldOut, find_stranger_limit, gallery_temperature, hold_out
from scd_core.identify.whitening import (
    CENTRE,
    Whitening,
    fit_whitening,
    group_space,
    hidden_groups,
    is_better_than_plain,
    read_whitening,
)  # fmt: skip
from scd_core.scenes import packaged_model, preset_world, render, sample_specs


def animals(
    n: int, pictures: int, size: int = 40, seed: int = 0, nuisance: float = 3.0
) -> tuple[NDArray[np.float32], list[str]]:
    """Embeddings of animals that differ in the last half of their values; pictures differ most in the first three."""
    draw = np.random.default_rng(seed)
    of = np.zeros((n, size))
    of[:, size // 2 :] = draw.normal(0, 1, (n, size - size // 2))
    found = np.repeat(of, pictures, 0) + draw.normal(0, 0.35, (n * pictures, size))
    found[:, :3] += draw.normal(0, nuisance, (n * pictures, 3))
    return (found + 1).astype(np.float32), [f"a{place}" for place in range(n) for _ in range(pictures)]


def test_the_low_rank_form_is_the_inverse_root_of_the_shrunk_scatter() -> None:
    features, names = animals(6, 5)
    fitted = fit_whitening(features, names)
    assert fitted is not None
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    own = np.array(names)
    scatter = np.concatenate([(unit[own == n] - unit[own == n].mean(0)) * np.sqrt(5 / 4) for n in sorted(set(names))])
    covariance, _ = ledoit_wolf(scatter, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    expected = (unit - 0.5 * unit.mean(0)) @ root
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(fitted(features, 0.5), expected, atol=1e-4)


def test_whitening_finds_individuals_that_it_was_not_fitted_to() -> None:
    features, names = animals(12, 4, nuisance=9.0)
    assert is_better_than_plain(features, names)
    fitted = fit_whitening(features[:24], names[:24])
    assert fitted is not None

    def right(unit: NDArray[np.floating]) -> int:
        cosines = unit @ unit.T - 3 * np.eye(len(unit))
        own = np.array(names[24:])
        return int((own[cosines.argmax(1)] == own).sum())

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert right(fitted(features[24:])) > right(unit[24:]) + 5


def test_with_too_few_individuals_to_hold_out_it_is_not_used() -> None:
    features, names = animals(5, 4)
    assert fit_whitening(features, names) is not None
    assert not is_better_than_plain(features, names)


@pytest.mark.parametrize(("n", "pictures"), [(3, 9), (20, 1), (1, 30), (4, 2)])
def test_too_few_pictures_give_no_whitening(n: int, pictures: int) -> None:
    assert fit_whitening(*animals(n, pictures)) is None


def test_equal_pictures_of_every_individual_give_no_whitening() -> None:
    features, names = animals(6, 1)
    assert fit_whitening(np.repeat(features, 3, 0), [name for name in names for _ in range(3)]) is None


def test_a_file_keeps_a_whitening_and_another_is_refused() -> None:
    from safetensors.torch import save

    features, names = animals(6, 5)
    fitted = fit_whitening(features, names)
    assert fitted is not None
    again = read_whitening(fitted.to_bytes(), "w.safetensors")
    assert np.array_equal(again(features), fitted(features))
    with pytest.raises(InputError, match=r"expected tensors mean \(D,\)"):
        read_whitening(save({"mean": torch.zeros(3)}), "w.safetensors")
    broken = Whitening(fitted.mean, fitted.directions, np.full_like(fitted.gains, np.nan))
    with pytest.raises(InputError, match="not finite"):
        read_whitening(broken.to_bytes(), "w.safetensors")


def test_hidden_individuals_are_embedded_without_their_own_pictures() -> None:
    features, names = animals(7, 4)
    groups = hidden_groups(features, names)
    assert len(groups) == 12 and all(len(set(own.tolist())) == 2 and len(unit) == 8 for unit, own in groups)
    own = np.array(names)
    unit, held = groups[0]
    is_held = np.isin(own, list(set(held.tolist())))
    fitted = fit_whitening(features[~is_held], own[~is_held].tolist())
    assert fitted is not None
    turned = fitted(features, 0.0)
    expected = turned[is_held] - turned.mean(0)
    assert np.allclose(unit, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("is_whitened", [True, False])
def test_the_mean_is_of_all_pictures_at_hand(is_whitened: bool) -> None:
    """With known ones in it a lone stranger is not torn apart; with strangers in it they are not all alike."""
    features, names = animals(12, 8, nuisance=1.0, seed=3)
    known, strangers = features[:64], features[64:].copy()
    strangers[:, 20:] += 1.5  # what all strangers have in common
    whitening = fit_whitening(known, names[:64]) if is_whitened else None

    def cosines(pictures: NDArray[np.float32], some: NDArray[np.float32]) -> NDArray[np.float32]:
        unit = group_space(whitening, pictures)(some)
        return unit @ unit.T

    one, two = slice(0, 8), slice(8, 16)
    alone = cosines(np.concatenate([known, strangers[one]]), strangers[one])
    assert alone.mean() > 0.5 > 0.2 > cosines(strangers[one], strangers[one]).mean()
    both = np.concatenate([known, strangers])
    assert cosines(both, strangers)[one, two].mean() < cosines(known, strangers)[one, two].mean() - 0.1


def _angles(*degrees: float) -> NDArray[np.float64]:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def test_the_limit_of_strangers_by_hand() -> None:
    """Three individuals on a circle; the nearest picture of another one is known for each picture."""
    unit = _angles(0, 10, 20, 90, 100, 110, 200, 210, 220, 230)
    names = ["a"] * 3 + ["b"] * 3 + ["c"] * 4
    held_out = hold_out(unit, names, is_whitened=False)
    # 20 and 90 are 70 degrees apart, and nothing is nearer; one of ten may pass, but these two tie.
    found = find_stranger_limit(held_out, 0.1)
    assert (
        found.similarity == pytest.approx((np.cos(np.radians(70)) + np.cos(np.radians(10))) / 2, abs=1e-6)
        and found.false_known_rate == 0.0
    )
    assert (found.reach, found.n_known, found.n_strangers) == (1.0, 10, 10)
    loose = find_stranger_limit(held_out, 0.2)
    assert (
        loose.similarity == pytest.approx((np.cos(np.radians(80)) + np.cos(np.radians(10))) / 2, abs=1e-6)
        and loose.false_known_rate == 0.0
    )
    with pytest.raises(InputError, match=r"10 pictures of 3 individuals; a rate of strangers of 0.05 needs 20"):
        find_stranger_limit(held_out, 0.05)
    with pytest.raises(InputError, match="at least 3 individuals"):
        find_stranger_limit(hold_out(unit, ["a"] * 5 + ["b"] * 5, is_whitened=False), 0.1)


def test_equal_pictures_and_single_ones_prove_no_reach() -> None:
    unit = _angles(0, 0, 90, 90, 180, 180, 45, 46, 47, 300)
    found = find_stranger_limit(
        hold_out(unit, ["a", "a", "b", "b", "c", "c", "d", "d", "d", "e"], is_whitened=False), 0.1
    )
    assert found.n_known == 3


def test_strangers_are_held_out_of_the_whitening_too() -> None:
    """Whitened with themselves, pictures of one individual are far more alike than new ones of it are."""
    features, names = animals(10, 6, size=200, nuisance=1.0)
    fitted = fit_whitening(features, names)
    assert fitted is not None
    held_out = hold_out(features, names, is_whitened=True)
    white = fitted(features, CENTRE)
    cosines = white @ white.T - 3 * np.eye(len(white))
    assert np.median(cosines.max(1)) > np.median(held_out.known.max(1)) + 0.05
    assert (held_out.known.argmax(1) == held_out.truth).mean() > 0.9


def test_the_temperature_makes_probabilities_as_sure_as_they_are_right() -> None:
    features, names = animals(8, 6, nuisance=0.5)
    held_out = hold_out(features, names, is_whitened=False)
    warm = gallery_temperature(held_out, 16.0)
    assert warm is not None
    assert gallery_temperature(held_out, 32.0) == pytest.approx(2 * warm, rel=1e-3)
    assert gallery_temperature(hold_out(features[:9], names[:9], is_whitened=False), 16.0) is None


def test_a_gallery_is_whitened_where_held_out_pictures_are_named_no_worse() -> None:
    features, names = animals(12, 5, nuisance=9.0)
    fitted, held_out = comparison.choose_whitening(features, names)
    plain = hold_out(features, names, is_whitened=False)
    assert fitted is not None and held_out.n_right > plain.n_right
    # What parts these individuals is what their pictures differ in: pictures that are far apart on the first axis are two.
    draw = np.random.default_rng(0)
    lines = np.concatenate([np.c_[np.linspace(1, 4, 6), np.full(6, 0.02 * n)] for n in range(8)]) + draw.normal(
        0, 1e-4, (48, 2)
    )
    own = [f"a{n}" for n in range(8) for _ in range(6)]
    chosen, held_out = comparison.choose_whitening(lines, own)
    right = {kind: hold_out(lines, own, is_whitened=kind).n_right for kind in (False, True)}
    assert (chosen is not None) == (right[True] >= right[False]) and held_out.n_right == max(right.values())


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Frames of scenes, 4 each of 5 individuals."""
    folder, world = tmp_path_factory.mktemp("frames"), preset_world("demo")
    found: dict[str, list[Path]] = {}
    for number, spec in enumerate(sample_specs(world, "audit", 80, 7)):
        if spec.individual_id is None or len(found.setdefault(spec.individual_id, [])) >= 4:
            continue
        path = folder / spec.individual_id / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(render(world, spec).image).save(path)
        found[spec.individual_id].append(path)
    return {name: files for name, files in sorted(found.items()) if len(files) == 4}


def test_a_gallery_whitens_names_and_keeps_its_pictures_as_they_are(
    tmp_path: Path, frames: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def whitened(embeddings: NDArray[np.float32], names: list[str]) -> tuple[Whitening | None, HeldOut]:
        return fit_whitening(embeddings, names), hold_out(embeddings, names, is_whitened=True)

    monkeypatch.setattr(comparison, "choose_whitening", whitened)
    plain = read_package(str(packaged_model("clean"))).spec
    known = dict(list(frames.items())[:-1])
    assert len(known) >= 4
    package, limit = pack_gallery(
        tmp_path / "m", architecture=plain.architecture, weights=packaged_model("clean") / "weights.safetensors",
        pictures=known, architecture_args=plain.architecture_args, size=plain.input.size, mean=plain.input.mean,
        std=plain.input.std, unknown_rate=0.2,
    )  # fmt: skip
    assert limit is not None and package.spec.unknown_similarity == limit.similarity
    assert package.spec.strangers_warning is None
    whitening = package.read_whitening()
    assert whitening is not None
    classifier = load_model(str(tmp_path / "m"))
    files = [file for some in known.values() for file in some]
    batch = torch.stack([classifier.preprocess(Image.open(file)) for file in files])
    embedded = classifier.embed(batch)
    assert torch.allclose(
        classifier.model.network(batch).norm(dim=1), classifier.features(batch).norm(dim=1), rtol=1e-3
    )  # type: ignore[union-attr,operator]
    white = torch.from_numpy(whitening(embedded.numpy(), CENTRE))
    cosines = white @ white.T
    for place, name in enumerate(known):
        own = [number for number, file in enumerate(files) if file in known[name]]
        expected = 16 * cosines[:, own].amax(1)
        assert torch.allclose(classifier.logits(batch)[:, place], expected, atol=2e-3)
    assert torch.allclose(classifier.model(batch), classifier.logits(batch), atol=2e-3)
    name, files_of_new = list(frames.items())[-1]
    added = add_individual(str(tmp_path / "m"), name, files_of_new)
    assert added.whitening == package.whitening and added.digest != package.digest
    again = load_model(str(tmp_path / "m")).logits(batch)
    assert torch.allclose(again[:, : len(known)], classifier.logits(batch), atol=1e-4)
    assert F.normalize(embedded, dim=1).shape[1] == len(whitening.mean)


def test_the_command_warns_where_strangers_get_names_and_states_the_limit(
    tmp_path: Path, frames: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = read_package(str(packaged_model("clean"))).spec
    more = {
        "architecture_args": spec.architecture_args,
        "size": spec.input.size,
        "mean": spec.input.mean,
        "std": spec.input.std,
    }
    monkeypatch.setattr(packing, "pack_gallery", lambda folder, **given: pack_gallery(folder, **(given | more)))
    folder = next(iter(frames.values()))[0].parent.parent
    options = [
        "--architecture", "scd_core/small_cnn", "--weights", str(packaged_model("clean") / "weights.safetensors"),
        "--gallery", str(folder),
    ]  # fmt: skip
    done = CliRunner().invoke(model_app, ["pack-gallery", str(tmp_path / "a"), *options])
    assert done.exit_code == 0, done.output
    assert "each stranger gets a known name" in " ".join(done.output.split())
    done = CliRunner().invoke(model_app, ["pack-gallery", str(tmp_path / "b"), *options, "--unknown-rate", "0.2"])
    assert done.exit_code == 0, done.output
    assert "individuals left out of the gallery still get one" in " ".join(done.output.split())
    assert "stranger gets" not in done.output
    done = CliRunner().invoke(model_app, ["pack-gallery", str(tmp_path / "c"), *options, "--unknown-rate", "0.001"])
    assert isinstance(done.exception, InputError) and "needs 1000" in str(done.exception)
