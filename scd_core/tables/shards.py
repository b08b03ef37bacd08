"""Unfinished work: the results of shards, kept in OUT until their batch is committed."""

from __future__ import annotations

import hashlib
from collections.abc import Set as AbstractSet

import pyarrow as pa

from scd_core.tables.folder import OutFolder, plain_name

__all__ = ["drop_work", "load_shard", "save_shard", "sweep_work"]

_MAGIC = b"trapaudit-shard-1\n"


def save_shard(out: OutFolder, batch_key: str, stage: str, shard_key: str, rows: pa.Table) -> pa.Table:
    """Keep a shard's result until the batch is committed, or adopt the one that another run kept first.

    Two runs at once may see other things (an object that vanished between their readings, the last bits of another
    processor's arithmetic). All that follows is made from the result that was kept, so their rows fit together.

    Args:
        out: OUT.
        batch_key: name of the batch.
        stage: name of the stage.
        shard_key: hash over all that the result depends on.
        rows: the result.

    Returns:
        The result to go on with.

    Raises:
        ValueError: a name would lead outside OUT.
        RunError: it could not be written.
    """
    relative = _place(batch_key, stage, shard_key)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    body = sink.getvalue().to_pybytes()
    data = _MAGIC + hashlib.sha256(body).digest() + body
    if out.create_file(relative, data):
        return rows
    kept = load_shard(out, batch_key, stage, shard_key)
    if kept is None:  # damaged, or removed since by the run that committed the batch
        out.put_file(relative, data)
        return rows
    return kept


def load_shard(out: OutFolder, batch_key: str, stage: str, shard_key: str) -> pa.Table | None:
    """A shard's result that an earlier run kept; None where there is none or it is damaged, so it is made anew.

    Raises:
        RunError: the storage did not answer.
    """
    data = out.get_file(_place(batch_key, stage, shard_key))
    if data is None:
        return None
    start = len(_MAGIC) + 32
    body = data[start:]
    if data[:start] != _MAGIC + hashlib.sha256(body).digest():
        return None
    return pa.ipc.open_file(body).read_all()


def drop_work(out: OutFolder, batch_key: str) -> None:
    """Remove the kept shards of a batch that is committed."""
    folder = f"work/{plain_name(batch_key)}"
    for file in out.files(folder):
        out.delete_file(file)
    out.storage.remove_empty_folders(folder)


def sweep_work(out: OutFolder, committed: AbstractSet[str]) -> None:
    """Remove the work of batches whose run was killed between its commit and its tidying, and of those whose plan is gone."""
    planned = {file.rsplit("/", 1)[-1].removesuffix(".json.gz") for file in out.files("plans/objects")}
    for batch_key in {file.split("/")[1] for file in out.files("work")}:
        if batch_key in committed or (planned and batch_key not in planned):
            drop_work(out, batch_key)


def _place(*names: str) -> str:
    return f"work/{'/'.join(plain_name(name) for name in names)}.shard"
