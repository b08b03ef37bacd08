"""Dockerfile and compose files as an operator reads them: every path, port, variable, stage and command they name exists."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.relay.settings import RelaySettings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
GPU: dict[str, Any] = yaml.safe_load((DOCKER / "compose.gpu.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
SETTABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::([-?])([^}]*))?\}")


def instructions() -> list[tuple[str, str]]:
    """Instruction and argument, continued lines joined, comments left out."""
    text = re.sub(
        r"\\\n\s*", " ", "\n".join(line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#"))
    )
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in text.splitlines() if line.strip()]


def stages() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions():
        if word == "FROM":
            name = rest.split(" AS ")[1]
            found[name] = []
        if name:
            found[name].append((word, rest))
    return found


def example() -> dict[str, str]:
    lines = (DOCKER / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def exec_form(stage: str, word: str) -> list[str]:
    text = next(rest for name, rest in stages()[stage] if name == word)
    return json.loads(text[text.index("[") :])


# Dockerfile


def test_every_copied_path_exists_and_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copies = [rest for word, rest in instructions() if word == "COPY"]
    assert len(copies) >= 8
    for rest in copies:
        if rest.startswith("--from="):
            assert rest.split()[0].removeprefix("--from=") in stages()
            continue
        for path in rest.split()[:-1]:
            assert (ROOT / path).exists(), path
            assert path.split("/")[0] in allowed, f"{path} is left out by .dockerignore"
    assert "docker/.env" in ignored


def test_every_stage_is_built_on_one_that_exists() -> None:
    names = list(stages())
    for name in names:
        base = stages()[name][0][1].split(" AS ")[0]
        assert base in names or base == "python:${PYTHON}-slim-bookworm"


@pytest.mark.parametrize("stage", ["server", "worker"])
def test_the_images_run_without_rights_and_are_watched(stage: str) -> None:
    words = [word for word, _ in stages()[stage]]
    assert dict(stages()[stage])["USER"] == "10001:10001"
    assert words.index("USER") > words.index("COPY")
    assert {"HEALTHCHECK", "CMD", "EXPOSE"} <= set(words)
    assert dict(stages()[stage])["EXPOSE"] in exec_form(stage, "HEALTHCHECK")[-1]


@pytest.mark.parametrize("stage", ["server", "worker"])
def test_the_images_commands_exist(stage: str) -> None:
    for command in (exec_form(stage, "CMD"), exec_form(stage, "HEALTHCHECK")):
        check_command(command)


def test_the_relay_listens_where_the_container_says() -> None:
    assert dict(stages()["server"])["EXPOSE"] == str(RelaySettings.model_fields["port"].default)
    assert "TRAPAUDIT_RELAY_HOST=0.0.0.0" in dict(stages()["server"])["ENV"]


def test_everything_is_installed_by_hash_but_cpu_torch() -> None:
    runs = " ".join(rest for word, rest in instructions() if word == "RUN")
    for install in re.findall(r"pip install [^;&]*", runs):
        if ".whl" in install or "--index-url" in install:
            continue
        assert "--require-hashes" in install
        assert "--no-deps" in install
    for variable in re.findall(r"--build-arg (\w+)", DOCKERFILE):
        assert re.search(rf"^ARG {variable}=", DOCKERFILE, re.MULTILINE)


def test_settings_that_the_image_sets_are_prefects() -> None:
    check_prefect_variables(set(re.findall(r"(PREFECT_[A-Z_]+)=", DOCKERFILE)) - {"PREFECT_HOME"})


def test_links_in_the_image_point_into_the_wheel() -> None:
    targets = re.findall(r"site-packages/(\S+)", DOCKERFILE)
    assert len(targets) == 2
    for target in targets:
        assert (ROOT / target).exists()


# compose


def check_command(command: list[str]) -> None:
    if command[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(command[2]) is not None, command
    elif command[0] == "trapaudit":
        done = subprocess.run(
            [sys.executable, "-m", "deployments.cli", command[1], "--help"], capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, done.stderr
        for option in [word for word in command if word.startswith("--")]:
            assert option in done.stdout
    else:
        assert command[0] == "prefect"
        assert shutil.which("prefect", path=str(Path(sys.executable).parent))
        import prefect.cli as prefect_cli

        # Prefect's help takes seconds to start; its sources name every option as literally as the help does.
        folder = Path(str(prefect_cli.__file__)).parent
        source = (folder / f"{command[1]}.py").read_text()
        for option in [word for word in command if word.startswith("--")]:
            assert f'"{option}"' in source, option


def check_prefect_variables(names: set[str]) -> None:
    from prefect.settings.legacy import _get_settings_fields
    from prefect.settings.models.root import Settings

    known = set(_get_settings_fields(Settings))
    assert names
    assert names <= known, names - known


def environment(service: dict[str, Any]) -> dict[str, str]:
    return service.get("environment", {})


def test_every_variable_is_in_the_example_and_none_there_is_unused() -> None:
    text = (DOCKER / "compose.yaml").read_text() + (DOCKER / "compose.gpu.yaml").read_text()
    used = {name for name, _, _ in SETTABLE.findall(text)}
    assert used == set(example())
    required = {name for name, kind, _ in SETTABLE.findall(text) if kind == "?"}
    for secret in ("POSTGRES_PASSWORD", "TRAPAUDIT_RELAY_SECRET", "MINIO_ROOT_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        assert secret in required
        assert example()[secret] == "", "an example must not be a password that works"


def test_a_team_without_a_model_names_by_predictions_alone() -> None:
    """Compose stops at a variable that is required and empty; `trapaudit deploy` refuses that both are empty."""
    kinds = {name: kind for name, kind, _ in SETTABLE.findall((DOCKER / "compose.yaml").read_text())}
    assert (kinds["TRAPAUDIT_MODEL"], kinds["TRAPAUDIT_PREDICTIONS"]) == ("-", "-")
    assert (kinds["TRAPAUDIT_SOURCE"], kinds["TRAPAUDIT_OUT"]) == ("?", "?")
    assert {"TRAPAUDIT_MODEL", "TRAPAUDIT_PREDICTIONS"} <= set(environment(SERVICES["deploy"]))


def test_no_secret_is_written_down() -> None:
    for name, service in SERVICES.items():
        for variable, value in environment(service).items():
            if re.search(r"SECRET|PASSWORD|TOKEN", variable):
                assert value.startswith("${"), f"{name}: {variable}"


def test_our_variables_are_read_by_something() -> None:
    sources = "".join(
        path.read_text() for folder in ("flows", "tasks", "deployments") for path in (ROOT / folder).rglob("*.py")
    )
    for name, service in {**SERVICES, **{f"gpu {k}": v for k, v in GPU["services"].items()}}.items():
        for variable in environment(service):
            if variable.startswith("TRAPAUDIT_RELAY_"):
                assert variable.removeprefix("TRAPAUDIT_RELAY_").lower() in RelaySettings.model_fields
            elif variable.startswith("TRAPAUDIT_"):
                assert f'"{variable}"' in sources, f"{name}: {variable}"
    check_prefect_variables({v for s in SERVICES.values() for v in environment(s) if v.startswith("PREFECT_")})


def test_every_dependency_waits_for_something_that_can_happen() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            other = SERVICES[name]
            if wait["condition"] == "service_healthy":
                assert "test" in other["healthcheck"], name
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert "restart" not in other, f"{name} would never be complete"


def test_every_service_that_stays_is_watched_and_comes_back() -> None:
    for name, service in SERVICES.items():
        if name in ("deploy", "s3-setup"):
            continue
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] == "CMD"


def test_commands_builds_and_mounts_exist() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            folder = (DOCKER / service["build"]["context"]).resolve()
            assert folder == ROOT
            assert (folder / service["build"]["dockerfile"]).is_file()
            assert service["build"]["target"] in stages()
            for argument in service["build"].get("args", {}):
                assert f"ARG {argument}=" in DOCKERFILE
            if "command" in service:
                check_command(service["command"])
            health = service.get("healthcheck", {}).get("test")
            if health:
                check_command(health[1:])
        for volume in service.get("volumes", ()):
            where = volume.split(":")[0]
            assert where in COMPOSE["volumes"] or (DOCKER / where).exists(), f"{name}: {volume}"
    check_command(GPU["services"]["deploy"]["command"])
    assert GPU["services"].keys() <= SERVICES.keys()


def test_addresses_name_services_and_their_ports() -> None:
    listens = {"prefect": {"4200"}, "relay": {"8090"}, "s3": {"9000", "9001"}, "postgres": {"5432"}}
    text = (DOCKER / "compose.yaml").read_text() + (DOCKER / ".env.example").read_text()
    addresses = re.findall(r"(?:://|@)(?!\$)([a-z0-9]+):(\d+)", text)
    assert {host for host, _ in addresses} == set(listens)
    for host, port in addresses:
        assert host in SERVICES and port in listens[host]
    for name, service in SERVICES.items():
        for mapping in service.get("ports", ()):
            address, outside, inside = mapping.rsplit(":", 2)
            assert address == "127.0.0.1", "nothing is open to the network unless someone decides so"
            assert outside == inside and inside in listens[name]
    assert f"--port {SERVICES['prefect']['command'][-1]}" == "--port 4200"


def test_the_worker_takes_from_the_pool_that_is_deployed_to() -> None:
    pools = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["definitions"]["work_pools"]
    command = exec_form("worker", "CMD")
    assert command[command.index("--pool") + 1] == pools["process"]["name"]


def test_the_s3_server_tells_the_relay_in_its_way() -> None:
    variables = environment(SERVICES["s3"])
    assert variables["MINIO_NOTIFY_WEBHOOK_ENDPOINT_RELAY"].endswith(":8090/notifications")
    assert (
        variables["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_RELAY"] == environment(SERVICES["relay"])["TRAPAUDIT_RELAY_SECRET"]
    )
    assert "arn:minio:sqs::RELAY:webhook" in (DOCKER / "s3-setup.sh").read_text()


def test_the_setup_script_runs(tmp_path: Path) -> None:
    """With a stand-in for `mc` that writes down what it is asked."""
    (tmp_path / "mc").write_text('#!/bin/sh\necho "$@" >> "$CALLS"\n')
    (tmp_path / "mc").chmod(0o755)
    calls = tmp_path / "calls"
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CALLS": str(calls)}
    given |= dict.fromkeys(environment(SERVICES["s3-setup"]), "x")
    given |= {"TRAPAUDIT_SOURCE": "s3://cards/2026", "TRAPAUDIT_OUT": "s3://audit", "TRAPAUDIT_MODEL": "/m"}
    for _ in range(2):
        subprocess.run(["sh", DOCKER / "s3-setup.sh"], env=given, check=True, capture_output=True)
    asked = calls.read_text()
    assert "mb --ignore-existing local/cards\n" in asked
    assert "mb --ignore-existing local/audit\n" in asked
    assert "event add --ignore-existing --event put local/cards arn:minio:sqs::RELAY:webhook\n" in asked
