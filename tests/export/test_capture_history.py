"""Capture histories, read back by the rules of secr's manual, and their shares that are certain."""

from __future__ import annotations

import csv
import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core.audit.individuals.capture_history import metres, write_capture_history
from scd_core.errors import InputError
from tests.audit.audit_builder import AuditBuilder, label

MIDNIGHT = datetime(2026, 3, 1)


def at(day: int, hour: int) -> datetime:
    return MIDNIGHT + timedelta(days=day - 1, hours=hour)


def read_density(folder):
    """The files as secr's manual describes them: comma-separated, lines from # on are comments, identifiers without blanks,
    commas or underscores, one usage code for each occasion, and detectors of captures that are among the traps."""

    def lines(name):
        for line in (folder / name).read_text().splitlines():
            if text := line.split("#")[0].strip():
                yield text.split(",")

    traps = {}
    for name, x, y, *usage in lines("traps.csv"):
        assert name not in traps and "_" not in name and " " not in name
        assert set(usage) <= {"0", "1"}
        traps[name] = (x, y, "".join(usage))
    assert len({len(usage) for _, _, usage in traps.values()}) == 1
    captures = []
    for session, individual, occasion, detector in lines("captures.csv"):
        assert session and individual and " " not in individual and individual != "NONE"
        assert detector in traps and traps[detector][2][int(occasion) - 1] == "1", "used where something was caught"
        captures.append((individual, int(occasion), detector))
    assert len(set(captures)) == len(captures), "proximity: one line each"
    return captures, traps


def cells(folder):
    return list(csv.DictReader((folder / "cells.csv").open()))


def audit_of(folder):
    """Two cameras over four days: Luna at both, Nyx at one, a candidate, an unknown in no candidate, and a blank picture."""
    audit = AuditBuilder(folder / "out", individuals=["Luna", "Nyx_2"])
    north = {"latitude": 10.01, "longitude": 20.0}
    south = {"latitude": 10.0, "longitude": 20.0}
    audit.predict("a1.jpg", "Luna", camera="C_1", at=at(1, 9), event="e1", **north)
    audit.predict("a2.jpg", "Luna", camera="C_1", at=at(1, 9), event="e1", **north)
    audit.predict("a3.jpg", "Luna", camera="C_1", at=at(1, 23), event="e2", **north)
    audit.predict("a4.jpg", "Luna", camera="C_1", at=at(2, 1), event="e3", **north)
    audit.predict("b1.jpg", "Luna", camera="C 2", at=at(2, 8), **south)
    audit.predict("b2.jpg", "Nyx_2", camera="C 2", at=at(4, 8), **south)
    for file, candidate in (("b3.jpg", "candidate-1"), ("b4.jpg", None)):
        target = audit.predict(file, "unknown", camera="C 2", at=at(3, 8), candidate_id=candidate, **south)
        row = {"target_id": target, "media_id": target, "change": "new", "version": 1, "embedding_space": "none"}
        if candidate:
            audit.tables.setdefault("candidates", []).append(audit.stamp | row | {"candidate_id": candidate})
    audit.predict("b5.jpg", "Nyx_2", camera="C 2", at=at(3, 9), **south)
    audit.media("empty.jpg", camera="C_1", at=at(3, 9), **north)
    out = str(audit.write())
    label(out, folder, {"a1.jpg": "Luna", "b5.jpg": "blank"})
    return out


def test_captures_and_traps_are_what_secr_reads(tmp_path) -> None:
    found = write_capture_history(audit_of(tmp_path), str(tmp_path / "ch"))
    captures, traps = read_density(tmp_path / "ch")
    names = {row["ID"]: row["name"] for row in csv.DictReader((tmp_path / "ch/individuals.csv").open())}
    assert [(names[one], occasion, detector) for one, occasion, detector in captures] == [
        ("Luna", 1, "C-1"),
        ("Luna", 2, "C-2"),
        ("Luna", 2, "C-1"),
        ("Nyx_2", 4, "C-2"),
        ("candidate-1", 3, "C-2"),
    ]
    assert {name: usage for name, (_, _, usage) in traps.items()} == {"C-1": "1110", "C-2": "0111"}
    (x1, y1, _), (x2, y2, _) = traps["C-1"], traps["C-2"]
    assert float(x1) == float(x2) == 0 and float(y1) - float(y2) == pytest.approx(1106.1, abs=0.3)
    assert (found.n_individuals, found.n_occasions, found.n_detectors) == (3, 4, 2)


def test_each_cell_has_the_share_that_people_named_and_unknowns_are_counted(tmp_path) -> None:
    found = write_capture_history(audit_of(tmp_path), str(tmp_path / "ch"))
    rows = {(row["name"], row["Occasion"], row["camera"]): row for row in cells(tmp_path / "ch")}
    first = rows["Luna", "1", "C_1"]
    assert (first["n_pictures"], first["n_events"], first["n_certain"], first["share_certain"]) == (
        "3",
        "2",
        "1",
        "0.333",
    )
    assert rows["", "3", "C 2"]["kind"] == "unknown" and rows["", "3", "C 2"]["ID"] == ""
    assert rows["candidate-1", "3", "C 2"]["kind"] == "candidate"
    assert sum(int(row["n_pictures"]) for row in rows.values()) == 8, "all but the blank one"
    assert found.notes[0].startswith("people named 1 of 8 pictures")
    assert any("1 of the individuals are candidates" in note for note in found.notes)
    assert any("1 pictures of unknowns in no candidate" in note for note in found.notes)


def test_occasions_that_begin_at_noon_keep_a_night_in_one(tmp_path) -> None:
    write_capture_history(audit_of(tmp_path), str(tmp_path / "ch"), first_hour=12)
    captures, _ = read_density(tmp_path / "ch")
    assert [one[1:] for one in captures if one[0] == "Luna"] == [(1, "C-1"), (2, "C-2"), (2, "C-1")]
    rows = {(row["name"], row["Occasion"], row["camera"]): row for row in cells(tmp_path / "ch")}
    assert rows["Luna", "2", "C_1"]["n_pictures"] == "2", "23 o'clock and 1 o'clock"


def test_a_world_in_which_people_named_everything_has_no_notes_but_that(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna"])
    audit.predict("a.jpg", "Luna", camera="C1", at=at(1, 9), latitude=1.0, longitude=1.0)
    out = str(audit.write())
    label(out, tmp_path, {"a.jpg": "Luna"})
    assert write_capture_history(out, str(tmp_path / "ch")).notes == [
        "people named 1 of 1 pictures; cells.csv has the share of each capture"
    ]


def test_a_camera_that_moved_is_a_detector_for_each_place_and_one_without_coordinates_is_told(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna"])
    for number, latitude in enumerate((1.0, 2.0)):
        place = {"latitude": latitude, "longitude": 1.0, "deployment_id": f"d{number}"}
        audit.predict(f"{number}.jpg", "Luna", camera="C1", at=at(1 + number, 9), **place)
    audit.predict("x.jpg", "Luna", camera="C9", at=at(1, 9))
    found = write_capture_history(str(audit.write()), str(tmp_path / "ch"))
    _, traps = read_density(tmp_path / "ch")
    assert set(traps) == {"C1-d0", "C1-d1", "C9"} and traps["C9"][0] == "NA"
    assert any("without coordinates" in note and "C9" in note for note in found.notes)


def test_names_that_differ_in_signs_alone_stay_two_individuals(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["a b", "a_b", "A b"])
    for number, name in enumerate(("a b", "a_b", "A b", "雪")):
        audit.predict(f"{number}.jpg", name, camera="C1", at=at(1, 9))
    write_capture_history(str(audit.write()), str(tmp_path / "ch"))
    assert len({one[0] for one in read_density(tmp_path / "ch")[0]}) == 4


def test_pictures_without_a_time_and_doubtful_times_are_told(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna"])
    audit.predict("a.jpg", "Luna", camera="C1", at=at(2, 9))
    audit.tables["media"][-1]["clock_doubt"] = "the clock runs backwards here"
    audit.predict("b.jpg", "Luna", camera="C1")
    audit.tables["media"][-1]["captured_at"] = None
    notes = write_capture_history(str(audit.write()), str(tmp_path / "ch")).notes
    assert any("1 pictures are in no cell, because they lack a time" in note for note in notes)
    assert any("1 pictures have a time that is in doubt" in note for note in notes)


def test_a_clock_of_another_century_is_refused_with_its_span(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna"])
    audit.predict("a.jpg", "Luna", at=datetime(1980, 1, 1))
    audit.predict("b.jpg", "Luna", at=at(1, 9))
    out = str(audit.write())
    with pytest.raises(InputError, match="1980-01-01 to 2026-03-01"):
        write_capture_history(out, str(tmp_path / "ch"))
    assert write_capture_history(out, str(tmp_path / "ch"), occasion_hours=24 * 30).n_occasions == 563


def test_nothing_with_a_time_and_a_name_is_refused(tmp_path) -> None:
    audit = AuditBuilder(tmp_path / "out", individuals=["Luna"])
    audit.media("a.jpg")
    with pytest.raises(InputError, match="has a name or a candidate"):
        write_capture_history(str(audit.write()), str(tmp_path / "ch"))


@pytest.mark.parametrize(("latitude", "longitude"), [(-45.0, 170.0), (60.0, 20.0), (0.0, 179.99)])
def test_distances_are_those_of_the_ellipsoid(latitude, longitude) -> None:
    """Against lengths of a degree from the series of the ellipsoid's arcs (Rapp 1991), over some 20 km, also over 180 degrees."""
    phi = math.radians(latitude)
    along = 111132.954 - 559.822 * math.cos(2 * phi) + 1.175 * math.cos(4 * phi)
    across = 111412.84 * math.cos(phi) - 93.5 * math.cos(3 * phi) + 0.118 * math.cos(5 * phi)
    over = (longitude + 0.2 + 180) % 360 - 180
    east, north = metres(np.array([latitude, latitude + 0.2]), np.array([over, longitude]), (latitude, longitude))
    assert east[0] == pytest.approx(0.2 * across, rel=2e-3) and north[1] == pytest.approx(0.2 * along, rel=2e-3)


def test_the_command_takes_the_length_of_an_occasion_for_this_format_alone(tmp_path) -> None:
    out = audit_of(tmp_path)
    arguments = ["export", out, str(tmp_path / "ch"), "--occasion-hours", "48"]
    done = CliRunner().invoke(app, [*arguments, "--format", "capture-history"])
    assert done.exit_code == 0 and "3 individuals, 2 occasions, 2 detectors" in done.output.replace("\n", " ")
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code != 0 and "capture-history" in str(refused.exception or refused.output)
