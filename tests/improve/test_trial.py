"""`trapaudit improve` on small audits: what it recommends and writes, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax

from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.identify import load_model, read_package
from scd_core.identify.classifier import Classifier
from scd_core.identify.classify import classify_media
from scd_core.improve import attempts
from scd_core.improve.labelled import Labelled
from scd_core.improve.names import View
from scd_core.improve.trial import Trial, run_improve
from scd_core.improve.write import write_improved
from scd_core.inputs.detections import Detection
from scd_core.media import list_source
from tests.improve import world


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("improve")
    return world.build(folder, world.plain(120)), world.pack(folder)


@pytest.fixture(scope="module")
def trial(audit: tuple[str, str]) -> Trial:
    return run_improve(audit[0], load_model(audit[1]))


def tried(out: str, folder: Path, **more: object) -> Trial:
    return run_improve(out, load_model(world.pack(folder, **more)))  # type: ignore[arg-type]


def test_a_head_on_crops_is_recommended_where_it_is_better(trial):
    assert trial.as_run.new.value < 0.6
    assert trial.best is not None and trial.best.way.head is not None
    assert trial.best.new.value > 0.85 and trial.best.gain.low > 0


def test_all_ways_are_judged_on_the_same_visits(trial):
    assert len({(one.new.n, one.home.n) for one in trial.outcomes}) == 1
    assert {one.way.view for one in trial.outcomes} == set(View)


def test_what_is_written_names_as_it_was_judged_and_knows_its_parent(audit, trial, tmp_path):
    parent = read_package(audit[1])
    crops = trial.outcome("class_means:box_crop")
    package = write_improved(str(tmp_path / "new"), parent, trial, crops)
    found = load_model(str(tmp_path / "new"))
    assert package.spec.input.box_use == "classify" and package.digest != parent.digest
    features = trial.shown.features[View.BOX_CROP]
    expected = trial.heads(crops.way).scores(View.BOX_CROP, trial.shown)
    with torch.no_grad():
        head = found.model.get_submodule("head")
        torch.testing.assert_close(head(torch.from_numpy(features)), torch.from_numpy(expected), rtol=1e-4, atol=1e-3)
    about = package.spec.provenance
    assert about is not None and about["parent_digest"] == parent.digest and about["labels"]["n_pictures"] == 120
    assert about["expected"]["right_in_new_places"]["value"] == pytest.approx(crops.new.value, abs=1e-4)
    assert json.loads((tmp_path / "new/model.json").read_text())["input"]["box_use"] == "classify"


def test_a_head_beside_the_whole_frame_names_in_a_run_as_it_was_judged(audit, trial, tmp_path):
    way = trial.outcome("class_means+0.6:wide_crop").way
    assert way.by_frame and "twice the time" in trial.outcome(way.key).needs
    package = write_improved(str(tmp_path / "new"), read_package(audit[1]), trial, trial.outcome(way.key))
    assert package.spec.provenance is not None and package.spec.provenance["names_by"] == ["box", "frame"]
    (source,) = trial.labelled.sources.values()
    listed = {one.media_id: one for one in list_source(source, AuditConfig().media).objects}
    columns = ("media_id", "file", "uri", "etag", "size_bytes")
    media = [{name: getattr(listed[row["media_id"]], name) for name in columns} for row in trial.labelled.rows]
    boxes = {row["file"]: [Detection("0", "animal", 0.9, world.BOX)] for row in media}
    named = classify_media(media, load_model(package.url), source, AuditConfig(), boxes)
    both, crop = trial.heads(way), replace(trial.heads(way), frame=None)
    judged, alone = (
        softmax(one.scores(View.WIDE_CROP, trial.shown) / package.spec.temperature, 1) for one in (both, crop)
    )
    assert [row["predicted_id"] for row in named] == [trial.labelled.names[place] for place in judged.argmax(1)]
    np.testing.assert_allclose([row["probability"] for row in named], judged.max(1), atol=1e-3)
    assert np.abs(alone.max(1) - judged.max(1)).max() > 0.01  # what the frame gives is not nothing


def test_what_a_package_of_both_gives_is_judged_as_it_is_run(audit, trial, tmp_path):
    way = trial.outcome("class_means+0.6:box_crop").way
    write_improved(str(tmp_path / "new"), read_package(audit[1]), trial, trial.outcome(way.key))
    again = run_improve(audit[0], load_model(str(tmp_path / "new")))
    judged = trial.heads(way).scores(View.BOX_CROP, trial.shown).argmax(1) == trial.labelled.truth
    np.testing.assert_array_equal(again.rights["box_crop"], judged)


def test_a_view_alone_is_written_with_the_parents_weights(audit, trial, tmp_path):
    parent = read_package(audit[1])
    package = write_improved(str(tmp_path / "new"), parent, trial, trial.outcome("box_crop"))
    assert package.spec.weights_sha256 == parent.spec.weights_sha256 and package.spec.labels == parent.spec.labels
    assert package.spec.input.box_use == "classify" and package.digest != parent.digest


def test_nothing_is_written_over(audit, trial):
    with pytest.raises(InputError, match="nothing is written over"):
        write_improved(audit[1], read_package(audit[1]), trial, trial.outcomes[0])


def test_what_no_run_can_name_by_is_not_written(audit, trial, tmp_path):
    with pytest.raises(InputError, match="does not name by pooled_in_box"):
        write_improved(str(tmp_path / "new"), read_package(audit[1]), trial, trial.outcome("pooled_in_box"))
    assert not (tmp_path / "new").exists()


def test_an_individual_that_the_model_does_not_know_is_learnt(audit, tmp_path):
    found = tried(audit[0], tmp_path, labels=("Ada", "Bo"))
    assert found.best is not None
    package = write_improved(str(tmp_path / "new"), read_package(str(tmp_path / "model")), found, found.best)
    assert package.spec.labels == ("Ada", "Bo", "Cy") and found.lost == ()


def test_names_that_no_label_has_are_known_to_be_lost(audit, tmp_path):
    assert tried(audit[0], tmp_path, labels=("Ada", "Bo", "Cy", "Di")).lost == ("Di",)


def test_labels_that_do_not_fit_the_pictures_are_refused(tmp_path):
    seen = world.plain(90)
    shuffled = np.random.default_rng(5).permutation([one.individual for one in seen])
    out = world.build(tmp_path, [replace(one, label=str(name)) for one, name in zip(seen, shuffled, strict=True)])
    with pytest.raises(InputError, match="the labels do not fit the pictures"):
        tried(out, tmp_path)


def test_copies_of_a_picture_at_another_camera_are_left_out_with_it(tmp_path):
    """Labels of chance, each picture twice at two cameras: learnt by heart they would seem right in new places."""
    rng = np.random.default_rng(2)
    seen = []
    for number in range(60):
        cameras = [f"C{place}" for place in rng.choice(8, 2, replace=False)]
        one = world.Seen(str(rng.choice(world.NAMES)), cameras[0], number, str(rng.choice(world.NAMES)), number)
        seen += [one, replace(one, camera=cameras[1], visit=number + 500)]
    out = world.build(tmp_path, seen)
    with pytest.raises(InputError, match="the labels do not fit the pictures"):
        tried(out, tmp_path)


def test_copies_do_not_make_the_figures_larger(tmp_path):
    seen = world.plain(60)
    copies = [replace(one, camera=f"X{number % 3}", visit=number + 500) for number, one in enumerate(seen)]
    once = tried(world.build(tmp_path / "once", seen), tmp_path / "m")
    twice = tried(world.build(tmp_path / "twice", [*seen, *copies]), tmp_path / "m2")
    assert twice.n_joined == 60 and once.n_joined == 0
    width = {name: one.outcome("class_means:box_crop").new for name, one in (("once", once), ("twice", twice))}
    assert width["twice"].high - width["twice"].low > 0.6 * (width["once"].high - width["once"].low)


def test_individuals_of_one_camera_each_are_refused(tmp_path):
    seen = [replace(one, camera=f"C{world.NAMES.index(one.individual)}") for one in world.plain(60)]
    with pytest.raises(InputError, match="label individuals at more than one camera"):
        tried(world.build(tmp_path, seen), tmp_path)


def test_too_few_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match="has labels of 12 visits"):
        tried(world.build(tmp_path, world.plain(12)), tmp_path)


def test_a_camera_with_one_label_is_never_the_worst(tmp_path):
    seen = [*world.plain(90), world.Seen("Ada", "C9", 900, "Bo", 900)]
    found = tried(world.build(tmp_path, seen), tmp_path)
    assert "C9" in found.labelled.cameras
    assert all(
        one.worst_camera is None or found.labelled.cameras[one.worst_camera[0]] != "C9" for one in found.outcomes
    )


def test_without_boxes_only_whole_frames_are_tried(tmp_path):
    found = tried(world.build(tmp_path, world.plain(60), boxes=False), tmp_path)
    assert {one.way.view for one in found.outcomes} == {View.WHOLE} and "--detections" in found.shown.missing[
        View.BOX_CROP
    ]


def test_pictures_that_are_gone_are_left_out_or_refused(audit, tmp_path):
    out = world.build(tmp_path, world.plain(60))
    (tmp_path / "cards/C1/d0").rename(tmp_path / "gone")
    found = tried(out, tmp_path)
    assert 0 < len(found.labelled.rows) < 60 and "C1" not in found.labelled.cameras
    (tmp_path / "cards").rename(tmp_path / "all_gone")
    with pytest.raises(InputError, match="none of the 60 labelled pictures can be read"):
        tried(out, tmp_path / "again")


def test_two_runs_find_the_same(audit, trial):
    again = run_improve(audit[0], Classifier(read_package(audit[1]), torch.device("cpu")))
    assert [(one.way, one.new, one.home) for one in again.outcomes] == [
        (one.way, one.new, one.home) for one in trial.outcomes
    ]


def test_where_the_model_knows_an_individual_by_its_place_judges_no_new_places(audit, trial, monkeypatch):
    """A third of the pictures are at C1, where the model is made to be right, and wrong elsewhere."""
    at_home = trial.labelled.camera == trial.labelled.cameras.index("C1")
    monkeypatch.setattr(attempts, "right_names", lambda *given: at_home)
    found = run_improve(audit[0], load_model(audit[1]))
    assert found.n_known == at_home.sum() > 10 and found.as_run.new.value == 0
    assert not found.evidence.in_new[at_home].any() and found.evidence.is_held[at_home].all()


@pytest.mark.parametrize(
    ("box_use", "of_model", "detection", "view"),
    [
        (None, False, None, View.WHOLE),
        (None, False, "0", View.BOX_CROP),
        ("classify", False, None, View.BOX_CROP),
        ("locate", False, "0", View.WHOLE),
        ("classify", True, None, View.WHOLE),
        ("locate", True, "0", View.BOX_CROP),
    ],
)
def test_a_model_is_judged_as_it_was_run_or_as_its_package_describes(trial, box_use, of_model, detection, view):
    spec = trial.classifier.spec
    spec = spec.model_copy(update={"input": spec.input.model_copy(update={"box_use": box_use})})
    classifier = SimpleNamespace(spec=spec, digest="own")
    others = [{**row, "model_digest": "other", "detection_id": detection} for row in trial.labelled.rows]
    own = [{**row, "model_digest": "own", "detection_id": detection} for row in trial.labelled.rows[:5]]
    rows = [{**row, "detection_id": None if detection else "0"} for row in others] + own if of_model else others
    assert attempts.view_as_run(Labelled(rows, {}), classifier) == view
