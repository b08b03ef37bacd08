"""Names in a bucket's index on Ceph, written straight into it: a million in a minute, where as many puts take an hour.

    /usr/bin/python3 benchmarks/scale/rgw_index.py CONF BUCKET_ID < NAMES

The gateway lists a bucket from its index alone, so that a listing of these is one of real keys; there is nothing to get
behind them but the first. Each entry is that of the one object that the bucket holds, under another name. Runs in Debian's own
Python, which has the package `rados` of Ceph, and imports nothing of trapaudit.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from itertools import islice

POOL = "default.rgw.buckets.index"
AT_ONCE = 2_000
_HEAD = struct.Struct("<BBII")
"""Version, oldest version, length of what follows, length of the name; then the name (Ceph's `rgw_bucket_dir_entry`)."""


def renamed(entry: bytes, name: bytes) -> bytes:
    """The entry of an object under another name.

    >>> entry = _HEAD.pack(8, 3, 4 + 1 + 2, 1) + b"a" + b"zz"
    >>> renamed(entry, b"longer") == _HEAD.pack(8, 3, 4 + 6 + 2, 6) + b"longerzz"
    True
    """
    version, oldest, length, n = _HEAD.unpack_from(entry)
    return _HEAD.pack(version, oldest, length - n + len(name), len(name)) + name + entry[_HEAD.size + n :]


def main(conf: str, bucket: str) -> None:
    """Write the names of standard input, one a line, into the index of a bucket that holds one object."""
    import rados

    names = (line.rstrip(b"\n") for line in sys.stdin.buffer)
    with rados.Rados(conffile=conf, name="client.admin") as cluster, cluster.open_ioctx(POOL) as pool:
        shards = sorted(item.key for item in pool.list_objects() if item.key.startswith(f".dir.{bucket}"))
        found = [entry for shard in shards for entry in _entries(pool, shard)]
        if len(found) != 1:
            raise SystemExit(f"{bucket}: {len(found)} objects in {len(shards)} shards; expected 1")
        shard = 0
        while part := list(islice(names, AT_ONCE)):
            with rados.WriteOpCtx() as operation:
                pool.set_omap(
                    operation, tuple(name.decode() for name in part), tuple(renamed(found[0], n) for n in part)
                )
                pool.operate_write_op(operation, shards[shard % len(shards)])
            shard += 1


def _entries(pool: object, shard: str) -> Iterator[bytes]:
    import rados

    with rados.ReadOpCtx() as operation:
        values, _ = pool.get_omap_vals(operation, "", "", 10)  # type: ignore[attr-defined]
        pool.operate_read_op(operation, shard)  # type: ignore[attr-defined]
        yield from (value for _, value in values)


if __name__ == "__main__":
    main(*sys.argv[1:])
