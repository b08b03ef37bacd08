"""The parts of adapting a camera: the loss, what changes in the network, the estimate without labels, and the verdict."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from scd_core.identify import load_model
from scd_core.identify.class_means import fit_class_means
from scd_core.identify.classifier import Classifier
from scd_core.improve import cameras
from scd_core.improve.adapting import Anchors, adapt, alignment_loss, why_not_adapted
from scd_core.improve.cameras import judge_camera
from scd_core.improve.disagreement import DROPPED, expected_right
from tests.improve import world


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return load_model(world.pack(tmp_path_factory.mktemp("adapting")))


def anchors_of(n_known: int) -> Anchors:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(n_known), 40)
    features = rng.normal(0, 1, (len(truth), 128)) + truth[:, None]
    return Anchors.of(fit_class_means(features, truth, 3))


def test_the_loss_is_the_papers_ratio_by_hand() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 30)
    learnt = rng.normal(0, 1, (90, 4)) * [1, 2, 3, 4] + truth[:, None]
    means = fit_class_means(learnt, truth, 4)
    inverse = np.linalg.inv(means.scatter.T @ means.scatter + means.level * np.eye(4))
    x, named = rng.normal(1, 1, (5, 4)), [0, 1, 2, 1, 0]
    expected = []
    for one, name in zip(x, named, strict=True):
        far = [(one - means.means[c]) @ inverse @ (one - means.means[c]) for c in range(3)]
        expected.append(np.log(far[name] / (sum(far) - far[name])))
    found = alignment_loss(torch.from_numpy(x).float(), torch.tensor(named), Anchors.of(means))
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-4)


def test_a_picture_whose_name_nobody_labelled_does_not_count() -> None:
    anchors = anchors_of(2)
    x = torch.randn(4, 128, generator=torch.Generator().manual_seed(0))
    both = alignment_loss(x, torch.tensor([0, 1, 2, 2]), anchors)
    torch.testing.assert_close(both, alignment_loss(x[:2], torch.tensor([0, 1]), anchors))
    assert float(alignment_loss(x, torch.tensor([2, 2, 2, 2]), anchors)) == 0


def test_only_scales_and_shifts_of_batch_norm_change(classifier: Classifier) -> None:
    before = {name: value.clone() for name, value in classifier.model.state_dict().items()}
    inputs = torch.randn(40, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    network = adapt(classifier, inputs, anchors_of(3))
    norms = {name for name, one in network.named_modules() if isinstance(one, nn.BatchNorm2d)}
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and changed <= {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
    assert all(torch.equal(value, before[name]) for name, value in classifier.model.state_dict().items())
    assert not network.training and not any(one.requires_grad for one in network.parameters())


def test_a_network_without_batch_norm_cannot_be_adapted() -> None:
    spec = SimpleNamespace(program=None, architecture="x")
    plain: Any = SimpleNamespace(spec=spec, has_gallery=False, model=nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2)))
    assert "no batch norm" in (why_not_adapted(plain) or "")
    gallery: Any = SimpleNamespace(spec=spec, has_gallery=True, model=plain.model)
    assert "gallery" in (why_not_adapted(gallery) or "")
    program: Any = SimpleNamespace(spec=SimpleNamespace(program="onnx", architecture="onnx"), has_gallery=False)
    assert "program" in (why_not_adapted(program) or "")


class _Softmax:
    names = ("a", "b", "c", "d")

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.softmax(logits.double(), 1)


def _head(weight: torch.Tensor) -> nn.Linear:
    head = nn.Linear(weight.shape[1], len(weight), bias=False)
    head.weight.data = weight
    return head


def test_agreement_of_even_names_is_believed_and_of_one_name_is_not() -> None:
    softmax: Any = _Softmax()
    sure = torch.eye(4).repeat(25, 50) * 3  # each name by 50 features: none falls when some of them are dropped
    assert expected_right(softmax, sure, _head(torch.eye(4).repeat(1, 50))) == pytest.approx(1, abs=0.01)
    one_name = torch.eye(4)[:1].repeat(100, 1) + 0.1
    assert expected_right(softmax, one_name, _head(torch.eye(4) * 40)) == pytest.approx(1 / 4, abs=0.01)


def test_the_estimate_without_labels_is_the_formula_by_hand() -> None:
    softmax: Any = _Softmax()
    features, head = torch.randn(30, 6, generator=torch.Generator().manual_seed(3)), _head(torch.randn(4, 6))
    draws = torch.Generator().manual_seed(7)
    with torch.no_grad():
        own = head(features).argmax(1)
        dropped = [
            head(features * (torch.rand(30, 6, generator=draws) >= DROPPED) / (1 - DROPPED)).softmax(1)
            for _ in range(10)
        ]
    differs = np.mean([(one.argmax(1) != own).float().mean().item() for one in dropped])
    mean = torch.stack(dropped).mean((0, 1)).numpy()
    error = differs / (-(mean * np.log(mean)).sum() / np.log(4)) ** 3
    assert expected_right(softmax, features, head, seed=7) == pytest.approx(1 - min(0.75, error), abs=1e-3)


def controls(n: int, won: int, lost: int) -> tuple[np.ndarray, ...]:
    before, after = np.zeros(n, bool), np.zeros(n, bool)
    after[:won], before[won : won + lost] = True, True
    return before, after, np.arange(n), np.arange(n) % 10


def test_more_cameras_need_more_controls() -> None:
    assert judge_camera(*controls(30, 12, 0), n_cameras=1).is_recommended
    few = judge_camera(*controls(30, 8, 0), n_cameras=9)
    assert not few.is_recommended and few.n_more is not None and 0 < few.n_more < 60
    enough = judge_camera(*controls(30 + few.n_more, 8 * (30 + few.n_more) // 30, 0), n_cameras=9)
    assert enough.gain.n_won >= 10


def test_a_camera_of_two_animals_can_be_recommended() -> None:
    before, after, group, _ = controls(30, 20, 0)
    assert judge_camera(before, after, group, group % 2, n_cameras=9).is_recommended


def test_adapting_that_harms_or_does_nothing_is_not_recommended() -> None:
    for won, lost in ((0, 20), (0, 0), (9, 9)):
        judged = judge_camera(*controls(60, won, lost), n_cameras=1)
        assert not judged.is_recommended and judged.n_more is None


def test_fewer_controls_than_least_are_never_enough() -> None:
    for n_cameras in (1, 4, 9, 40):
        least = cameras.least_controls(n_cameras)
        n = least - 1
        assert not judge_camera(*controls(n, n, 0), n_cameras=n_cameras).is_recommended


def test_chance_is_recommended_in_less_than_one_table_in_a_hundred() -> None:
    """Adapting that wins as many controls as it loses, at nine cameras with 40 controls each: 300 tables."""
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(300):
        for _ in range(9):
            before, after = rng.random((2, 40)) < 0.6
            found += judge_camera(before, after, np.arange(40), rng.integers(0, 8, 40), 9).is_recommended
    assert found <= 6  # 3 are expected at most; more than 6 have a probability of .03
