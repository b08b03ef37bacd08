"""Tasks for Label Studio, and the answers that come back: nothing lost, nothing invented, no machine's name a label."""

from __future__ import annotations

import contextlib
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scd_core.audit import connect, read_table
from scd_core.audit.export import export_audit
from scd_core.audit.labels.importing import import_labels
from scd_core.errors import InputError
from scd_core.inputs.labels import read_labels
from scd_core.label_names import LabelFormat
from tests.audit.audit_builder import AuditBuilder, minutes
from tests.export.studio import FORMS, answered, exported, loaded
from tests.export.test_round_trip import audit, write_labels
from tests.report.world import World

AT = "2026-03-21T08:30:00.000000Z"
KEPT = ["label_id", "individual_id", "label_source", "labelled_by", "flank", "state", "queue", "queue_probability"]


def tasks_of(out: str, folder: Path) -> list[dict[str, Any]]:
    address = export_audit(out, str(folder), "label-studio")
    assert address == (folder / "tasks.json").as_uri()
    return json.loads((folder / "tasks.json").read_text("utf-8"))


def saved(content: str, form: str, folder: Path) -> str:
    file = folder / f"project-1.{'csv' if form == 'csv' else 'json'}"
    file.write_text(content, "utf-8")
    return str(file)


def by_file(tasks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {task["data"]["file"]: task for task in tasks}


def plain_rows(out: str) -> list[dict[str, Any]]:
    """Labels of an audit; a null is None."""
    with connect(out) as connection:
        return connection.sql("SELECT * FROM labels ORDER BY file, label_id").to_arrow_table().to_pylist()


def test_tasks_hold_what_the_audit_does(placed: World, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each usable picture once, the list to label first; its names as the megadetector export has them; no label is predicted."""
    tasks = tasks_of(placed.out, folder)
    finals = "SELECT media_id, batch_key, predicted_id FROM reclassifications WHERE strategy = 'fused'"
    with connect(placed.out) as connection:
        listed = [row[0] for row in connection.sql("SELECT file FROM to_review").fetchall()]
        query = "SELECT file, coalesce(finals.predicted_id, predictions.predicted_id) FROM media JOIN predictions"
        query += f" USING (batch_key, media_id) LEFT JOIN ({finals}) finals USING (batch_key, media_id)"
        called = dict(connection.sql(query).fetchall())
    files = [task["data"]["file"] for task in tasks]
    assert files[: len(listed)] == listed and sorted(files) == sorted(frame.file for frame in placed.frames)
    for task in tasks:
        (prediction,) = task["predictions"]
        (result,) = prediction["result"]
        assert result["value"] == {"choices": [called[task["data"]["file"]]]} and result["type"] == "choices"
        assert task["data"]["image"].startswith("/data/local-files/?d=C0")
    assert "DOCUMENT_ROOT=" + str(placed.source) in caplog.text
    labelled = {frame.file for frame in placed.frames if frame.is_labelled}
    assert {task["data"]["file"] for task in tasks if task["annotations"]} == labelled


def test_the_interface_has_every_control_and_name_that_tasks_use(tmp_path: Path) -> None:
    out = audit(tmp_path / "one")
    import_labels(out, write_labels(LabelFormat.CSV, tmp_path))
    (tmp_path / "odd.csv").write_text('file,individual_id,detection_id\na.jpg,"<b>""Tau"" & co",0\n')
    import_labels(out, str(tmp_path / "odd.csv"), now=datetime(2026, 4, 1, tzinfo=UTC))
    tasks = tasks_of(out, tmp_path / "ls")
    view = ElementTree.fromstring((tmp_path / "ls" / "label_config.xml").read_text("utf-8"))
    offered = {
        tag.get("name"): {child.get("value") for child in tag} for tag in view if tag.get("name") and tag.tag != "Image"
    }
    used: dict[str, set[str]] = {}
    for task in tasks:
        for part in [*task["predictions"], *task["annotations"]]:
            for result in part["result"]:
                assert result["to_name"] == "image"
                used.setdefault(result["from_name"], set()).update(result["value"][result["type"]])
    assert '<b>"Tau" & co' in used["animal"]
    for control, words in used.items():
        assert words <= offered[control]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fmt", [LabelFormat.CSV, LabelFormat.TIMELAPSE, LabelFormat.CAMTRAP_DP])
def test_labels_go_through_label_studio_and_are_the_same(tmp_path: Path, fmt: LabelFormat, form: str) -> None:
    """Who, when, box, flank, state and id; where they are from they change nothing, elsewhere they are equal."""
    one, two = audit(tmp_path / "one"), audit(tmp_path / "two")
    import_labels(one, write_labels(fmt, tmp_path), now=datetime(2026, 3, 3, 1, 2, 3, 456, tzinfo=UTC))
    file = saved(exported(loaded(tasks_of(one, tmp_path / "ls")), form), form, tmp_path)
    again = import_labels(one, file)
    assert again.n_rows == 0 and again.n_repeated == len(read_table(one, "labels"))
    import_labels(two, file, now=datetime(2026, 4, 1, tzinfo=UTC))
    first, second = (
        sorted(
            map(str, read_table(out, "labels")[[*KEPT, "labelled_at", "bbox_x_min", "bbox_height"]].to_dict("records"))
        )
        for out in (one, two)
    )
    assert first == second
    # What they mean is the same as well: exported again, the tasks are equal, but for what is to be labelled next.
    both = [by_file(tasks_of(out, tmp_path / "again")) for out in (one, two)]
    for tasks in both:
        for task in tasks.values():
            task["data"]["trapaudit"] = json.loads(task["data"]["trapaudit"]) | {"queue": None}
    assert both[0] == both[1]


@pytest.mark.parametrize("form", FORMS)
def test_answers_are_of_the_animal_that_they_were_given_to(tmp_path: Path, form: str) -> None:
    """Accepted, corrected, drawn, blank, unclear; by whom, when, and from which stratum they were drawn."""
    out = audit(tmp_path / "one")
    tasks = by_file(tasks_of(out, tmp_path / "ls"))
    for file, task in tasks.items():
        boxes = task["predictions"][0]["result"]
        by: Any = {"id": 3, "email": "ana@example.org"}
        if file == "a.jpg":
            result = [boxes[0], boxes[1] | {"value": boxes[1]["value"] | {"rectanglelabels": ["Luna"]}}]
        elif file == "b.jpg":
            value = {"x": 40, "y": 70, "width": 10, "height": 20, "rotation": 0, "rectanglelabels": ["Tau"]}
            result = [boxes[0] | {"id": "drawn", "value": value}]
        elif file == "c.jpg":
            result = [
                {
                    "id": "p",
                    "from_name": "picture",
                    "to_name": "image",
                    "type": "choices",
                    "value": {"choices": ["blank"]},
                }
            ]
        elif file == "d.jpg":
            result = [boxes[1] | {"value": boxes[1]["value"] | {"rectanglelabels": ["unclear"]}}]
            by = 9
        else:
            result = []
        tasks[file] = answered(task, result, by, AT)
    file = saved(exported(list(tasks.values()), form), form, tmp_path)
    found = import_labels(out, file)
    assert found.n_rows == found.n_known_media == 5 and found.counts.notes[0].startswith("1 answer")
    rows = {(row["file"], row["detection_id"]): row for row in plain_rows(out)}
    assert {key: row["individual_id"] or row["state"] for key, row in rows.items()} == {
        ("a.jpg", "0"): "Luna", ("a.jpg", "1"): "Luna", ("b.jpg", None): "Tau", ("c.jpg", None): "blank",
        ("d.jpg", "1"): "unclear",
    }  # fmt: skip
    assert {row["labelled_by"] for row in rows.values()} == {"ana@example.org", "Label Studio user 9"}
    assert {row["labelled_at"].isoformat() for row in rows.values()} == {"2026-03-21T08:30:00+00:00"}
    assert {row["label_source"] for row in rows.values()} == {"label-studio"}
    assert rows["b.jpg", None]["bbox_x_min"] == pytest.approx(0.4)
    with connect(out) as connection:  # of each picture, one animal stands on the list
        drawn = {
            (file, detection): (queue, share)
            for file, detection, queue, share in connection.sql(
                "SELECT file, detection_id, queue, queue_probability FROM labels WHERE queue IS NOT NULL"
            ).fetchall()
        }
    for key, (queue, share) in drawn.items():
        carried = json.loads(tasks[key[0]]["data"]["trapaudit"])["queue"]
        assert carried[1:] == [queue, share] and key[1] in (carried[0], None)
    assert ("c.jpg", None) in drawn


def test_a_limit_takes_the_first_to_label(placed: World, folder: Path, tmp_path: Path) -> None:
    everything = tasks_of(placed.out, folder)
    export_audit(placed.out, str(tmp_path / "few"), "label-studio", limit=3)
    assert json.loads((tmp_path / "few" / "tasks.json").read_text("utf-8")) == everything[:3]
    with pytest.raises(
        InputError, match="export format megadetector: holds the whole audit; --limit is for label-studio"
    ):
        export_audit(placed.out, str(tmp_path / "few"), "megadetector", limit=3)


def test_a_corrected_label_is_a_new_one_of_the_person_who_corrected_it(tmp_path: Path) -> None:
    out = audit(tmp_path / "one")
    (tmp_path / "labels.csv").write_text("file,individual_id,detection_id,labelled_by\na.jpg,Luna,0,ana\n")
    import_labels(out, str(tmp_path / "labels.csv"), now=datetime(2026, 3, 3, tzinfo=UTC))
    tasks = loaded(tasks_of(out, tmp_path / "ls"))
    (answer,) = by_file(tasks)["a.jpg"]["annotations"]
    answer["result"][0]["value"]["rectanglelabels"] = ["Nyx"]
    answer["completed_by"] = {"id": 2, "email": "ben@example.org"}
    found = import_labels(out, saved(exported(tasks, "json"), "json", tmp_path))
    assert found.n_rows == 1
    (row,) = [row for row in read_table(out, "labels").to_dict("records") if row["individual_id"] == "Nyx"]
    assert (row["labelled_by"], row["detection_id"]) == ("ben@example.org", "0")


def test_predictions_skipped_tasks_and_empty_answers_are_no_labels(tmp_path: Path) -> None:
    out = audit(tmp_path / "one")
    tasks = loaded(tasks_of(out, tmp_path / "ls"))
    with pytest.raises(InputError, match=r"holds no label; nothing was imported .5 tasks without an answer: task 1."):
        import_labels(out, saved(exported(tasks, "json"), "json", tmp_path))
    skipped = [answered(task, task["predictions"][0]["result"], 1, AT) for task in tasks]
    for task in skipped[1:]:
        task["annotations"][0]["was_cancelled"] = True
    found = import_labels(out, saved(exported(skipped, "json"), "json", tmp_path))
    assert (found.n_rows, found.counts.unusable, found.counts.rows) == (2, 4, 6)
    assert found.counts.notes[0] == "4 tasks that somebody skipped"


@given(seed=st.integers(0, 2**32), form=st.sampled_from(FORMS))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_picture_comes_back_as_it_went(seed: int, form: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Random animals, names and answers: each answer is read as what was said, of the animal it was said of."""
    dice = random.Random(seed)
    folder = tmp_path_factory.mktemp("any")
    names = ["Luna", "Nyx; the 2nd", 'Mü,"ller', "007", "NA", "unknown"]
    builder = AuditBuilder(folder / "out", individuals=names)
    for place in range(dice.randint(1, 4)):
        file = f'C0{place}/ü {place}\'s & "co".jpg'
        n_boxes = dice.randint(0, 3)
        for box in range(n_boxes):
            sides = {"bbox_x_min": box * 0.3, "bbox_y_min": dice.random() * 0.5, "bbox_width": 0.29, "bbox_height": 0.3}
            builder.predict(file, dice.choice(names), detection=str(box), at=minutes(place), new_media=not box, **sides)
        if not n_boxes:
            builder.predict(file, dice.choice(names), at=minutes(place))
    out = builder.write()
    tasks, said = loaded(tasks_of(out, folder / "ls")), set()
    for number, task in enumerate(tasks):
        result = []
        for region in task["predictions"][0]["result"]:
            word = dice.choice(names)
            kind = region["type"]
            result.append(region | {"value": region["value"] | {kind: [word]}})
            detection = region["id"].partition(":")[2] or None
            said.add((task["data"]["file"], detection, word))
        tasks[number] = answered(task, result, {"email": "ana"}, AT)
    labels = read_labels(saved(exported(tasks, form), form, folder)).labels
    assert {(label.file, label.detection_id, label.individual_id) for label in labels} == said
    assert len(labels) == len(said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"data": {"image": "a.jpg"}, "annotations": [{}]}]', "task 1: not of Label Studio .KeyError: 'result'"),
        ('[1]', "task 1: not of Label Studio .TypeError: it is no task"),
        ('[{"file": "a.jpg"}]', "task 1: not of Label Studio .KeyError: 'data'"),
        ('[{"data": {}, "annotations": 3}]', "task 1: not of Label Studio"),
        ('[{"data": {"image": "a.jpg", "trapaudit": "{}"}, "annotations": [{"result": []}]}]', "is not as trapaudit exported it"),
        ('[{"data": {"image": "a.jpg", "trapaudit": "[["}, "annotations": [{"result": []}]}]', "is not as trapaudit exported it"),
        ('[{"data": {"image": "a.jpg"}, "annotations": [{"result": [], "updated_at": "soon"}]}]', "'soon' is no ISO 8601 time"),
        ('[{"data": {"image": "a.jpg"}', "line 1: not JSON"),
        ("[]", "holds no label"),
        ("[" * 100_000, "no JSON that can be read"),
        ("[" + "1" * 5000 + "]", "no JSON that can be read"),
        ('[{"data": {"image": "a.jpg"}, "annotations": [{"result": [{"from_name": "a", "value": {"x": 1' + "0" * 400
         + ', "y": 1, "width": 1, "height": 1, "rectanglelabels": ["Luna"]}}]}]}]', "not of Label Studio .OverflowError"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_clear_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_labels(saved(content, "json", tmp_path))
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


KEYS = ("data", "annotations", "result", "value", "choices", "from_name", "annotation_id", "trapaudit", "points", "x", "width",
        "height", "rectanglelabels")  # fmt: skip
LEAVES = st.none() | st.booleans() | st.floats(0, 9) | st.sampled_from(["data", "a.jpg", "x"])
CONTENT = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@given(content=CONTENT)
@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps([content]))
    with contextlib.suppress(InputError):
        read_labels(str(file))
