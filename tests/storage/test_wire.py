"""Faults on the wire between the store and a real server: right rows or a clear error, never wrong rows."""

from __future__ import annotations

import pytest

from scd_core.errors import InputError, RunError, TrapauditError
from scd_core.media import Manifest, describe_objects, list_objects
from scd_core.storage import open_source
from scd_core.tables.schema import table_from_rows
from scd_core.tables.shards import drop_work, load_shard, save_shard
from scd_core.tables.store import AuditStore
from tests.services.pictures import encode, photo
from tests.services.proxy import FAULTS
from tests.services.servers import through
from tests.services.storage_run import CONFIG, DAY, audit, rows

HARSH = {fault: 2 * share for fault, share in FAULTS.items()}


@pytest.fixture
def quick_waits(monkeypatch):
    monkeypatch.setattr("scd_core.storage.retry._BASE_SECONDS", 0.02)
    monkeypatch.setattr("scd_core.storage.retry._LONGEST_RETRY_AFTER_SECONDS", 0.05)
    monkeypatch.setattr("scd_core.storage.retry.LOOK_SECONDS", 0.01)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_whatever_the_wire_does_the_rows_are_right_in_the_end(s3_server, bucket, quick_waits, seed):
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
    with through(s3_server, HARSH, seed) as proxy:
        for _ in range(30):
            try:
                audit(source, rough)
                break
            except TrapauditError as error:
                errors.append(str(error))
        else:
            pytest.fail(f"never got through: {errors[-1]}")
    assert sum(proxy.planted.values()) > 20, f"hardly a fault was planted: {proxy.planted}"
    assert rows(rough) == expected, errors
    assert not [error for error in errors if "\n" in error or "testing123" in error]


@pytest.fixture
def planned(monkeypatch):
    """Sets the faults of the next requests of a proxy, one after another."""

    def plan(proxy, *faults: str | None) -> None:
        drawn = iter(faults)
        monkeypatch.setattr(proxy, "draw", lambda: next(drawn, None))

    return plan


@pytest.mark.parametrize("fault", ["reset_after", "page"])
def test_a_commit_whose_answer_was_lost_is_still_ours(s3_server, bucket, quick_waits, planned, fault):
    content = {"model_digest": "m", "config_digest": "c", "batch_date": str(DAY), "files": {}}
    with through(s3_server, {}) as proxy:
        store = AuditStore(f"s3://{bucket}/out")
        planned(proxy, fault)
        assert store.commit("k1", content), "the second try met our own commit, or made it"
        assert not store.commit("k1", content)
    assert AuditStore(f"s3://{bucket}/out").committed_keys() == {"k1"}


@pytest.mark.parametrize("fault", ["short", "flip", "truncate", "page", "reset", "429", "503", "500", "403", "drip"])
def test_one_fault_while_a_picture_is_fetched_costs_a_second_request_and_no_row(
    s3_server, bucket, quick_waits, planned, fault
):
    s3_server.client().put_object(Bucket=bucket, Key="c/a.jpg", Body=encode(photo(64, 48)))
    objects = list_objects(f"s3://{bucket}/c", CONFIG)
    expected = describe_objects(objects, f"s3://{bucket}/c", CONFIG)
    assert expected[0]["status"] == "ok"
    manifest = Manifest("none")
    with through(s3_server, {}) as proxy:
        planned(proxy, fault)
        assert describe_objects(objects, f"s3://{bucket}/c", CONFIG, manifest) == expected


@pytest.mark.parametrize("fault", ["short", "page", "truncate", "reset", "503"])
def test_one_fault_in_a_listing_loses_no_key(s3_server, bucket, quick_waits, planned, fault):
    for n in range(5):
        s3_server.client().put_object(Bucket=bucket, Key=f"c/{n}.jpg", Body=b"x")
    expected = list_objects(f"s3://{bucket}/c", CONFIG)
    assert len(expected) == 5
    with through(s3_server, {}) as proxy:
        for at_request in range(4):
            planned(proxy, *[None] * at_request, fault)
            assert list_objects(f"s3://{bucket}/c", CONFIG) == expected
            assert at_request > 0 or proxy.draw() is None, "the first request of a listing met the fault"


def test_a_body_that_never_arrives_whole_is_a_row_and_what_etags_of_another_kind_say_is_believed(
    s3_server, bucket, quick_waits, planned, monkeypatch
):
    monkeypatch.setattr("scd_core.storage.retry._BASE_SECONDS", 0.0)
    client = s3_server.client()
    client.put_object(Bucket=bucket, Key="c/a.jpg", Body=encode(photo(64, 48)))
    objects = list_objects(f"s3://{bucket}/c", CONFIG)
    with through(s3_server, {}) as proxy:
        planned(proxy, *["short"] * 100)
        (row,) = describe_objects(objects, f"s3://{bucket}/c", CONFIG, Manifest("none"))
    assert row["status"] == "missing" and "never arrived whole" in row["failure_reason"]
    with through(s3_server, {}) as proxy:  # a gateway's page says nothing of the object
        planned(proxy, *["page"] * 100)
        with pytest.raises(RunError, match="run again"):
            describe_objects(objects, f"s3://{bucket}/c", CONFIG, Manifest("none"))
    with through(s3_server, {}) as proxy:
        planned(proxy, *["flip"] * 3)
        monkeypatch.setattr(proxy, "place", lambda length: 700)  # always the same: as where an ETag is no MD5
        (row,) = describe_objects(objects, f"s3://{bucket}/c", CONFIG, Manifest("none"))
    assert row["content_sha256"]


def test_a_server_that_lets_bytes_drip_is_given_up(s3_server, bucket, quick_waits, planned, monkeypatch):
    monkeypatch.setattr("scd_core.storage.s3.REQUEST_SECONDS", 1.0)
    monkeypatch.setattr("scd_core.storage.s3.SLOWEST", 10**9)
    s3_server.client().put_object(Bucket=bucket, Key="a", Body=bytes(range(200)))
    with through(s3_server, {}) as proxy:
        storage = open_source(f"s3://{bucket}")
        proxy.drip_seconds = 0.5  # five seconds until it is whole
        planned(proxy, "drip", "drip")
        assert storage.read(f"{bucket}/a") == bytes(range(200))
        assert proxy.draw() is None, "the first request was not given up"


def test_a_large_table_is_one_create_only_put(s3_server, bucket):
    """From 100 MB on s3fs would upload in parts, and a run that is killed would leave them for ever."""
    storage = open_source(f"s3://{bucket}/out")
    big = bytes(101 * 2**20)
    assert storage.create(f"{bucket}/out/big", big)
    assert not storage.create(f"{bucket}/out/big", b"other")
    found = s3_server.client().head_object(Bucket=bucket, Key="out/big")
    assert found["ContentLength"] == len(big) and "-" not in found["ETag"]


def test_an_out_in_a_bucket_with_versions(s3_server, bucket):
    """What was deleted leaves a marker there, which is no object: work can be kept anew, and no commit is made twice."""
    client = s3_server.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for n in range(3):
        client.put_object(Bucket=bucket, Key=f"card/{n}.jpg", Body=encode(photo(32, 24, seed=n)))
    out = f"s3://{bucket}/out"
    store = AuditStore(out)
    if s3_server.name == "ceph":  # its puts to such a bucket heed no condition
        with pytest.raises(InputError, match=r"ignores If-None-Match in a bucket with versions, .*without versions"):
            audit(f"s3://{bucket}/card", out)
        assert store.committed_keys() == set()
        return
    (key,) = audit(f"s3://{bucket}/card", out)
    assert not store.files("work")
    assert audit(f"s3://{bucket}/card", out) == {}
    first = table_from_rows("media", [{"media_id": "a", "status": "ok"}])
    for _ in range(2):
        assert save_shard(store, key, "media", "s0", first).equals(first)
        assert load_shard(store, key, "media", "s0").equals(first)
        drop_work(store, key)
        assert load_shard(store, key, "media", "s0") is None
    assert not store.commit(key, {"model_digest": "m", "config_digest": "c", "batch_date": str(DAY), "files": {}})
