"""Labels in an audit: what an import adds, what waits, what is in doubt."""

from datetime import UTC, datetime

import pytest

from scd_core.audit import read_table
from scd_core.audit.labels.importing import check_labels, import_labels, label_rows
from scd_core.errors import InputError
from scd_core.inputs.labels import Label, LabelFile, read_labels
from scd_core.names import Flank, LabelFormat
from tests.audit.audit_builder import AuditBuilder, label, write_csv


def test_rows_have_ids_that_stay():
    """The ids that earlier versions wrote: a label imported again is known by its id."""
    moment, now = datetime(2026, 2, 1, 5, 30, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    csv = (Label("C01/a.jpg", "0", "Luna", Flank.LEFT, "ana", moment), Label("a.jpg", None, "Luna", None, None, None))
    first, second = label_rows(LabelFile("l.csv", LabelFormat.CSV, "0", csv), now)
    assert (first["label_id"], second["label_id"]) == ("0913b2d113669c66", "776bb052d651a34d")
    assert (first["labelled_at"], second["labelled_at"]) == (moment, now)
    package = (Label("C01/a.jpg", None, "Luna", None, "Ana", datetime(2026, 3, 2, tzinfo=UTC)),)
    (row,) = label_rows(LabelFile("observations.csv", LabelFormat.CAMTRAP_DP, "0", package), now)
    assert row["label_id"] == "c6790b2c18291416"


def test_import_is_idempotent_and_waits_for_media(tmp_path):
    out = tmp_path / "out"
    early = label(out, tmp_path, {"C01/a.jpg": "Luna"})
    assert (early.n_rows, early.n_known_media, early.n_waiting) == (1, 0, 1)
    builder = AuditBuilder(out)
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C01/b.jpg", "Luna")
    builder.write()
    again = label(out, tmp_path, {"C01/a.jpg": "Luna"})
    assert (again.n_rows, again.n_repeated, again.import_id) == (0, 1, early.import_id)
    late = label(out, tmp_path, {"C01/a.jpg": "Luna", "C01/b.jpg": "Nyx"})
    assert (late.n_rows, late.n_repeated, late.n_known_media) == (1, 1, 1)
    table = read_table(str(out), "labels")
    assert sorted(zip(table["file"], table["individual_id"])) == [("C01/a.jpg", "Luna"), ("C01/b.jpg", "Nyx")]


def test_taking_a_name_back_is_news(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    for day, name in enumerate(("Luna", "Nyx", "Luna"), start=1):
        result = label(
            out, tmp_path, {"a.jpg": name, f"other{day}.jpg": "Luna"}, now=datetime(2026, 3, day, tzinfo=UTC)
        )
        assert result.n_rows == 2
    assert len(read_table(out, "labels")) == 6


def test_conflicts_of_one_moment_are_reported(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    out = builder.write()
    moment = "2026-03-01T00:00:00Z"
    assert not label(out, tmp_path, {"a.jpg": "Luna"}, labelled_by="ana", labelled_at=moment).conflicts
    found = label(out, tmp_path, {"a.jpg": "Nyx"}, labelled_by="ben", labelled_at=moment, name="two.csv").conflicts
    assert found == ["a.jpg at 2026-03-01T00:00:00Z: Luna (ana), Nyx (ben)"]


@pytest.mark.parametrize("name", ["C01/a.jpg", "s3://cards/C01/a.jpg", "cards/C01/a.jpg", "a.jpg"])
def test_media_are_found_by_uri_path_or_unique_name(tmp_path, name):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C01/b.jpg", "Luna")
    assert label(builder.write(), tmp_path, {name: "Luna"}).n_known_media == 1


def test_a_name_that_fits_two_objects_is_reported(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("C01/a.jpg", "Luna")
    builder.predict("C02/a.jpg", "Luna")
    result = label(builder.write(), tmp_path, {"a.jpg": "Luna", "C02/a.jpg": "Nyx"})
    assert (result.ambiguous, result.n_known_media, result.n_waiting) == (["a.jpg"], 1, 1)


def test_a_duplicates_label_belongs_to_the_first_object(tmp_path):
    builder = AuditBuilder(tmp_path / "out")
    builder.predict("a.jpg", "Luna")
    builder.media("copy.jpg", status="duplicate", duplicate_of="id-a.jpg")
    out = builder.write()
    label(out, tmp_path, {"copy.jpg": "Luna"})
    assert read_table(out, "labels")["media_id"].tolist() == ["id-a.jpg"]


def test_check_labels(tmp_path):
    labels = read_labels(write_csv(tmp_path / "l.csv", [
        {"file": "C01/a.jpg", "individual_id": "Luna"},
        {"file": "C09/z.jpg", "individual_id": "Lnua"},
    ])).labels  # fmt: skip
    warnings = check_labels(labels, ["C01/a.jpg"], ["Luna", "Nyx"])
    assert any("C09/z.jpg" in line for line in warnings) and any("Lnua" in line for line in warnings)
    with pytest.raises(InputError, match="none of 2 files is among"):
        check_labels(labels, ["other.jpg"], ["Luna"])
    with pytest.raises(InputError, match="the model knows none of the individuals"):
        check_labels(labels, ["C01/a.jpg"], ["Nyx"])
    fine = read_labels(write_csv(tmp_path / "f.csv", [{"file": "a.jpg", "individual_id": "unknown"}])).labels
    assert check_labels(fine, ["s3://cards/C01/a.jpg"], ["Nyx"]) == []


def test_import_needs_no_audit_but_a_readable_file(tmp_path):
    with pytest.raises(InputError):
        import_labels(str(tmp_path / "out"), str(tmp_path / "none.csv"))
    assert not (tmp_path / "out").exists()
