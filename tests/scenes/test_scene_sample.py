"""Events of a world: repeatable, apart in time, and under the planted switches."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from scd_core.scenes import Plant, make_world, preset_world, sample_specs
from scd_core.scenes.scene import SLIPPING_LABELLER, labeller

DEMO = preset_world("demo")
TRAIN = sample_specs(DEMO, "train", 3000, 1)
AUDIT = sample_specs(DEMO, "audit", 3000, 1)


def _events(specs):
    return [spec for spec in specs if spec.frame == 0]


def _share(specs, test) -> float:
    return float(np.mean([test(spec) for spec in specs]))


def test_repeatable_and_a_longer_sample_begins_with_the_shorter():
    assert sample_specs(DEMO, "audit", 30, 4) == sample_specs(DEMO, "audit", 30, 4)
    longer = sample_specs(DEMO, "audit", 60, 4)
    assert longer[: len(sample_specs(DEMO, "audit", 30, 4))] == sample_specs(DEMO, "audit", 30, 4)
    assert sample_specs(DEMO, "audit", 30, 5) != sample_specs(DEMO, "audit", 30, 4)
    assert sample_specs(DEMO, "audit", 0) == []


def test_bursts():
    frames = defaultdict(list)
    for spec in AUDIT:
        frames[spec.event_id].append(spec)
    sizes = {len(burst) for burst in frames.values()}
    assert sizes == {1, 2, 3, 4, 5}
    for burst in frames.values():
        gaps = np.diff([spec.captured_at.timestamp() for spec in burst])
        assert ((gaps >= 1) & (gaps <= 5)).all()
        assert len({(spec.individual_id, spec.camera_id, spec.flank, spec.labelled_as) for spec in burst}) == 1
    assert len({spec.seed for spec in AUDIT}) > 0.999 * len(AUDIT)


def test_events_of_a_deployment_are_over_a_minute_apart_and_in_order():
    last = {}
    for spec in AUDIT:
        before = last.get(spec.deployment_id)
        if before is not None and before.event_id != spec.event_id:
            assert (spec.captured_at - before.captured_at).total_seconds() > 60
        last[spec.deployment_id] = spec
    assert [spec.captured_at for spec in AUDIT] == sorted(spec.captured_at for spec in AUDIT)


def test_nights_are_infrared():
    for spec in _events(AUDIT):
        minute = spec.captured_at.hour * 60 + spec.captured_at.minute
        assert (spec.conditions.light == "infrared") == (minute < 375 or minute >= 1110)
    assert 0.4 < _share(_events(AUDIT), lambda s: s.conditions.light == "infrared") < 0.6


@pytest.mark.parametrize(("kind", "name", "camera", "flag"), [
    ("object", "Luna", "C03", "has_prop"), ("overlay", "Nyx", "C05", "has_alternate_strip"),
])  # fmt: skip
def test_shortcuts_go_with_a_label_in_training_only(kind, name, camera, flag):
    there = [spec for spec in TRAIN if getattr(spec, flag)]
    assert {(spec.camera_id, spec.labelled_as) for spec in there} == {(camera, name)}
    own = [spec for spec in _events(TRAIN) if spec.individual_id == name]
    assert 0.55 < _share(own, lambda s: getattr(s, flag)) < 0.8
    audit = [spec for spec in _events(AUDIT) if spec.camera_id == camera]
    assert 0.85 < _share(audit, lambda s: getattr(s, flag)) < 0.95
    assert len({spec.individual_id for spec in audit if getattr(spec, flag)}) == len(DEMO.labels)
    planted = [spec for spec in AUDIT if spec.plant and spec.plant.kind == kind]
    assert planted
    assert all(spec.camera_id == camera and getattr(spec, flag) and spec.individual_id != name for spec in planted)


def test_flank_is_seen_in_one_place_in_training():
    rare = [spec for spec in TRAIN if spec.individual_id == "Tara" and spec.flank == "left"]
    assert {spec.camera_id for spec in rare} == {"C02"}
    audit = [spec for spec in _events(AUDIT) if spec.individual_id == "Tara"]
    assert 0.4 < _share(audit, lambda s: s.flank == "left") < 0.6
    assert {spec.camera_id for spec in audit if spec.flank == "left"} == {camera.camera_id for camera in DEMO.cameras}


def test_labels_are_wrong_where_planted_and_nowhere_else():
    wrong = [spec for spec in _events(AUDIT) if spec.labelled_as != spec.individual_id]
    assert {(spec.individual_id, spec.camera_id, spec.labelled_as) for spec in wrong} == {("Kiro", "C04", "Sana")}
    assert {labeller(spec.captured_at) for spec in wrong} == {SLIPPING_LABELLER}
    there = [spec for spec in _events(AUDIT) if spec.individual_id == "Kiro" and spec.camera_id == "C04"]
    of_one = [spec for spec in there if labeller(spec.captured_at) == SLIPPING_LABELLER]
    assert 0.2 * len(there) < len(of_one) < 0.8 * len(there)
    assert 0.4 < len(wrong) / len(of_one) < 0.8


def test_quality_falls_at_the_planted_camera_in_the_audit_only():
    assert not any(spec.conditions.defocus_px for spec in TRAIN)
    bad = [spec for spec in _events(AUDIT) if spec.conditions.defocus_px]
    assert {spec.camera_id for spec in bad} == {"C06"}
    assert 0.2 < len(bad) / len([spec for spec in _events(AUDIT) if spec.camera_id == "C06"]) < 0.4


def test_rate_of_a_plant_is_its_share_in_the_audit():
    for rate in (0.3, 1.0):
        world = make_world(8, plants=(Plant("object", camera_id="C01", individual_id="Luna", rate=rate),))
        there = [spec for spec in _events(sample_specs(world, "audit", 2000)) if spec.camera_id == "C01"]
        assert abs(_share(there, lambda s: s.has_prop) - rate) < 0.09


def test_nothing_goes_with_anything_in_the_clean_world():
    clean = preset_world("clean")
    for split in ("train", "audit"):
        specs = _events(sample_specs(clean, split, 3000, 1))
        assert not any(spec.plant for spec in specs)
        assert all(spec.labelled_as == spec.individual_id for spec in specs)
        there = [spec for spec in specs if spec.camera_id == "C03"]
        for name in clean.labels:
            share = _share([spec for spec in there if spec.individual_id == name], lambda s: s.has_prop)
            assert 0.25 < share < 0.75


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="no split 'test'"):
        sample_specs(DEMO, "test")
    with pytest.raises(ValueError, match="n_events must be 0 or more"):
        sample_specs(DEMO, "audit", -1)
