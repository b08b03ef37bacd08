"""Fine-tuning: what it learns, what it is judged by, that it goes on where it was killed, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model, read_package
from scd_core.identify.small_cnn import SmallCNN
from scd_core.improve.labelled import read_labelled
from scd_core.improve.names import CopyKind
from scd_core.improve.places import find_places
from scd_core.improve.split import Split
from scd_core.improve.trial import Trial, run_improve
from scd_core.improve.tune import FINE_TUNED, TuneRequest, join_folds
from scd_core.improve.tune_copies import copies_of, kinds_of
from scd_core.improve.tune_network import part_network
from scd_core.improve.tune_state import TuneWork
from scd_core.improve.tune_training import TuneSettings
from scd_core.improve.write import write_improved
from tests.improve import world

ROOT = Path(__file__).resolve().parents[2]
SMALL = TuneSettings(blocks=2, epochs=2, copies=3)


def pack(folder: Path) -> str:
    """A package of the small network, its weights of chance as large as those of trained ones: features are near 1."""
    torch.manual_seed(0)
    network = SmallCNN(len(world.NAMES))
    for one in network.modules():
        if isinstance(one, nn.Conv2d):
            nn.init.kaiming_normal_(one.weight)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), folder / "weights.pth")
    model = folder / "model"
    pack_model(
        model, architecture="scd_core/small_cnn", weights=folder / "weights.pth", labels=world.NAMES, size=(64, 96)
    )
    return str(model)


def tuned(out: str, model: str, folder: Path, settings: TuneSettings = SMALL) -> Trial:
    return run_improve(out, load_model(model), tune=TuneRequest(folder, settings))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tune")
    return world.build(folder, world.plain(60)), pack(folder)


@pytest.fixture(scope="module")
def trial(audit: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return tuned(*audit, tmp_path_factory.mktemp("work"))


def test_it_is_judged_beside_the_other_ways_on_the_same_visits(trial):
    found = trial.outcome(FINE_TUNED.key)
    assert (found.new.n, found.home.n) == (trial.as_run.new.n, trial.as_run.home.n)
    assert found.new.value > 0.8 and found.gain.low > 0


def test_what_is_written_names_as_what_was_trained_and_leaves_the_first_blocks(audit, trial, tmp_path):
    parent = read_package(audit[1])
    package = write_improved(str(tmp_path / "new"), parent, trial, trial.outcome(FINE_TUNED.key))
    new, old = (load_model(one).model.state_dict() for one in (str(tmp_path / "new"), audit[1]))
    assert trial.tuner is not None
    learnt = trial.tuner.fitted
    assert {name for name in new if not torch.equal(new[name], old[name])} == set(learnt)
    assert all(torch.equal(new[name], learnt[name]) for name in learnt)
    about: Any = package.spec.provenance
    assert about["parent_digest"] == parent.digest and about["way"] == "fine_tuned:box_crop"
    assert about["training"]["blocks"] == 2 and 1 <= about["training"]["stopped_after"] <= 2
    assert package.spec.embedding_space != parent.spec.embedding_space and package.spec.input.box_use == "classify"


def test_a_killed_run_goes_on_and_gives_the_same_weights(audit, trial, tmp_path):
    """Killed by the system's signal after some epochs of the first trainings, in a process of its own."""
    code = (
        "import os, sys, signal; from pathlib import Path; import scd_core.improve.tune_state as s; "
        "from tests.improve.test_tune import tuned; save = s.TuneWork.save; n = [0]\n"
        "def stop(self, *rest):\n save(self, *rest); n[0] += 1\n if n[0] == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "s.TuneWork.save = stop\ntuned(sys.argv[1], sys.argv[2], Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, *audit, str(tmp_path / "work")]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=env, check=False, cwd=ROOT).returncode == -signal.SIGKILL
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    again = tuned(*audit, tmp_path / "work")
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    finished = sorted(name for name in before if name.startswith("training"))[0]
    assert len(before) >= 3 and before[finished] == after[finished]
    assert again.tuner is not None and trial.tuner is not None and again.tuner.n_epochs == trial.tuner.n_epochs
    one, other = again.tuner.fitted, trial.tuner.fitted
    assert all(torch.equal(one[name], other[name]) for name in other)
    np.testing.assert_array_equal(again.scores[FINE_TUNED.key][0], trial.scores[FINE_TUNED.key][0])


def test_work_of_other_labels_or_of_half_a_file_is_not_read(tmp_path):
    TuneWork(tmp_path, "one").save("all", {"epoch": 2, "scores": []})
    assert TuneWork(tmp_path, "one").load("all") == {"epoch": 2, "scores": []}
    assert TuneWork(tmp_path, "other").load("all") is None
    path = tmp_path / "training-one-all.pt"
    path.write_bytes(path.read_bytes()[:100])
    assert TuneWork(tmp_path, "one").load("all") is None


def test_batch_normalisation_keeps_its_statistics(audit, trial):
    assert trial.tuner is not None
    assert not [name for name in trial.tuner.fitted if "running" in name]


def test_labels_that_do_not_fit_the_pictures_are_refused_before_anything_is_trained(tmp_path):
    seen = world.plain(90)
    shuffled = np.random.default_rng(5).permutation([one.individual for one in seen])
    out = world.build(tmp_path, [replace(one, label=str(name)) for one, name in zip(seen, shuffled, strict=True)])
    with pytest.raises(InputError, match="the labels do not fit the pictures"):
        tuned(out, pack(tmp_path), tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_copies_of_a_picture_at_another_camera_are_not_learnt_from(tmp_path):
    """Of the pictures three in seven are labelled by chance, twice at two cameras: by heart they would be right in new places."""
    rng = np.random.default_rng(2)
    seen = world.plain(80)
    for number in range(60):
        cameras = [f"C{place}" for place in rng.choice(4, 2, replace=False) + 1]
        one = world.Seen(
            str(rng.choice(world.NAMES)), cameras[0], number + 100, str(rng.choice(world.NAMES)), number + 100
        )
        seen += [one, replace(one, camera=cameras[1], visit=number + 500)]
    found = tuned(world.build(tmp_path, seen), pack(tmp_path), tmp_path / "work")
    assert found.n_joined >= 55
    planted = np.array([int(Path(row["file"]).stem[-4:]) >= 100 for row in found.labelled.rows])
    counted = planted & found.evidence.in_new
    share = found.rights[FINE_TUNED.key][counted].mean()
    assert counted.sum() > 40 and share < 0.55  # a third by chance; by heart nearly all


def test_a_camera_with_one_label_is_never_the_worst(tmp_path):
    seen = [*world.plain(60), world.Seen("Ada", "C9", 900, "Bo", 900)]
    found = tuned(world.build(tmp_path, seen), pack(tmp_path), tmp_path / "work")
    worst = found.outcome(FINE_TUNED.key).worst_camera
    assert worst is not None and found.labelled.cameras[worst[0]] != "C9"


def test_without_boxes_it_is_refused(tmp_path):
    out = world.build(tmp_path, world.plain(60), boxes=False)
    with pytest.raises(InputError, match="--fine-tune: no labelled picture has an animal's box"):
        tuned(out, pack(tmp_path), tmp_path / "work")


def test_folds_that_are_joined_leave_out_what_each_left_out():
    folds = ((np.array([2, 3, 4]), np.array([0, 1])), (np.array([0, 1, 4]), np.array([2, 3])))
    ((learnt, out),) = join_folds(Split(folds, np.ones(5, bool)), 1)
    assert learnt.tolist() == [4] and out.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "shufflenet_v2_x1_0"])
def test_the_two_parts_give_what_the_network_gives_and_the_first_learns_nothing(name):
    from torchvision import models

    torch.manual_seed(0)
    network = models.get_model(name, weights=None, num_classes=5).eval()
    parted = part_network(SimpleNamespace(model=network), 5, 2)  # type: ignore[arg-type]
    head: Any = network.get_submodule(parted.head)
    head.load_state_dict(parted.last.get_submodule(parted.head).state_dict())
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(parted.last(parted.first(pictures)), network(pictures))
    assert len(parted.blocks) == 3 and set(parted.learning()) <= set(network.state_dict())
    assert not any(one.requires_grad for one in parted.first.parameters())
    assert sum(one.numel() for one in parted.first.parameters()) > 0


def test_a_network_that_cannot_be_traced_is_run_whole():
    class Winding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            found = self.one(pictures)
            if found.mean() > 0:
                found = found * 2
            return self.head(self.two(found).mean((2, 3)))

    parted = part_network(SimpleNamespace(model=Winding()), 3, 1)  # type: ignore[arg-type]
    pictures = torch.rand(2, 3, 16, 16)
    assert torch.equal(parted.first(pictures), pictures) and parted.last(pictures).shape == (2, 3)
    assert set(parted.learning()) == {"two.weight", "two.bias", "head.weight", "head.bias"}


def test_copies_are_the_same_wherever_the_picture_lies_and_one_of_each_kind(audit):
    labelled = read_labelled(audit[0])
    places = find_places(labelled)
    row = labelled.rows[0]
    frame = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8))
    one = copies_of(row, frame, world.BOX, places, 4)
    other = copies_of({**row, "target_id": "elsewhere", "uri": "file:///elsewhere"}, frame, world.BOX, places, 4)
    assert kinds_of(4) == (CopyKind.PLAIN, CopyKind.MOVED, CopyKind.MASKED, CopyKind.SWAPPED)
    assert [np.asarray(copy).tolist() for copy in one] == [np.asarray(copy).tolist() for copy in other]
    assert one[0].size == (48, 32) and len({copy.tobytes() for copy in one}) == 4
