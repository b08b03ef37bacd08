"""Which pictures a pattern means, by whatever path they are known, and that those which only look like them stay whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.main import app
from scd_core.audit import read_table
from scd_core.audit.forget.forget import choose_forgotten, forget_chosen
from scd_core.audit.labels.importing import import_labels
from scd_core.errors import InputError
from scd_core.names import ForgetBy
from scd_core.tables.forgetting import Forgotten
from scd_core.tables.store import AuditStore
from scd_core.tables.tombstones import read_tombstones
from tests.audit.audit_builder import AuditBuilder, label, write_csv

ODD = "Kreß [Nord]/Über 1/Jägerin [a] 1.JPG"
PLAIN = "C01/a.jpg"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("odd") / "out"
    builder = AuditBuilder(out)
    for size, file in enumerate((ODD, PLAIN, "C1/b.jpg")):
        builder.media(file, camera=file[:3], size_bytes=100 + size, uri=f"file:///cards/{file}")
        builder.predict(file, "Ama", new_media=False)
    builder.write()
    return str(out)


def meant(out: str, pattern: str) -> list[str]:
    return [one.file for one in choose_forgotten(out, ForgetBy.FILE, [pattern]).media]


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        (ODD, ODD),
        ("Kre\u00df*/U\u0308ber ?/*", ODD),
        (ODD.replace("/", "\\"), ODD),
        (f"./{PLAIN}", PLAIN),
        (r".\C01\a.jpg", PLAIN),
        ("/cards/C01/a.jpg", PLAIN),
        ("file:///cards/C01/a.jpg", PLAIN),
    ],
)
def test_a_path_is_meant_as_it_is_written_and_in_the_form_of_any_system(odd: str, pattern: str, file: str) -> None:
    assert meant(odd, pattern) == [file]


@pytest.mark.parametrize("pattern", ["c01/A.JPG", "a.jpg", "C01", "C01/", "["])
def test_another_case_or_a_part_of_a_path_means_nothing(odd: str, pattern: str) -> None:
    assert meant(odd, pattern) == []


@pytest.mark.parametrize("pattern", ["c01/A.JPG", "a.jpg"])
def test_what_was_nearly_meant_is_shown(odd: str, pattern: str) -> None:
    done = CliRunner().invoke(app, ["forget", odd, "--file", pattern])
    assert "holds nothing of it; did you mean C01/a.jpg?" in done.output.replace("\n", " "), done.output


@pytest.mark.parametrize("option", ["media", "file", "camera", "batch"])
def test_an_empty_value_is_refused(odd: str, option: str) -> None:
    with pytest.raises(InputError, match=f"--{option}: is empty"):
        choose_forgotten(odd, ForgetBy(option), [" "])


@pytest.mark.parametrize(
    "command", [["forget", "OUT", "--camera", "C01"], ["repair", "OUT"], ["prune", "OUT"], ["labels", "list", "OUT"]]
)
def test_an_address_where_no_audit_lies_is_refused_and_left_as_it_is(command: list[str], tmp_path: Path) -> None:
    """Else a typing error in OUT looks as if all were forgotten, or whole."""
    out = tmp_path / "nowhere"
    done = CliRunner().invoke(app, [str(out) if one == "OUT" else one for one in command])
    assert isinstance(done.exception, InputError) and "holds no audit" in str(done.exception)
    assert not out.exists()


def forget(out: Path, file: str) -> Forgotten:
    return forget_chosen(str(out), choose_forgotten(str(out), ForgetBy.FILE, [file]))


@pytest.mark.parametrize(("gone", "stays"), [("C01/a.jpg", "north/C01/a.jpg"), ("north/C01/a.jpg", "C01/a.jpg")])
def test_a_picture_whose_path_ends_as_a_forgotten_one_keeps_its_label_and_gets_no_other(
    tmp_path: Path, gone: str, stays: str
) -> None:
    out = tmp_path / "out"
    builder = AuditBuilder(out, individuals=["Ama", "Bo"])
    for size, file in enumerate((gone, stays)):
        builder.media(file, camera=f"C{size}", size_bytes=100 + size)
        builder.predict(file, "Ama", new_media=False)
    builder.write()
    label(out, tmp_path, {gone: "Ama", stays: "Bo"})
    assert forget(out, gone).rows["labels"] == 1
    assert read_table(str(out), "labels")["file"].tolist() == [stays]
    for file in (gone, gone.replace("/", "\\").upper()):
        again = write_csv(tmp_path / "again.csv", [{"file": file, "individual_id": "Eve"}])
        assert import_labels(str(out), again).n_rows == 0, "it is no label of the picture whose path ends alike"
    new = write_csv(tmp_path / "new.csv", [{"file": stays, "individual_id": "Eve"}])
    assert import_labels(str(out), new).n_known_media == 1


def test_a_picture_that_two_sources_hold_is_known_by_both_of_its_paths(tmp_path: Path) -> None:
    """A copy from a backup has another time, and so another id; it must not come back below either SOURCE."""
    out = tmp_path / "out"
    for batch, file in (("b1", "north/C01/a.jpg"), ("b2", "C01/a.jpg")):
        builder = AuditBuilder(out, batch)
        builder.media(file, media_id="one", size_bytes=7, uri="s3://cards/north/C01/a.jpg")
        builder.write()
    done = forget(out, "north/*")
    assert done.rows["media"] == 2
    stones = read_tombstones(AuditStore(str(out)))
    assert stones.has_medium("another time", "north/C01/a.jpg", 7) and stones.has_medium("another time", "C01/a.jpg", 7)
    assert not stones.has_medium("another time", "C01/a.jpg", 8)
