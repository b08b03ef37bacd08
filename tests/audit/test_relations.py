"""Errors among related species are told apart, and a roll-up is no error: in rows, on the page, in a slice's sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit import read_table
from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.report.related import relation_sentences
from scd_core.inputs.taxonomy import lineages_of
from tests.audit.audit_builder import AuditBuilder, label, minutes
from tests.inputs.test_taxonomy import LABELS

NAMES = [
    ("leopard", "leopard", "correct", None),
    ("leopard", "cat family", "correct", "less_exact"),
    ("cat family", "leopard", "correct", "more_exact"),
    ("Panthera pardus", "leopard", "correct", "same"),
    ("leopard", "lion", "shift", "genus"),
    ("leopard", "common buzzard", "shift", "apart"),
    ("leopard", "Bigfoot", "shift", None),
    ("leopard", "unknown", "split", None),
    ("snow leopard", "leopard", "combination", None),
    ("blank", "animal", "combination", None),
]


def audit(folder: Path, names: list[tuple[str, str]], *, is_placed: bool = True) -> str:
    builder = AuditBuilder(folder / "audit", individuals=[*LABELS, "Bigfoot"])
    if is_placed:
        builder.run = {"lineages": list(lineages_of(LABELS.items()).items())}
    for place, (_, called) in enumerate(names):
        builder.predict(f"{place:02}.jpg", called, at=minutes(60 * place))
    builder.write()
    label(folder / "audit", folder, {f"{place:02}.jpg": true for place, (true, _) in enumerate(names)})
    return str(folder / "audit")


def test_rows_of_errors_have_the_relation(tmp_path: Path) -> None:
    rows = derive_errors(audit(tmp_path, [pair[:2] for pair in NAMES])).sort_by("target_id").to_pylist()
    assert [(row["true_id"], row["predicted_id"], row["error_type"], row["relation"]) for row in rows] == NAMES


@pytest.mark.parametrize(("is_placed", "doubted"), [(True, ["01.jpg"]), (False, ["00.jpg", "01.jpg"])])
def test_a_roll_up_is_no_other_name_of_an_event(is_placed: bool, doubted: list[str], tmp_path: Path) -> None:
    builder = AuditBuilder(tmp_path / "audit", individuals=[*LABELS])
    builder.run = {"lineages": list(lineages_of(LABELS.items()).items())} if is_placed else {}
    builder.predict("00.jpg", "cat family", event="e", event_predicted_id="leopard")
    builder.predict("01.jpg", "lion", event="e", event_predicted_id="leopard")
    builder.predict("02.jpg", "leopard", event="e", event_predicted_id="leopard")
    builder.write()
    rows = derive_errors(str(tmp_path / "audit")).to_pylist()
    assert [row["media_id"].removeprefix("id-") for row in rows] == doubted
    assert all(row["suspicion_reasons"] == ["event_disagreement"] for row in rows)


def test_without_a_taxonomy_other_words_are_errors(tmp_path: Path) -> None:
    rows = derive_errors(audit(tmp_path, [pair[:2] for pair in NAMES], is_placed=False)).to_pylist()
    assert {row["relation"] for row in rows} == {None}
    assert sum(row["error_type"] == "correct" for row in rows) == 1


def test_the_page_the_slices_and_the_story_say_it(tmp_path: Path, trapaudit: Callable[..., Any]) -> None:
    names = [("leopard", "lion")] * 12 + [("lion", "lion"), ("ocelot", "ocelot")] * 15 + [("ocelot", "cat family")] * 3
    out = audit(tmp_path, names)
    assert trapaudit("report", out).code == 0
    page = (Path(out) / "report" / "index.html").read_text()
    assert "Of the right names 3 are less exact than the label." in page
    assert "Of the wrong names 12 are of one genus with the true one." in page
    sentences = read_table(out, "error_slices")["sentence"]
    assert any("the true and the given name are of one genus each time" in sentence for sentence in sentences)
    assert "ocelot" not in set(read_table(out, "errors").query("error_type != 'correct'")["true_id"])
    shown = [" ".join(trapaudit("show", out, file).out.split()) for file in ("00.jpg", "42.jpg")]
    assert "lion; the two are of one genus" in shown[0]
    assert "right: cat family is less exact than the label, ocelot" in shown[1]


def test_where_it_is_not_so_nothing_is_said(tmp_path: Path, trapaudit: Callable[..., Any]) -> None:
    """Half of the wrong names are of one genus, and the taxonomy has no roll-up."""
    names = [("leopard", "lion"), ("leopard", "ocelot")] * 8 + [("lion", "lion")] * 20
    out = audit(tmp_path, names)
    assert trapaudit("report", out).code == 0
    page = (Path(out) / "report" / "index.html").read_text()
    assert "Of the right names" not in page
    assert "Of the wrong names 8 are of one genus, 8 are of one family with the true one." in page
    slices = read_table(out, "error_slices")
    of_both = slices[[dict(keys).get("true_id") == "leopard" for keys in slices["slice"]]]
    assert len(of_both) and not of_both["sentence"].str.contains("each time").any()
    alone = audit(tmp_path / "b", names, is_placed=False)
    assert trapaudit("report", alone).code == 0
    assert "Of the wrong names" not in (Path(alone) / "report" / "index.html").read_text()


@pytest.mark.parametrize(("rows", "n"), [([], 0), ([{"is_right": False, "relation": None, "n": 9}], 0)])
def test_no_relation_no_sentence(rows: list[dict[str, Any]], n: int) -> None:
    assert len(relation_sentences(rows)) == n
