"""Labels of a new package: numbers in front are refused, names given twice are said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from scd_core.errors import InputError
from scd_core.identify.architectures import build_network
from scd_core.identify.labels import check_labels


@pytest.mark.parametrize(
    "labels",
    [
        ["0 Luna", "1 Nyx"], ["1,Luna", "2,Nyx"], ["0: Luna", "1: Nyx"], ["1 Nyx", "0 Luna"], ["0\tLuna", "1\tNyx"],
        ["0. Luna", "1. Nyx"], ["id,name", "0,Luna", "1,Nyx"], ["10 a", *(f"{n} a" for n in range(10))],
    ],
)  # fmt: skip
def test_a_number_in_front_is_refused_with_what_to_write(labels: list[str]) -> None:
    with pytest.raises(InputError, match=r"begins with the number of its class .* write the names alone") as caught:
        check_labels(labels, [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [["12 Luna", "40 Nyx"], ["M1", "M2"], ["0", "1"], ["1 Luna", "1 Nyx"], ["7", "Luna 1", "2 Nyx"], ["Luna", "Nyx"]],
)
def test_names_that_hold_numbers_are_names(labels: list[str]) -> None:
    steps: list[str] = []
    check_labels(labels, steps)
    assert steps == []


def test_a_name_given_twice_is_said(tmp_path: Path, trapaudit: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    torch.save(build_network("scd_core/small_cnn", 3, {"width": 4}).state_dict(), tmp_path / "w.pth")
    given = ("model", "pack", tmp_path / "p", "--architecture", "scd_core/small_cnn", "--weights", tmp_path / "w.pth")
    more = ("--architecture-args", '{"width": 4}', "--labels", tmp_path / "labels.txt")
    (tmp_path / "labels.txt").write_text("a\na\nc\n")
    done = trapaudit(*given, *more)
    assert done.code == 0
    assert "classes that share a name count as one individual: `a` (2 classes)" in done.out
    (tmp_path / "labels.txt").write_text("0 a\n1 b\n2 c\n")
    done = trapaudit(*given[:2], tmp_path / "q", *given[3:], *more)
    assert done.code == 2 and "write the names alone, one a line ('a')" in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "q").exists()
