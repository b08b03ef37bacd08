"""Truth against prediction: types, the newest label, raw and final names, causes, suspicions, weights."""

from datetime import UTC, datetime

import pytest

from scd_core.audit.errors.derive import derive_errors, known_exposures, unrated_shares
from scd_core.audit.query.connection import open_tables
from scd_core.config import AuditConfig
from scd_core.triage.travel import impossible_travel
from tests.audit.audit_builder import AuditBuilder, label, minutes

KNOWN = ["Luna", "Nyx", "Tom"]


def errors(out, **more):
    rows = derive_errors(out, AuditConfig(), **more).to_pylist()
    return {row["target_id"].removeprefix("id-").removesuffix(".jpg"): row for row in rows}


@pytest.fixture
def builder(tmp_path):
    return AuditBuilder(tmp_path / "out", individuals=KNOWN)


def test_types_of_misidentification(builder, tmp_path):
    for file, name in [
        ("right", "Luna"),
        ("shift", "Nyx"),
        ("split", "unknown"),
        ("combination", "Nyx"),
        ("new", "unknown"),
        ("nobody", "Nyx"),
        ("exclusion", None),
    ]:
        builder.predict(f"{file}.jpg", name)
    out = builder.write()
    truth = dict.fromkeys(("right", "shift", "split", "exclusion"), "Luna") | {
        "combination": "Stranger",
        "new": "Stranger",
        "nobody": "unknown",
    }
    label(out, tmp_path, {f"{file}.jpg": name for file, name in truth.items()})
    assert {file: row["error_type"] for file, row in errors(out).items()} == {
        "right": "correct",
        "shift": "shift",
        "split": "split",
        "combination": "combination",
        "new": "correct",
        "nobody": "combination",
        "exclusion": "exclusion",
    }


def test_a_picture_that_nobody_tried_to_name_is_no_error(builder, tmp_path):
    builder.predict("named.jpg", "Luna")
    builder.predict("without.jpg", None, prediction_status="no_detections")
    out = builder.write()
    label(out, tmp_path, dict.fromkeys(("named.jpg", "without.jpg"), "Luna"))
    assert {file: row["error_type"] for file, row in errors(out).items()} == {"named": "correct"}


def test_the_raw_name_is_scored_and_the_final_one_stands_beside(builder, tmp_path):
    builder.mask(builder.predict("mended.jpg", "Nyx"), "Luna")
    builder.mask(builder.predict("spoilt.jpg", "Luna"), "Nyx")
    builder.mask(builder.predict("same.jpg", "Nyx"), "Nyx")
    out = builder.write()
    label(out, tmp_path, dict.fromkeys(("mended.jpg", "spoilt.jpg", "same.jpg"), "Luna"))
    found = errors(out)
    outcome = ("error_type", "final_id", "is_recovered", "is_broken")
    assert [found["mended"][key] for key in outcome] == ["shift", "Nyx", False, False], "it is a suggestion"
    assert [found["spoilt"][key] for key in outcome] == ["correct", "Luna", False, False]
    assert [found["same"][key] for key in outcome] == ["shift", "Nyx", False, False]
    assert [found[key]["suggested_id"] for key in ("mended", "spoilt", "same")] == ["Luna", "Nyx", None]


def test_newest_label_wins(builder, tmp_path):
    for file in ("a.jpg", "b.jpg"):
        builder.predict(file, "Luna")
    out = builder.write()
    label(out, tmp_path, {"a.jpg": "Nyx"}, now=datetime(2026, 3, 3, tzinfo=UTC))
    label(out, tmp_path, {"a.jpg": "Luna"}, now=datetime(2026, 3, 4, tzinfo=UTC), name="late.csv")
    for day, by, name in ((3, "ana", "Luna"), (4, "ben", "Nyx")):
        described = {"labelled_by": by, "labelled_at": "2026-03-01T00:00:00Z", "name": f"{by}.csv"}
        label(out, tmp_path, {"b.jpg": name}, now=datetime(2026, 3, day, tzinfo=UTC), **described)
    found = errors(out)
    assert (found["a"]["true_id"], found["a"]["error_type"]) == ("Luna", "correct")
    # of one moment, the one imported later counts
    assert found["b"]["true_id"] == "Nyx"


def test_conflict_within_one_import_is_suspected_not_scored(builder, tmp_path):
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    path = tmp_path / "both.csv"
    path.write_text("file,individual_id\na.jpg,Luna\na.jpg,Nyx\n")
    from scd_core.audit.labels.importing import import_labels

    assert len(import_labels(out, str(path)).conflicts) == 1
    row = errors(out)["a"]
    assert (row["is_labelled"], row["error_type"], row["is_suspected"]) == (False, None, True)
    assert (row["suspicion_reasons"], row["cause"]) == (["label_conflict"], "label_suspect")


def test_labels_of_frames_and_of_boxes(builder, tmp_path):
    builder.predict("one.jpg", "Luna", detection="0")
    builder.predict("two.jpg", "Luna", detection="0")
    builder.predict("two.jpg", "Nyx", detection="1", new_media=False)
    builder.predict("whole.jpg", "Luna")
    out = builder.write()
    # one label for a frame of two boxes is no truth for either
    label(out, tmp_path, {"one.jpg": "Luna", "two.jpg": "Luna"})
    path = tmp_path / "boxes.csv"
    path.write_text("file,individual_id,detection_id\nwhole.jpg,Nyx,0\ntwo.jpg,Tom,1\n")
    from scd_core.audit.labels.importing import import_labels

    import_labels(out, str(path))
    found = errors(out)
    assert {name: row["true_id"] for name, row in found.items()} == {
        "one.jpg:0": "Luna",
        "two.jpg:1": "Tom",
        "whole": "Nyx",
    }


def test_the_newest_run_counts_and_older_ones_stay(tmp_path):
    for model, day, name in (("m1", 2, "Nyx"), ("m2", 3, "Luna")):
        builder = AuditBuilder(tmp_path / "out", f"b-{model}", model, finished=datetime(2026, 3, day, tzinfo=UTC))
        builder.predict("a.jpg", name)
        builder.write()
    label(builder.out, tmp_path, {"a.jpg": "Luna"})
    rows = derive_errors(builder.out).to_pylist()
    assert {(row["model_digest"], row["error_type"], row["is_current"]) for row in rows} == {
        ("m1", "combination", False),  # Luna was never heard of by m1
        ("m2", "correct", True),
    }


CAUSES = {
    "background": {"background_reliance": 0.8, "background_log_odds_drop": 2.0},
    "box": {"background_reliance": 0.8, "background_log_odds_drop": 0.1, "strategies": [("box_crop", "Luna")]},
    "reliance": {"background_reliance": 0.8, "background_log_odds_drop": 0.1},
    "inside": {"background_reliance": 0.3, "strategies": [("early_inside", "Luna")]},
    "little": {"background_reliance": 0.2, "strategies": [("early_inside", "Luna")]},
    "overlay": {"overlay_reliance": 0.4, "overlay_log_odds_drop": 2.0},
    "label": {},
}


def test_causes_need_evidence(builder, tmp_path):
    for file, evidence in CAUSES.items():
        builder.mask(builder.predict(f"{file}.jpg", "Nyx", 0.95), **evidence)
    builder.predict("blurred.jpg", "Nyx", 0.5, sharpness=5.0)
    builder.predict("near.jpg", "Nyx", 0.5, runner_up=("Luna", 0.4))
    builder.mask(builder.predict("lone.jpg", "Tom", 0.95))
    for n in range(20):  # Luna is mostly right, so that no pair recurs
        builder.predict(f"fine{n}.jpg", "Luna")
    out = builder.write()
    files = [row["file"] for row in builder.tables["media"]]
    label(out, tmp_path, dict.fromkeys(files, "Luna"))
    causes = {file: row["cause"] for file, row in errors(out).items() if row["cause"]}
    assert causes["background"] == causes["box"] == causes["inside"] == "background"
    assert causes["reliance"] != "background", "reliance alone is no cause"
    assert causes["little"] != "background", "nor is a flip without reliance"
    assert causes["lone"] == "unexplained", "a sure model alone does not put a label in doubt"
    assert (causes["overlay"], causes["blurred"], causes["near"]) == ("overlay", "image_quality", "confusable_pair")
    assert all(file not in causes for file in ("fine0", "fine1"))


GRADIENTS = {
    "outside": ("box", 0.61, {}),
    "inside": ("box", 0.59, {}),
    "spread": ("window", 0.56, {}),
    "compact": ("window", 0.54, {}),
    "crop": ("picture_is_box", None, {}),
    "flat": ("flat", None, {}),
    "dark": ("box", 0.9, {"sharpness": 5.0}),
    "near": ("box", 0.9, {"runner_up": ("Luna", 0.04), "probability": 0.5}),
}


def test_a_gradient_outside_the_animal_makes_the_background_a_cause_without_a_mask(builder, tmp_path):
    for file, (region, share, more) in GRADIENTS.items():
        given = {"probability": 0.95} | more
        builder.predict(f"{file}.jpg", "Nyx", gradient_outside=share, gradient_region=region, **given)
    for n in range(30):
        builder.predict(f"fine{n}.jpg", "Luna", gradient_outside=0.99, gradient_region="box")
    out = builder.write()
    label(out, tmp_path, dict.fromkeys([row["file"] for row in builder.tables["media"]], "Luna"))
    found = errors(out)
    causes = {file: found[file]["cause"] for file in GRADIENTS}
    assert [file for file, cause in causes.items() if cause == "background"] == ["outside", "spread", "near"]
    assert causes["dark"] == "image_quality", "a poor picture has its gradient anywhere"
    assert found["fine0"]["cause"] is None
    assert found["outside"]["cause_evidence"] == "61 % of the gradient of the name lies outside the animal"
    assert "56 %" in found["spread"]["cause_evidence"] and "outside the quarter" in found["spread"]["cause_evidence"]
    assert (found["outside"]["gradient_outside"], found["outside"]["gradient_region"]) == (pytest.approx(0.61), "box")


def test_the_settings_move_the_limits_of_the_gradient(builder, tmp_path):
    builder.predict("box.jpg", "Nyx", 0.95, gradient_outside=0.7, gradient_region="box")
    builder.predict("window.jpg", "Nyx", 0.95, gradient_outside=0.5, gradient_region="window")
    for n in range(20):
        builder.predict(f"fine{n}.jpg", "Luna")
    out = builder.write()
    label(out, tmp_path, dict.fromkeys([row["file"] for row in builder.tables["media"]], "Luna"))
    config = AuditConfig.from_mapping({"slices": {"min_gradient_outside": 0.8, "min_gradient_spread": 0.4}}, "test")
    causes = {row["media_id"]: row["cause"] for row in derive_errors(out, config).to_pylist()}
    assert (causes["id-box.jpg"], causes["id-window.jpg"]) == ("unexplained", "background")


def test_a_weak_flank_and_one_labellers_slip(builder, tmp_path):
    lines = ["file,individual_id,flank,labelled_by"]
    for n in range(24):
        flank = "left" if n % 2 else "right"
        builder.predict(f"f{n}.jpg", "Nyx" if n % 2 and n < 18 else "Luna", 0.7, at=minutes(90 * n))
        lines.append(f"f{n}.jpg,Luna,{flank},ana")
    for n in range(24):
        by = "ben" if n % 3 == 0 else "ana"
        builder.predict(f"t{n}.jpg", "Nyx" if by == "ben" else "Tom", 0.7, at=minutes(90 * n))
        lines.append(f"t{n}.jpg,Tom,,{by}")
    out = builder.write()
    path = tmp_path / "l.csv"
    path.write_text("\n".join(lines) + "\n")
    from scd_core.audit.labels.importing import import_labels

    import_labels(out, str(path))
    found = errors(out)
    assert found["f1"]["cause"] == "flank"
    assert found["t0"]["cause"] == "label_suspect"
    assert "ben" in found["t0"]["cause_evidence"]


def test_suspicions_of_unlabelled_rows(builder, tmp_path):
    builder.predict("odd.jpg", "Nyx", event_predicted_id="Luna")
    builder.predict("flagged_by_hand.jpg", "Luna", flag_reasons=["human_flag"])
    builder.mask(builder.predict("flip.jpg", "Nyx"), "Luna")
    builder.mask(builder.predict("ground.jpg", "Nyx"), background_reliance=0.9)
    builder.mask(builder.predict("strip.jpg", "Nyx"), overlay_reliance=0.5)
    builder.predict("here.jpg", "Tom", at=minutes(0), latitude=-3.0, longitude=-60.0, camera="C01")
    builder.predict("there.jpg", "Tom", at=minutes(10), latitude=-3.0, longitude=-59.0, camera="C02")
    builder.predict("later.jpg", "Tom", at=minutes(3000), latitude=-3.0, longitude=-60.0, camera="C01")
    builder.predict("fine.jpg", "Luna")
    builder.predict("known.jpg", "Nyx", event_predicted_id="Luna")
    out = builder.write()
    label(out, tmp_path, {"known.jpg": "Nyx"})
    found = errors(out)
    assert {name: row["suspicion_reasons"] for name, row in found.items() if row["is_suspected"]} == {
        "odd": ["event_disagreement"],
        "flagged_by_hand": ["human_flag"],
        "flip": ["flip_under_mask"],
        "ground": ["background_reliance"],
        "strip": ["overlay_reliance"],
        "here": ["impossible_travel"],
        "there": ["impossible_travel"],
    }
    assert found["known"]["suspicion_reasons"] == []


@pytest.mark.parametrize(
    ("minutes_later", "offset", "longitude", "is_impossible"),
    [
        (60, 0, 0.5, False),  # 56 km in an hour
        (60, 60, 0.5, True),  # the second clock is an hour ahead: both pictures are of one moment
        (10, -60, 0.5, False),  # the second clock is an hour behind: 70 minutes
        (0, 0, 0.001, False),  # 110 m: two cameras may see one animal
        (0, 0, 0.003, True),
    ],
)
def test_triage_and_audit_agree_on_impossible_travel(builder, minutes_later, offset, longitude, is_impossible):
    """Travel was once compared in UTC by triage, and on the cameras' clocks, with another floor, by the audit."""
    here = {"latitude": 0.0, "longitude": 0.0, "camera": "C01", "utc_offset_minutes": 0}
    there = {"latitude": 0.0, "longitude": longitude, "camera": "C02", "utc_offset_minutes": offset}
    targets = {
        builder.predict("here.jpg", "Tom", at=minutes(0), **here),
        builder.predict("there.jpg", "Tom", at=minutes(minutes_later), **there),
    }
    media = {row["media_id"]: row for row in builder.tables["media"]}
    config = AuditConfig()
    flagged = impossible_travel(builder.tables["predictions"], media, config.triage.max_speed_kmh)
    suspected = derive_errors(builder.write(), config).to_pylist()
    assert flagged == {row["target_id"] for row in suspected} == (targets if is_impossible else set())


def test_every_frame_of_an_event_that_travelled_is_suspected(builder):
    """The time between counts from the last frame: 40 km in 28 minutes are too fast, in the 33 since the first one not."""
    for n, minute in enumerate((0, 5, 10)):
        at = {"at": minutes(minute), "event": "e1", "latitude": 0.0, "longitude": 0.0}
        builder.predict(f"a{n}.jpg", "Tom" if n < 2 else "Nyx", event_predicted_id="Tom" if n < 2 else "Nyx", **at)
    at = {"at": minutes(33), "latitude": 0.0, "longitude": 0.36, "camera": "C02"}
    builder.predict("b.jpg", "Tom", **at)
    assert set(errors(builder.write())) == {"a0", "a1", "b"}


def test_weights_are_what_was_labelled_of_each_flag_reason(builder, tmp_path):
    """Of 4 of small margin one is labelled, of 8 that nothing flagged two, a control and another one."""
    for n in range(4):
        builder.predict(f"small{n}.jpg", "Luna", flag_reasons=["small_margin", "control"][: 1 + n % 2], is_flagged=True)
    builder.predict("human.jpg", "Luna", flag_reasons=["human_flag", "small_margin"], is_flagged=True)
    builder.predict("control.jpg", "Luna", flag_reasons=["control"], is_flagged=True, is_control=True)
    for n in range(3):
        builder.predict(f"burst{n}.jpg", "Luna", event="e", flag_reasons=[])
    for n in range(4):
        builder.predict(f"rest{n}.jpg", "Luna")
    out = builder.write()
    label(out, tmp_path, dict.fromkeys(("small0.jpg", "human.jpg", "control.jpg", "burst0.jpg"), "Luna"))
    found = errors(out)
    assert {name: row["label_probability"] for name, row in found.items()} == pytest.approx(
        {"small0": 1 / 4, "human": 1, "control": 2 / 8, "burst0": 2 / 8}
    )
    assert {name: row["event_weight"] for name, row in found.items()} == pytest.approx(
        {"small0": 4, "human": 1, "control": 4, "burst0": 4 / 3}
    )
    assert {name for name, row in found.items() if row["has_flag"]} == {"small0", "human"}


def test_a_reason_without_labels_is_stood_for_by_other_batches_or_by_none(tmp_path):
    for batch, n_flagged in (("b1", 2), ("b2", 6)):
        builder = AuditBuilder(tmp_path / "out", batch_key=batch)
        for n in range(n_flagged):
            builder.predict(f"{batch}-flag{n}.jpg", "Luna", flag_reasons=["small_margin"])
        builder.predict(f"{batch}-odd.jpg", "Luna", flag_reasons=["unknown"])
        builder.predict(f"{batch}-a.jpg", "Luna")
        out = builder.write()
    label(out, tmp_path, dict.fromkeys(("b1-flag0.jpg", "b1-a.jpg", "b2-a.jpg"), "Luna"))
    found = errors(out)
    # two flagged ones of the first batch, with one label, stand for all eight
    assert found["b1-flag0"]["event_weight"] == pytest.approx(8)
    assert found["b1-a"]["event_weight"] == found["b2-a"]["event_weight"] == 1
    with open_tables(out) as connection:
        derive_errors(connection, AuditConfig())
        assert unrated_shares(connection) == pytest.approx({"unknown": 2 / 12})


def test_labels_of_names_that_a_newer_model_replaced_have_a_finite_weight(tmp_path):
    """The old model's flagged picture is labelled, the new one's is not: `compare` gave rates of no number at all."""
    for place, flagged in enumerate("ab"):
        finished = datetime(2026, 3, 2 + place, tzinfo=UTC)
        builder = AuditBuilder(tmp_path / "out", batch_key=f"b{place}", model=f"m{place}", finished=finished)
        for name in "abc":
            builder.predict(f"{name}.jpg", "Luna", flag_reasons=["small_margin"] if name == flagged else [])
        out = builder.write()
    label(out, tmp_path, {"a.jpg": "Luna", "c.jpg": "Luna"})
    with open_tables(out) as connection:
        found = derive_errors(connection, AuditConfig()).to_pylist()
        assert unrated_shares(connection) == pytest.approx({"small_margin": 1 / 3})
    weights = {(row["model_digest"], row["media_id"]): row["event_weight"] for row in found}
    assert weights == {("m0", "id-a.jpg"): 1, ("m0", "id-c.jpg"): 2, ("m1", "id-a.jpg"): 1, ("m1", "id-c.jpg"): 1}


def test_visits_of_one_individual_at_one_camera(builder, tmp_path):
    """Half an hour apart is one visit; another camera, another individual, or no time is another one."""
    at = {"a": 0, "b": 30, "c": 61, "d": 40}
    for name, minute in at.items():
        builder.predict(f"{name}.jpg", "Nyx", at=minutes(minute), camera="C02" if name == "d" else "C01")
    builder.predict("e.jpg", "Luna", at=minutes(10), camera="C01")
    for name in ("f", "g"):
        builder.predict(f"{name}.jpg", "Luna", new_media=False)
        builder.media(f"{name}.jpg", captured_at=None)
    out = builder.write()
    label(out, tmp_path, {f"{name}.jpg": "Luna" for name in "abcdefg"})
    visits: dict[str, set[str]] = {}
    for name, row in errors(out).items():
        visits.setdefault(row["visit_id"], set()).add(name)
    assert sorted(map(sorted, visits.values())) == [["a", "b", "e"], ["c"], ["d"], ["f"], ["g"]]
    wide = AuditConfig.from_mapping({"slices": {"visit_minutes": 31}}, "here")
    assert len({row["visit_id"] for row in derive_errors(out, wide).to_pylist()}) == 4


def test_what_nobody_flagged_is_known_as_far_as_flags_were_labelled(tmp_path):
    """Of the flagged visits at C01 a half is labelled, at C02 none; nothing of the third batch is."""
    for batch in ("b1", "b2"):
        builder = AuditBuilder(tmp_path / "out", batch_key=batch)
        for camera in ("C01", "C02"):
            for n in range(20):
                flag = ["small_margin"] if n < 10 else []
                name = "Luna" if n % 2 else "Nyx"
                at = minutes(60 * n)
                builder.predict(f"{batch}-{camera}-{n}.jpg", name, at=at, camera=camera, flag_reasons=flag)
        out = builder.write()
    label(out, tmp_path, {f"b1-C01-{n}.jpg": "Luna" for n in range(5)})
    with open_tables(out) as connection:
        derive_errors(connection, AuditConfig())
        found = known_exposures(connection).to_pylist()
    assert {row["camera_id"] for row in found} == {"C01"}
    # 5 of 10, drawn by five visits towards the batch's 5 of 20
    share = (5 + 5 * 0.25) / (10 + 5)
    assert sum(row["exposure"] for row in found) == pytest.approx(10 * share)
    assert sum(row["exposure"] for row in found if row["predicted_id"] == "Nyx") == pytest.approx(5 * share)
    assert all(row["true_id"] == row["predicted_id"] for row in found)


def test_weights_where_everything_is_labelled(builder, tmp_path):
    for n in range(40):
        builder.predict(f"{n}.jpg", "Luna", flag_reasons=["unknown"] if n < 4 else [], is_selected=n < 6)
    out = builder.write()
    label(out, tmp_path, {f"{n}.jpg": "Luna" for n in range(40)})
    assert {row["event_weight"] for row in errors(out).values()} == {1.0}


def test_no_labels_at_all_gives_suspicions_only(builder):
    builder.predict("odd.jpg", "Nyx", event_predicted_id="Luna")
    builder.predict("fine.jpg", "Luna")
    found = errors(builder.write())
    assert list(found) == ["odd"]
    assert not found["odd"]["is_labelled"]


def test_an_older_schema_is_read(builder, tmp_path):
    """A batch written before a column was there: what it lacks is null, its rows still count."""
    import json
    from pathlib import Path

    import pyarrow.parquet as pq

    target = builder.predict("a.jpg", "Nyx")
    builder.mask(target, "Luna")
    out = builder.write()
    for table, gone in (("runs", "individuals"), ("media", "brightness"), ("masks", "overlay_log_odds_drop")):
        path = next(Path(out).glob(f"{table}/*/*.parquet"))
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns([gone]), path)
    commit = next(Path(out).glob("commits/*.json"))
    commit.write_text(json.dumps(json.loads(commit.read_text()) | {"schema_version": 0}))
    label(out, tmp_path, {"a.jpg": "Luna", "b.jpg": "Nyx"})
    assert errors(out)["a"]["suggested_id"] == "Luna"


def test_a_newer_schema_is_refused(builder):
    import json
    from pathlib import Path

    from scd_core.errors import InputError

    builder.predict("a.jpg", "Nyx")
    out = builder.write()
    commit = next(Path(out).glob("commits/*.json"))
    commit.write_text(json.dumps(json.loads(commit.read_text()) | {"schema_version": 99}))
    with pytest.raises(InputError, match=r"schema version 99, this trapaudit reads up to .*upgrade"):
        derive_errors(out)
