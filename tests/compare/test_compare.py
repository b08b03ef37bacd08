"""Two models side by side: pairs, their statistics, what gets worse, and the verdict with its exit code."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import stats

from scd_core.audit.compare.models import Comparison, Verdict, compare_models
from scd_core.audit.compare.paired import mcnemar, paired_counts, pairs_needed
from scd_core.audit.compare.pairs import find_model
from scd_core.audit.compare.sentences import comparison_lines
from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.improvements import ImprovementRecord, write_improvements
from scd_core.errors import InputError
from tests.audit.audit_builder import AuditBuilder, label, minutes

OLD, NEW = "aaaa1111", "bbbb2222"
NAMES = ["Luna", "Tara", "Nyx"]


def other(name: str) -> str:
    return NAMES[(NAMES.index(name) + 1) % 3]


def audit(
    folder: Path,
    kinds: Iterator[tuple[str, str]] | list[tuple[str, str]],
    n_unlabelled: int = 0,
    runs: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
    unlabelled: str = "u",
) -> str:
    """Two models over visits; a kind is what is right (``both``, ``old``, ``new``, ``neither``) and the camera."""
    out = folder / "audit"
    truths, kinds = {}, list(kinds)
    for number, (key, model) in enumerate((("b1", OLD), ("b2", NEW))):
        finished = datetime(2026, 3, 2 + number, tzinfo=UTC)
        builder = AuditBuilder(out, key, model, finished=finished, individuals=NAMES)
        builder.run = runs[number]
        for place, (kind, camera) in enumerate(kinds):
            true = NAMES[place % 3]
            is_right = kind == "both" or kind == ("old" if model == OLD else "new")
            at = minutes(60 * place)
            builder.predict(
                f"{place:03}.jpg", true if is_right else other(true), camera=camera, at=at, event=f"e{place}"
            )
            truths[f"{place:03}.jpg"] = true
        for place in range(n_unlabelled):
            name = "Luna" if model == OLD else "Tara"
            content = {"event": f"u{place}", "content_number": 1000 + place}
            builder.predict(f"{unlabelled}{place:03}.jpg", name, camera="C09", at=minutes(-60 * place - 60), **content)
        builder.write()
    label(out, folder, truths, now=datetime(2026, 3, 4, tzinfo=UTC))
    return str(out)


def of(n: int, kind: str, camera: str = "C01") -> list[tuple[str, str]]:
    return [(kind, camera)] * n


def compared(folder: Path, kinds: list[tuple[str, str]], n_unlabelled: int = 0) -> Comparison:
    return compare_models(audit(folder, kinds, n_unlabelled), "aaaa", "bbbb")


def test_mcnemar_is_the_binomial_test() -> None:
    for more, fewer in ((8, 1), (3, 3), (0, 5), (20, 7)):
        exact = stats.binomtest(more, more + fewer, 0.5, alternative="greater").pvalue
        assert float(mcnemar(more, fewer)) == pytest.approx(exact, abs=1e-12)


def test_the_interval_holds_the_true_difference() -> None:
    """Agresti and Min state coverage near the level; 2000 samples of 60 pairs with known cells are counted here."""
    rng = np.random.default_rng(5)
    cells = np.array([0.6, 0.05, 0.2, 0.15])
    held = 0
    for _ in range(2000):
        drawn = rng.choice(4, 60, p=cells)
        found = paired_counts(drawn >= 2, drawn % 2 == 1, np.ones(60))
        held += found.low <= 0.05 - 0.2 <= found.high
    assert 0.93 <= held / 2000 <= 0.98


def test_weights_make_rates_and_widen_the_interval() -> None:
    old, new = np.array([True, False, False, False] * 5), np.array([False, False, False, True] * 5)
    weight = np.array([10.0, 1.0, 1.0, 1.0] * 5)
    even, uneven = paired_counts(old, new, np.ones(20)), paired_counts(old, new, weight)
    assert even.difference == pytest.approx(0) and uneven.difference == pytest.approx(1 / 13 - 10 / 13)
    assert uneven.n_effective == pytest.approx(65**2 / (5 * 103)) and even.n_effective == pytest.approx(20)
    assert (uneven.only_old, uneven.only_new) == (5, 5), "counts stay counts"


def test_labels_needed_give_the_power_that_they_claim() -> None:
    needed = pairs_needed(2, 8)
    assert needed is not None
    share, whole = 8.5 / 11, needed + 10
    limit = next(k for k in range(whole + 1) if 2 * stats.binom.sf(k - 1, whole, 0.5) <= 0.05)
    assert 0.7 <= stats.binom.sf(limit - 1, whole, share) <= 0.92


def test_a_better_model_is_promoted(tmp_path: Path) -> None:
    found = compared(tmp_path, [*of(30, "both"), *of(14, "new"), *of(1, "old"), *of(4, "neither")])
    assert (found.visits.both, found.visits.only_old, found.visits.only_new, found.visits.neither) == (30, 1, 14, 4)
    assert found.verdict is Verdict.PROMOTE and found.last_line.startswith("promote: it errs less: -")
    assert found.visits.high < 0 and not found.worse


@pytest.mark.parametrize("is_recommended", [True, False])
def test_labels_that_improve_had_when_it_wrote_a_model_do_not_promote_it(tmp_path: Path, is_recommended: bool) -> None:
    out = audit(tmp_path, [*of(30, "both"), *of(14, "new"), *of(1, "old")], n_unlabelled=8)
    assert compare_models(out, OLD, NEW).verdict is Verdict.PROMOTE, "fixture"
    figures = (0.5, 0.9, 0.8, 1.0, 0.4, 0.3, 0.5)
    new = NEW if is_recommended else None
    record = ImprovementRecord(
        "i1", datetime(2026, 3, 3, tzinfo=UTC), OLD, new, "w", None, 20, *figures, written_digest=NEW
    )
    write_improvements(out, [record])
    before = compare_models(out, OLD, NEW)
    assert before.verdict is Verdict.PROMOTE and before.learnt_by == "", "labels were given after it was written"
    later = replace(record, improvement_id="i2", made_at=datetime(2026, 3, 5, tzinfo=UTC))
    write_improvements(out, [later])
    found = compare_models(out, OLD, NEW)
    assert (found.verdict, found.learnt_by, found.n_learnt) == (Verdict.LABEL_MORE, "new", 45)
    assert any("learnt from labels of 45 of these 45 visits" in line for line in comparison_lines(found))
    assert (found.visits.only_new, found.n_needed) == (14, 8)
    # As many visits again, labelled since: they alone decide.
    truths = {f"u{place:03}.jpg": "Tara" for place in range(8)}
    label(out, tmp_path, truths, name="since.csv", now=datetime(2026, 3, 6, tzinfo=UTC))
    since = compare_models(out, OLD, NEW)
    assert (since.verdict, since.n_learnt, since.visits.n) == (Verdict.PROMOTE, 45, 53)


def test_a_worse_model_is_not(tmp_path: Path) -> None:
    found = compared(tmp_path, [*of(30, "both"), *of(14, "old"), *of(1, "new")], n_unlabelled=5)
    assert found.verdict is Verdict.DO_NOT_PROMOTE and "it errs more: +" in found.reason and found.n_needed == 0


def test_a_camera_that_gets_worse_stops_a_better_model(tmp_path: Path) -> None:
    kinds = [*of(30, "both"), *of(40, "new"), *of(12, "old", "C02"), *of(4, "both", "C02")]
    found = compared(tmp_path, kinds)
    assert found.visits.high < 0 and found.verdict is Verdict.DO_NOT_PROMOTE
    assert found.reason.startswith("Camera C02") and "12 visits spoilt" in found.reason
    assert "Camera C01" in {one.title for one in found.better}


def test_a_few_spoilt_visits_at_one_of_many_cameras_prove_nothing(tmp_path: Path) -> None:
    """Five of five at one camera has p 1/32, which is no proof among the cameras, individuals and hours that are tested."""
    kinds = [*of(20, "both"), *of(5, "old", "C02")]
    kinds += [pair for n in range(3, 8) for pair in (*of(5, "new", f"C{n:02}"), *of(3, "both", f"C{n:02}"))]
    found = compared(tmp_path, kinds)
    assert not found.worse and found.verdict is Verdict.PROMOTE


def test_an_open_question_names_the_pictures_to_label(tmp_path: Path) -> None:
    found = compared(tmp_path, [*of(20, "both"), *of(4, "new"), *of(1, "old")], n_unlabelled=30)
    assert found.verdict is Verdict.LABEL_MORE and 0 < found.n_needed <= 30
    assert found.last_line.startswith(f"label {found.n_needed} more: ")
    assert {row["file"][0] for row in found.to_label} == {"u"} and len(found.to_label) == 30
    assert {(row["old_id"], row["new_id"]) for row in found.to_label} == {("Luna", "Tara")}
    nothing_left = compared(tmp_path / "b", [*of(20, "both"), *of(4, "new"), *of(1, "old")])
    assert nothing_left.verdict is Verdict.DO_NOT_PROMOTE and "no unlabelled picture" in nothing_left.reason


def test_the_order_of_pictures_to_label_is_that_of_their_content_not_of_their_address(tmp_path: Path) -> None:
    kinds = [*of(20, "both"), *of(4, "new"), *of(1, "old")]
    orders = [
        [
            row["file"][1:]
            for row in compare_models(audit(tmp_path / name, kinds, 30, unlabelled=name), OLD, NEW).to_label
        ]
        for name in ("u", "x")
    ]
    assert orders[0] == orders[1] != sorted(orders[0]) and len(orders[0]) == 30


def test_the_list_settles_the_comparison_and_leaves_the_rates(tmp_path: Path, trapaudit: Callable[..., Any]) -> None:
    out = audit(tmp_path, [*of(40, "both"), *of(3, "new"), *of(1, "old")], n_unlabelled=30)
    before = compare_models(out, OLD, NEW)
    assert trapaudit("compare", out, OLD, NEW, "--out", tmp_path / "list.csv").code == 4
    with (tmp_path / "list.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "named.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"individual_id": "Tara"} for row in rows)
    done = trapaudit("labels", "import", out, tmp_path / "named.csv", "--column", "individual_id")
    assert done.code == 0, done.err
    errors = derive_errors(out).to_pylist()
    listed = [row for row in errors if row["media_id"].startswith("id-u")]
    assert listed and all(row["event_weight"] is None for row in listed)
    after = compare_models(out, OLD, NEW)
    assert after.visits.only_new == 3 + len(rows) and after.verdict is Verdict.PROMOTE
    # Where nothing was drawn too often, the difference is that of the share that is named differently: 34 of 74 events.
    assert abs(after.visits.difference) <= 34 / 74 and after.visits.high < 0 < before.visits.high


def test_how_many_differences_are_labelled_does_not_move_the_difference() -> None:
    """100 visits, 20 of them named differently: labelled are all of these and a tenth of the others, or a tenth of all."""
    old = np.array([True] * 12 + [False] * 8 + [False] * 8)
    new = np.array([False] * 12 + [True] * 4 + [False] * 4 + [False] * 8)
    differ = np.array([True] * 20 + [False] * 8)
    found = paired_counts(old, new, np.ones(28), differ=differ, share=0.2)
    assert found.difference == pytest.approx(0.2 * (4 - 12) / 20)
    assert -0.2 <= found.low < found.difference < found.high <= 0.2


def test_systematic_errors_that_go_and_come(tmp_path: Path) -> None:
    kinds = [
        *of(40, "both"),
        *of(12, "new", "C02"),
        *of(2, "both", "C02"),
        *of(12, "old", "C03"),
        *of(2, "both", "C03"),
    ]
    found = compared(tmp_path, kinds)
    changes = {(one.title, one.change) for one in found.slices}
    assert {(title.split(",")[0], change) for title, change in changes} == {
        ("Camera C02", "gone"),
        ("Camera C03", "new"),
    }
    gone = next(one for one in found.slices if one.title == "Camera C02")
    assert (gone.n, gone.old_errors, gone.new_errors) == (14, 12, 0)


def test_pictures_of_one_model_alone_do_not_count(tmp_path: Path) -> None:
    out = audit(tmp_path, of(6, "both"))
    builder = AuditBuilder(out, "b3", NEW, individuals=NAMES)
    builder.predict("late.jpg", "Luna")
    builder.write()
    label(out, tmp_path, {"late.jpg": "Luna"}, name="late.csv")
    found = compare_models(out, OLD, NEW)
    assert (found.n_pictures, found.n_only_old, found.n_only_new) == (6, 0, 1)


def test_a_frame_and_its_one_box_are_a_pair(tmp_path: Path) -> None:
    for key, model, box in (("b1", OLD, None), ("b2", NEW, "0")):
        builder = AuditBuilder(tmp_path / "audit", key, model, individuals=NAMES)
        for place in range(3):
            builder.predict(f"{place}.jpg", "Luna", detection=box)
        builder.write()
    label(tmp_path / "audit", tmp_path, {f"{place}.jpg": "Luna" for place in range(3)})
    assert compare_models(str(tmp_path / "audit"), OLD, NEW).n_pictures == 3


def test_unknowns_and_calibration_of_each_side(tmp_path: Path) -> None:
    for key, model, name, sure in (("b1", OLD, "unknown", 0.5), ("b2", NEW, "Luna", 1.0)):
        builder = AuditBuilder(tmp_path / "audit", key, model, individuals=NAMES)
        for place in range(4):
            builder.predict(f"{place}.jpg", name, sure)
        builder.write()
    label(tmp_path / "audit", tmp_path, {f"{place}.jpg": "Luna" for place in range(4)})
    found = compare_models(str(tmp_path / "audit"), OLD, NEW)
    assert (found.old_side.n_called_unknown, found.old_side.n_splits, found.new_side.n_splits) == (4, 4, 0)
    assert found.old_side.calibration_error == pytest.approx(0.5) and found.new_side.calibration_error == pytest.approx(
        0
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("aaaa", "cccc", "cccc: not in this audit"), ("aaaa", OLD, "are one model"), ("a", "bbbb", "model a: not in")],
)
def test_models_that_are_not_two(tmp_path: Path, old: str, new: str, words: str) -> None:
    out = audit(tmp_path, of(3, "both"))
    with pytest.raises(InputError, match=words):
        compare_models(out, old, new)


def test_no_labelled_picture_of_both(tmp_path: Path) -> None:
    for key, model, file in (("b1", OLD, "a.jpg"), ("b2", NEW, "b.jpg")):
        builder = AuditBuilder(tmp_path / "audit", key, model, individuals=NAMES)
        builder.predict(file, "Luna")
        builder.write()
    label(tmp_path / "audit", tmp_path, {"a.jpg": "Luna"})
    with pytest.raises(InputError, match="no labelled picture was named by both models"):
        compare_models(str(tmp_path / "audit"), OLD, NEW)


def test_the_command_its_files_and_exit_codes(tmp_path: Path, trapaudit: Callable[..., Any]) -> None:
    out = audit(tmp_path, [*of(20, "both"), *of(4, "new"), *of(1, "old")], n_unlabelled=30)
    done = trapaudit("compare", out, "aaaa", "bbbb", "--out", tmp_path / "list.csv")
    assert done.code == 4 and done.out.splitlines()[-1].startswith("label ")
    with (tmp_path / "list.csv").open() as file:
        rows = list(csv.DictReader(file))
    n = int(done.out.splitlines()[-1].split()[1])
    assert len(rows) == n and rows[0]["individual_id"] == "" and rows[0]["review_queue"] == "compare"
    assert trapaudit("compare", out, "aaaa", "bbbb", "--out", tmp_path / "all.json").code == 4
    content = json.loads((tmp_path / "all.json").read_text())
    assert content["verdict"] == "label more" and content["visits"]["only_new"] == 4 and len(content["to_label"]) == 30
    better = audit(tmp_path / "better", [*of(30, "both"), *of(14, "new")])
    assert trapaudit("compare", better, "aaaa", "bbbb").code == 0
    worse = trapaudit("compare", better, "bbbb", "aaaa")
    assert worse.code == 3 and worse.out.splitlines()[-1].startswith("do not promote: ")
    refused = trapaudit("compare", out, "aaaa", "bbbb", "--out", tmp_path / "x.txt")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert trapaudit("compare", tmp_path / "nowhere", "aaaa", "bbbb").code == 2


@pytest.mark.parametrize("wanted", ["aaaa", "a" * 64, "table of names (ok.csv)", "ok.csv", "tab"])
def test_a_model_by_digest_or_name(wanted: str) -> None:
    assert find_model(two_named_models(), wanted).digest == "a" * 64


def test_a_beginning_that_fits_two_names_both() -> None:
    connection = two_named_models()
    connection.execute("INSERT INTO runs VALUES (?, ?, ?)", ["b" * 8 + "c" * 56, "jaguars v3", "2026-01-03"])
    for wanted in ("bbbbbb", "jaguars"):
        with pytest.raises(
            InputError, match=rf"model {wanted}: fits several \(jaguars v3 b.*; jaguars v2 b.*give more of"
        ):
            find_model(connection, wanted)


@pytest.mark.parametrize("wanted", ["", "o", "ok", "aaa"])
def test_too_little_of_a_name_means_no_model(wanted: str) -> None:
    with pytest.raises(InputError, match="not in this audit; it has table of names"):
        find_model(two_named_models(), wanted)


def two_named_models() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE runs (model_digest VARCHAR, model_name VARCHAR, finished_at TIMESTAMP)")
    runs = [("a" * 64, "table of names (ok.csv)", "2026-01-02"), ("b" * 64, "jaguars v2", "2026-01-01")]
    connection.executemany("INSERT INTO runs VALUES (?, ?, ?)", runs)
    return connection
