"""Files that a user hands over: read whole, from any URL, with one line where that fails."""

from __future__ import annotations

from scd_core.errors import InputError, TrapauditError
from scd_core.storage import clean_url, open_source

__all__ = ["read_user_file"]


def read_user_file(url: str, what: str) -> str:
    """Text of a file (UTF-8, with or without a byte-order mark).

    Args:
        url: fsspec URL or path.
        what: what the file is to the user, for the message: ``labels``, ``detections``, ``flags``, ``config``.

    Raises:
        InputError: it is not there, cannot be read, or is not text.
    """
    storage = open_source(url)
    try:
        return storage.read(storage.root).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{what} {clean_url(url)}: no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what} {clean_url(url)}: not a UTF-8 text file ({error.reason} at byte {error.start})"
        ) from error
    except (OSError, TrapauditError) as error:
        raise InputError(f"{what} {clean_url(url)}: cannot be read ({error})") from error
