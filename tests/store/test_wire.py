"""Faults on the wire between the store and a real server: right rows or a clear error, never wrong rows."""

from __future__ import annotations

import pytest
import s3fs

from scd_core.audit.store import AuditStore
from scd_core.errors import TrapauditError
from tests.services.pictures import encode, photo
from tests.services.proxy import FAULTS, faulty
from tests.services.storage_run import DAY, audit, rows

HARSH = {fault: 2 * share for fault, share in FAULTS.items()}


@pytest.fixture
def quick_waits(monkeypatch):
    monkeypatch.setattr("scd_core.media.retry._BASE_SECONDS", 0.02)
    monkeypatch.setattr("scd_core.media.storage.LOOK_SECONDS", 0.01)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_whatever_the_wire_does_the_rows_are_right_in_the_end(s3_server, bucket, quick_waits, monkeypatch, seed):
    client = s3_server.client()
    picture = encode(photo(64, 48))
    for n in range(24):
        body = {3: b"", 7: picture[:500]}.get(n, encode(photo(64, 48, seed=n)))
        client.put_object(Bucket=bucket, Key=f"card/{n:02}.jpg", Body=body)
    source, calm, rough = f"s3://{bucket}/card", f"s3://{bucket}/calm", f"s3://{bucket}/rough"
    audit(source, calm)
    expected = rows(calm)
    assert [row["status"] for row in expected].count("ok") == 22
    errors = []
    with faulty(s3_server.endpoint, HARSH, seed) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        s3fs.S3FileSystem.clear_instance_cache()
        for _ in range(30):
            try:
                audit(source, rough)
                break
            except TrapauditError as error:
                errors.append(str(error))
        else:
            pytest.fail(f"never got through: {errors[-1]}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    s3fs.S3FileSystem.clear_instance_cache()
    assert sum(proxy.planted.values()) > 20, f"hardly a fault was planted: {proxy.planted}"
    assert rows(rough) == expected, errors
    assert not [error for error in errors if "\n" in error or "testing123" in error]


def test_a_commit_whose_answer_was_lost_is_still_ours(s3_server, bucket, quick_waits, monkeypatch):
    store = AuditStore(f"s3://{bucket}/out")
    content = {"model_digest": "m", "config_digest": "c", "batch_date": str(DAY), "files": {}}
    with faulty(s3_server.endpoint, {}, 0) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        s3fs.S3FileSystem.clear_instance_cache()
        store = AuditStore(f"s3://{bucket}/out")
        drawn = iter(["reset_after"])
        monkeypatch.setattr(proxy, "draw", lambda: next(drawn, None))
        assert store.commit("k1", content), "the second try met our own commit"
        assert not store.commit("k1", content)
