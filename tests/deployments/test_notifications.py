"""Notifications of the servers there are, as they send them."""

from __future__ import annotations

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


AWS_NOW: dict[str, Any] = {
    "Records": [
        {
            "eventVersion": "2.5",
            "eventSource": "aws:s3",
            "awsRegion": "eu-central-1",
            "eventTime": "2026-11-21T20:00:00.000Z",
            "eventName": "ObjectCreated:Copy",
            "userIdentity": {"principalId": "AWS:AROAEXAMPLE:uploader"},
            "requestParameters": {"sourceIPAddress": "192.0.2.7"},
            "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "uploads",
                "bucket": {
                    "name": "cards",
                    "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                    "arn": "arn:aws:s3:::cards",
                },
                "object": {
                    "key": "site%2B1/%E8%B1%B9+%28a%29/100%25/IMG+0001.JPG",
                    "size": 1024,
                    "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                    "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                    "sequencer": "0055AED6DCD90281E5",
                },
            },
        }
    ]
}
EVENT_BRIDGE_NOW: dict[str, Any] = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "account": "111122223333",
    "time": "2026-11-12T00:00:00Z",
    "region": "ca-central-1",
    "resources": ["arn:aws:s3:::cards"],
    "detail": {
        "version": "0",
        "bucket": {"name": "cards"},
        "object": {
            "key": "site+1/豹 (a)/100%25.jpg",
            "size": 5,
            "etag": "b1946ac92492d2347c6235b4d2611184",
            "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            "sequencer": "617f08299329d189",
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "123456789012",
        "source-ip-address": "192.0.2.7",
        "reason": "CompleteMultipartUpload",
    },
}
MINIO_NOW: dict[str, Any] = {
    "EventName": "s3:ObjectCreated:CompleteMultipartUpload",
    "Key": "cards/site+1/豹 (a)/IMG 0001.JPG",
    "Records": [
        {
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "awsRegion": "",
            "eventTime": "2026-11-21T20:00:00.000Z",
            "eventName": "s3:ObjectCreated:CompleteMultipartUpload",
            "userIdentity": {"principalId": "trapaudit"},
            "requestParameters": {"principalId": "trapaudit", "region": "", "sourceIPAddress": "192.0.2.7"},
            "responseElements": {"x-amz-request-id": "17A", "x-minio-deployment-id": "90e81272"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "Config",
                "bucket": {"name": "cards", "ownerIdentity": {"principalId": "trapaudit"}, "arn": "arn:aws:s3:::cards"},
                "object": {
                    "key": "site%2B1%2F%E8%B1%B9+%28a%29%2FIMG+0001.JPG",
                    "size": 7,
                    "eTag": "ae7b6a3d-2",
                    "contentType": "image/jpeg",
                    "userMetadata": {"content-type": "image/jpeg"},
                    "versionId": "a1b2",
                    "sequencer": "17A1",
                },
            },
            "source": {"host": "192.0.2.7", "port": "", "userAgent": "MinIO (linux; amd64) minio-go/v7"},
        }
    ],
}
CEPH_NOW: dict[str, Any] = {
    "Records": [
        {
            "eventVersion": "2.2",
            "eventSource": "ceph:s3",
            "awsRegion": "default",
            "eventTime": "2026-11-21T20:00:00.517246Z",
            "eventName": "s3:ObjectCreated:CompleteMultipartUpload",
            "userIdentity": {"principalId": "test"},
            "requestParameters": {"sourceIPAddress": ""},
            "responseElements": {"x-amz-request-id": "9b.4155.1", "x-amz-id-2": "103b-default-default"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "relay",
                "bucket": {
                    "name": "cards",
                    "ownerIdentity": {"principalId": "test"},
                    "arn": "arn:aws:s3:default::cards",
                    "id": "9b.4155.2",
                },
                "object": {
                    "key": "site+1/豹 (a)/100%/IMG 0001.JPG",
                    "size": 7,
                    "eTag": "ae7b6a3d-2",
                    "versionId": "hqgDPMzBVp.nW4",
                    "sequencer": "5D60A1",
                    "metadata": [{"key": "x-amz-meta-card", "val": "7"}],
                    "tags": [],
                },
            },
            "eventId": "1760000000.517246.ae7b6a3d",
            "opaqueData": "",
        }
    ]
}


def sns_http(content: Any) -> dict[str, Any]:
    """As SNS sends it to a queue or an address without raw message delivery."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:uploads",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(content, ensure_ascii=False),
        "Timestamp": "2026-11-21T20:00:00.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEw6JRN",
        "SigningCertURL": "https://sns.us-west-2.example/cert.pem",
        "UnsubscribeURL": "https://sns.us-west-2.example/?Action=Unsubscribe",
        "MessageAttributes": {"kind": {"Type": "String", "Value": "x"}},
    }


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (AWS_NOW, "site+1/豹 (a)/100%/IMG 0001.JPG"),
        (sns_http(AWS_NOW), "site+1/豹 (a)/100%/IMG 0001.JPG"),
        (EVENT_BRIDGE_NOW, "site+1/豹 (a)/100%25.jpg"),
        (sns_http(EVENT_BRIDGE_NOW), "site+1/豹 (a)/100%25.jpg"),
        (MINIO_NOW, "site+1/豹 (a)/IMG 0001.JPG"),
        (CEPH_NOW, "site+1/豹 (a)/100%/IMG 0001.JPG"),
    ],
    ids=["aws-2.5", "aws-sns-sqs", "eventbridge", "eventbridge-sns", "minio", "ceph"],
)
@pytest.mark.parametrize("encode", ["utf-8", "utf-8-sig", "utf-16", "ascii"])
def test_whole_messages_with_versions_and_names_of_any_script(content: Any, key: str, encode: str) -> None:
    """Every field these servers send, in every encoding of JSON, with names in which + and % mean themselves."""
    text = json.dumps(content, ensure_ascii=encode == "ascii", indent=1)
    notification = read_notification(text.encode(encode))
    assert [(upload.bucket, upload.key) for upload in notification.uploads] == [("cards", key)]
    assert (notification.n_tests, notification.n_other, notification.n_malformed) == (0, 0, 0)


@pytest.mark.parametrize(
    "name",
    [
        "ObjectRemoved:DeleteMarkerCreated", "s3:ObjectRemoved:Delete", "s3:ObjectRemoved:NoOP", "ObjectAcl:Put",
        "LifecycleExpiration:Delete", "LifecycleTransition", "IntelligentTiering", "Replication:OperationFailedReplication",
        "s3:ObjectLifecycle:Expiration:Current", "s3:BucketCreated:*", "ReducedRedundancyLostObject", "ObjectRestore:Post",
    ],
)  # fmt: skip
def test_what_is_no_arrival_wakes_nobody(name: str) -> None:
    assert read_notification(json.dumps({"Records": [record("a.jpg", name=name)]})).n_other == 1
    bridge = {**EVENT_BRIDGE_NOW, "detail-type": "Object Deleted"}
    assert read_notification(json.dumps(bridge)) == read_notification(json.dumps([bridge]))
    assert read_notification(json.dumps(bridge)).uploads == ()


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
        (b'{"Records": [' * 50_000, "not JSON"),
        (b'{"Records": 1' + b"0" * 10_000 + b"}", "not JSON"),
        (b"NaN", "expected an object"),
        (b'{"two\\nlines": 1}', "expected Records"),
        (b'{"\\ud800": 1}', "ud800"),
        (b'{"Records": [{"eventName": "ObjectCreated:\\ud800", "s3": {}}]}', "without bucket name"),
        (json.dumps({"Records": [record("card\ud800/a.jpg")]}).encode(), "not Unicode"),
        (json.dumps({"Records": [record("a.jpg", bucket="b" * 300)]}).encode(), "300 characters"),
        (json.dumps({"Records": [record({"a": 1})]}).encode(), "key"),  # type: ignore[arg-type]
        (json.dumps({"Records": [None] * 1000}).encode(), "NoneType"),
    ],
)
def test_what_is_no_notification_is_refused_in_one_line(text: bytes, word: str) -> None:
    with pytest.raises(NotificationError, match=word) as caught:
        read_notification(text)
    assert str(caught.value).isprintable()
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 300


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["ObjectCreated:Put", "Notification", "cards", "\ud800", "\0/a.jpg"]),
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
    uploads: tuple[Upload, ...] = ()
    text = ""
    try:
        uploads = read_notification(json.dumps(content)).uploads
    except NotificationError as error:
        text = str(error)
    assert all(upload.bucket and upload.key for upload in uploads)
    assert "".join([text, *(upload.bucket + upload.key + upload.other_key for upload in uploads)]).encode() is not None
