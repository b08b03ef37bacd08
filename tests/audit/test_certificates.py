"""Certificates of OUT: names change only where its labels show that this breaks few right ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scd_core.audit import read_table
from scd_core.audit.errors.certificates import CertificateRecord, certificate_words, read_certificates
from scd_core.audit.export.write import export_audit
from scd_core.audit.report.refresh import refresh_report_tables
from scd_core.tables.store import AuditStore
from tests.audit.audit_builder import START, AuditBuilder, label

SUGGESTED = "wrong.jpg"
ENOUGH = next(n for n in range(1, 1000) if 0.99**-n / 2 + (0.998 / 0.99) ** n / 2 >= 10)
"""Labels of right names without a broken one that the defaults need (tests/reclassify/test_certificate.py)."""


def audit(tmp_path: Path, n: int, broken: int = 0, *, per_visit: int = 1, unlabelled: int = 0) -> str:
    """An audit of `n` labelled right names, each of a visit of its own, and one wrong name for which another is suggested."""
    builder = AuditBuilder(tmp_path / "out", individuals=["Luna", "Nyx"])
    names = {SUGGESTED: "Luna"}
    builder.mask(builder.predict(SUGGESTED, "Nyx", at=START - timedelta(days=9)), "Luna", 0.97)
    for number in range(n + unlabelled):
        file, at = f"right{number:04d}.jpg", START + timedelta(days=number // per_visit)
        reason = "low_probability" if number < n // 2 or unlabelled == 0 else "small_margin"
        target = builder.predict(file, "Luna", event=f"e{number // per_visit}", at=at, flag_reasons=[reason])
        builder.mask(target, "Nyx" if number < broken else None, 0.97)
        if number < n:
            names[file] = "Luna"
    out = str(builder.write())
    label(out, tmp_path, names)
    return out


def outcome(out: str) -> tuple[str, str, bool, bool]:
    """Final and suggested name of the wrong picture, whether that is certified, and whether it counts as corrected."""
    refresh_report_tables(out)
    row = read_table(out, "errors").set_index("media_id").loc[f"id-{SUGGESTED}"]
    return row["final_id"], row["suggested_id"], row["is_certified"], row["is_recovered"]


def test_with_enough_labels_the_suggestion_is_the_final_name(tmp_path: Path) -> None:
    assert outcome(audit(tmp_path, ENOUGH)) == ("Luna", "Luna", True, True)


@pytest.mark.parametrize(
    ("n", "more"),
    [
        (ENOUGH - 1, {}),
        (ENOUGH + 50, {"broken": 2}),
        (ENOUGH + 50, {"per_visit": 2}),
        # Half of the labels are of a reason of which a tenth is labelled: each of the others stands for a tenth of them.
        (ENOUGH + 50, {"unlabelled": 9 * (ENOUGH + 50) // 2}),
    ],
    ids=["too few", "two broken", "two of each visit", "labelled unevenly"],
)
def test_otherwise_it_is_suggested_and_the_model_s_name_stays(tmp_path: Path, n: int, more: dict[str, int]) -> None:
    assert outcome(audit(tmp_path, n, **more)) == ("Nyx", "Luna", False, False)


def test_a_name_that_a_certified_suggestion_spoils_counts_as_broken_and_a_mere_suggestion_does_not(
    tmp_path: Path,
) -> None:
    for n, is_broken in ((50, False), (700, True)):
        (folder := tmp_path / str(n)).mkdir()
        out = audit(folder, n, broken=1)
        refresh_report_tables(out)
        row = read_table(out, "errors").set_index("media_id").loc["id-right0000.jpg"]
        assert (row["is_broken"], row["is_certified"], row["suggested_id"]) == (is_broken, is_broken, "Nyx")
        assert row["final_id"] == ("Nyx" if is_broken else "Luna")


def test_a_certificate_is_a_file_that_is_never_replaced_and_says_what_it_rests_on(tmp_path: Path) -> None:
    out = audit(tmp_path, 10)
    store = AuditStore(out)
    refresh_report_tables(out)
    (first,) = store.files("certificates")
    refresh_report_tables(out)
    assert store.files("certificates") == [first], "nothing has changed"
    before = store.get_file(first)
    more = AuditBuilder(out, "b2", individuals=["Luna", "Nyx"], finished=datetime(2026, 3, 3, tzinfo=UTC))
    more.mask(more.predict("more.jpg", "Luna", at=START + timedelta(days=5000)))
    more.write()
    label(out, tmp_path, {"more.jpg": "Luna"}, now=datetime(2026, 3, 4, tzinfo=UTC), name="more.csv")
    refresh_report_tables(out)
    assert len(store.files("certificates")) == 2
    assert store.get_file(first) == before
    (newest,) = read_certificates(store)
    assert (newest.n_labels, newest.model_digest) == (11, "m1")
    assert json.loads(before or b"")["n_labels"] == 10


@pytest.mark.parametrize(("n", "final"), [(10, "Nyx"), (ENOUGH, "Luna")])
def test_an_export_changes_only_names_that_are_certified(tmp_path: Path, n: int, final: str) -> None:
    out = audit(tmp_path, n)
    refresh_report_tables(out)
    export_audit(out, str(tmp_path / "export"), "megadetector")
    content = json.loads((tmp_path / "export" / "megadetector.json").read_text())
    (image,) = [image for image in content["images"] if image["file"].endswith(SUGGESTED)]
    names = content["classification_categories"]
    best = max(image["detections"][0]["classifications"], key=lambda pair: pair[1])
    assert names[best[0]] == final


def test_words_say_which_it_is_and_what_is_missing() -> None:
    record = CertificateRecord("m", None, 40, 0, 258, 0.01, 0.9)
    assert certificate_words(record) == (
        "suggested only: 40 labels of right names that were classified again, of which suggestions break 0; at least 258 more "
        "must show that it is at most 1\u202f%"
    )
    assert "certified on 412 labels" in certificate_words(CertificateRecord("m", 0.9, 412, 0, None, 0.01, 0.9))
    assert "no right name" in certificate_words(None)
