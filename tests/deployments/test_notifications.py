"""Notifications of the servers there are, as they send them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.relay.notifications import NotificationError, Upload, read_notification

from .conftest import body, record

AWS: dict[str, Any] = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-west-2",
            "eventTime": "1970-01-01T00:00:00.000Z",
            "eventName": "ObjectCreated:CompleteMultipartUpload",
            "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "testConfigRule",
                "bucket": {"name": "cards", "arn": "arn:aws:s3:::cards"},
                "object": {
                    "key": "site+1/J%C3%A9r%C3%B4me/IMG_0001.JPG",
                    "size": 1024,
                    "eTag": "d41d8",
                    "sequencer": "00",
                },
            },
        }
    ]
}
MINIO: dict[str, Any] = {
    "EventName": "s3:ObjectCreated:Put",
    "Key": "cards/site 1/a.jpg",
    "Records": [
        {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "eventName": "s3:ObjectCreated:Put",
            "s3": {"bucket": {"name": "cards"}, "object": {"key": "site+1%2Fa.jpg", "size": 5, "eTag": "x"}},
        }
    ],
}
CEPH: dict[str, Any] = {
    "Records": [
        {
            "eventVersion": "2.2",
            "eventSource": "ceph:s3",
            "awsRegion": "default",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "cards"}, "object": {"key": "50% off+/a b%20c.jpg", "size": 5, "versionId": ""}},
            "eventId": "1",
            "opaqueData": "",
        }
    ]
}
EVENT_BRIDGE: dict[str, Any] = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "cards"}, "object": {"key": "a+b%20.jpg", "size": 5}, "reason": "PutObject"},
}
TEST = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": "cards"}


def keys(content: Any) -> list[str]:
    return [upload.key for upload in read_notification(json.dumps(content)).uploads]


def sns(content: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(content), "Signature": "x"}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (AWS, "site 1/Jérôme/IMG_0001.JPG"),
        (MINIO, "site 1/a.jpg"),
        (CEPH, "50% off+/a b%20c.jpg"),
        (EVENT_BRIDGE, "a+b%20.jpg"),
        (AWS["Records"][0], "site 1/Jérôme/IMG_0001.JPG"),
        ({"EventName": "s3:ObjectCreated:Put", "Key": "cards/site 1/a+b.jpg"}, "site 1/a+b.jpg"),
        (sns(AWS), "site 1/Jérôme/IMG_0001.JPG"),
        ({"Records": [{"eventSource": "aws:sqs", "body": json.dumps(sns(CEPH))}]}, "50% off+/a b%20c.jpg"),
        ({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(AWS)}}]}, "site 1/Jérôme/IMG_0001.JPG"),
        ({"specversion": "1.0", "type": "com.amazonaws.s3", "data": CEPH}, "50% off+/a b%20c.jpg"),
        ([EVENT_BRIDGE], "a+b%20.jpg"),
    ],
    ids=["aws", "minio", "ceph", "eventbridge", "one", "minio-short", "sns", "sqs-sns", "lambda-sns", "cloudevents", "list"],
)  # fmt: skip
def test_every_server_is_understood(content: Any, key: str) -> None:
    notification = read_notification(json.dumps(content))
    assert [(upload.bucket, upload.key) for upload in notification.uploads] == [("cards", key)]
    assert (notification.n_tests, notification.n_other, notification.n_malformed) == (0, 0, 0)


def test_both_readings_of_a_key_are_kept() -> None:
    assert read_notification(body("a+b%2Fc.jpg")).uploads == (Upload("cards", "a b/c.jpg", "a+b%2Fc.jpg"),)
    assert read_notification(body("a+b%2Fc.jpg", source="ceph:s3")).uploads[0] == Upload(
        "cards", "a+b%2Fc.jpg", "a b/c.jpg"
    )


@pytest.mark.parametrize(
    "content", [TEST, sns(TEST), {"Type": "SubscriptionConfirmation", "SubscribeURL": "http://127.0.0.1:1/"}, ""]
)
def test_a_test_event_is_no_upload(content: Any) -> None:
    text = json.dumps(content) if content else ""
    assert read_notification(text).n_tests == 1
    assert read_notification(text).uploads == ()


def test_removals_are_counted_only() -> None:
    names = (
        "ObjectRemoved:Delete",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "ObjectTagging:Put",
        "s3:ObjectAccessed:Get",
    )
    content = {"Records": [record("a.jpg", name=name) for name in names]}
    assert read_notification(json.dumps(content)).n_other == len(names)
    assert keys(content) == []


def test_one_bad_record_costs_only_itself() -> None:
    content = {
        "Records": [
            record("a.jpg"),
            {"eventName": 3},
            "x",
            {"s3": {}, "eventName": "ObjectCreated:Put"},
            record("b.jpg"),
        ]
    }
    notification = read_notification(json.dumps(content))
    assert [upload.key for upload in notification.uploads] == ["a.jpg", "b.jpg"]
    assert notification.n_malformed == 3


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"3", "expected an object"),
        (b"{}", "expected Records"),
        (b'{"hello": 1}', "hello"),
        (
            json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}}}]}).encode(),
            "key",
        ),
        (json.dumps({"Records": [record("k" * 5000)]}).encode(), "5000 characters"),
        (b"[" * 100_000, "not JSON"),
        (b"[" * 20 + b"]" * 20, "wrapped"),
        (json.dumps(sns("x")).encode(), "expected an object"),
        (json.dumps({"Type": "Notification", "Message": "{"}).encode(), "not JSON"),
    ],
)
def test_what_is_no_notification_is_told_in_one_line(text: bytes, word: str) -> None:
    with pytest.raises(NotificationError, match=word) as caught:
        read_notification(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "s3", "bucket", "object", "key", "name", "eventName", "Message", "Type", "detail", "Sns"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_any_json_is_read_or_refused(content: Any) -> None:
    """Nothing a sender can write ends in another exception, or in an upload without bucket or key."""
    with contextlib.suppress(NotificationError):
        assert all(upload.bucket and upload.key for upload in read_notification(json.dumps(content)).uploads)
