"""Strangers over two nights: one candidate each, listed, named, and known to the next run."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from scd_core.audit import read_table
from scd_core.identify import load_model, read_package
from scd_core.identify.child import head_of, with_head, write_child
from scd_core.identify.class_means import Head
from scd_core.identify.gallery import read_gallery
from scd_core.identify.package import Package
from scd_core.identify.packing import pack_gallery
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

SETTINGS = "triage: {budget: 0, control_rate: 0.0}\nclassify: {measure_gradient: false}\n"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Frames of scenes, 8 each of at least 6 individuals, each picture of another event."""
    folder, world = tmp_path_factory.mktemp("frames"), preset_world("clean")
    found: dict[str, list[Path]] = {}
    for number, spec in enumerate(sample_specs(world, "train", 300, 3)):
        name = spec.individual_id
        if name is None or len(found.setdefault(name, [])) >= 8 or number % 2:
            continue
        found[name].append(folder / f"{name}-{number}.jpg")
        Image.fromarray(render(world, spec).image).save(found[name][-1], quality=92)
    enough = {name: files for name, files in sorted(found.items()) if len(files) == 8}
    assert len(enough) >= 6
    return enough


def _listed(trapaudit: Callable[..., Any], out: Path) -> dict[str, dict[str, str]]:
    done = trapaudit("individuals", out, "--format", "csv")
    assert done.code == 0, done.err
    return {row["individual_id"]: row for row in csv.DictReader(io.StringIO(done.out))}


def test_a_stranger_is_one_candidate_over_two_nights_and_known_once_it_is_added(
    trapaudit: Callable[..., Any], tmp_path: Path, frames: dict[str, list[Path]]
) -> None:
    known, strangers = dict(list(frames.items())[:4]), dict(list(frames.items())[4:6])
    spec, model = read_package(str(packaged_model("clean"))).spec, tmp_path / "model"
    pack_gallery(
        model, architecture=spec.architecture, weights=packaged_model("clean") / "weights.safetensors",
        pictures={name: files[:5] for name, files in known.items()}, architecture_args=spec.architecture_args,
        size=spec.input.size, mean=spec.input.mean, std=spec.input.std, unknown_rate=0.1,
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(SETTINGS)
    source, out = tmp_path / "images", tmp_path / "audit"

    def night(number: int) -> None:
        for name, files in strangers.items():
            for file in files[4 * number : 4 * number + 4]:
                place = source / f"C0{number}" / f"N{number}" / f"{file.stem}.jpg"
                place.parent.mkdir(parents=True, exist_ok=True)
                os.link(file, place)
            assert name
        done = trapaudit("run", source, "--model", model, "--out", out, "--config", tmp_path / "config.yaml")
        assert done.code == 0, done.err
        assert "each stranger gets a known name" not in done.err

    def groups() -> dict[str, set[str]]:
        predictions = read_table(str(out), "predictions").merge(read_table(str(out), "media")[["media_id", "file"]])
        predictions = predictions[predictions["predicted_id"] == "unknown"]
        return {
            name: set(predictions[predictions["file"].str.contains(f"{name}-")]["candidate_id"]) for name in strangers
        }

    night(0)
    first = groups()
    rows = read_table(str(out), "candidates")
    assert set(rows["change"]) == {"new"} and set(rows["version"]) == {1}
    assert len(rows) == rows["target_id"].nunique() >= 4
    night(1)
    second = groups()
    rows = read_table(str(out), "candidates")
    assert "grown" in set(rows["change"])
    for name in strangers:
        assert first[name] & second[name], "its id stays"
    listed = _listed(trapaudit, out)
    candidates = {name: row for name, row in listed.items() if row["kind"] == "candidate"}
    assert sum(int(row["n_pictures"]) for row in candidates.values()) == int((rows["change"] != "merged").sum())
    best = max(candidates.values(), key=lambda row: int(row["n_pictures"]))
    assert best["n_cameras"] == "2" and best["resembles"].split()[0] in known

    name = next(name for name in strangers if best["individual_id"] in second[name])
    for bad, words in (
        (["candidate-none", "Zed"], "has none of this id"),
        (["candidate-", "Zed"], "fits"),
        ([best["individual_id"], next(iter(known)).upper()], "write it the same way"),
        ([best["individual_id"], "unknown"], "is no name of an individual"),
    ):
        done = trapaudit("individuals", "add", out, *bad, "--model", model)
        assert done.code == 2 and words in done.err, done.err
    done = trapaudit("individuals", "add", out, best["individual_id"], name, "--model", packaged_model("clean"))
    assert done.code == 2 and "give --write NEW" in done.err

    before = read_package(str(model))
    done = trapaudit("individuals", "add", out, best["individual_id"][:18], name, "--model", model)
    assert done.code == 0, done.err
    assert f"{name} has" in done.err
    package = read_package(str(model))
    assert name in package.spec.labels and package.digest != before.digest
    classifier = load_model(str(model))
    picture = Image.open(strangers[name][0])
    logits = classifier.logits(classifier.preprocess(picture)[None])
    assert classifier.names[int(logits.argmax())] == name
    done = trapaudit("individuals", "add", out, best["individual_id"], name, "--model", model)
    assert done.code == 2 and "in the gallery already" in done.err

    _take_back(trapaudit, tmp_path, best["individual_id"], name, before)


def _take_back(trapaudit: Callable[..., Any], folder: Path, candidate: str, name: str, before: Package) -> None:
    """Undo `add`: the package has the names and the gallery that it had before."""
    model, other = folder / "model", before.spec.labels[0]
    undo = ["individuals", "remove", folder / "audit", candidate]
    for bad, words in (("Zed", "has no 'Zed'"), (other, "none of these pictures")):
        done = trapaudit(*undo, bad, "--model", model)
        assert done.code == 2 and words in done.err, done.err
    done = trapaudit(*undo, name, "--model", model, "--write", folder / "without")
    assert done.code == 0 and "does not know the name any more" in done.err, done.err
    assert (
        name in read_package(str(model)).spec.labels and name not in read_package(str(folder / "without")).spec.labels
    )
    done = trapaudit(*undo, name, "--model", model)
    assert done.code == 0 and "names nothing again" in done.err and "names what it named again" not in done.err
    after = read_package(str(model))
    assert after.spec.labels == before.spec.labels and before.gallery is not None and after.gallery is not None
    for one, other_one in zip(read_gallery(before.gallery, before.spec), read_gallery(after.gallery, after.spec)):
        assert torch.equal(one, other_one)
    assert after.digest == before.digest
    assert trapaudit(*undo, name, "--model", model).code == 2, "a second time there is nothing to take back"
    _take_back_after_a_run(trapaudit, folder, candidate, name, before)


def _take_back_after_a_run(
    trapaudit: Callable[..., Any], folder: Path, candidate: str, name: str, before: Package
) -> None:
    """Under the digest of before the pictures would be done, and the newest run over them would still be the mistaken one."""
    model, out = folder / "model", folder / "audit"
    run = ["run", folder / "images", "--model", model, "--out", out, "--config", folder / "config.yaml"]
    assert trapaudit(*run).code == 0
    rows = read_table(str(out), "predictions")
    assert set(rows["model_digest"]) == {before.digest}, "nothing was named again"
    n_before = len(rows)
    assert trapaudit("individuals", "add", out, candidate, name, "--model", model).code == 0
    named = read_package(str(model)).digest
    assert trapaudit(*run).code == 0
    rows = read_table(str(out), "predictions")
    assert name in set(rows[rows["model_digest"] == named]["predicted_id"]), "fixture: the run used the name"
    done = trapaudit("individuals", "remove", out, candidate, name, "--model", model)
    assert done.code == 0 and "names what it named again" in done.err and "names nothing again" not in done.err
    after = read_package(str(model))
    assert after.digest not in (named, before.digest) and after.gallery == before.gallery
    assert trapaudit(*run).code == 0
    rows = read_table(str(out), "predictions")
    rows = rows[rows["model_digest"] == after.digest]
    assert len(rows) == n_before and name not in set(rows["predicted_id"])


def _classifier_without(name: str, folder: Path) -> Path:
    """The scenes' classifier without the row of one individual, which calls unsure names unknown."""
    whole = read_package(str(packaged_model("clean")))
    layer, head = head_of(whole)
    kept = [place for place, label in enumerate(whole.spec.labels) if label != name]
    weights = with_head(whole, layer, Head(head.weight[kept], head.bias[kept]))
    changes = {
        "labels": tuple(whole.spec.labels[place] for place in kept),
        "weights": "weights.safetensors",
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "unknown_threshold": 0.97,
    }
    spec = whole.spec.model_copy(update=changes)
    write_child(str(folder), spec, {spec.weights: weights})
    return folder


def test_a_classifier_learns_a_candidate_beside_the_labelled_pictures_of_the_audit(
    trapaudit: Callable[..., Any], tmp_path: Path, frames: dict[str, list[Path]]
) -> None:
    stranger = sorted(frames)[0]
    model, source, out = _classifier_without(stranger, tmp_path / "model"), tmp_path / "images", tmp_path / "audit"
    names = []
    for name, files in frames.items():
        for number, file in enumerate(files):  # a folder each: pictures of one would be one event
            place = source / f"C{number}" / file.name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, place)
            names.append((f"C{number}/{file.name}", name))
    (tmp_path / "config.yaml").write_text(SETTINGS)
    done = trapaudit("run", source, "--model", model, "--out", out, "--config", tmp_path / "config.yaml")
    assert done.code == 0, done.err
    predictions = read_table(str(out), "predictions").merge(read_table(str(out), "media")[["media_id", "file"]])
    own = predictions[predictions["file"].str.contains(f"{stranger}-") & predictions["candidate_id"].notna()]
    candidate = own["candidate_id"].value_counts().index[0]

    def add(*more: object) -> Any:
        return trapaudit("individuals", "add", out, candidate, stranger, "--model", model, *more)

    done = add()
    assert done.code == 2 and "give --write NEW" in done.err
    done = add("--write", tmp_path / "new")
    assert done.code == 2 and "0 labelled pictures" in done.err and not (tmp_path / "new").exists()
    (tmp_path / "labels.csv").write_text(
        "file,individual_id\n" + "".join(f"{file},{name}\n" for file, name in names if name != stranger)
    )
    done = trapaudit("labels", "import", out, tmp_path / "labels.csv")
    assert done.code == 0, done.err
    digest = read_package(str(model)).digest
    done = add("--write", tmp_path / "new")
    assert done.code == 0, done.err
    assert f"{stranger} from" in done.err
    package = read_package(str(tmp_path / "new"))
    assert stranger in package.spec.labels and read_package(str(model)).digest == digest
    assert package.spec.provenance is not None and package.spec.provenance["parent_digest"] == digest
    classifier = load_model(str(tmp_path / "new"))
    found = [classifier.logits(classifier.preprocess(Image.open(file))[None]) for file in frames[stranger]]
    given = [classifier.names[int(classifier.probabilities(logits).argmax())] for logits in found]
    assert given.count(stranger) >= len(given) / 2
    # An audit whose features another network gave has nothing for this one.
    done = trapaudit(
        "individuals", "add", out, candidate, stranger, "--model", packaged_model("clean"), "--write", tmp_path / "n"
    )
    assert done.code == 2 and "seen by another network" in done.err


def test_a_gallery_is_written_beside_its_parent(
    trapaudit: Callable[..., Any], tmp_path: Path, frames: dict[str, list[Path]]
) -> None:
    spec, model, (first, second, third, *_) = (
        read_package(str(packaged_model("clean"))).spec,
        tmp_path / "model",
        frames,
    )
    pack_gallery(
        model, architecture=spec.architecture, weights=packaged_model("clean") / "weights.safetensors",
        pictures={name: frames[name][:3] for name in (first, second)}, architecture_args=spec.architecture_args,
        size=spec.input.size, mean=spec.input.mean, std=spec.input.std,
    )  # fmt: skip
    digest = read_package(str(model)).digest
    done = trapaudit("model", "add-individual", model, third, frames[third][0], "--write", tmp_path / "new")
    assert done.code == 0, done.err
    new = read_package(str(tmp_path / "new"))
    assert new.spec.labels == (first, second, third) and read_package(str(model)).digest == digest
    assert new.spec.provenance is not None and new.spec.provenance["parent_digest"] == digest
    done = trapaudit("model", "add-individual", model, third, frames[third][0], "--write", tmp_path / "new")
    assert done.code == 2 and "nothing is written over" in done.err
    done = trapaudit("model", "add-individual", model, first.upper(), frames[first][4])
    assert done.code == 2 and "write it the same way" in done.err


def test_an_audit_that_is_not_there_is_one_line(trapaudit: Callable[..., Any], tmp_path: Path) -> None:
    done = trapaudit("individuals", tmp_path / "none")
    assert done.code == 2 and "holds no audit" in done.err
