"""Listing and fetching on real S3 servers: odd keys, many pages, versions, refusals, changes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.media import MediaError, describe_objects, iter_images, list_objects
from tests.services.pictures import encode, photo

CONFIG = MediaConfig()
ODD = [
    "a b.jpg",
    "a+b.jpg",
    "100%25.jpg",
    "#1?versionId=7.jpg",
    "🐆/ü.jpg",
    "[x]*{y}.jpg",
    "q'\"&;=@.jpg",
    "double//slash.jpg",
    "s3://not-a-bucket.jpg",
    "l" * 900 + ".jpg",
    "new\nline\r\t.jpg",
    "bell\x07.jpg",
    "caf\u00e9.jpg",
    "cafe\u0301.jpg",
    "/leading.jpg",
    "trailing. ",
    "dots...",
    "back\\slash.jpg",
    "C:\\x.jpg",
    "<b>&amp;.jpg",
    "%2e%2e/x.jpg",
    "\u202egpj.exe",
    "-rf",
    "~.jpg",
]


@pytest.fixture
def jpeg() -> bytes:
    return encode(photo())


def described(source: str) -> dict[str, dict]:
    return {row["file"]: row for row in describe_objects(list_objects(source, CONFIG), source, CONFIG)}


def test_odd_keys_are_listed_and_read_under_their_exact_names(s3_server, bucket):
    client = s3_server.client()
    # Moto's router knows no line breaks.
    keys = [key for key in ODD if s3_server.name == "ceph" or "\n" not in key]
    bodies = {key: encode(photo(64, 48, seed=n)) for n, key in enumerate(keys)}
    for key, body in bodies.items():
        client.put_object(Bucket=bucket, Key=f"card 1/{key}", Body=body)
    client.put_object(Bucket=bucket, Key="card 1/folder/", Body=b"")
    client.put_object(Bucket=bucket, Key="card 1/detections.csv", Body=b"file")
    client.put_object(Bucket=bucket, Key="card 10/other.jpg", Body=b"1")
    rows = described(f"s3://{bucket}/card 1")
    assert set(rows) == set(keys)
    assert {key: row["status"] for key, row in rows.items()} == dict.fromkeys(keys, "ok")
    assert {row["uri"] for row in rows.values()} == {f"s3://{bucket}/card 1/{key}" for key in keys}
    images = list(iter_images(list(rows.values()), f"s3://{bucket}/card 1", CONFIG, target_for=None))
    assert all(not isinstance(image, MediaError) for _, image in images)


@pytest.mark.parametrize("versioned", [False, True])
def test_a_listing_of_many_pages_is_whole(s3_server, bucket, versioned, monkeypatch):
    monkeypatch.setattr("scd_core.storage.s3.PAGE_KEYS", 25)
    client = s3_server.client()
    if versioned:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = [f"card/{n % 7}/IMG_{n:05}.JPG" for n in range(110)] * (2 if versioned else 1)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))
    found = list_objects(f"s3://{bucket}", CONFIG)
    assert [ref.file for ref in found] == sorted(set(keys))
    assert len({ref.media_id for ref in found}) == 110


def test_versions_are_read_as_listed_even_after_an_overwrite(s3_server, bucket, jpeg):
    client = s3_server.client()
    client.put_object(Bucket=bucket, Key="c/old.jpg", Body=jpeg)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client.put_object(Bucket=bucket, Key="c/a.jpg", Body=jpeg)
    client.put_object(Bucket=bucket, Key="c/gone.jpg", Body=jpeg)
    client.delete_object(Bucket=bucket, Key="c/gone.jpg")
    source = f"s3://{bucket}/c"
    before = list_objects(source, CONFIG)
    assert [ref.file for ref in before] == ["a.jpg", "old.jpg"]
    assert before[0].version_id and before[1].version_id is None
    client.put_object(Bucket=bucket, Key="c/a.jpg", Body=b"now something else")
    assert [row["status"] for row in describe_objects(before, source, CONFIG)] == ["ok", "ok"]
    after = list_objects(source, CONFIG)
    assert after[0].media_id != before[0].media_id and after[1].media_id == before[1].media_id


def test_changed_and_vanished_objects_are_missing_and_new_next_time(s3_server, bucket, jpeg):
    client = s3_server.client()
    for name in ("same", "changed", "gone"):
        client.put_object(Bucket=bucket, Key=f"c/{name}.jpg", Body=jpeg)
    source = f"s3://{bucket}/c"
    before = list_objects(source, CONFIG)
    client.put_object(Bucket=bucket, Key="c/changed.jpg", Body=jpeg[::-1])
    client.delete_object(Bucket=bucket, Key="c/gone.jpg")
    rows = {row["file"]: row for row in describe_objects(before, source, CONFIG)}
    assert {f: r["status"] for f, r in rows.items()} == {
        "same.jpg": "ok",
        "changed.jpg": "missing",
        "gone.jpg": "missing",
    }
    assert "changed after it was listed" in rows["changed.jpg"]["failure_reason"]
    assert f"bucket {bucket}, key c/gone.jpg" in rows["gone.jpg"]["failure_reason"]
    done = {ref.media_id for ref in before}
    assert [ref.file for ref in list_objects(source, CONFIG) if ref.media_id not in done] == ["changed.jpg"]


def test_what_is_not_there_is_one_clear_line(s3_server, bucket):
    for source, words in (
        (f"s3://{bucket}/nothing", "no object has this prefix"),
        ("s3://no-such-bucket-here/x", "does not exist .NoSuchBucket"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            list_objects(source, CONFIG)
        assert source in str(caught.value) and "\n" not in str(caught.value)


def test_one_object_as_source(s3_server, bucket, jpeg):
    for name in ("a.jpg", "b.jpg"):
        s3_server.client().put_object(Bucket=bucket, Key=f"c/{name}", Body=jpeg)
    assert [ref.file for ref in list_objects(f"s3://{bucket}/c/a.jpg", CONFIG)] == ["a.jpg"]


@pytest.mark.parametrize("s3_server", ["ceph"], indirect=True)
def test_a_wrong_key_names_the_bucket_and_the_right_and_never_the_secret(s3_server, bucket, jpeg, monkeypatch):
    s3_server.client().put_object(Bucket=bucket, Key="c/a.jpg", Body=jpeg)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-hunter2")
    with pytest.raises(InputError, match=f"forbidden.*bucket {bucket}.*s3:ListBucket") as caught:
        list_objects(f"s3://{bucket}/c", CONFIG)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("s3_server", ["ceph"], indirect=True)
def test_one_forbidden_object_is_a_row_that_names_bucket_key_and_right(s3_server, bucket, jpeg):
    client = s3_server.client()
    for name in ("open.jpg", "closed.jpg"):
        client.put_object(Bucket=bucket, Key=f"c/{name}", Body=jpeg)
    denied = f"arn:aws:s3:::{bucket}/c/closed.jpg"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": denied}
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    rows = described(f"s3://{bucket}/c")
    assert {f: r["status"] for f, r in rows.items()} == {"open.jpg": "ok", "closed.jpg": "missing"}
    reason = rows["closed.jpg"]["failure_reason"]
    assert "AccessDenied" in reason and f"bucket {bucket}, key c/closed.jpg" in reason and "s3:GetObject" in reason
