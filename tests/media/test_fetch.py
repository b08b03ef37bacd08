"""What a refusal of the storage means for one object: a row with the reason, or the end of the run."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from scd_core.errors import RunError
from scd_core.media import MediaError
from scd_core.media.fetch import fetch_bytes
from scd_core.storage import Storage, open_source


def refusal(code: str) -> PermissionError:
    """As s3fs raises it: translated, with botocore's error as its cause."""
    error = PermissionError(13, "said the server")
    error.__cause__ = ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "GetObject")
    return error


@pytest.fixture
def fetch(monkeypatch):
    """Fetches an object whose reading and looking at raise what is given; None for what succeeds."""
    monkeypatch.setattr("scd_core.storage.retry.LOOK_SECONDS", 0.0)

    def call(reading: PermissionError | None, looking: PermissionError | None) -> bytes:
        def answer(error):
            if error is not None:
                raise error
            return b"x"

        monkeypatch.setattr(Storage, "read", lambda *args, **kwargs: answer(reading))
        monkeypatch.setattr(Storage, "head", lambda *args, **kwargs: answer(looking))
        storage = open_source("s3://bucket/card")
        return fetch_bytes(storage, "s3://bucket/card/a.jpg", etag="e", size_bytes=1, version_id=None)

    return call


@pytest.mark.parametrize("looking", [None, refusal("403")])
def test_an_object_that_is_refused_each_time_is_missing_and_names_the_right(fetch, looking):
    """With a key of its own that these credentials may not use, the head of an object can be read and its content not."""
    with pytest.raises(MediaError, match=r"bucket bucket, key card/a.jpg; needs s3:GetObject") as caught:
        fetch(refusal("AccessDenied"), looking)
    assert caught.value.status == "missing"


def test_an_archived_object_is_missing_until_it_is_restored(fetch):
    with pytest.raises(MediaError, match=r"archived .InvalidObjectState.: restore") as caught:
        fetch(refusal("InvalidObjectState"), None)
    assert caught.value.status == "missing"


@pytest.mark.parametrize("code", ["ExpiredToken", "SignatureDoesNotMatch"])
def test_credentials_that_no_longer_hold_end_the_run_and_cost_no_image_its_row(fetch, code):
    with pytest.raises(RunError, match=f"{code}: these credentials no longer hold; renew them"):
        fetch(refusal(code), refusal("403"))
