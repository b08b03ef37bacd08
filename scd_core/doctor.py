"""What an audit needs besides code, looked at one by one: storage rights, model, device, disk, and what to mend."""

from __future__ import annotations

import importlib.metadata
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scd_core.config import MediaConfig
from scd_core.errors import InputError, TrapauditError
from scd_core.media.listing import list_objects, media_entries
from scd_core.media.manifest import is_manifest
from scd_core.storage import clean_url, open_source
from scd_core.tables.store import AuditStore

__all__ = ["Check", "check_device", "check_disk", "check_model", "check_out", "check_software", "check_source"]

_FREE_BYTES = 2_000_000_000
"""Room that torch, temporary files and a local OUT want to begin with."""


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what was looked at.
        ok: whether it will do.
        found: what was found, in one line.
        mend: what to do where it will not.
    """

    name: str
    ok: bool
    found: str
    mend: str = ""


def check_source(url: str, out: str | None = None) -> Check:
    """Whether SOURCE can be listed, holds something, and one of its objects can be read; a few requests, at any size.

    Args:
        url: URL or path of SOURCE.
        out: URL or path of OUT, whose files are no media where it lies below SOURCE.
    """
    rights = "name a folder or an address with pictures, which this user may read"
    if url.startswith("s3://"):
        rights = "give these credentials s3:ListBucket and s3:GetObject, or check AWS_ENDPOINT_URL and the address"

    def look() -> Check:
        storage = open_source(url)
        media = None if is_manifest(url) else next((e for e in media_entries(storage, out) if e.etag), None)
        if media is None:  # one object, or a manifest; or nothing, which is then said in the words of a run
            found = list_objects(url, MediaConfig(), out)
            return Check("source", True, f"{storage.url}: {len(found)} media listed")
        storage.read_head(media.path, 16)
        return Check("source", True, f"{storage.url}: listed and read")

    return _tried("source", url, look, rights)


def check_out(url: str) -> Check:
    """Whether OUT takes new objects, refuses to replace them, can be listed, read, and cleaned up, and is of no newer version.

    A small object is written and removed again.
    """
    rights = "name a folder that this user may write to, on a disk that has hard links, or an s3:// address"
    if url.startswith("s3://"):
        rights = "give these credentials s3:PutObject, s3:GetObject, s3:ListBucket and s3:DeleteObject on OUT"

    def look() -> Check:
        storage = open_source(url)
        name = f"doctor/{secrets.token_hex(8)}.json"
        path, data = storage.path(name), b'{"made_by": "trapaudit doctor"}'
        storage.create(path, data)
        try:
            if storage.create(path, b"{}") or storage.read(path) != data:
                return Check(
                    "out", False, f"{storage.url}: a second writer replaces the first one's object",
                    "use a server that honours If-None-Match on puts (AWS, MinIO, Ceph in buckets without versions)",
                )  # fmt: skip
            if not any(entry.path == path for entry in storage.entries("doctor")):
                return Check("out", False, f"{storage.url}: an object just written is not in the listing", rights)
        finally:
            storage.delete(path)
            storage.remove_empty_folders("doctor")
        try:
            AuditStore(url).committed()
        except InputError as error:  # a newer version wrote to it, as after going back to an older image
            return Check("out", False, str(error), "install that version here, or name another OUT")
        return Check("out", True, f"{storage.url}: create-only puts, read, listed, removed")

    return _tried("out", url, look, rights)


def check_model(url: str) -> Check:
    """Whether a model package is whole, fits its network, and runs once."""

    def look() -> Check:
        from scd_core.identify import check_package

        found = check_package(url)
        what = ", ".join(
            f"{name} {found[name]}" for name in ("architecture", "classes", "model_digest") if name in found
        )
        return Check("model", True, f"{clean_url(url)}: {what or 'loads and runs'}")

    return _tried("model", url, look, "see `trapaudit model check`, and pack it again with `trapaudit model pack`")


def check_device(device: str) -> Check:
    """Whether a device is there and this build of torch computes on it."""

    def look() -> Check:
        import torch

        from scd_core.identify.classifier import resolve_device

        resolved = resolve_device(device)
        if resolved.type == "cpu":
            more = "" if device == "cpu" else "; no GPU that this build of torch can see"
            return Check("device", True, f"cpu, {torch.get_num_threads()} threads, torch {torch.__version__}{more}")
        name = torch.cuda.get_device_name(resolved)
        free, total = torch.cuda.mem_get_info(resolved)
        return Check("device", True, f"{resolved}: {name}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free")

    return _tried("device", device, look, "set classify.device to cpu, or install a torch build for this GPU")


def check_disk(out: str | None = None, least: int = _FREE_BYTES) -> Check:
    """Whether the temporary folder, and OUT where it is a local disk, have room.

    Args:
        out: URL or path of OUT.
        least: free bytes wanted.
    """
    folders = [Path(tempfile.gettempdir())]
    if out is not None and "://" not in clean_url(out).removeprefix("file://"):
        folders.append(Path(out.removeprefix("file://")).absolute())
    said, ok = [], True
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.is_dir())
        free = shutil.disk_usage(there).free
        ok &= free >= least
        said.append(f"{folder}: {free / 1e9:.1f} GB free")
    return Check("disk", ok, "; ".join(said), f"make room: at least {least / 1e9:.0f} GB, or set TMPDIR")


def check_software() -> Check:
    """Whether the installed versions are ones that work together."""
    names = ("trapaudit", "prefect", "fastapi", "sqlalchemy", "torch")
    versions = {name: importlib.metadata.version(name) for name in names}
    mend = {
        "fastapi": ((0, 150), "pip install 'fastapi>=0.150,<0.151': Prefect's server fails outside of it"),
        "sqlalchemy": ((2, 0), "pip install 'sqlalchemy>=2.0,<2.1': Prefect's server plans no nights with another"),
    }
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    for name, (wanted, how) in mend.items():
        if tuple(int(part) for part in versions[name].split(".")[:2]) != wanted:
            return Check("software", False, found, how)
    return Check("software", True, found)


def _tried(name: str, what: str, look: Callable[[], Check], mend: str) -> Check:
    try:
        return look()
    except TrapauditError as error:
        return Check(name, False, str(error), mend)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is what the doctor is asked to find
        first = str(error).splitlines()[0] if str(error) else ""
        return Check(name, False, f"{clean_url(what)}: {type(error).__name__} {first}".rstrip(), mend)
