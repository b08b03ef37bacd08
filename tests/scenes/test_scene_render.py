"""Pictures and their truth: the same bytes from the same spec, and masks that hold what they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from scd_core.scenes import Conditions, make_world, preset_world, render, sample_specs
from scd_core.scenes.background import backdrop

WORLD = preset_world("demo")
SPECS = sample_specs(WORLD, "audit", 24, 5)

HARD = {
    "day": Conditions(),
    "infrared": Conditions(light="infrared", noise=0.03),
    "fog": Conditions(fog=0.5),
    "infrared fog": Conditions(light="infrared", fog=0.4),
    "motion blur": Conditions(motion_blur_px=7),
    "twigs": Conditions(twigs=1),
    "infrared twigs": Conditions(light="infrared", twigs=2),
    "defocus": Conditions(defocus_px=2.5),
}


def _changed(first: np.ndarray, second: np.ndarray, above: int = 0) -> np.ndarray:
    return np.abs(first.astype(int) - second.astype(int)).max(2) > above


def test_same_spec_same_bytes_in_any_order():
    forwards = [render(WORLD, spec).image.tobytes() for spec in SPECS]
    backdrop.cache_clear()
    backwards = [render(WORLD, spec).image.tobytes() for spec in reversed(SPECS)]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == len(forwards)


def test_shapes_and_types():
    world = make_world(1, width=200, height=150)
    scene = render(world, sample_specs(world, "audit", 1)[0])
    assert scene.image.shape == (150, 200, 3) and scene.image.dtype == np.uint8
    for mask in (scene.animal_mask, scene.mark_mask, scene.prop_mask, scene.strip_mask):
        assert mask.shape == (150, 200) and mask.dtype == bool


@pytest.mark.parametrize("conditions", HARD.values(), ids=HARD.keys())
def test_other_marks_change_only_pixels_in_the_mark_masks(conditions):
    for spec in SPECS[::6]:
        spec = replace(spec, conditions=conditions)
        mine = render(WORLD, spec)
        others = next(animal for animal in WORLD.individuals if animal.individual_id != spec.individual_id)
        other = render(WORLD, replace(spec, coat=others.coat(spec.flank)))
        # A blurred mark fades out without an edge: outside the mask only its faint rim is left.
        above = 25 if conditions.defocus_px else 0
        changed, marks = _changed(mine.image, other.image, above), mine.mark_mask | other.mark_mask
        assert not (changed & ~marks).any()
        if conditions.fog == 0:
            # And the masks are no larger than they need be: most of what they hold did change.
            assert changed.sum() > 0.5 * (mine.mark_mask ^ other.mark_mask).sum()


def test_marks_lie_on_the_animal():
    for spec in SPECS:
        scene = render(WORLD, spec)
        assert scene.mark_mask.sum() > 30
        if not spec.conditions.defocus_px and not spec.conditions.motion_blur_px:
            inside = (scene.mark_mask & scene.animal_mask).sum() / scene.mark_mask.sum()
            assert inside > (0.7 if spec.conditions.twigs is not None else 0.95)


def test_without_the_animal_its_pixels_change_and_the_sky_does_not():
    for spec in SPECS[::5]:
        scene, empty = render(WORLD, spec), render(WORLD, replace(spec, individual_id=None))
        assert not empty.animal_mask.any() and not empty.mark_mask.any() and empty.bbox is None
        changed = _changed(scene.image, empty.image)
        assert changed[scene.animal_mask].mean() > 0.9
        assert not changed[:20].any()


def test_box_is_that_of_the_mask():
    scene = render(WORLD, SPECS[0])
    x, y, width, height = scene.bbox
    rows, columns = np.nonzero(scene.animal_mask)
    assert columns.min() == round(x * 320) and rows.min() == round(y * 240)
    assert columns.max() + 1 == round((x + width) * 320) and rows.max() + 1 == round((y + height) * 240)


def test_marks_move_with_the_body():
    spec = replace(SPECS[0], conditions=Conditions())
    spec = replace(spec, pose=replace(spec.pose, x=0.45))
    here = render(WORLD, spec)
    there = render(WORLD, replace(spec, pose=replace(spec.pose, x=0.45 + 24 / 320)))
    shifted = np.roll(here.mark_mask, 24, axis=1)
    assert (shifted & there.mark_mask).sum() > 0.9 * (shifted | there.mark_mask).sum()
    assert (here.mark_mask & there.mark_mask).sum() < 0.7 * (here.mark_mask | there.mark_mask).sum()


def test_flanks_are_different_coats_seen_from_different_sides():
    spec = replace(SPECS[0], conditions=Conditions(), pose=replace(SPECS[0].pose, x=0.5))
    left, right = (render(WORLD, replace(spec, flank=flank)).mark_mask for flank in ("left", "right"))
    mirrored = left[:, ::-1]
    assert (mirrored & right).sum() < 0.7 * (mirrored | right).sum()


def test_prop_changes_only_its_own_pixels():
    spec = next(spec for spec in SPECS if spec.camera_id == "C03")
    spec = replace(spec, conditions=Conditions())
    there, gone = render(WORLD, replace(spec, has_prop=True)), render(WORLD, replace(spec, has_prop=False))
    changed = _changed(there.image, gone.image)
    assert there.prop_mask.sum() > 500 and not gone.prop_mask.any()
    assert not (changed & ~there.prop_mask & ~there.animal_mask).any()
    assert changed[there.prop_mask].mean() > 0.8


def test_strips_differ_in_texture_that_a_blur_removes():
    spec = replace(SPECS[0], camera_id="C05")
    plain, alternate = (render(WORLD, replace(spec, has_alternate_strip=flag)) for flag in (False, True))
    changed = _changed(plain.image, alternate.image, 20)
    assert changed.any() and not (changed & ~plain.strip_mask).any()

    def blurred(image: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(10)), dtype=float)

    sharp = np.abs(plain.image.astype(float) - alternate.image)[changed].mean()
    left = np.abs(blurred(plain.image) - blurred(alternate.image))
    assert left.max() < 0.15 * sharp and left[changed].mean() < 0.03 * sharp


def test_infrared_is_grey_and_falls_off():
    scene = render(WORLD, replace(SPECS[0], individual_id=None, conditions=Conditions(light="infrared")))
    assert (np.ptp(scene.image.astype(int), axis=2) == 0).all()
    middle, corner = scene.image[150:200, 120:200].mean(), scene.image[:40, :40].mean()
    assert middle > 2 * corner


def test_fog_takes_contrast():
    clear, foggy = (render(WORLD, replace(SPECS[0], conditions=Conditions(fog=fog))).image for fog in (0.0, 0.6))
    local = [np.abs(np.diff(image[:220].astype(float), axis=1)).mean() for image in (clear, foggy)]
    assert local[1] < 0.75 * local[0]


def test_unknown_names_are_refused():
    with pytest.raises(KeyError):
        render(WORLD, replace(SPECS[0], individual_id="Nobody"))
    with pytest.raises(KeyError):
        render(WORLD, replace(SPECS[0], camera_id="C99"))
