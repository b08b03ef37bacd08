"""What `improve` expected: named on the card of its camera while it holds, and held against later labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scd_core.audit import connect
from scd_core.audit.improvements import ImprovementRecord, read_improvements, write_improvements
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import AuditBuilder, label, minutes

DAY = datetime(2026, 3, 4, tzinfo=UTC)
RECORD = ImprovementRecord("i1", DAY, "m1", "m2", "logistic:box_crop", "C03", 24, 0.3, 0.88, 0.79, 0.94, 0.58, 0.3, 0.8)


def build(folder, model: str, names, n: int = 120):
    """One card; at C03 the first model calls nearly everyone Nyx."""
    builder = AuditBuilder(folder / "out", f"b-{model}", model, finished=DAY, individuals=["Luna", "Nyx", "Tom"])
    truth = {}
    for number in range(n):
        camera, true = f"C{number % 4:02d}", ("Luna", "Nyx", "Tom")[number // 4 % 3]
        file = f"{camera}/{number:03d}.jpg"
        truth[file] = true
        builder.predict(file, names(camera, true), 0.8, camera=camera, at=minutes(90 * number))
    builder.write()
    return builder.out, truth


@pytest.fixture
def out(tmp_path):
    out, truth = build(tmp_path, "m1", lambda camera, true: "Nyx" if camera == "C03" else true)
    label(out, tmp_path, truth, labelled_by="ana")
    return out


def advice(out: str) -> dict[str, str]:
    """What to do about each camera alone."""
    _, slices, _ = refresh_report_tables(out)
    rows = [row for row in slices.to_pylist() if dict(row["slice"]).keys() == {"camera_id"}]
    return {dict(row["slice"])["camera_id"]: row["what_to_do"] for row in rows if row["what_to_do"]}


def test_without_a_run_of_improve_nothing_is_claimed(out):
    found = advice(out)
    assert "C03" in found and "better model" not in found["C03"]
    with connect(out) as audit:
        assert audit.sql("FROM improvements").fetchall() == []


def test_the_card_names_the_better_model_with_what_it_is_expected_to_do(out):
    before = advice(out)["C03"]
    write_improvements(out, [replace(RECORD, camera_id=None), RECORD])
    found = advice(out)["C03"].replace("\u202f", " ")
    assert found.startswith(before.replace("\u202f", " "))
    assert "88 % (79 % to 94 %) of visits of individuals new to camera C03 instead of 30 %, by 24 visits" in found
    assert found.endswith("`trapaudit improve OUT --model MODEL --write NEW`")


@pytest.mark.parametrize(
    "change",
    [
        {"gain_low": -0.01},
        {"camera_id": "C02"},
        {"camera_id": None},
        {"model_digest": "another"},
        {"way": None},
    ],
    ids=["gain of chance", "other camera", "no camera", "other model", "nothing better"],
)
def test_a_claim_that_does_not_hold_is_not_printed(out, change):
    write_improvements(out, [replace(RECORD, **change)])
    assert "better model" not in advice(out)["C03"]


@pytest.mark.parametrize("way", ["recommended", "not recommended", "tried again"])
def test_a_package_in_use_is_not_suggested_again_for_the_errors_that_it_was_made_for(out, tmp_path, way):
    """Most pictures have names of the first model still, and the cards went on with the command that had been run."""
    written = replace(RECORD, written_digest="m2")
    write_improvements(out, [written if way != "not recommended" else replace(written, new_model_digest=None)])
    if way == "tried again":
        write_improvements(out, [replace(RECORD, improvement_id="i2", new_model_digest=None)])
    assert "better model" in advice(out)["C03"]
    for model, day in (("m2", 1), ("m1", 2)):
        later = AuditBuilder(out, f"later-{model}", model, finished=DAY + timedelta(days=day), individuals=["Luna"])
        later.predict(f"C03/later-{model}.jpg", "Luna", 0.8, camera="C03", at=minutes(20_000 + day))
        later.write()
        assert ("better model" in advice(out)["C03"]) == (model == "m1"), "the first model may be in use again"


def test_only_the_newest_run_counts(out):
    write_improvements(out, [RECORD])
    write_improvements(out, [replace(RECORD, improvement_id="i2", way=None)])
    assert [one.improvement_id for one in read_improvements(AuditStore(out))] == ["i1", "i2"]
    assert "better model" not in advice(out)["C03"]


def test_later_labels_show_whether_it_came_true(tmp_path):
    out, truth = build(tmp_path, "m1", lambda camera, true: "Nyx" if camera == "C03" else true)
    early = {file: name for file, name in truth.items() if not file.startswith("C03") or name == "Luna"}
    label(out, tmp_path, early, labelled_by="ana")
    refresh_report_tables(out)
    write_improvements(out, [RECORD])
    with connect(out) as audit:
        assert audit.sql("SELECT n_measured, measured_rate FROM improvements").fetchall() == [(0, None)]
    build(tmp_path, "m2", lambda camera, true: "Luna" if true == "Tom" else true)
    late = {file: name for file, name in truth.items() if file not in early}
    label(out, tmp_path, late, now=DAY + timedelta(days=1), labelled_by="ana", name="late.csv")
    refresh_report_tables(out)
    with connect(out) as audit:
        found = audit.sql("SELECT n_measured, measured_rate, measured_gain FROM improvements").fetchall()
    # Nyx and Tom had no label at C03 before; the new model names the one rightly, the other not.
    n, rate, gain = found[0]
    assert n == len(late) and rate == pytest.approx(0.5) and gain == pytest.approx(0.2)
