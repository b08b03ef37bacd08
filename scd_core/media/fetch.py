"""Fetching the bytes of media, and images ready for a model, ahead of the one who uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from PIL import Image

from scd_core.config import MediaConfig
from scd_core.errors import RunError
from scd_core.media.decode import decode_image
from scd_core.media.error import MediaError
from scd_core.names import FailureStage, MediaStatus
from scd_core.storage import Storage, open_source, storage_of
from scd_core.storage.entry import ObjectChangedError
from scd_core.storage.retry import ATTEMPTS, BadBodyError, error_code, scrub
from scd_core.storage.threads import COMPUTING, Budget, ordered_map

__all__ = ["UNDECODED_BYTES", "fetch_bytes", "iter_images", "iter_prepared"]

T = TypeVar("T")
Row = TypeVar("Row", bound=Mapping[str, Any])
"""A row of any table that has the columns of an object: uri, etag, size_bytes and version_id."""

_BAD_CREDENTIALS = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
UNDECODED_BYTES = Budget(256_000_000)
"""What the process's threads hold at once."""


def fetch_bytes(storage: Storage, uri: str, *, etag: str, size_bytes: int, version_id: str | None) -> bytes:
    """Read one object as it was listed.

    Raises:
        MediaError: ``missing``: it vanished, changed, or may not be read.
        RunError: the storage did not answer, or the credentials no longer hold.
    """
    if not etag:
        raise MediaError(
            MediaStatus.MISSING, FailureStage.LIST, "nothing is there under this name, or the name is no UTF-8"
        )
    storage = storage_of(uri, storage)
    path = storage.path_of(uri)
    for _ in range(ATTEMPTS):
        try:
            return _read(storage, path, etag, size_bytes, version_id)
        except PermissionError as error:
            if error_code(error) in _BAD_CREDENTIALS:
                raise RunError(f"{uri}: {error_code(error)}: these credentials no longer hold; renew them") from error
            if error_code(error) == "InvalidObjectState":
                raise _missing("archived (InvalidObjectState): restore the object") from error
            refusal = _missing(storage.explain_denied(path, error))
            if storage.is_denied(path, version_id):
                raise refusal from error
    raise refusal  # its head may be read, but its content was refused each time


def _read(storage: Storage, path: str, etag: str, size_bytes: int, version_id: str | None) -> bytes:
    try:
        return storage.read(path, etag=etag, size=size_bytes, version_id=version_id)
    except PermissionError:
        raise
    except ObjectChangedError as error:
        raise _missing(str(error)) from error
    except BadBodyError as error:
        raise _missing(f"its body never arrived whole ({scrub(error.__cause__)})") from error
    except FileNotFoundError as error:
        raise _missing(storage.explain_gone(path, error)) from error
    except OSError as error:
        raise _missing(f"cannot be read ({scrub(error)})") from error


def _missing(reason: str) -> MediaError:
    return MediaError(MediaStatus.MISSING, FailureStage.FETCH, reason)


def iter_images(
    rows: Sequence[Row],
    source: str,
    config: MediaConfig,
    *,
    target_for: Callable[[Row], int | None] | int | None,
) -> Iterator[tuple[Row, Image.Image | MediaError]]:
    """Fetch and decode the images of rows while the caller works on the ones before.

    Args:
        rows: rows with ``uri``, ``etag``, ``size_bytes`` and, where the bucket has versions, ``version_id``.
        source: SOURCE the rows came from, for its file system.
        config: settings of the media stage.
        target_for: shorter side needed in pixels (for all or per row); None for full size.

    Yields:
        Each row with its upright RGB picture, or with the reason why there is none (an object that changed since it
        was described included).

    Raises:
        RunError: the storage did not answer.
    """
    yield from iter_prepared(rows, source, config, lambda _row, image: image, target_for=target_for)


def iter_prepared(
    rows: Sequence[Row],
    source: str,
    config: MediaConfig,
    prepare: Callable[[Row, Image.Image], T],
    *,
    target_for: Callable[[Row], int | None] | int | None,
    ahead: int = 2,
) -> Iterator[tuple[Row, T | MediaError]]:
    """As :func:`iter_images`, with what a function makes of each picture, called in the thread that decoded it.

    So resizing overlaps with the model's work as decoding does, and what waits in the queue is as small as what is made.

    Args:
        rows: as :func:`iter_images`.
        source: SOURCE the rows came from.
        config: settings of the media stage.
        prepare: row and upright RGB picture -> what is needed of it; called from several threads.
        target_for: shorter side needed in pixels (for all or per row); None for full size.
        ahead: most results that wait for the caller beside those in work; at least a batch of the model's where they are
            small, or the threads stand still while the model works.

    Yields:
        Each row, in order, with what was made of its picture, or with the reason why there is none.

    Raises:
        RunError: the storage did not answer.
    """
    storage = open_source(source)

    def load(row: Row) -> tuple[Row, T | MediaError]:
        target = target_for(row) if callable(target_for) else target_for
        try:
            with UNDECODED_BYTES.hold(int(row["size_bytes"])):
                data = fetch_bytes(
                    storage,
                    row["uri"],
                    etag=row["etag"],
                    size_bytes=row["size_bytes"],
                    version_id=row.get("version_id"),
                )
                with COMPUTING:
                    image = decode_image(data, target=target, max_pixels=config.max_pixels)
                    return row, prepare(row, image)
        except MediaError as error:
            return row, error

    yield from ordered_map(rows, load, config.fetch_workers, ahead=config.fetch_workers + ahead)
