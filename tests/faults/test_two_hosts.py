"""Two whole runs at once on one SOURCE and OUT, as from two hosts: one commits, the other adopts it and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scd_core.audit.report.state import is_report_current
from scd_core.tables.store import AuditStore
from tests.faults.conftest import FAST, MODEL, ROOT
from tests.faults.tables import check_whole, rows_of
from tests.services.servers import at, new_bucket
from tests.services.shared import run_folder
from tests.services.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LONG = {**FAST, "masks": {"steps": 100}}
"""A run of many seconds, so that the second one begins in its midst however busy the machine is."""

HOST = """
import pathlib, sys, time
import flows.audit, scd_core.masks
from deployments.cli.main import main
mine, go = map(pathlib.Path, sys.argv[1:3])
mine.touch()
while not go.exists():
    time.sleep(0.01)
time.sleep(float(sys.argv[3]))
sys.argv[1:] = sys.argv[4:]
sys.exit(main())
"""


def both(folder: Path, env: dict[str, str], arguments: list[str], lag: float) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of two command lines that begin together, the second a little later."""
    go, hosts = folder / "go", []
    for name in ("one", "two"):
        home = folder / name
        home.mkdir()
        own = {**os.environ, **env, "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            "-c",
            HOST,
            str(folder / f"{name}.ready"),
            str(go),
            str(lag * len(hosts)),
            *arguments,
        ]
        hosts.append(
            subprocess.Popen(command, env=own, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )

    def are_ready() -> bool:
        assert all(host.poll() is None for host in hosts), [host.communicate() for host in hosts if host.poll()]
        return len(list(folder.glob("*.ready"))) == 2

    until(are_ready, 900, "both hosts have imported what they need")
    go.touch()
    said = [host.communicate(timeout=1800) for host in hosts]
    return [(host.returncode, *texts) for host, texts in zip(hosts, said)]


@pytest.mark.parametrize(("place", "lag"), [("ceph", 0.0), ("ceph", 2.0), ("moto", 0.0), ("disk", 0.0)])
def test_one_commits_and_the_other_adopts(
    place, lag, request, child_env, prefect_server, runner, scenes, tmp_path, tmp_path_factory
):
    database = run_folder(tmp_path_factory) / "prefect"
    prefect_env = child_env | {"PREFECT_API_URL": prefect_server}
    if place == "disk":
        check(str(scenes), str(tmp_path / "calm"), str(tmp_path / "out"), lag, prefect_env, runner, tmp_path, database)
        return
    files = {f"card/{path.relative_to(scenes)}": path.read_bytes() for path in sorted(scenes.rglob("*.JPG"))}
    with at(request.getfixturevalue(place)) as server:
        root = f"s3://{new_bucket(server, files)}"
        env = prefect_env | server.env()
        check(f"{root}/card", f"{root}/calm", f"{root}/out", lag, env, runner, tmp_path, database)


def check(source, calm, out, lag, env, runner, tmp_path, database):
    status, _, said = runner.run(source, calm, env=env, config=LONG)
    assert status == 0, said
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(LONG))
    arguments = ["run", source, "--model", str(MODEL), "--out", out, "--config", str(settings)]
    answers = both(tmp_path, env, arguments, lag)
    assert [status for status, _, _ in answers] == [0, 0], answers
    told = [" ".join((out + errors).split()) for _, out, errors in answers]
    adopted = ["another run committed it first; its result stands" in text for text in told]
    assert sorted(adopted) == [False, True], told
    check_whole(out, rows_of(calm))
    store = AuditStore(out)
    assert len(store.committed_keys()) == 1
    assert not store.files("work"), "unfinished work is left over"
    assert is_report_current(out)
    if secret := env.get("AWS_SECRET_ACCESS_KEY"):
        homes = (database, Path(env["PREFECT_HOME"]))
        places = [path for home in homes for path in home.rglob("*") if path.is_file()]
        assert [path for path in places if path.suffix == ".db"], "Prefect's database: runs, logs, artifacts"
        kept = [path.read_bytes() for path in places]
        kept += [store.get_file(file) or b"" for file in store.files()]
        assert not [data for data in [*kept, *(text.encode() for text in told)] if secret.encode() in data]
