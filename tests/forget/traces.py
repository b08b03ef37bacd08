"""Every text that an OUT holds, so that a test can look for a name in all of it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def contents(out: Path) -> Iterator[tuple[Path, bytes]]:
    """Path and content of every file, hidden ones too: as it lies there, and with what is packed unpacked."""
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        data = path.read_bytes()
        yield path, data
        if path.suffix == ".parquet":
            yield path, repr(pq.read_table(path, partitioning=None).to_pylist()).encode()
        elif path.suffix == ".gz":
            yield path, gzip.decompress(data)
        elif path.suffix == ".shard":
            start = data.index(b"ARROW1")
            yield path, repr(pa.ipc.open_file(data[start:]).read_all().to_pylist()).encode()


def traces(out: Path, *names: str) -> list[str]:
    """Files in whose name or content one of the names stands."""
    words = [name.encode() for name in names]
    return sorted(
        {
            str(path.relative_to(out))
            for path, data in contents(out)
            if any(word in data or word in str(path.relative_to(out)).encode() for word in words)
        }
    )
