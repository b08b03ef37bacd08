"""A manifest in random dialects is read back without losing or inventing a row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scd_core.config import MediaConfig
from scd_core.media import find_manifest
from scd_core.media.manifest_counts import manifest_counts
from scd_core.media.metadata import PathFacts
from scd_core.storage.objects import ObjectRef

FOLDERS = ("C01/D1", "C02/D1", "Müritz/Süd", "Río Añejo", "a b")
START = datetime(2024, 4, 1, tzinfo=UTC)
OLD = {
    "deploymentID": "deployment_id", "locationName": "location_name", "cameraID": "camera_id", "deploymentStart": "start",
    "deploymentEnd": "end", "timestampIssues": "timestamp_issues", "filePath": "file_path",
}  # fmt: skip
FILES = st.lists(
    st.tuples(st.sampled_from(FOLDERS), st.integers(0, 30)).map(lambda place: f"{place[0]}/IMG_{place[1]:04}.JPG"),
    min_size=1,
    max_size=8,
    unique=True,
)


def written(moment: datetime, dice: random.Random) -> str:
    """A time in one of its spellings; the instant is the same."""
    offset = dice.choice([0, 120, -210])
    local = moment + timedelta(minutes=offset)
    text = (
        f"{local:{dice.choice(['%Y-%m-%dT%H:%M:%S', '%Y-%m-%d %H:%M:%S', '%Y/%m/%d %H:%M:%S', '%Y:%m:%d %H:%M:%S'])}}"
    )
    text += dice.choice(["", ".000", ".0"])
    sign, size = "-" if offset < 0 else "+", abs(offset)
    zone = f"{sign}{size // 60:02}{dice.choice(['', ':'])}{size % 60:02}"
    return text + (dice.choice(["Z", zone]) if offset == 0 else zone)


def table(rows: list[dict[str, Any]], dice: random.Random) -> bytes:
    """CSV in some dialect, its columns and rows in any order, with the names of some version."""
    columns, is_old = list(rows[0]), dice.random() < 0.3
    dice.shuffle(columns)
    text = io.StringIO()
    ends, quoting = dice.choice(["\n", "\r\n"]), dice.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(text, delimiter=dice.choice(",;\t"), lineterminator=ends, quoting=quoting)
    names = [OLD.get(column, column) if is_old else column for column in columns]
    writer.writerow([dice.choice([str, str.upper, str.lower])(name) for name in names])
    for row in dice.sample(rows, len(rows)):
        writer.writerow([row[column] for column in columns])
    return text.getvalue().encode(dice.choice(["utf-8", "utf-8-sig", "utf-16"]))


def spelt(file: str, dice: random.Random) -> str:
    """A path as another system writes it."""
    file = unicodedata.normalize(dice.choice(["NFC", "NFD"]), file)
    file = dice.choice(["", "./", "D:/Cards/", "/media/me/cards/", "//server/share/"]) + dice.choice(
        [str, str.lower, str.upper, str.swapcase]
    )(file)
    return file.replace("/", "\\") if dice.random() < 0.5 else file


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(FILES, st.randoms(use_true_random=False))
def test_a_package_is_read_equal_in_every_dialect(tmp_path_factory, files, dice):
    folder: Path = tmp_path_factory.mktemp("package")
    names = sorted({file.rpartition("/")[0] for file in files})
    issues = {name: dice.random() < 0.5 for name in names}
    deployments = [
        {
            "deploymentID": f"d{number}",
            "locationName": name,
            "cameraID": f"cam, {number}",
            "latitude": number,
            "longitude": -number,
            "deploymentStart": written(START, dice),
            "deploymentEnd": written(START + timedelta(days=60), dice),
            "timestampIssues": dice.choice(["true", "TRUE"]) if issues[name] else dice.choice(["", "false"]),
        }
        for number, name in enumerate(names)
    ]
    times = {file: START + timedelta(hours=number) for number, file in enumerate(files)}
    media = [
        {
            "mediaID": file,
            "deploymentID": f"d{names.index(file.rpartition('/')[0])}",
            "timestamp": written(times[file], dice),
            "filePath": spelt(file, dice),
            "mediaComments": 'a "quoted"; remark, x',
        }
        for file in files
    ]
    cut = dice.randint(0, len(media) - 1)
    parts = {"deployments": [deployments], "media": [part for part in (media[:cut], media[cut:]) if part]}
    resources = []
    for name, tables in parts.items():
        paths = []
        for number, rows in enumerate(tables):
            content, path = table(rows, dice), f"{name}{number}.csv"
            if dice.random() < 0.3:
                content, path = gzip.compress(content), f"{path}.gz"
            (folder / path).write_bytes(content)
            paths.append(path)
        resources.append({"name": name, "path": paths if len(paths) > 1 or dice.random() < 0.5 else paths[0]})
    (folder / "datapackage.json").write_text(json.dumps({"resources": resources}))

    manifest = find_manifest(str(folder))
    refs = [ObjectRef(f"file://{folder}/{file}", file, 1, "e", None, START) for file in files]
    joined = manifest.join(refs).names
    for ref in refs:
        facts = manifest.lookup(ref, PathFacts(), joined)
        place = ref.file.rpartition("/")[0]
        number = names.index(place)
        assert (facts.deployment_id, facts.site_id, facts.camera_id) == (f"d{number}", place, f"cam, {number}")
        assert (facts.latitude, facts.longitude, facts.has_timestamp_issues) == (number, -number, issues[place])
        assert facts.moment.utc == times[ref.file].replace(tzinfo=None)
    of_deployments, of_media = manifest_counts(manifest, refs, MediaConfig())
    assert (of_deployments.rows, of_deployments.joined) == (len(names), len(names))
    assert (of_media.rows, of_media.joined) == (len(files), len(files))
