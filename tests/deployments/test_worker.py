"""A worker that is not what it was thought to be: no GPU, a GPU this build does not support, another version's parameters."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from prefect.exceptions import ParameterTypeError

import flows.audit_batch as module
from flows.audit_uploads import audit_uploads
from flows.nightly_audit import nightly_audit
from scd_core.errors import RunError
from scd_core.scenes import packaged_model


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Parameters of an audit of one file; nothing of it may be looked at."""
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("run"))
    monkeypatch.setattr(
        module, "list_job", lambda *_, **__: pytest.fail("SOURCE was listed before the device was known")
    )
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "a.jpg").write_bytes(b"x")
    return {"source": str(tmp_path / "card"), "model": str(packaged_model("shortcut")), "out": str(tmp_path / "audit")}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_worker_without_the_gpu_it_was_promised_fails_at_once(card: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"device cuda: cannot compute \(.+\); set classify.device to cpu") as caught:
        module.audit_batch.fn(**card, config={"classify": {"device": "cuda"}})
    assert "\n" not in str(caught.value)
    assert not list(Path(card["out"]).rglob("*.parquet"))


def test_a_gpu_that_this_build_does_not_support_fails_at_once(
    card: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `auto` too: a run on the CPU would take days without a word, and every image would "fail" on the GPU."""
    real = torch.ones

    def ones(*size: int, device: Any = None) -> torch.Tensor:
        if torch.device(device or "cpu").type == "cuda":
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with ...")
        return real(*size)

    monkeypatch.setattr(torch, "ones", ones)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(RunError, match="no kernel image is available for execution on the device") as caught:
        module.audit_batch.fn(**card)
    assert "install a torch build for this GPU" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(Path(card["out"]).rglob("*.parquet"))


@pytest.mark.parametrize("flow", [nightly_audit, audit_uploads])
def test_parameters_of_another_version_fit_or_are_refused(flow: Any) -> None:
    """What an older deployment holds is checked by Prefect against the code that runs, before anything is done."""
    old = {"source": "s3://cards", "model": "s3://m", "out": "s3://audit"}
    assert flow.validate_parameters(old)["runner"] == "threads"
    with pytest.raises(ParameterTypeError, match="runner"):
        flow.validate_parameters({**old, "runner": "dask"})
    from prefect.exceptions import SignatureMismatchError
    from prefect.utilities.callables import get_call_parameters

    with pytest.raises((SignatureMismatchError, TypeError)):
        get_call_parameters(flow.fn, (), {**old, "gone_since": 3})
