"""Every file that somebody else made is read within limits of size and time, and one over them is one clear line."""

from __future__ import annotations

import ast
import gzip
import importlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scd_core.config import FilesConfig, MediaConfig
from scd_core.errors import InputError
from scd_core.identify.package import read_package
from scd_core.inputs.limits import READERS, Reader, file_limits
from scd_core.inputs.text import read_text
from scd_core.media.manifest_counts import manifest_counts
from scd_core.scenes import packaged_model
from scd_core.storage.base import Storage

ROOT = Path(__file__).resolve().parents[2]
SPEC = read_package(str(packaged_model("clean"))).spec
CSV = "file,individual_id,predicted_id,deploymentID,latitude,longitude,x_min,y_min,width,height,category,confidence\n"
CONTENT = {
    "load_config": ("c.yaml", "media: {shard_size: 9}\n" + "#" * 3000),
    "read_package": ("model.json", "x" * 3000),
    "check_expected": ("expect.csv", "file,top1\n" + "a.jpg,x\n" * 500),
    "lines_of": ("labels.txt", "a name\n" * 500),
}
"""Reader -> the file that it is given, and what is in it; for others a table."""


def place(reader: Reader, folder: Path) -> Path:
    """A file for a reader, of about 4 kB."""
    name, text = CONTENT.get(reader.function.rpartition(".")[2], ("deployments.csv", CSV + "C1/d1/a.jpg\n" * 400))
    (folder / name).write_text(text)
    return folder / name


def run(reader: Reader, path: Path) -> Any:
    """Have a reader read the file."""
    module, _, name = reader.function.rpartition(".")
    read: Callable[..., Any] = getattr(importlib.import_module(module), name)
    if name == "check_expected":
        return read(None, SPEC, path)
    if name == "lines_of":
        return read(path)
    return read(str(path.parent if name in ("read_package", "find_manifest") else path))


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.function.rpartition(".")[2])
@pytest.mark.parametrize("limit", ["size", "time"])
def test_a_file_over_a_limit_is_one_line_that_names_the_setting(
    reader: Reader, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, never = place(reader, tmp_path), threading.Event()
    limits = {"max_bytes": 2000, "max_small_bytes": 2000} if limit == "size" else {"max_seconds": 0.2}
    if reader.is_small and limit == "size":
        limits["max_bytes"] = 10**6
    if limit == "time":
        real = Storage.read

        def hangs(storage: Storage, wanted: str, **given: Any) -> bytes:
            if wanted == str(path):
                never.wait(600)
            return real(storage, wanted, **given)

        monkeypatch.setattr(Storage, "read", hangs)
    setting = "files.max_seconds" if limit == "time" else f"files.max_{'small_' * reader.is_small}bytes"
    try:
        with file_limits(FilesConfig(**limits)):
            if reader.is_found:
                found = run(reader, path)
                assert setting in found.warnings[0] and not found.tables, found.warnings
                (counts,) = manifest_counts(found, [], MediaConfig())
                assert setting in counts.line()
                return
            with pytest.raises(InputError, match=setting) as raised:
                run(reader, path)
        assert path.name in str(raised.value) and "\n" not in str(raised.value)
    finally:
        never.set()


def test_rows_that_take_too_long_a_gzip_that_unpacks_and_a_pipe_without_end(tmp_path: Path) -> None:
    from scd_core.inputs.flags import read_flags

    table = tmp_path / "flags.csv"
    table.write_text("file,reason\n" + "".join(f"{n}.jpg,x\n" for n in range(20_000)))
    with file_limits(FilesConfig(max_seconds=1e-3)), pytest.raises(InputError, match=r"files\.max_seconds"):
        read_flags(str(table))
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(b"0" * 50_000))
    with file_limits(FilesConfig(max_bytes=10_000)), pytest.raises(InputError, match=r"unpacks .*files\.max_bytes"):
        read_text(str(packed), "labels")
    with file_limits(FilesConfig(max_bytes=10_000)), pytest.raises(InputError, match=r"files\.max_bytes"):
        read_text("/dev/zero", "labels")
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with file_limits(FilesConfig(max_seconds=0.2)), pytest.raises(InputError, match=r"was not read within 0\.2 s"):
        read_text(str(pipe), "labels")
    os.close(os.open(pipe, os.O_RDWR))  # lets the thread that waits for it end


def test_a_run_takes_the_limits_of_its_settings(tmp_path: Path) -> None:
    from scd_core.job import list_job, prepare_job
    from tests.services.audits import request_of

    (tmp_path / "cards").mkdir()
    (tmp_path / "cards/a.jpg").write_bytes(b"x")
    flags = tmp_path / "flags.csv"
    flags.write_text("file,reason\n" + "a.jpg,look\n" * 300)
    settings = {"files": {"max_bytes": 1000}}
    with pytest.raises(InputError, match=r"over the limit of 1000 \(files.max_bytes\)"):
        prepare_job(
            request_of(tmp_path / "cards", packaged_model("clean"), tmp_path / "out", settings, flags=str(flags))
        )
    shutil.copy(flags, tmp_path / "cards/deployments.csv")
    listed = list_job(prepare_job(request_of(tmp_path / "cards", packaged_model("clean"), tmp_path / "out", settings)))
    assert any("files.max_bytes" in counts.line() for counts in listed.joined.inputs)
    request = request_of(tmp_path / "cards", packaged_model("clean"), tmp_path / "out")
    other = request_of(tmp_path / "cards", packaged_model("clean"), tmp_path / "out", settings)
    assert prepare_job(request).config_digest == prepare_job(other).config_digest, "limits change no row"


def test_the_list_of_readers_is_complete() -> None:
    """Whoever reads a file that people hand in does so through `inputs/text.py`, from a module that the list names."""
    listed = {reader.function.rpartition(".")[0] for reader in READERS}
    listed |= {module for reader in READERS for module in reader.beside}
    found = set()
    for path in [*(ROOT / "scd_core").rglob("*.py"), *(ROOT / "deployments").rglob("*.py")]:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "scd_core.inputs.text":
                names = {item.name for item in node.names}
                found |= {module} if names & {"read_text", "read_file", "read_object"} else set()
    assert found == listed


@pytest.mark.parametrize("room", ["inputs", "media"])
def test_no_other_module_of_these_rooms_reads_a_file_by_itself(room: str) -> None:
    allowed = {
        "inputs/text.py",
        "media/fetch.py",
        "media/describe.py",
    }  # media have limits of their own, media.max_bytes
    for path in (ROOT / "scd_core" / room).rglob("*.py"):
        calls = [
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        ]
        name = path.relative_to(ROOT / "scd_core").as_posix()
        assert name in allowed or not {"read_bytes", "read_head"} & set(calls), name


def test_the_limits_are_settings_with_defaults() -> None:
    assert FilesConfig() == FilesConfig(max_bytes=10**9, max_small_bytes=10**7, max_seconds=900)
    assert json.loads(FilesConfig().model_dump_json()).keys() == {"max_bytes", "max_small_bytes", "max_seconds"}
