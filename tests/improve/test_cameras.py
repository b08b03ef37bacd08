"""`trapaudit improve --adapt` on small audits: which labels judge a camera, what is learnt from, and what is printed."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.identify.classifier import Classifier
from scd_core.improve import cameras
from scd_core.improve.cameras import run_adapt
from tests.improve import world


def seen(n: int = 90, n_unlabelled: int = 40) -> list[world.Seen]:
    """Every fourth label is a control's; `C1` has pictures that nobody labelled, too."""
    found = [replace(one, is_control=number % 4 == 0) for number, one in enumerate(world.plain(n, ("C1", "C2")))]
    rest = world.plain(n_unlabelled, ("C1",), seed=9)
    return [*found, *(replace(one, label="", visit=one.visit + 500, look=one.look + 500) for one in rest)]


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("cameras")
    return world.build(folder, seen()), world.pack(folder)


class Knowing(nn.Module):
    """A network of the same layers that gives the pictures it is shown the names in a list, in turn."""

    def __init__(self, network: nn.Module, names: list[int]) -> None:
        super().__init__()
        self.network, self.names = copy.deepcopy(network), names

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.network(x)
        names = [self.names.pop(0) if self.names else 0 for _ in range(len(x))]
        return found * 0 + 9 * torch.eye(found.shape[1])[names]


def right_names_of(out: str, camera: str) -> list[int]:
    rows = [one for one in cameras.read_labelled(out).rows if one["camera"] == camera and one["is_control"]]
    return [world.NAMES.index(one["true_id"]) for one in rows]


def always_wrong(folder: Path) -> str:
    """A model that calls every animal `Di`, whom nobody labelled."""
    world.pack(folder, (*world.NAMES, "Di"))
    state = torch.load(folder / "weights.pth", weights_only=True)
    state["head.bias"][3] += 100
    torch.save(state, folder / "weights.pth")
    pack_model(
        folder / "wrong",
        architecture="scd_core/small_cnn",
        weights=folder / "weights.pth",
        size=(64, 96),
        labels=(*world.NAMES, "Di"),
    )
    return str(folder / "wrong")


def adapted_to(monkeypatch: pytest.MonkeyPatch, names: list[int] | None) -> dict[str, Any]:
    """Replace the adapted network; gives what it was adapted with."""
    given: dict[str, Any] = {}

    def adapt(classifier: Classifier, inputs: Tensor, anchors: object, seed: int) -> nn.Module:
        given.update(inputs=inputs, anchors=anchors)
        return classifier.model if names is None else Knowing(classifier.model, list(names))

    monkeypatch.setattr(cameras, "adapt", adapt)
    return given


def test_only_controls_judge_and_only_pictures_without_labels_are_adapted_to(
    audit: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = adapted_to(monkeypatch, None)
    found = {one.camera: one for one in run_adapt(audit[0], load_model(audit[1])).cameras}
    rows = cameras.read_labelled(audit[0]).rows
    for camera, one in found.items():
        assert one.n_controls == sum(row["camera"] == camera and row["is_control"] for row in rows) < 25
    assert found["C1"].n_pictures == len(given["inputs"]) == 40
    assert found["C1"].judged is not None and found["C1"].judged.gain.value == 0
    assert found["C2"].judged is None and "32 are needed" in found["C2"].missing


def test_frames_of_an_event_with_a_label_are_not_adapted_to(tmp_path: Path) -> None:
    few = [replace(one, visit=one.visit - 500) if not one.label and one.visit < 510 else one for one in seen()]
    labelled = {one.visit for one in few if one.label and one.camera == "C1"}
    left = sum(not one.label and one.visit not in labelled for one in few)
    out = world.build(tmp_path, few)
    (found,) = run_adapt(out, load_model(world.pack(tmp_path)), ["C1"]).cameras
    assert found.n_pictures == left < 40


def test_the_table_recommends_what_names_the_controls_rightly(
    trapaudit: Any, audit: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    adapted_to(monkeypatch, right_names_of(audit[0], "C1"))
    model = always_wrong(tmp_path)
    done = trapaudit("improve", audit[0], "--model", model, "--adapt", "--camera", "C1")
    assert done.code == 0, done.err
    assert "adapting is recommended at C1" in done.err and "recommended" in done.out and "100 %" in done.out


def test_nothing_is_recommended_where_no_name_is_won(
    trapaudit: Any, audit: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(Path(audit[0]).rglob("*"))
    adapted_to(monkeypatch, None)
    done = trapaudit("improve", audit[0], "--model", audit[1], "--adapt")
    assert done.code == 0, done.err
    assert "adapting is recommended at none of the 1 cameras" in done.err and "recommended at C" not in done.err
    assert "no gain is shown" in done.out and set(Path(audit[0]).rglob("*")) == before


def test_the_real_adapting_gives_a_figure_for_the_camera(audit: tuple[str, str]) -> None:
    (found,) = run_adapt(audit[0], load_model(audit[1]), ["C1"]).cameras
    assert found.judged is not None and found.expected is not None
    assert all(1 / 3 <= one <= 1 for one in found.expected) and found.seconds > 0


def test_labels_that_were_not_drawn_at_random_are_refused(tmp_path: Path) -> None:
    out = world.build(tmp_path, [replace(one, is_control=False) for one in seen(60, 0)])
    with pytest.raises(InputError, match="has no labelled control"):
        run_adapt(out, load_model(world.pack(tmp_path)))


def test_a_camera_with_few_controls_is_not_judged_and_the_number_is_named(tmp_path: Path) -> None:
    few = [replace(one, is_control=one.is_control and number < 13) for number, one in enumerate(seen())]
    out = world.build(tmp_path, few)
    found = run_adapt(out, load_model(world.pack(tmp_path))).cameras
    assert found and all(one.judged is None for one in found)
    assert f"label {8 - found[0].n_controls} or more visits more" in found[0].missing


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--adapt", "--camera", "C9"], "--camera C9: has no labels; there are C1, C2"),
        (["--camera", "C1"], "--camera C1: goes with --adapt"),
        (["--adapt", "--write", "new"], "--adapt: writes no package"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    trapaudit: Any, audit: tuple[str, str], options: list[str], words: str
) -> None:
    done = trapaudit("improve", audit[0], "--model", audit[1], *options)
    assert done.code == 2 and words in done.err.splitlines()[-1]
