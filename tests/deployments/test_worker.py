"""A worker that is not what it was thought to be: no GPU, a GPU this build does not support, another version's parameters."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from prefect.exceptions import ObjectAlreadyExists, ParameterTypeError

import flows.audit as module
from flows.audit_batch import audit_batch
from flows.audit_uploads import audit_uploads
from flows.nightly_audit import nightly_audit
from scd_core.errors import RunError
from scd_core.scenes import packaged_model
from tests.services.audits import request_of


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Parameters of an audit of one file; nothing of it may be read."""
    monkeypatch.setattr("flows.flow_progress.get_run_logger", lambda: logging.getLogger("run"))
    monkeypatch.setattr(
        module, "list_job", lambda *_, **__: pytest.fail("SOURCE was listed before the device was known")
    )
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "a.jpg").write_bytes(b"x")
    return {"source": str(tmp_path / "card"), "model": str(packaged_model("shortcut")), "out": str(tmp_path / "audit")}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_worker_without_the_gpu_it_was_promised_fails_at_once(card: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"device cuda: cannot compute \(.+\); set classify.device to cpu") as caught:
        audit_batch.fn(request_of(**card, settings={"classify": {"device": "cuda"}}))
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
        audit_batch.fn(request_of(**card))
    assert "install a torch build for this GPU" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(Path(card["out"]).rglob("*.parquet"))


@pytest.mark.parametrize("flow", [nightly_audit, audit_uploads])
def test_parameters_of_another_version_fit_or_are_refused(flow: Any) -> None:
    """What an older deployment holds is checked by Prefect against the code that runs, before anything is done."""
    old = {"source": "s3://cards", "model": "s3://m", "out": "s3://audit"}
    assert flow.validate_parameters({"request": old})["request"].runner == "threads"
    for wrong in ({"runner": "dask"}, {"gone_since": 3}, {"settings": {"masks": {"gone": 1}}}):
        with pytest.raises(ParameterTypeError, match=next(iter(wrong))):
            flow.validate_parameters({"request": old | wrong})
    from prefect.exceptions import SignatureMismatchError
    from prefect.utilities.callables import get_call_parameters

    with pytest.raises((SignatureMismatchError, TypeError)):
        get_call_parameters(flow.fn, (), {"request": old, "gone_since": 3})


def test_two_runs_that_make_the_limit_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second to ask finds none, and is refused when it makes one: the first one's will do."""
    import flows.deployed as deployed

    class Client:
        def __enter__(self) -> Client:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def upsert_global_concurrency_limit_by_name(self, name: str, limit: int) -> None:
            asked.append((name, limit))
            raise ObjectAlreadyExists(Exception("409"))

    @contextmanager
    def concurrency(name: str, **options: Any) -> Iterator[None]:
        assert options["strict"] and options["occupy"] == 1
        taken.append(name)
        yield

    asked: list[tuple[str, int]] = []
    taken: list[str] = []
    monkeypatch.setattr(deployed, "get_client", lambda sync_client: Client())
    monkeypatch.setattr(deployed, "concurrency", concurrency)
    monkeypatch.setattr(deployed, "get_run_logger", lambda: logging.getLogger("run"))
    with deployed.alone_on("s3://cards/2026"):
        assert taken == []  # no deployment, no server to ask
    monkeypatch.setattr("prefect.runtime.deployment.get_id", lambda: "d1")
    with deployed.alone_on("s3://cards/2026"):
        assert [name for name, _ in asked] == taken == [deployed.limit_of("s3://cards/2026/")]


def test_the_name_of_a_limit_is_readable_and_one_for_each_source() -> None:
    from flows.deployed import limit_of

    places = ["s3://cards/2026", "s3://cards-2026", "s3://cards/2026 (b)", "/data/cards/2026", "s3://" + "x" * 300]
    names = [limit_of(place) for place in places]
    assert len(set(names)) == len(places)
    assert names[0].startswith("trapaudit-source-cards-2026-")
    assert all(re.fullmatch(r"[a-zA-Z0-9-]{10,100}", name) for name in names)
