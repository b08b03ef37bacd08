"""The benchmark of calibration judges each picture by a temperature that has not seen it."""

from __future__ import annotations

import pytest
import torch

from benchmarks.real.calibration import held_out_quality
from scd_core.identify import load_model
from scd_core.scenes import packaged_model


def test_overconfident_logits_become_honest_on_held_out_pictures() -> None:
    classifier = load_model(str(packaged_model("clean")))
    draw = torch.Generator().manual_seed(1)
    honest = torch.randn(300, len(classifier.spec.labels), generator=draw) * 2
    truth = torch.multinomial(torch.softmax(honest, 1), 1, generator=draw)[:, 0].tolist()
    names = [classifier.spec.labels[place] for place in truth]
    scale = classifier.spec.temperature
    before, after = held_out_quality(classifier, honest * scale * 4, names)
    assert before.n == after.n == 300 and before.accuracy == after.accuracy
    assert after.log_loss < before.log_loss and after.ece < before.ece / 2
    plain, again = held_out_quality(classifier, honest * scale, names)
    assert again.log_loss == pytest.approx(plain.log_loss, abs=0.03), "what is honest stays so"
