"""Synthetic camera-trap scenes with known truth: worlds, their planted errors, pictures, and files."""

from scd_core.scenes.body import Pose
from scd_core.scenes.make import PRESETS, make_world, preset_world, with_new_cameras
from scd_core.scenes.models import packaged_model
from scd_core.scenes.render import render
from scd_core.scenes.sample import Split, sample_specs
from scd_core.scenes.scene import Conditions, Scene, SceneSpec
from scd_core.scenes.world import CAUSES, Camera, Coat, Individual, Plant, World
from scd_core.scenes.write import ScenesSummary, write_scenes

__all__ = [
    "CAUSES",
    "PRESETS",
    "Camera",
    "Coat",
    "Conditions",
    "Individual",
    "Plant",
    "Pose",
    "Scene",
    "SceneSpec",
    "ScenesSummary",
    "Split",
    "World",
    "make_world",
    "packaged_model",
    "preset_world",
    "render",
    "sample_specs",
    "with_new_cameras",
    "write_scenes",
]
