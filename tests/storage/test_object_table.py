"""Many objects in little memory: what goes in comes out, whatever it is called."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from scd_core.storage.object_table import ObjectTable
from scd_core.storage.objects import ObjectRef
from scd_core.tables.id_set import IdSet, ids_of, ids_of_column

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ref(number: int, folder: str = "C01/DCIM 1") -> ObjectRef:
    file = f"{folder}/IMG_{number:07}.JPG"
    etag = hashlib.md5(file.encode()).hexdigest()
    return ObjectRef(f"s3://cards/2026/{file}", file, 1_000_000 + number, etag, None, NOON + timedelta(seconds=number))


ODD = [
    ObjectRef("s3://b/x//a.jpg", "x//a.jpg", 0, "", None, NOON),
    ObjectRef(
        "file:///s/caf\\xe9.jpg", "caf\\xe9.jpg", 5, "1700000000123456789", None, NOON + timedelta(microseconds=1)
    ),
    ObjectRef("s3://b/🐆/é?.jpg", "🐆/é?.jpg", 2**40, "d41d8cd98f00b204e9800998ecf8427e-3", "v1", NOON),
    ObjectRef("s3://other/elsewhere/one.jpg", "D:/cards/two.jpg", 1, "D41D8CD98F00B204E9800998ECF8427E", "null", NOON),
    ObjectRef("s3://b/folder", "name/", 1, "e", None, datetime(1969, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("n", [0, 1, 4095, 4096, 4097, 9000])
def test_what_goes_in_comes_out_in_its_order(n):
    objects = [ref(number) for number in range(n)] + ODD
    table = ObjectTable(objects)
    assert list(table) == objects and len(table) == len(objects) and table == objects
    for place in {0, n - 1, n // 2, -1, len(objects) - 1} - {-len(objects) - 1}:
        assert table[place] == objects[place]
    assert table[1:7] == objects[1:7] and table[-3:] == objects[-3:]
    table.pack()
    table.append(ref(1))
    assert list(table) == [*objects, ref(1)] and table[-1] == ref(1) and table[-2] == objects[-1]
    with pytest.raises(IndexError):
        table[len(objects) + 1]


def test_it_is_sorted_only_where_it_did_not_come_so():
    table = ObjectTable(ref(number) for number in range(5000))
    assert table.is_sorted and table.by_file() is table
    shuffled = ObjectTable([*ODD, *table])
    assert not shuffled.is_sorted
    assert [item.file for item in shuffled.by_file()] == sorted(item.file for item in shuffled)


def test_a_million_objects_take_some_30_bytes_each():
    table = ObjectTable(ref(number) for number in range(40_960))
    assert sum(map(sys.getsizeof, table._packed)) < 40 * 40_960
    assert not table._open


def test_an_id_is_in_the_set_or_not_however_it_is_written():
    names = [ref(number).media_id for number in range(1000)] + ["a", "A" * 32, "g" * 32, "", "0" * 32]
    some = IdSet([ids_of(names[:500]), ids_of(names[500:])])
    assert some.has(names).all() and len(some) == len(names)
    assert not some.has([ref(2000).media_id, "b", "a" * 32]).any()
    assert not IdSet().has(names).any() and not len(some.has([]))
    column = pa.chunked_array([pa.array(names[:700]), pa.array(names[700:])])
    for part in (column, column.slice(3, 900), column.slice(999, 4), column.slice(0, 0)):
        assert np.array_equal(ids_of_column(part), ids_of(part.to_pylist()))
    upper = [name.upper() for name in names[:10]]
    assert np.array_equal(ids_of_column(pa.chunked_array([upper])), ids_of(upper))
    assert not some.has([name for name in upper if name != name.lower()]).any(), "case counts"
