"""The page names `trapaudit improve` where it could mend a systematic error and nobody has run it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scd_core.audit import connect
from scd_core.audit.improvements import write_improvements
from scd_core.audit.report import write_report
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.config import AuditConfig
from scd_core.names import Cause
from tests.audit.audit_builder import AuditBuilder, label, minutes
from tests.audit.test_improvements import RECORD

NAMES = ("Luna", "Nyx", "Tom", "Mara", "Orso")
SENTENCE = "What a better model would gain is not known yet"


def misnamed(folder: Path, called: Callable[[str, str], str], **at_c03: float) -> tuple[str, dict[str, str]]:
    """OUT of 240 pictures of five animals at six cameras, and who is on each."""
    builder = AuditBuilder(folder / "out", model="m1", individuals=list(NAMES))
    truth = {}
    for number in range(240):
        camera, true = f"C{number % 6:02d}", NAMES[number // 6 % 5]
        truth[f"{camera}/{number:03d}.jpg"] = true
        described = at_c03 if camera == "C03" else {}
        builder.predict(
            f"{camera}/{number:03d}.jpg", called(camera, true), 0.8, camera=camera, at=minutes(90 * number), **described
        )
    return builder.write(), truth


@pytest.fixture
def out(tmp_path: Path) -> str:
    """At C03 the model calls four others Nyx."""
    out, truth = misnamed(tmp_path, lambda camera, true: "Nyx" if camera == "C03" else true)
    label(out, tmp_path, truth, labelled_by="ana")
    return out


def page(out: str) -> str:
    refresh_report_tables(out)
    write_report(out, AuditConfig())
    return (Path(out) / "report" / "index.html").read_text("utf-8")


def causes(out: str) -> set[str]:
    with connect(out) as audit:
        found = audit.sql(
            "SELECT DISTINCT cause FROM error_slices WHERE is_systematic AND folded_into IS NULL"
        ).fetchall()
    return {cause for (cause,) in found}


def test_it_is_named_until_it_was_run_with_this_model(out):
    assert SENTENCE in page(out)
    assert causes(out) == {Cause.PLACE}
    write_improvements(out, [replace(RECORD, model_digest="another")])
    assert SENTENCE in page(out)
    write_improvements(out, [replace(RECORD, improvement_id="i2", way=None)])
    assert SENTENCE not in page(out)


@pytest.mark.parametrize("changes", [{}, {"new_model_digest": None, "written_digest": "m2"}], ids=["advised", "other"])
def test_it_is_not_named_while_a_package_that_improve_wrote_is_in_use(out, changes):
    """To improve it once more praises it by its own labels: the model that it was made of is to be improved instead."""
    later = AuditBuilder(out, "b2", "m2", finished=datetime(2026, 3, 9, tzinfo=UTC), individuals=list(NAMES))
    later.predict("C03/later.jpg", "Luna", 0.8, camera="C03", at=minutes(30_000))
    later.write()
    assert SENTENCE in page(out)
    write_improvements(out, [replace(RECORD, **changes)])
    assert SENTENCE not in page(out)


def test_it_is_not_named_where_no_error_is_systematic(tmp_path):
    out, truth = misnamed(tmp_path, lambda camera, true: true)
    label(out, tmp_path, truth, labelled_by="ana")
    assert SENTENCE not in page(out)


def test_it_is_not_named_where_the_cause_is_a_poor_picture(tmp_path):
    """Dark pictures are misnamed, each animal as the next: no training is said to mend that."""
    following = dict(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True))
    out, truth = misnamed(tmp_path, lambda camera, true: following[true] if camera == "C03" else true, brightness=0.03)
    label(out, tmp_path, truth, labelled_by="ana")
    found = page(out)
    assert causes(out) == {Cause.IMAGE_QUALITY}
    assert SENTENCE not in found
