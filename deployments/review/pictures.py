"""The review's pictures by the ids of the tables: frames in three sizes, evidence to lay over them, what the network saw."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.review.auth import refusal
from deployments.review.drawing import Drawer, NoPictureError, Origin, Size, layer
from scd_core.audit.report.examples import chosen_view, storage_root
from scd_core.audit.review.frames import Row
from scd_core.audit.review.session import ReviewSession
from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.storage import open_source
from scd_core.tables.mask_png import BrokenMaskError

__all__ = ["routes"]

_KEEP = {"Cache-Control": "private, max-age=3600"}
_JPEG, _PNG = "image/jpeg", "image/png"


def routes(session: ReviewSession) -> list[Route]:
    """``/picture/MEDIA`` and ``/evidence/TARGET``; a picture that cannot be had is 404 with the reason in one line.

    Args:
        session: the review, which knows the pictures; a request only names one of them.
    """
    pictures = _Pictures(session)
    return [
        Route("/picture/{media_id:path}", pictures.picture, methods=["GET"]),
        Route("/evidence/{target_id:path}", pictures.evidence, methods=["GET"]),
    ]


class _Pictures:
    def __init__(self, session: ReviewSession) -> None:
        self._session = session
        self._drawer = Drawer(session.out)

    def picture(self, request: Request) -> Response:
        """A frame in a ``size``; ``batch`` is given where the frame stands in an event beside the one that waits."""
        media_id, batch_key = request.path_params["media_id"], request.query_params.get("batch")
        size = request.query_params.get("size", Size.SCREEN)
        if size not in set(Size):
            raise InputError(f"size {size[:40]!r}: expected {', '.join(Size)}")
        row = self._session.picture(media_id) if batch_key is None else self._frame(batch_key, media_id)
        if row is None:
            return refusal(404, "OUT has no such picture")
        try:
            return Response(
                self._drawer.frame(self._found(row), self._origin(row), Size(size)), media_type=_JPEG, headers=_KEEP
            )
        except NoPictureError as error:
            return refusal(404, str(error))

    def evidence(self, request: Request) -> Response:
        """``kind`` of a target's evidence: ``outline`` or ``heat``, ``against`` a rival or not, or what was ``seen`` again."""
        target_id, params = request.path_params["target_id"], request.query_params
        kind = params.get("kind", "outline")
        if kind not in ("outline", "heat", "seen"):
            raise InputError(f"kind {kind[:40]!r}: expected outline, heat, seen")
        row = self._session.target(target_id)
        rows = self._session.frames.evidence(row["batch_key"], target_id) if row is not None else []
        rival = params.get("against")
        mask = next((one for one in rows if one["mask_png"] is not None and one["contrast_id"] == rival), None)
        if row is None or mask is None:
            return refusal(404, "no such evidence is kept in OUT")
        try:
            if kind != "seen":
                return Response(layer(row, mask["mask_png"], is_filled=kind == "heat"), media_type=_PNG, headers=_KEEP)
            view = chosen_view(row, [one for one in rows if one["strategy"] is not None])
            if view is None:
                return refusal(404, "this picture was not classified again")
            seen = self._drawer.seen({**self._found(row), **_mask(mask)}, self._origin(row), view)
            return Response(seen, media_type=_JPEG, headers=_KEEP)
        except (NoPictureError, BrokenMaskError) as error:
            return refusal(404, str(error))

    def _frame(self, batch_key: str, media_id: str) -> Row | None:
        rows = self._session.frames.event(batch_key, media_id)
        return next((row for row in rows if row["media_id"] == media_id), None)

    def _found(self, row: Row) -> Row:
        """The row where its picture lies by now: below the SOURCE that was given, where it has another ETag and version."""
        source = self._session.source
        if source is None or row["file"] is None or source == self._session.frames.run(row["batch_key"]).get("source"):
            return row
        storage = open_source(source)
        try:
            path = storage.path(row["file"])
            there = storage.head(path)
        except (ValueError, OSError) as error:  # nothing outside SOURCE is served, whatever a table holds
            raise NoPictureError(f"no picture: {row['file']} cannot be read below {storage.url}") from error
        if there is None:
            raise NoPictureError(f"no picture: {storage.url} has no {row['file']}")
        return {**row, "uri": storage.uri_of(path), "etag": there.etag, "version_id": None}

    def _origin(self, row: Row) -> Origin:
        run, source = self._session.frames.run(row["batch_key"]), self._session.source_of(row["batch_key"])
        return Origin(source or storage_root(row["uri"]), _media_config(run), run)


def _mask(mask: Row) -> dict[str, Any]:
    return {name: mask[name] for name in ("mask_png", "ssr_probability")}


def _media_config(run: Row) -> MediaConfig:
    """Settings by which a run decoded pictures; those of this version where it recorded none, or others."""
    try:
        return MediaConfig.model_validate(json.loads(run.get("config") or "{}").get("media", {}))
    except (ValidationError, ValueError):
        return MediaConfig()
