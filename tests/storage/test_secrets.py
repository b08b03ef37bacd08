"""Credentials never appear in what a run writes, logs or prints."""

from __future__ import annotations

import logging

import fsspec
import pytest

from scd_core.errors import InputError, TrapauditError
from scd_core.job import prepare_job
from scd_core.media import list_objects
from scd_core.request import AuditRequest
from scd_core.tables.store import AuditStore
from tests.services.pictures import encode, photo
from tests.services.storage_run import CONFIG, audit

SECRET = "hunter2-do-not-print"


def test_neither_tables_nor_commits_nor_the_log_hold_the_secret(s3_server, bucket, caplog):
    client = s3_server.client()
    for n in range(3):
        client.put_object(Bucket=bucket, Key=f"card/{n}.jpg", Body=encode(photo(32, 24, seed=n)))
    with caplog.at_level(logging.INFO):
        audit(f"s3://{bucket}/card", f"s3://{bucket}/out")
    written = [client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in _all(client, bucket)]
    assert len(written) > 5
    for needle in (s3_server.secret.encode(), b"AWS_SECRET"):
        assert not any(needle in body for body in written)
    assert s3_server.secret not in caplog.text


def _all(client, bucket: str) -> list[dict]:
    return client.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://me:{SECRET}@localhost:1/card",
        f"http://me:{SECRET}@localhost:1/card",
        f"nosuch://me:{SECRET}@host/card",
        f"s3://me:{SECRET}@bucket/card",
        f"http://localhost:1/card?X-Amz-Signature={SECRET}",
    ],
)
def test_an_error_does_not_repeat_the_password_of_a_url(url, monkeypatch):
    monkeypatch.setattr("scd_core.storage.retry.ATTEMPTS", 1)
    monkeypatch.setattr("scd_core.storage.retry._BASE_SECONDS", 0.001)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for call in (lambda: list_objects(url, CONFIG), lambda: AuditStore(url).check_writable()):
        with pytest.raises(TrapauditError) as caught:
            call()
        assert SECRET not in str(caught.value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize("name", ["source", "model", "out", "detections", "labels", "flags", "config"])
def test_an_audit_with_a_password_in_a_url_is_refused_before_prefect_hears_of_it(name, tmp_path):
    given = {"source": str(tmp_path), "model": str(tmp_path), "out": str(tmp_path / "out")}
    with pytest.raises(InputError, match="do not belong in a URL") as caught:
        prepare_job(AuditRequest(**given | {name: f"ftp://me:{SECRET}@localhost:1/x"}))
    assert SECRET not in str(caught.value)
