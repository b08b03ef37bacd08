"""What is evidence for one name of a confused pair and not the other: on its card, in words that a row supports, or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scd_core.audit import read_table
from scd_core.audit.report.contrasts import contrast_sentence
from scd_core.audit.report.write import write_report
from tests.report.test_report import text
from tests.report.world import Frame, World, build_world, evidence, planted_frames

HEADING = "What tells one name from the other for the model"


def contrasted(frame: Frame) -> bool:
    return frame.true == "Luna" and frame.called == "Nyx" and frame.is_masked


def page_of(folder: Path, frames: list[Frame]) -> tuple[World, str]:
    world = build_world(folder, frames, broken=False)
    write_report(world.out, world.config, datetime(2026, 6, 3, tzinfo=UTC))
    return world, (folder / "audit" / "report" / "index.html").read_text("utf-8")


def test_the_card_of_a_pair_shows_both_maps_with_what_the_rows_say(tmp_path: Path) -> None:
    frames = [replace(one, contrast=(0.04, 0.7)) if contrasted(one) else one for one in planted_frames()]
    world, page = page_of(tmp_path, frames)
    slices = read_table(world.out, "error_slices")
    assert any(dict(keys).get("pair") == "Luna -> Nyx" for keys in slices[slices.is_systematic]["slice"]), "fixture"
    card = next(part for part in page.split("<article") if HEADING in part).split("</article>")[0]
    items = card.split('<li class="example contrast">')[1:]
    assert len(items) == 2
    for item in items:
        item = item.split("</li>")[0]
        assert item.count("<img ") == 3
        said = text(item)
        assert "called Nyx" in said and "truly Luna" in said
        assert "For Nyx, not Luna" in said and "For Luna, not Nyx" in said
        assert "Without what is lit for Nyx the model gives Nyx 4 % instead of" in said
        assert "by what is lit for Luna alone it gives Luna 70 %." in said


def test_a_broken_map_of_a_pair_leaves_the_other_and_the_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []

    def every_third_less(frame: Frame) -> bytes:  # the mask, the map for the name given, the map for the other
        made.append(evidence(frame))
        return made[-1][:70] if len(made) % 3 == 2 else made[-1]

    monkeypatch.setattr("tests.report.world.evidence", every_third_less)
    frames = [replace(one, contrast=(0.04, 0.7)) for one in planted_frames() if contrasted(one) or not one.is_masked]
    _, page = page_of(tmp_path, frames)
    items = [part.split("</li>")[0] for part in page.split('<li class="example contrast">')[1:]]
    assert items
    for item in items:
        assert item.count("<img ") == 2 and "no picture: the stored mask cannot be read" in text(item)
        assert item.index("no picture") < item.index("For <")


def test_where_no_region_decides_the_card_does_not_claim_it(tmp_path: Path) -> None:
    frames = [replace(one, contrast=(0.6, 0.2)) if contrasted(one) else one for one in planted_frames()]
    _, page = page_of(tmp_path, frames)
    said = text(page)
    assert "Even without what is lit for Nyx the model gives Nyx 60 %, so no small part decides" in said
    assert "what is lit for Luna is not enough: alone it gives Luna 20 %." in said
    assert "instead of" not in said.split(HEADING)[1].split("What to do")[0]


def test_a_pair_without_such_masks_or_that_is_not_reported_has_no_such_pictures(tmp_path: Path) -> None:
    strays = [
        replace(one, contrast=(0.04, 0.7)) if one.is_masked and one.true != one.called and not contrasted(one) else one
        for one in planted_frames()
    ]
    assert any(one.contrast for one in strays), "fixture: other pairs have masks, which are no systematic error"
    _, page = page_of(tmp_path, strays)
    assert HEADING not in text(page)


@pytest.mark.parametrize(("without", "alone"), [(0.3, 0.6), (0.5, 0.6), (0.3, 0.1), (0.5, 0.1)])
def test_each_half_of_the_sentence_is_claimed_only_where_its_number_shows_it(without: float, alone: float) -> None:
    row = {"given": "Nyx", "rival": "Luna", "probability": 0.8, "without_given": without, "rival_alone": alone}
    said = contrast_sentence(row)
    assert ("instead of" in said) == (without <= 0.4) == ("no small part decides" not in said)
    assert ("is not enough" in said) == (alone < 0.5)
    beside = contrast_sentence(row | {"has_frame": True})
    assert "alone" in said and "alone" not in beside and "the whole frame" in beside
