"""Galleries of thousands and nights of thousands of strangers: worked on in parts, with the results of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import adjusted_rand_score
from typer.testing import CliRunner

from deployments.cli.gallery import _pictures as gallery_folders
from deployments.cli.model import model_app
from scd_core.errors import InputError
from scd_core.identify import candidates, embeddings, gallery_pictures, strangers, whitening
from scd_core.identify.architectures import build_network
from scd_core.identify.comparison import choose_whitening
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.packing import pack_gallery
from scd_core.identify.spelling import check_spellings, checked_name
from scd_core.identify.standing import replay
from scd_core.identify.strangers import find_stranger_limit, gallery_temperature, hold_out
from scd_core.identify.whitening import fit_whitening, hidden_groups


def individuals(n: int, pictures: int, size: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Unit embeddings of individuals that are easily told apart, and their names."""
    rng = np.random.default_rng(seed)
    means = unit_rows(rng.normal(size=(n, size)))
    found = np.repeat(means, pictures, 0) + rng.normal(0, 0.5 / np.sqrt(size), (n * pictures, size))
    return unit_rows(found), [f"n{place:04d}" for place in range(n) for _ in range(pictures)]


@pytest.mark.parametrize("at_once", [1, 60, 10**6])
def test_equal_pictures_are_found_wherever_they_lie(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_pictures, "_AT_ONCE", at_once)
    unit, names = individuals(12, 3, 16)
    labels, classes = sorted(set(names)), torch.arange(36) // 3
    pictures, files = torch.from_numpy(unit), [f"{place}.jpg" for place in range(36)]
    gallery_pictures.check_different(pictures, classes, labels, files)
    pictures[1] = pictures[0]  # of one individual: nothing is wrong
    gallery_pictures.check_different(pictures, classes, labels, files)
    pictures[29] = pictures[4]
    with pytest.raises(InputError, match=r"picture of n0009 is equal to one of n0001 \(29.jpg and 4.jpg\)"):
        gallery_pictures.check_different(pictures, classes, labels, files)


def test_of_a_large_gallery_a_sample_is_tried_and_it_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, names = individuals(60, 10, 12, seed=2)
    whole = hold_out(unit, names, is_whitened=False)
    monkeypatch.setattr(strangers, "_MOST_TRIED", 150)
    part = hold_out(unit, names, is_whitened=False)
    assert len(whole.strangers) == len(whole.known) == 600 and len(part.strangers) == len(part.known) == 150
    assert abs(np.median(part.strangers) - np.median(whole.strangers)) < 0.05
    assert abs(part.n_right / 150 - whole.n_right / 600) < 0.08
    # A picture that is tried is compared with all others, not with the sample alone.
    assert cdist(part.known, whole.known, "chebyshev").min(1).max() < 1e-5


def test_five_thousand_individuals(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held of them does not grow with pictures times individuals: 10 000 x 5 000 similarities would be 400 MB."""
    monkeypatch.setattr(strangers, "_MOST_TRIED", 200)
    unit, names = individuals(5000, 2, 24)
    fitted, held_out = choose_whitening(unit, names)
    assert held_out.known.shape == (strangers._MOST_TRIED, 5000)
    assert held_out.n_right > 0.5 * len(held_out.known)
    assert gallery_temperature(held_out, 16.0) is not None
    assert fitted is None or np.isfinite(fitted.gains).all()


def reference_whitening(features: np.ndarray, names: list[str]) -> tuple[np.ndarray, float]:
    """The inverse root (D, D) of the whole scatter, shrunk by scikit-learn, as it was fitted before, and its share."""
    own = np.array(names)
    unit = features.astype(np.float64) / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    parts = [unit[own == name] - unit[own == name].mean(0) for name in dict.fromkeys(names)]
    scatter = np.concatenate([part * np.sqrt(len(part) / (len(part) - 1)) for part in parts])
    covariance, share = ledoit_wolf(scatter, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * values**-0.5) @ vectors.T, share


@pytest.mark.parametrize(("n", "size"), [(30, 24), (20, 300)])
def test_a_whitening_is_fitted_from_the_smaller_matrix_of_products(n: int, size: int) -> None:
    """More pictures than dimensions, and fewer."""
    unit, names = individuals(n, 5, size, seed=4)
    features = 3 * unit + 0.2
    fitted = fit_whitening(features, names)
    assert fitted is not None
    root, share = reference_whitening(features, names)
    assert 0 < share < 1
    mean = (features / np.linalg.norm(features, axis=1, keepdims=True)).mean(0)
    for part in (features, features[:7]):  # many are turned by one product, few by two
        plain = part / np.linalg.norm(part, axis=1, keepdims=True) - mean
        expected = plain @ root
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        assert np.allclose(fitted(part), expected, atol=2e-5)
    assert np.allclose(fitted.directions @ fitted.directions.T, np.eye(len(fitted.gains)), atol=1e-4)


def test_what_is_turned_in_parts_is_what_is_turned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, names = individuals(10, 6, 16, seed=3)
    fitted, held_out = choose_whitening(unit, names)
    assert fitted is not None
    turned, temperature = fitted(unit), gallery_temperature(held_out, 16.0)
    monkeypatch.setattr(whitening, "_BLOCK", 7)
    monkeypatch.setattr(embeddings, "_BLOCK", 7)
    monkeypatch.setattr(strangers, "_SIMILARITIES", 30)
    again, held_again = choose_whitening(unit, names)
    assert again is not None and np.allclose(again(unit), turned, atol=1e-5)
    assert np.allclose(held_again.known, held_out.known, atol=1e-5)
    assert gallery_temperature(held_again, 16.0) == pytest.approx(temperature, rel=1e-4)


def test_individuals_with_thousands_of_pictures_each_have_a_whitening(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is fitted to some pictures of each, not to all pictures of the first ones alone."""
    monkeypatch.setattr(whitening, "_MOST_PICTURES", 60)
    monkeypatch.setattr(whitening, "_OF_AN_INDIVIDUAL", 6)
    unit, names = individuals(12, 50, 24, seed=6)
    assert fit_whitening(unit, names) is not None
    monkeypatch.setattr(whitening, "_OF_AN_INDIVIDUAL", 50)
    assert fit_whitening(unit, names) is None


def test_pairs_of_thousands_of_individuals_are_drawn_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whitening, "_MANY_PAIRS", 1)
    unit, names = individuals(9, 3, 12)
    groups = hidden_groups(unit, names)
    pairs = {frozenset(own.tolist()) for _, own in groups}
    assert len(groups) == len(pairs) == 12 and all(len(pair) == 2 for pair in pairs)


def test_one_picture_of_each_of_thousands_gives_a_limit_and_no_temperature() -> None:
    unit, names = individuals(3000, 1, 24)
    fitted, held_out = choose_whitening(unit, names)
    assert fitted is None and held_out.known.shape == (0, 3000) and len(held_out.strangers) == 2000
    assert gallery_temperature(held_out, 16.0) is None and hidden_groups(unit, names) == []
    limit = find_stranger_limit(held_out, 0.1)
    assert np.isnan(limit.reach) and limit.false_known_rate <= 0.1 and limit.n_known == 0


def test_a_night_of_very_many_strangers_is_grouped_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, names = individuals(40, 8, 256, seed=5)
    order = np.random.default_rng(1).permutation(len(unit))
    rows = [{"target_id": f"t{place}", "media_id": f"t{place}", "predicted_id": "unknown"} for place in order]
    embedded = {f"t{place}": unit[place] for place in order}

    def groups() -> tuple[float, int]:
        found = candidates.group_unknowns(rows, embedded, replay([], {}), 0.4)
        stands = replay(found, {}).homes
        of = {row["target_id"]: stands[row["candidate_id"]] for row in found if row.get("target_id") is not None}
        assert of.keys() == embedded.keys()
        return adjusted_rand_score([names[int(name[1:])] for name in of], list(of.values())), len(set(of.values()))

    assert groups() == (1.0, 40)
    monkeypatch.setattr(candidates, "MOST_REGROUPED", 50)
    monkeypatch.setattr(candidates, "_AT_ONCE", 50)
    assert groups() == (1.0, 40)
    # Fewer earlier candidates than are near: more candidates than animals, but no picture is lost and none is wrongly joined.
    monkeypatch.setattr(candidates, "_MOST_NEAR", 1)
    agreement, n = groups()
    assert n > 40 and agreement > 0.2


@pytest.mark.parametrize(("one", "other"), [("Zita 2", "zita_2"), ("Ze\u0301", "z\u00e9"), ("M1-2", "m1  2")])
def test_two_spellings_of_one_name_are_refused(one: str, other: str) -> None:
    with pytest.raises(InputError, match="give both the same name"):
        check_spellings([one, other])
    with pytest.raises(InputError, match="write it the same way"):
        checked_name(other, [one])


def test_other_names_and_the_same_name_composed_otherwise_are_no_spellings() -> None:
    check_spellings(["M12", "M1-2", "Ada", "Ada B"])
    assert checked_name("M12", ["M1-2"]) == "M12" and checked_name(" Ze\u0301", ["Z\u00e9"]) == "Z\u00e9"


def test_folders_that_cannot_make_a_gallery_are_one_line(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    save_file(build_network("scd_core/small_cnn", 128).state_dict(), weights)
    with pytest.raises(InputError, match="'Ada' and 'ada' differ in case"):
        pack_gallery(
            tmp_path / "m", architecture="scd_core/small_cnn", weights=weights, pictures={"Ada": [], "ada": []}
        )
    (tmp_path / "g" / "Ada").mkdir(parents=True)
    (tmp_path / "g" / "Bela").mkdir()
    (tmp_path / "empty").mkdir()
    for folder, words in (("g", "no pictures of Ada"), ("empty", "0 individual"), ("none", "no such folder")):
        done = CliRunner().invoke(
            model_app,
            ["pack-gallery", str(tmp_path / "m"), "--architecture", "scd_core/small_cnn", "--weights", str(weights),
             "--gallery", str(tmp_path / folder)],
        )  # fmt: skip
        assert done.exit_code != 0 and words in str(done.exception), done.exception
        assert not (tmp_path / "m").exists()


def test_what_programs_put_beside_pictures_is_no_picture_of_an_individual(tmp_path: Path) -> None:
    for name in (
        "Ada/1.jpg",
        "Ada/Thumbs.db",
        "Ada/notes.txt",
        "Ada/._1.jpg",
        "Ada/1.jpg.xmp",
        "Ada/1 (2).jpg",
        "@eaDir/1.jpg",
        ".x/1.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = gallery_folders(tmp_path)
    assert {name: [file.name for file in files] for name, files in found.items()} == {"Ada": ["1 (2).jpg", "1.jpg"]}
