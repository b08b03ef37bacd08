"""Labels that leave as a Camtrap DP package and come back, and names that would not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import frictionless
import pytest

from scd_core.audit.export import export_audit
from scd_core.audit.export.camtrap_dp import table_descriptor
from scd_core.audit.labels.importing import import_labels
from scd_core.errors import InputError
from tests.audit.audit_builder import AuditBuilder, label, minutes
from tests.export.test_camtrap_dp import rows


def test_an_export_imported_elsewhere_is_exported_equal(tmp_path: Path) -> None:
    """Boxes, blank pictures and unknown animals with them; imported where it is from, it changes nothing."""
    outs = []
    for name in ("one", "two"):
        builder = AuditBuilder(tmp_path / name, individuals=["Luna", "Nyx"])
        for place, file in enumerate(("a.jpg", "b.jpg", "c.jpg", "d.jpg")):
            box = {"bbox_x_min": 0.1, "bbox_y_min": 0.1, "bbox_width": 0.3, "bbox_height": 0.4}
            builder.predict(file, "Luna", detection="0", at=minutes(place), **box)
            box["bbox_x_min"] = 0.6
            builder.predict(file, "Nyx", detection="1", new_media=False, **box)
        outs.append(builder.write())
    lines = "a.jpg,Luna,0\na.jpg,Nyx,1\nb.jpg,blank,\nc.jpg,unknown,1\nd.jpg,Luna,\n"
    (tmp_path / "labels.csv").write_text("file,individual_id,detection_id\n" + lines)
    import_labels(outs[0], str(tmp_path / "labels.csv"), now=datetime(2026, 3, 3, tzinfo=UTC))
    export_audit(outs[0], str(tmp_path / "dp1"), "camtrap-dp")
    again = import_labels(outs[0], str(tmp_path / "dp1" / "datapackage.json"))
    assert (again.n_rows, again.n_repeated, again.counts.unusable) == (0, 5, 8)
    import_labels(outs[1], str(tmp_path / "dp1" / "datapackage.json"), now=datetime(2026, 3, 4, tzinfo=UTC))
    export_audit(outs[1], str(tmp_path / "dp2"), "camtrap-dp")
    human = [
        [
            {column: text for column, text in row.items() if column not in ("observationID", "observationTags")}
            for row in rows(tmp_path / name, "observations")
            if row["classificationMethod"] == "human"
        ]
        for name in ("dp1", "dp2")
    ]
    assert len(human[0]) == 5

    def ordered(kept: list[dict[str, str]]) -> list[tuple[str, ...]]:
        return sorted(tuple(row.values()) for row in kept)

    assert ordered(human[0]) == ordered(human[1])
    assert sorted(row["observationType"] for row in human[1]) == ["animal"] * 4 + ["blank"]


@pytest.mark.parametrize("name", ["NA", "NaN", "nan", "null", "None", "007", "1e5"])
def test_a_name_that_looks_like_nothing_survives_or_is_refused(tmp_path: Path, name: str) -> None:
    """What frictionless reads back decides."""
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna", latitude=1.0, longitude=2.0)
    out = builder.write()
    label(out, tmp_path, {"a.jpg": name})
    if name in ("NA", "NaN", "nan"):
        with pytest.raises(InputError, match=f"reads {name!r} as a missing value"):
            export_audit(out, str(tmp_path / "dp"), "camtrap-dp")
        return
    export_audit(out, str(tmp_path / "dp"), "camtrap-dp")
    schema = {key: value for key, value in table_descriptor("observations").items() if key != "foreignKeys"}
    resource = frictionless.Resource(
        path="observations.csv",
        basepath=str(tmp_path / "dp"),
        schema=frictionless.Schema.from_descriptor(schema),
    )
    assert {row["individualID"] for row in resource.read_rows()} == {"Luna", name}
