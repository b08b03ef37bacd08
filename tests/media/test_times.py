"""Times as cameras, programs and people write them: read in one way only, or shown."""

from __future__ import annotations

import io
from datetime import datetime

import pytest
from PIL import Image

from scd_core.config import MediaConfig
from scd_core.media import describe_objects, list_objects
from scd_core.media.clock import choose_time
from scd_core.media.manifest import ManifestFacts
from scd_core.media.metadata import ExifTime, exif_time
from scd_core.media.time_notes import time_notes
from scd_core.media.times import Moment, is_blank_time, parse_time
from scd_core.names import TimeSource
from scd_core.tables.schema import table_from_rows
from tests.services.pictures import encode, photo

NOW = datetime(2026, 6, 1)
MAY = datetime(2024, 5, 1, 6)
EXIF_IFD, ORIGINAL, CREATED, OFFSET_CREATED, CHANGED = 0x8769, 0x9003, 0x9004, 0x9012, 0x0132


def picture(inner: dict[int, object], outer: dict[int, object] | None = None) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD).update(inner)
    exif.update(outer or {})
    return encode(photo(), exif=exif.tobytes())


@pytest.mark.parametrize(
    ("text", "local", "offset"),
    [
        ("2007/06/30 18:45:17", datetime(2007, 6, 30, 18, 45, 17), None),
        ("2007.06.30 18:45:17", datetime(2007, 6, 30, 18, 45, 17), None),
        ("2018-01-20T11:46:00Z", datetime(2018, 1, 20, 11, 46), 0),
        ("2018:01:20 11:46:00 UTC", datetime(2018, 1, 20, 11, 46), 0),
        ("2021:06:15 07:05:03.250", datetime(2021, 6, 15, 7, 5, 3, 250_000), None),
        ("2021:06:15 07:05:03,5", datetime(2021, 6, 15, 7, 5, 3, 500_000), None),
        ("2021:06:15 07:05:03.123456789", datetime(2021, 6, 15, 7, 5, 3, 123_456), None),
        ("2021:06:15 07:05:03+02:00", datetime(2021, 6, 15, 7, 5, 3), 120),
        ("2021-06-15T07:05:03-0330", datetime(2021, 6, 15, 7, 5, 3), -210),
        ("2021-06-15T07:05:03+02", datetime(2021, 6, 15, 7, 5, 3), 120),
        ("2021:06:15 07:05:03 GMT+02:00", datetime(2021, 6, 15, 7, 5, 3), 120),
        ("2021:06:15 07:05:03 UTC-7", datetime(2021, 6, 15, 7, 5, 3), -420),
        ("2021:06:15 07:05:03 p.m.", datetime(2021, 6, 15, 19, 5, 3), None),
        ("2021/06/15-07:05:03", datetime(2021, 6, 15, 7, 5, 3), None),
        ("2018:05:10 13:23:29+02:00 DST", datetime(2018, 5, 10, 13, 23, 29), 120),
        ("2018:05:10 13:23:29 DST", datetime(2018, 5, 10, 13, 23, 29), None),
        ("2021: 6:15  7: 5: 3", datetime(2021, 6, 15, 7, 5, 3), None),
        ("2021:06:15 07:05", datetime(2021, 6, 15, 7, 5), None),
        ("20210615T070503Z", datetime(2021, 6, 15, 7, 5, 3), 0),
        ("2021:06:15 12:05:03 AM", datetime(2021, 6, 15, 0, 5, 3), None),
        ("2021:06:15 07:05:03 pm", datetime(2021, 6, 15, 19, 5, 3), None),
    ],
)
def test_a_time_with_the_year_first_is_read(text, local, offset):
    assert parse_time(text) == Moment(local, offset)


@pytest.mark.parametrize(
    "text",
    [
        "30/06/2007 18:45:17", "06.07.2021 07:05:03", "2021:06:15", "2021:13:45 03:51:33", "2021:02:30 03:51:33", "1718434800",
        "2021:06:15 24:00:00", "2021:06:15 07:05:03 +19:00", "2021:06:15 07:05:03 CEST", "2021:06:15 13:05:03 PM", "yesterday",
    ],
)  # fmt: skip
def test_a_time_that_may_mean_two_things_or_none_is_not_read(text):
    assert parse_time(text) is None


@pytest.mark.parametrize(
    "text", ["", "0000:00:00 00:00:00", "    :  :     :  :  ", "----:--:--", "0000-00-00T00:00:00Z"]
)
def test_zeros_and_separators_are_no_time_at_all(text):
    assert is_blank_time(text) and parse_time(text) is None


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        ({CREATED: "2024:03:27 10:11:12"}, {}, (Moment(datetime(2024, 3, 27, 10, 11, 12)), "exif_created", None)),
        (
            {CREATED: "2024:03:27 10:11:12", OFFSET_CREATED: "+01:00"},
            {},
            (Moment(datetime(2024, 3, 27, 10, 11, 12), 60), "exif_created", None),
        ),
        (
            {ORIGINAL: "2024:03:27 10:11:12", CREATED: "2024:03:28 00:00:00"},
            {},
            (Moment(datetime(2024, 3, 27, 10, 11, 12)), "exif", None),
        ),
        (
            {ORIGINAL: "0000:00:00 00:00:00", CREATED: "2024:03:27 10:11:12"},
            {},
            (Moment(datetime(2024, 3, 27, 10, 11, 12)), "exif_created", None),
        ),
        (
            {ORIGINAL: "27/03/2024 10:11", CREATED: "2024:03:27 10:11:12"},
            {},
            (Moment(datetime(2024, 3, 27, 10, 11, 12)), "exif_created", None),
        ),
        ({ORIGINAL: "27/03/2024 10:11"}, {}, (None, "exif", "27/03/2024 10:11")),
        ({}, {ORIGINAL: "2024:03:27 10:11:12"}, (Moment(datetime(2024, 3, 27, 10, 11, 12)), "exif", None)),
        ({}, {CHANGED: "2024:03:27 10:11:12"}, (None, "exif", None)),
    ],
)
def test_which_of_exifs_times_counts(inner, outer, expected):
    with Image.open(io.BytesIO(picture(inner, outer))) as image:
        found = exif_time(image)
    assert (found.moment, found.source, found.not_understood) == expected


def test_what_is_not_understood_is_counted_and_shown(tmp_path):
    texts = ["2024:05:01 06:00:00", "30/06/2007 18:45:17", "01.05.24 6 Uhr", "0000:00:00 00:00:00"]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.jpg").write_bytes(picture({ORIGINAL: text}))
    config = MediaConfig()
    rows = describe_objects(list_objects(str(tmp_path), config), str(tmp_path), config)
    assert [row["time_not_understood"] for row in rows] == [None, *texts[1:3], None]
    assert time_notes(table_from_rows("media", rows)) == [
        "2 times not understood, first '30/06/2007 18:45:17' in 1.jpg",
        "3 of 4 pictures have no time, first 1.jpg; those of one deployment and folder are one event",
    ]


def facts(moment: datetime | None = None, offset: int | None = 120, **columns: object) -> ManifestFacts:
    return ManifestFacts(moment=Moment(moment, offset) if moment else None, **columns)  # type: ignore[arg-type]


DEPLOYED = {"starts": datetime(2024, 4, 1), "ends": datetime(2024, 6, 1), "utc_offset_minutes": 120}


@pytest.mark.parametrize(
    ("exif", "given"),
    [
        (datetime(2000, 1, 1), facts(MAY, has_timestamp_issues=True)),
        (datetime(2024, 5, 1, 7), facts(MAY, has_timestamp_issues=True, **DEPLOYED)),
        (datetime(2000, 1, 1, 0, 3), facts(MAY)),
        (datetime(1970, 1, 1), facts(MAY)),
        (datetime(2024, 3, 20), facts(MAY, **DEPLOYED)),
        (datetime(2024, 6, 20), facts(MAY, **DEPLOYED)),
        (datetime(2031, 5, 1, 6), facts(MAY)),
        (datetime(2021, 5, 1, 6), facts(MAY)),
        (datetime(2025, 5, 1, 6), facts(MAY)),
    ],
)
def test_a_persons_correction_wins_over_an_impossible_clock(exif, given):
    chosen = choose_time(ExifTime(Moment(exif, 60)), given, None, NOW)
    assert (chosen.captured_at, chosen.source, chosen.utc_offset_minutes) == (MAY, TimeSource.MANIFEST, 120)


@pytest.mark.parametrize(
    ("exif", "given"),
    [
        (datetime(2024, 5, 1, 7, 30), facts(MAY)),
        (datetime(2024, 5, 20, 6), facts(MAY, **DEPLOYED)),
        (MAY, facts(datetime(2000, 1, 1))),
        (MAY, facts(datetime(2020, 5, 1), **DEPLOYED)),
    ],
)
def test_else_exifs_time_is_taken_and_both_are_said(exif, given):
    chosen = choose_time(ExifTime(Moment(exif)), given, None, NOW)
    assert (chosen.captured_at, chosen.source) == (exif, TimeSource.EXIF)
    assert chosen.utc_offset_minutes == given.utc_offset_minutes, "the manifest's offset goes with the manifest's time"
    assert f"{exif:%Y-%m-%d %H:%M:%S}" in chosen.doubt and f"{given.moment.local:%Y-%m-%d %H:%M:%S}" in chosen.doubt


@pytest.mark.parametrize(
    ("exif", "offset", "given", "expected"),
    [
        (MAY, None, facts(MAY), 120),
        (MAY.replace(microsecond=900_000), None, facts(MAY), 120),
        (MAY, 60, facts(MAY), 60),
        (MAY, 120, facts(datetime(2024, 5, 1, 4), 0), 120),
        (MAY, None, facts(datetime(2024, 5, 1, 4), 0, **DEPLOYED), 120),
    ],
)
def test_one_time_in_two_spellings_or_zones_is_no_contradiction(exif, offset, given, expected):
    chosen = choose_time(ExifTime(Moment(exif, offset)), given, None, NOW)
    assert (chosen.captured_at, chosen.source, chosen.utc_offset_minutes) == (exif, TimeSource.EXIF, expected)
    assert chosen.doubt is None


@pytest.mark.parametrize(
    ("exif", "given", "words"),
    [
        (datetime(2000, 1, 1), facts(), "a clock that was reset"),
        (datetime(2026, 7, 1), facts(), "after today"),
        (datetime(2024, 3, 1), facts(**DEPLOYED), "before the deployment began (2024-04-01 00:00)"),
        (datetime(2024, 7, 1), facts(**DEPLOYED), "after the deployment ended"),
        (MAY, facts(has_timestamp_issues=True), "timestampIssues"),
    ],
)
def test_an_impossible_time_without_another_is_kept_and_doubted(exif, given, words):
    chosen = choose_time(ExifTime(Moment(exif)), given, None, NOW)
    assert (chosen.captured_at, chosen.source) == (exif, TimeSource.EXIF) and words in chosen.doubt


@pytest.mark.parametrize("exif", [datetime(2024, 3, 31, 20), datetime(2024, 6, 1, 9), MAY])
def test_a_days_work_before_and_after_a_deployment_is_no_doubt(exif):
    assert choose_time(ExifTime(Moment(exif)), facts(**DEPLOYED), None, NOW).doubt is None


WRONG = facts(has_timestamp_issues=True)
RESET = datetime(2000, 1, 1, 0, 3)


@pytest.mark.parametrize(
    ("exif", "given", "by_name", "source", "words"),
    [
        (RESET, facts(RESET), None, TimeSource.EXIF, "a clock that was reset; the manifest has the same"),
        (datetime(1970, 1, 1), facts(datetime(1970, 1, 1)), None, TimeSource.EXIF, "a clock that was reset"),
        (
            datetime(2031, 1, 1),
            facts(datetime(2030, 12, 31, 23), 60, utc_offset_minutes=120),
            None,
            TimeSource.EXIF,
            "after",
        ),
        (
            datetime(2024, 3, 1),
            facts(datetime(2024, 3, 1), **DEPLOYED),
            None,
            TimeSource.EXIF,
            "before the deployment began",
        ),
        (MAY, facts(MAY, has_timestamp_issues=True), None, TimeSource.EXIF, "no other time of this picture"),
        (None, facts(RESET), None, TimeSource.MANIFEST, "a clock that was reset; no other is given"),
        (None, facts(datetime(2024, 7, 1), **DEPLOYED), None, TimeSource.MANIFEST, "after the deployment ended"),
        (MAY, facts(RESET, has_timestamp_issues=True), None, TimeSource.MANIFEST, "EXIF has 2024-05-01 06:00:00"),
        (None, facts(), RESET, TimeSource.FILENAME, "a clock that was reset; no other is given"),
        (None, facts(**DEPLOYED), datetime(2024, 7, 1), TimeSource.FILENAME, "after the deployment ended"),
        (None, WRONG, MAY, TimeSource.FILENAME, "timestampIssues"),
    ],
)
def test_whichever_time_is_taken_is_doubted_where_it_is_impossible(exif, given, by_name, source, words):
    chosen = choose_time(ExifTime(Moment(exif) if exif else None), given, by_name, NOW)
    assert chosen.source is source and words in chosen.doubt


@pytest.mark.parametrize("exif", [None, RESET, datetime(2024, 5, 2)])
def test_a_possible_correction_is_no_doubt(exif):
    given = facts(MAY, has_timestamp_issues=True, **DEPLOYED)
    chosen = choose_time(ExifTime(Moment(exif) if exif else None), given, None, NOW)
    assert (chosen.captured_at, chosen.source, chosen.doubt) == (MAY, TimeSource.MANIFEST, None)


def test_a_picture_without_a_time_is_not_doubted():
    assert choose_time(ExifTime(None), WRONG, None, NOW).doubt is None
