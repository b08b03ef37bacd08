"""What the benchmark of the gradient counts."""

from __future__ import annotations

from typing import Any

from benchmarks.real.evidence import count_evidence


def _row(predicted: str, probability: float, reasons: list[str], **more: Any) -> dict[str, Any]:
    start = {"individual_id": "appy", "home_of": "leo", "is_shifted": "true", "cause": None, "gradient_region": "box"}
    given = {
        "predicted_id": predicted,
        "probability": probability,
        "flag_reasons": reasons,
        "is_flagged": bool(reasons),
    }
    return start | {"gradient_outside": 0.1} | given | more


def test_flags_with_the_reason_without_it_and_by_probability_alone() -> None:
    rows = [
        _row("leo", 0.95, ["evidence_outside", "cut_by_budget"], cause="background"),
        _row("leo", 0.4, ["low_probability", "cut_by_budget"], cause="confusable_pair"),
        _row("mina", 0.9, [], cause="background"),
        _row("appy", 0.3, []),
        _row("appy", 0.99, [], gradient_outside=0.9),
        _row("appy", 0.99, [], gradient_outside=0.9, is_shifted="false"),
        _row("appy", 0.99, [], gradient_outside=float("nan"), gradient_region="flat"),
    ]
    found = count_evidence(rows)
    assert (found["home_errors"], found["other_errors"], found["errors"]) == (2, 1, 3)
    assert (found["flagged"], found["errors_flagged"]) == (2, 2)
    assert (found["flagged_before"], found["errors_flagged_before"]) == (1, 1)
    assert found["errors_by_probability"] == 1  # the two least sure: one of them is right
    assert (found["home_explained"], found["home_look_alike"], found["other_explained"]) == (1, 1, 1)
    assert (found["by_animal"], found["by_animal_outside"]) == (3, 1)
