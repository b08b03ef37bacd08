"""Finding the one picture that a person means by a path, the end of one, an address or an id."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.inputs.joining import MediaIndex, path_as_joined
from scd_core.media.left_out import left_out_reason

__all__ = ["FoundPicture", "SeveralPictures", "find_picture", "rows_of"]

_MOST = 10
"""Pictures that are listed where several fit."""


@dataclass(frozen=True)
class FoundPicture:
    """A medium that fits what was asked for."""

    media_id: str
    uri: str
    file: str
    captured_at: datetime | None
    batch_keys: Sequence[str]
    """Batches that it is in, in no order."""


class SeveralPictures(InputError):
    """Several pictures fit; `pictures` has the first ten.

    Args:
        wanted: what was asked for.
        pictures: the first of those that fit.
        n: how many fit.
    """

    def __init__(self, wanted: str, pictures: Sequence[FoundPicture], n: int) -> None:
        super().__init__(f"{wanted}: {n} pictures fit; give more of the path, or a media id")
        self.pictures = pictures
        self.n = n


def find_picture(connection: duckdb.DuckDBPyConnection, wanted: str, out: str) -> FoundPicture:
    """The picture that is meant: by id, address, path relative to SOURCE, the end of one, any spelling of it, or as a label's is.

    Args:
        connection: database with the view ``every_media``, the table ``media`` of the whole audit.
        wanted: a media_id or target_id, an address, or a path or its end, with slashes of either kind.
        out: address of OUT, for messages.

    Raises:
        InputError: no picture fits; the message names files with nearly this name.
        SeveralPictures: several fit equally well.
    """
    path = path_as_joined(wanted)
    if not path.strip("/"):
        raise InputError("show: FILE is empty; give a path relative to SOURCE, its end, an address or a media id")
    found = _fitting(connection, "fitting", path, wanted=wanted.strip()) or _fitting(
        connection, "fitting_any_spelling", path
    )
    if not found and "://" not in path:  # a path from the folder that the user is in, such as ../cards/C01/IMG_1.JPG
        found = _fitting(connection, "fitting", posixpath.abspath(path), wanted="")
    found = found or _joined(connection, path)
    if not found:
        near = [row["file"] for row in rows_of(connection, "near_files", path=path)]
        why = left_out_reason(path)
        hint = f"; such files are left out of every run ({why})" if why else "; is it audited already?"
        hint = f"; did you mean {', '.join(near)}?" if near and not why else hint
        raise InputError(f"{wanted}: no picture of OUT {out} fits{hint}")
    pictures = [FoundPicture(*(row[name] for name in FoundPicture.__dataclass_fields__)) for row in found]
    if len(pictures) > 1:
        raise SeveralPictures(wanted, pictures, found[0]["n_fitting"])
    return pictures[0]


def rows_of(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a query of the folder ``sql``, each a dictionary of its columns.

    Args:
        connection: database with what the query reads.
        name: name of the query.
        parameters: values of its `$` parameters.
    """
    answer = connection.execute(load_sql("scd_core.audit.query.picture", name), parameters)
    columns = [column[0] for column in answer.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def _joined(connection: duckdb.DuckDBPyConnection, path: str) -> list[dict[str, Any]]:
    """Pictures that labels of a path are for, such as one of another machine (``D:/cards/C01/IMG_1.JPG``)."""
    uris = MediaIndex(connection.execute("SELECT DISTINCT uri, file FROM every_media").fetchall()).find(path)
    found = [row for uri in uris[:_MOST] for row in _fitting(connection, "fitting", uri, wanted="")]
    return [row | {"n_fitting": max(len(uris), len(found))} for row in found[:_MOST]]


def _fitting(connection: duckdb.DuckDBPyConnection, name: str, path: str, **more: str) -> list[dict[str, Any]]:
    ending = "/" + (path.partition("://")[2] if "://" in path else path).lstrip("/")
    parameters: Mapping[str, Any] = {"path": path, "ending": ending, "most": _MOST, **more}
    return rows_of(connection, name, **parameters)
