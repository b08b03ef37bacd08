"""The woken flow hands its work on as asked; what it calls is tested where it lives."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import flows.audit_uploads as module
from scd_core import __version__
from scd_core.request import AuditRequest

REQUEST = AuditRequest(source="s3://cards", model="s3://m", out="s3://audit", report=False)


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    class Stub:
        def with_options(self, **_: Any) -> Any:
            return lambda *args, **kwargs: calls.append((args, kwargs))

    monkeypatch.setattr(module, "audit_batch", Stub())
    monkeypatch.setattr(module, "get_run_logger", lambda: logging.getLogger("run"))
    monkeypatch.setattr("flows.deployed.get_run_logger", lambda: logging.getLogger("run"))
    return calls


def test_the_event_is_a_wake_up_and_nothing_more(handed_on: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "run"):
        module.audit_uploads.fn(REQUEST, event={"prefix": "s3://cards/c1", "n_notifications": 3})
    module.audit_uploads.fn(REQUEST)
    assert handed_on == [((REQUEST,), {})] * 2
    assert "woken by 3 notifications of s3://cards/c1" in caplog.messages


def test_a_run_that_an_upload_woke_lists_closed_folders_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload may be in one, also where its event stands for those of others."""
    import flows.audit_batch as inner

    seen: list[AuditRequest] = []

    def prepare(request: AuditRequest) -> Any:
        seen.append(request)
        raise InterruptedError

    monkeypatch.setattr(inner, "prepare_job", prepare)

    class Stub:
        def with_options(self, **_: Any) -> Any:
            return inner.audit_batch.fn

    monkeypatch.setattr(module, "audit_batch", Stub())
    with pytest.raises(InterruptedError):
        module.audit_uploads.fn(REQUEST)
    with pytest.raises(InterruptedError):
        inner.audit_batch.fn(REQUEST)
    assert [request.all_prefixes for request in seen] == [True, False]


@pytest.mark.parametrize(("deployed", "warns"), [("0.0.1", True), (__version__, False), (None, False)])
def test_another_version_than_the_deployed_one_says_so(
    handed_on: list[Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, deployed: str, warns: bool
) -> None:
    monkeypatch.setattr("prefect.runtime.deployment.get_version", lambda: deployed)
    with caplog.at_level(logging.WARNING, "run"):
        module.audit_uploads.fn(REQUEST)
    assert any("run `trapaudit deploy` again" in line for line in caplog.messages) is warns
