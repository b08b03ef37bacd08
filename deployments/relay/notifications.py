"""Reads bucket notifications of Ceph, MinIO, AWS and their relatives: single, batched, wrapped, encoded or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from scd_core.errors import first_line

__all__ = ["Notification", "NotificationError", "Upload", "read_notification"]

_DEPTH = 6
"""Wrappings (SNS in SQS in a list ...) that are opened before a notification is given up."""

_MAX_KEY = 4096
"""Characters of a key; S3 allows 1024 bytes, which are 3072 characters when percent-encoded."""

_MAX_BUCKET = 255
"""Characters of a bucket's name; S3 allows 63, and allowed 255 once."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_ARRIVALS = ("ObjectCreated", "ObjectSynced", "ObjectRestore:Completed", "Object Created", "Object Restore Completed")
_PLAIN_KEYS = ("ceph:", "aws.s3")
"""Event sources whose keys are as they are; AWS, MinIO and what imitates them percent-encode, with + for a space."""


class RecordKind(StrEnum):
    """Records that are no upload."""

    TEST = "test"
    OTHER = "other"


class NotificationError(ValueError):
    """A body that is no bucket notification; the message is one line on what is wrong."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An object that arrived.

    Attributes:
        bucket: the bucket's name.
        key: the object's key, in the likelier reading.
        other_key: the key in the other reading, decoded or not; the same where both agree.
    """

    bucket: str
    key: str
    other_key: str


@dataclass(frozen=True, slots=True)
class Notification:
    """What a body holds.

    Attributes:
        uploads: objects that arrived.
        n_tests: test events and confirmations, which need an answer only.
        n_other: records of other events, such as removals.
        n_malformed: records that could not be read, among others that could.
    """

    uploads: tuple[Upload, ...]
    n_tests: int = 0
    n_other: int = 0
    n_malformed: int = 0


def read_notification(body: bytes | str) -> Notification:
    """Read a webhook's body or a queue's message.

    Understood are ``Records`` of S3 (AWS, MinIO, Ceph, StorageGRID and others), one record by itself, lists of either,
    EventBridge's ``Object Created``, CloudEvents around any of them, SNS envelopes, SQS records as Lambda gets them, S3's
    test event, SNS's confirmations (never followed: the address in them is a stranger's), and an empty body.

    Raises:
        NotificationError: not JSON, or nothing of it is a notification.
    """
    if not body.strip():
        return Notification((), n_tests=1)
    uploads: list[Upload] = []
    counts = dict.fromkeys(RecordKind, 0)
    problems: list[str] = []
    for item in _open(_json(body), 0):
        if isinstance(item, Upload):
            uploads.append(item)
        elif isinstance(item, NotificationError):
            problems.append(str(item))
        else:
            counts[item] += 1
    if problems and not uploads and not any(counts.values()):
        raise NotificationError(problems[0])
    return Notification(tuple(uploads), counts[RecordKind.TEST], counts[RecordKind.OTHER], len(problems))


def _json(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotificationError(f"not JSON ({first_line(error)})") from error


def _open(content: Any, depth: int) -> Iterator[Upload | RecordKind | NotificationError]:
    """Everything a content holds: uploads, other records by their kind, and errors, each by itself."""
    if depth > _DEPTH:
        yield NotificationError(f"wrapped more than {_DEPTH} times")
    elif isinstance(content, list):
        for item in content:
            yield from _open(item, depth + 1)
    elif not isinstance(content, dict):
        yield NotificationError(f"expected an object with Records, got {type(content).__name__}")
    elif (inner := _inside(content)) is not None:
        try:
            yield from _open(_json(inner) if isinstance(inner, str) else inner, depth + 1)
        except NotificationError as error:
            yield error
    elif content.get("Event") == "s3:TestEvent" or content.get("Type") in (
        "SubscriptionConfirmation",
        "UnsubscribeConfirmation",
    ):
        yield RecordKind.TEST
    else:
        try:
            yield _record(content)
        except NotificationError as error:
            yield error


def _inside(content: dict[str, Any]) -> Any:
    """What an envelope holds; None where a content is not one."""
    if isinstance(content.get("Records"), list):
        return content["Records"]
    if content.get("Type") == "Notification":
        return content.get("Message")
    if isinstance(content.get("Sns"), dict):
        return content["Sns"].get("Message")
    if content.get("eventSource") == "aws:sqs":
        return content.get("body")
    if "specversion" in content and "data" in content:
        return content["data"]
    return None


def _record(content: dict[str, Any]) -> Upload | RecordKind:
    if isinstance(content.get("s3"), dict):
        name, source = content.get("eventName"), content.get("eventSource")
        bucket, key = _at(content["s3"], "bucket", "name"), _at(content["s3"], "object", "key")
    elif isinstance(content.get("detail"), dict):
        name, source = content.get("detail-type"), content.get("source")
        bucket, key = _at(content["detail"], "bucket", "name"), _at(content["detail"], "object", "key")
    elif isinstance(content.get("EventName"), str) and isinstance(content.get("Key"), str):
        name, source = content["EventName"], "ceph:"  # MinIO's short form: bucket and key, not encoded
        bucket, _, key = content["Key"].partition("/")
    else:
        raise NotificationError(f"no bucket notification: expected Records, got {_names(content)}")
    if not isinstance(name, str):
        raise NotificationError(f"a record without eventName, got {_names(content)}")
    if not name.removeprefix("s3:").startswith(_ARRIVALS):
        return RecordKind.OTHER
    if not isinstance(bucket, str) or not bucket or not isinstance(key, str) or not key:
        raise NotificationError(f"{_quoted(name)}: a record without bucket name or object key")
    if len(key) > _MAX_KEY:
        raise NotificationError(f"{_quoted(name)}: a key of {len(key)} characters; S3 allows 1024 bytes")
    if len(bucket) > _MAX_BUCKET:
        raise NotificationError(f"{_quoted(name)}: a bucket name of {len(bucket)} characters; S3 allows 63")
    if any(_SURROGATE.search(text) for text in (bucket, key)):
        raise NotificationError(f"{_quoted(name)}: a name that is not Unicode text")
    decoded = unquote_plus(key)
    if isinstance(source, str) and source.startswith(_PLAIN_KEYS):
        return Upload(bucket, key, decoded)
    return Upload(bucket, decoded, key)


def _at(content: dict[str, Any], outer: str, inner: str) -> Any:
    found = content.get(outer)
    return found.get(inner) if isinstance(found, dict) else None


def _names(content: dict[str, Any]) -> str:
    return ", ".join(_quoted(name) for name in sorted(content)[:6]) or "an empty object"


def _quoted(text: str) -> str:
    """A sender's text as it may stand in a message: short, on one line, plain characters."""
    return ascii(text[:40])[1:-1]
