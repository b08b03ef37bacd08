"""What a machine of a cluster must be able to do before shards are given to it."""

from __future__ import annotations

from dataclasses import dataclass

from scd_core import __version__
from scd_core.errors import TrapauditError, first_line
from scd_core.identify.package import read_package
from scd_core.storage import open_source, storage_of
from scd_core.tables.store import AuditStore
from tasks.gpu import device_here

__all__ = ["Needs", "is_seen", "missing_on_machine"]


@dataclass(frozen=True)
class Needs:
    """What a shard needs of the machine.

    Attributes:
        source: URL of the images.
        first_uri: address of one of them that is there; None where none was found.
        model: URL of the model package, with ``model_digest`` its digest; None where names were given and no model.
        out: URL of the audit tables.
        api_url: address of the Prefect server.
        device: ``cpu`` or ``cuda``.
        version: of trapaudit, where the run was started.
    """

    source: str
    first_uri: str | None
    model: str | None
    model_digest: str
    out: str
    api_url: str
    device: str
    version: str = __version__


def missing_on_machine(needs: Needs) -> str | None:
    """What this machine lacks for work on shards, in words; None where nothing is missing."""
    import httpx

    if needs.version != __version__:
        return f"has trapaudit {__version__}, this run is of {needs.version}; install the same version"
    try:
        if needs.first_uri is not None and not is_seen(needs.source, needs.first_uri):
            return f"does not see {needs.first_uri}; SOURCE must be the same everywhere, such as s3://"
        if needs.model is not None and read_package(needs.model).digest != needs.model_digest:
            return f"sees another model at {needs.model}; MODEL must be the same everywhere, such as s3://"
        store = AuditStore(needs.out)
        if not store.is_begun():
            return f"does not see {needs.out}; OUT must be the same everywhere, such as s3://"
        store.check_writable()
        if needs.model is not None:
            from scd_core.identify.classifier import resolve_device  # torch: given names need none

            resolve_device(device_here(needs.device))
    except (TrapauditError, OSError) as error:
        return str(error)
    try:
        httpx.get(f"{needs.api_url.rstrip('/')}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        why = first_line(error)
        return f"cannot reach Prefect's server {needs.api_url} ({why}); set PREFECT_API_URL to an address it reaches"
    return None


def is_seen(source: str, uri: str) -> bool:
    """Whether this machine sees an object of SOURCE; one that it may not read counts as not seen."""
    storage = storage_of(uri, open_source(source))
    return storage.head_or_denied(storage.path_of(uri)) is not None
