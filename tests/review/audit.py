"""A small audit for the review's tests, and a client of its interface."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from deployments.review.app import create_app
from scd_core.audit.query.connection import run_sql
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.audit.review.session import ReviewSession
from tests.audit.audit_builder import START, AuditBuilder, label

__all__ = ["TOKEN", "client", "label_rows", "make_audit", "post"]

TOKEN = "token-of-a-test"
NAMES = ["Luna", "Nyx", "Odin", "Tara"]


def make_audit(folder: Path, out: str | None = None) -> str:
    """OUT, in a folder or at an address, with a report.

    240 events at four cameras, of which a third is labelled; at C03 most of Odin is called Nyx. Beside them two pictures with
    two boxes each, a group of unknowns, and an event of three frames; some are flagged.
    """
    audit = AuditBuilder(out or folder / "out", individuals=NAMES)
    truths = {}
    for number in range(240):
        camera, true = f"C0{number % 4}", NAMES[number // 4 % 4]
        name = "Nyx" if camera == "C03" and true == "Odin" else true
        at = START + timedelta(hours=3 * number)
        file = f"{camera}/{number:03}.jpg"
        flags = ["small_margin"] if number % 5 == 0 else []
        audit.predict(
            file, name, 0.6 + number % 4 / 10, camera=camera, at=at, runner_up=("Luna", 0.2), flag_reasons=flags
        )
        if number % 3 == 0 or (camera == "C03" and number < 180):
            truths[file] = true
    for number in range(3):
        audit.predict(f"event/{number}.jpg", "Tara", event="e-three", at=START + timedelta(days=140, seconds=number))
    for number in range(2):
        file = f"boxes/{number}.jpg"
        for box in range(2):
            place = {"bbox_x_min": 0.5 * box, "bbox_y_min": 0.2, "bbox_width": 0.4, "bbox_height": 0.5}
            at = START + timedelta(days=150 + number)
            audit.predict(
                file, NAMES[box], detection=str(box), new_media=box == 0, **place, **({"at": at} if not box else {})
            )
    for number in range(3):
        at = START + timedelta(days=160 + number)
        audit.predict(f"new/{number}.jpg", "unknown", at=at, candidate_id="candidate-1", review_rank=1)
    for number, row in enumerate(audit.tables["media"]):
        # Pictures that are gone from SOURCE; of some not even the size is known.
        row |= {"uri": f"file://{folder}/cards/{row['file']}", "etag": "1", "size_bytes": 1000}
        row |= {"width": 4000, "height": 3000} if number % 2 else {}
    out = str(audit.write())
    label(out, folder, truths, labelled_by="first")
    refresh_report_tables(out)
    return out


def client(out: str, who: str = "ana", **more: Any) -> TestClient:
    """Who asks the interface of a server of their own, as their browser would."""
    app = create_app(out, None, who, TOKEN, **more)
    return TestClient(app, base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {TOKEN}"})


def session_of(caller: TestClient) -> ReviewSession:
    """The review behind a client."""
    found = caller.app.state.session  # type: ignore[attr-defined]
    assert isinstance(found, ReviewSession)
    return found


def post(caller: TestClient, target_id: str, name: str, status: int = 200, **more: Any) -> dict[str, Any]:
    """Answer one target."""
    given = {"state": name} if name in ("unknown", "blank", "unclear") else {"individual_id": name}
    answer = caller.post("/api/labels", json=[{"target_id": target_id, **given, **more}])
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def label_rows(out: str, where: str = "label_source = 'review'") -> list[dict[str, Any]]:
    """Rows of the table `labels`, in the order in which they were written."""
    return (
        run_sql(out, f"SELECT * FROM labels WHERE {where} ORDER BY imported_at, label_id").to_arrow_table().to_pylist()
    )
