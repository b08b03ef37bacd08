"""The Camtrap DP package: valid by its table schemas, complete, and honest about what it lacks."""

from __future__ import annotations

import csv
import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import frictionless
import pytest

from scd_core.audit import read_table
from scd_core.audit.export import export_audit
from scd_core.audit.export.camtrap_dp import CORE_TABLES, table_descriptor
from scd_core.errors import InputError
from scd_core.inputs.labels import read_labels
from scd_core.tables.schema import TABLES
from tests.report.world import World, build_world, planted_frames


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def validate(folder: Path) -> list[Any]:
    """Errors of the package; the schemas of the standard are read from our own descriptors, for there is no network."""
    package = json.loads((folder / "datapackage.json").read_text("utf-8"))
    del package["profile"]
    for resource in package["resources"]:
        if resource["name"] in CORE_TABLES:
            resource["schema"] = table_descriptor(resource["name"])
    report = frictionless.Package.from_descriptor(package, basepath=str(folder)).validate()
    return [*report.errors, *(error for task in report.tasks for error in task.errors)]


def test_package_is_valid(placed: World, folder: Path) -> None:
    address = export_audit(placed.out, str(folder), "camtrap-dp")
    assert address == (folder / "datapackage.json").as_uri()
    assert validate(folder) == []


@pytest.mark.parametrize(
    ("table", "column", "value", "kind"),
    [
        ("observations", "classificationProbability", "1.5", "constraint-error"),
        ("observations", "observationType", "jaguar", "constraint-error"),
        ("observations", "mediaID", "not-there", "foreign-key"),
        ("observations", "deploymentID", "not-there", "foreign-key"),
        ("media", "deploymentID", "not-there", "foreign-key"),
        ("media", "timestamp", "2026-03-01 04:00", "type-error"),
        ("deployments", "latitude", "", "constraint-error"),
        ("audit/labels", "imported_at", "yesterday", "type-error"),
    ],
)
def test_validation_would_notice(placed: World, folder: Path, table: str, column: str, value: str, kind: str) -> None:
    """The fixture's proof: each of these faults in the files is one error of the validation, and of its kind."""
    export_audit(placed.out, str(folder), "camtrap-dp")
    content = rows(folder, table)
    content[-1][column] = value
    with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    errors = validate(folder)
    assert {error.type for error in errors} == {kind}
    assert {error.row_number for error in errors} == {len(content) + 1}


def test_descriptor_names_the_published_standard(placed: World, folder: Path) -> None:
    export_audit(placed.out, str(folder), "camtrap-dp", now=datetime(2026, 6, 1, tzinfo=UTC))
    package = json.loads((folder / "datapackage.json").read_text("utf-8"))
    base = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
    assert package["profile"] == f"{base}/camtrap-dp-profile.json"
    resources = {resource["name"]: resource for resource in package["resources"]}
    assert [resources[name]["schema"] for name in CORE_TABLES] == [
        f"{base}/{name}-table-schema.json" for name in CORE_TABLES
    ]
    assert {name for name in resources if name.startswith("audit-")} == {f"audit-{t.replace('_', '-')}" for t in TABLES}
    # what the profile requires
    assert {"created", "contributors", "project", "spatial", "temporal", "taxonomic"} <= package.keys()
    assert re.fullmatch(r"[-a-z0-9._/]+", package["name"])
    assert package["created"] == "2026-06-01T00:00:00Z"
    project = package["project"]
    assert project["samplingDesign"] in (
        "simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted", "opportunistic",
    )  # fmt: skip
    assert project["individualAnimals"] is True and project["observationLevel"] == ["media"]
    assert package["spatial"] == {"type": "Point", "coordinates": [7.5, 46.25]}
    days = sorted(frame.taken.date().isoformat() for frame in placed.frames if frame.taken)
    assert package["temporal"] == {"start": days[0], "end": days[-1]}


def test_every_medium_prediction_and_label_is_there_once(placed: World, folder: Path) -> None:
    export_audit(placed.out, str(folder), "camtrap-dp")
    media, observations = rows(folder, "media"), rows(folder, "observations")
    assert sorted(row["fileName"] for row in media) == sorted(Path(frame.file).name for frame in placed.frames)
    machine = [row for row in observations if row["classificationMethod"] == "machine"]
    human = [row for row in observations if row["classificationMethod"] == "human"]
    predictions = read_table(placed.out, "predictions").set_index("media_id")
    assert len(machine) == len(predictions)
    for row in machine:
        prediction = predictions.loc[row["mediaID"]]
        assert row["individualID"] == prediction["predicted_id"]
        assert float(row["classificationProbability"]) == pytest.approx(prediction["probability"], abs=1e-5)
        box = [float(row[name]) for name in ("bboxX", "bboxY", "bboxWidth", "bboxHeight")]
        assert box == pytest.approx(
            [prediction[f"bbox_{side}"] for side in ("x_min", "y_min", "width", "height")], abs=1e-5
        )
    truth = {Path(frame.file).name: frame.true for frame in placed.frames if frame.is_labelled}
    name_of = {row["mediaID"]: row["fileName"] for row in media}
    assert {name_of[row["mediaID"]]: row["individualID"] for row in human} == truth
    assert {row["classifiedBy"] for row in human} == {"ana"}


def test_corrected_names_stand_in_the_tags_only(placed: World, folder: Path) -> None:
    """The name that masks gave is never written as the model's."""
    export_audit(placed.out, str(folder), "camtrap-dp")
    frames = {Path(frame.file).name: frame for frame in placed.frames}
    name_of = {row["mediaID"]: row["fileName"] for row in rows(folder, "media")}
    corrected = 0
    for row in rows(folder, "observations"):
        frame = frames[name_of[row["mediaID"]]]
        if row["classificationMethod"] == "machine" and frame.is_masked and frame.final != frame.called:
            corrected += 1
            assert row["individualID"] == frame.called
            assert f"finalIndividualID:{frame.final}" in row["observationTags"].split(" | ")
    assert corrected


def test_times_carry_the_camera_clock_offset(placed: World, folder: Path) -> None:
    export_audit(placed.out, str(folder), "camtrap-dp")
    taken = {Path(frame.file).name: frame.taken for frame in placed.frames}
    for row in rows(folder, "media"):
        assert row["timestamp"] == taken[row["fileName"]].strftime("%Y-%m-%dT%H:%M:%S+02:00")  # type: ignore[union-attr]
    by_event: dict[str, list[str]] = {}
    stamps = {row["mediaID"]: row["timestamp"] for row in rows(folder, "media")}
    for row in rows(folder, "observations"):
        by_event.setdefault(row["eventID"], []).append(stamps[row["mediaID"]])
    for row in rows(folder, "observations"):
        assert (row["eventStart"], row["eventEnd"]) == (min(by_event[row["eventID"]]), max(by_event[row["eventID"]]))


def test_negative_offsets(tmp_path: Path, folder: Path) -> None:
    from tests.report import world as worlds

    world = worlds.World(tmp_path / "cards", str(tmp_path / "audit"), planted_frames(n_events=3), has_pictures=False)
    world.is_placed = True
    worlds.commit_world(world, offset=-210)
    export_audit(world.out, str(folder), "camtrap-dp")
    assert {row["timestamp"][-6:] for row in rows(folder, "media")} == {"-03:30"}


def test_what_is_lacking_is_said(nowhere: World, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        export_audit(nowhere.out, str(folder), "camtrap-dp")
    messages = "\n".join(caplog.messages)
    assert "1 medium has no capture time" in messages
    assert "deployments without coordinates" in messages and "offset from UTC is unknown" in messages
    deployments = rows(folder, "deployments")
    for row in deployments:
        assert row["deploymentID"] in messages and row["latitude"] == row["longitude"] == ""
        assert row["timestampIssues"] == "true"
    errors = validate(folder)
    assert {(error.type, error.field_name) for error in errors} == {
        ("constraint-error", "latitude"), ("constraint-error", "longitude"),
    }  # fmt: skip
    package = json.loads((folder / "datapackage.json").read_text("utf-8"))
    assert package["spatial"] == {"type": "GeometryCollection", "geometries": []}
    assert "without coordinates" in package["description"]


def test_media_without_a_time_are_in_the_audit_table(nowhere: World, folder: Path) -> None:
    export_audit(nowhere.out, str(folder), "camtrap-dp")
    untimed = nowhere.frames[0].file
    assert Path(untimed).name not in {row["fileName"] for row in rows(folder, "media")}
    assert untimed in {row["file"] for row in rows(folder, "audit/media")}


def test_no_time_at_all_is_refused(tmp_path: Path, folder: Path) -> None:
    frames = planted_frames(n_events=3)
    for frame in frames:
        frame.taken = None
    world = build_world(tmp_path, frames, broken=False, has_pictures=False, reports=0)
    with pytest.raises(InputError, match=r"no picture has a capture time.*filename_pattern"):
        export_audit(world.out, str(folder), "camtrap-dp")
    assert not folder.exists()


def test_human_observations_come_back_as_the_labels_they_were(placed: World, folder: Path) -> None:
    export_audit(placed.out, str(folder), "camtrap-dp")
    labels = read_labels(str(folder / "observations.csv")).labels
    truth = {frame.file: frame.true for frame in placed.frames if frame.is_labelled}
    assert {label.file.split("/cards/")[1]: label.individual_id for label in labels} == truth


def test_hostile_names_survive(tmp_path: Path, folder: Path) -> None:
    frames = planted_frames(n_events=4)
    names = {"Luna": 'Lu,na "the" | ł\nTwo', "Nyx": "=HYPERLINK(1)"}
    for frame in frames:
        frame.true, frame.called, frame.final = (names.get(n, n) for n in (frame.true, frame.called, frame.final))
        frame.camera = 'C, "7"; DROP TABLE media --\''
        frame.file = "C/" + Path(frame.file).name.replace("IMG", "IM..G")
    world = build_world(tmp_path, frames, broken=False, has_pictures=False, is_placed=True)
    export_audit(world.out, str(folder), "camtrap-dp")
    assert validate(folder) == []
    individuals = {row["individualID"] for row in rows(folder, "observations")}
    assert individuals == {frame.true for frame in frames if frame.is_labelled} | {frame.called for frame in frames}


def test_masks_are_pictures_in_base64(placed: World, folder: Path) -> None:
    import base64

    export_audit(placed.out, str(folder), "camtrap-dp")
    stored = read_table(placed.out, "masks").set_index("target_id")["mask_png"]
    masks = rows(folder, "audit/masks")
    assert len(masks) == len(stored) > 0
    for row in masks:
        assert base64.b64decode(row["mask_png"]) == bytes(stored[row["target_id"]])


def test_the_same_audit_gives_the_same_tables(placed: World, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_audit(placed.out, str(tmp_path / name), "camtrap-dp")
    for table in CORE_TABLES:
        assert (tmp_path / "a" / f"{table}.csv").read_bytes() == (tmp_path / "b" / f"{table}.csv").read_bytes()


def test_schemas_agree_with_a_package_of_others(photographs: Path) -> None:
    """The column names of a Camtrap DP 1.0.2 package that was made elsewhere, in the same order."""
    folder = photographs / "camtrap_dp"
    for table in CORE_TABLES:
        with (folder / f"{table}.csv").open(encoding="utf-8") as file:
            theirs = next(csv.reader(file))
        ours = [field["name"] for field in table_descriptor(table)["fields"]]
        assert theirs == [name for name in ours if name in theirs]
        # Their table leaves out one optional column.
        assert set(ours) - set(theirs) <= {"cameraDelay"}


def test_unknown_form(placed: World, folder: Path) -> None:
    with pytest.raises(InputError, match="camtrap-dp, megadetector"):
        export_audit(placed.out, str(folder), "wildbook")  # type: ignore[arg-type]


def test_no_audit(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="holds no audit"):
        export_audit(str(tmp_path / "empty"), str(folder), "camtrap-dp")
    assert not folder.exists()


def test_a_folder_that_cannot_be_written(placed: World, tmp_path: Path) -> None:
    from scd_core.errors import RunError

    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        export_audit(placed.out, str(tmp_path / "file"), "camtrap-dp")


def test_an_export_to_memory(placed: World) -> None:
    import fsspec

    address = export_audit(placed.out, "memory://exports/one", "camtrap-dp")
    assert address.startswith("memory://") and address.endswith("/exports/one/datapackage.json")
    assert json.loads(fsspec.filesystem("memory").cat("/exports/one/datapackage.json"))["resources"]


# What the table schemas ask for: * required, ^ unique, then type and limits. Held against copies of the published schemas that
# are older than 1.0.2, and its changelog; the box fields, cameraDepth and part of the vocabulary could not be looked up there.
PUBLISHED = {
    "deployments": """
        deploymentID*^ locationID locationName latitude*:number[-90,90] longitude*:number[-180,180]
        coordinateUncertainty:integer[1,] deploymentStart*:datetime deploymentEnd*:datetime setupBy cameraID cameraModel
        cameraDelay:integer[0,] cameraHeight:number[0,] cameraDepth:number[0,] cameraTilt:integer[-90,90]
        cameraHeading:integer[0,360] detectionDistance:number[0,] timestampIssues:boolean baitUse:boolean
        featureType=roadPaved|roadDirt|trailHiking|trailGame|roadUnderpass|roadOverpass|roadBridge|culvert|burrow|nestSite|carcass|waterSource|fruitingTree
        habitat deploymentGroups deploymentTags deploymentComments""",
    "media": """
        mediaID*^ deploymentID* captureMethod=activityDetection|timeLapse timestamp*:datetime filePath* filePublic*:boolean
        fileName fileMediatype* exifData:any favorite:boolean mediaComments""",
    "observations": """
        observationID*^ deploymentID* mediaID eventID eventStart*:datetime eventEnd*:datetime observationLevel*=media|event
        observationType*=animal|human|vehicle|blank|unknown|unclassified cameraSetupType=setup|calibration scientificName
        count:integer[1,] lifeStage=adult|subadult|juvenile sex=female|male behavior individualID
        individualPositionRadius:number[0,] individualPositionAngle:number[-90,90] individualSpeed:number[0,]
        bboxX:number[0,1] bboxY:number[0,1] bboxWidth:number[1e-15,1] bboxHeight:number[1e-15,1]
        classificationMethod=human|machine classifiedBy classificationTimestamp:datetime
        classificationProbability:number[0,1] observationTags observationComments""",
}


def noted(field: dict[str, Any]) -> str:
    """A field of a table schema in the notation above."""
    limits = field["constraints"]
    text = field["name"] + "*" * bool(limits.get("required")) + "^" * bool(limits.get("unique"))
    if "enum" in limits:
        return f"{text}={'|'.join(limits['enum'])}"
    if field["type"] != "string":
        text += f":{field['type']}"
    if "minimum" in limits or "maximum" in limits:
        text += f"[{limits.get('minimum', '')},{limits.get('maximum', '')}]"
    return text


@pytest.mark.parametrize("table", CORE_TABLES)
def test_the_schemas_are_the_published_ones(table: str) -> None:
    content = table_descriptor(table)
    assert [noted(field) for field in content["fields"]] == PUBLISHED[table].split()
    assert content["missingValues"] == ["", "NA", "NaN", "nan"]  # since 1.0.2, for Parquet
    for field in content["fields"]:
        if field["type"] == "datetime":
            assert field["format"] == "%Y-%m-%dT%H:%M:%S%z"


def test_our_package_has_the_shape_of_a_real_one(placed: World, folder: Path) -> None:
    """The shared package of another project has the same tables, in the same columns and vocabulary."""
    from tests.conftest import DATA, absent

    if not (DATA / "camtrap_dp").is_dir():
        absent("the shared Camtrap DP package is not beside this checkout")
    export_audit(placed.out, str(folder), "camtrap-dp")
    theirs = {table: rows(DATA / "camtrap_dp", table) for table in CORE_TABLES}
    for table in CORE_TABLES:
        ours = list(rows(folder, table)[0])
        extra = {"cameraDelay"} if table == "deployments" else set()  # their writer leaves it out
        assert [name for name in ours if name not in extra] == list(theirs[table][0])


def test_labels_of_a_real_package_with_individuals(tmp_path: Path) -> None:
    """A real package names species; given individuals, its human observations are labels of its own media."""
    from tests.conftest import DATA, absent

    if not (DATA / "camtrap_dp").is_dir():
        absent("the shared Camtrap DP package is not beside this checkout")
    with pytest.raises(InputError, match="holds no label"):
        read_labels(str(DATA / "camtrap_dp" / "observations.csv"))
    content = rows(DATA / "camtrap_dp", "observations")
    for number, row in enumerate(content):
        row["individualID"] = f"cat{number}"
    for name in ("media.csv", "deployments.csv"):
        (tmp_path / name).write_bytes((DATA / "camtrap_dp" / name).read_bytes())
    with (tmp_path / "observations.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(content[0]))
        writer.writeheader()
        writer.writerows(content)
    labels = read_labels(str(tmp_path / "observations.csv")).labels
    path = {row["mediaID"]: row["filePath"] for row in rows(tmp_path, "media")}
    assert sorted((label.file, label.individual_id) for label in labels) == sorted(
        (path[row["mediaID"]], row["individualID"]) for row in content if row["mediaID"]
    )
