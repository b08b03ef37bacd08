"""`trapaudit demo`: scenes with planted errors, audited from pictures to report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from deployments.cli.planted import print_planted
from deployments.cli.run import run_request
from scd_core.config import AuditConfig, ClassifyConfig, TriageConfig
from scd_core.errors import InputError
from scd_core.request import AuditRequest
from scd_core.scenes import packaged_model, preset_world, write_scenes

if TYPE_CHECKING:
    from flows.audit import AuditResult

__all__ = ["DEMO_CONFIG", "run_demo"]

DEMO_CONFIG = AuditConfig(classify=ClassifyConfig(box_use="locate"), triage=TriageConfig(control_rate=0.3))
"""Whole frames are classified, as the model was trained to; boxes say how far it looks beside the animal. The control sample
is large, because a learnt shortcut is confidently wrong and no threshold finds it."""


def run_demo(console: Console, out: Path, events: int, seed: int) -> AuditResult:
    """Write scenes, audit them with the model that learned the planted shortcuts, draw the report, and hold it to the plants.

    Args:
        console: where bars and results go.
        out: folder; scenes are kept in ``out/scenes`` and used again, the audit lies in ``out/audit``.
        events: bursts to render.
        seed: seed of the scenes.

    Raises:
        InputError: `out` holds scenes of another size or seed.
    """
    folder = out / "scenes"
    wanted = f"{events} events, seed {seed}\n"
    stamp = out / "scenes.txt"
    if not stamp.exists():
        console.print(f"rendering {events} bursts of the demo world into {folder}", highlight=False)
        part = out / "scenes.part"
        shutil.rmtree(part, ignore_errors=True)  # of a run that was interrupted
        write_scenes(str(part), world="demo", n_events=events, seed=seed, split="audit")
        part.rename(folder)
        stamp.write_text(wanted)
    elif stamp.read_text() != wanted:
        raise InputError(f"{folder}: holds scenes of {stamp.read_text().strip()}; choose another --out, or remove it")
    request = AuditRequest(
        source=str(folder / "images"),
        model=str(packaged_model("shortcut")),
        out=str(out / "audit"),
        detections=str(folder / "detections.json"),
        labels=str(folder / "labels.csv"),
        settings=DEMO_CONFIG,
    )
    result = run_request(console, request)
    print_planted(console, preset_world("demo"), folder, request.out)
    return result
