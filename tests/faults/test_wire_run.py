"""Whole runs over a wire that delays, resets, cuts and refuses: right tables, or a clear error and a clean resume."""

from __future__ import annotations

import pytest

from tests.faults.tables import check_whole, rows_of
from tests.services.proxy import FAULTS, faulty
from tests.services.servers import at, new_bucket

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(("name", "seed"), [("ceph", 1), ("ceph", 2), ("moto", 3)])
def test_a_run_over_a_bad_wire(name, seed, request, runner, scenes):
    files = {f"card/{path.relative_to(scenes)}": path.read_bytes() for path in sorted(scenes.rglob("*.JPG"))}
    with at(request.getfixturevalue(name)) as server:
        bucket = new_bucket(server, files)
        check(server, seed, runner, *(f"s3://{bucket}/{part}" for part in ("card", "calm", "rough")))


def check(server, seed, runner, source, calm, rough):
    status, _, said = runner.run(source, calm, env=server.env())
    assert status == 0, said
    failed = []
    with faulty(server.endpoint, FAULTS, seed) as proxy:
        for _ in range(20):
            status, _, said = runner.run(source, rough, env=server.env() | {"AWS_ENDPOINT_URL": proxy.endpoint})
            if status == 0:
                break
            failed.append(said)
    assert status == 0, failed[-1]
    assert sum(proxy.planted.values()) >= 10, proxy.planted
    for text in failed:
        assert "scd_core.errors" in text, f"an error that is not a clear line: {text}"
    check_whole(rough, rows_of(calm))
    assert not [text for text in failed if server.secret in text]
