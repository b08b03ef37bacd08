"""Files that a user hands over, read whole from any URL; what fails is said in one line."""

from __future__ import annotations

import gzip
import io
import unicodedata
import zlib

from scd_core.errors import InputError, TrapauditError
from scd_core.inputs.limits import current_limits, read_in_time
from scd_core.storage import Storage, clean_url, open_source

__all__ = ["MAX_BYTES", "decode_text", "plain_letters", "read_file", "read_object", "read_text"]

_GZIP_MARK = b"\x1f\x8b"
MAX_BYTES = 1_000_000_000
"""Largest file that is read whole, as it is and unpacked (bytes), where `files.max_bytes` is not less."""

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(url: str, what: str, *, is_small: bool = False) -> str:
    """Text of a file; arguments and errors as for :func:`read_file` and :func:`decode_text`."""
    return decode_text(read_file(url, what, is_small=is_small), f"{what} {clean_url(url)}")


def read_file(url: str, what: str, *, is_small: bool = False) -> bytes:
    """Bytes of a file that the user names.

    Args:
        url: fsspec URL or path.
        what: what the file is to the user, for the message: ``labels``, ``detections``, ``flags``, ``config``.
        is_small: as for :func:`read_object`.

    Raises:
        InputError: it is not there, cannot be read, or is over a limit.
    """
    storage = open_source(url)
    where = f"{what} {clean_url(url)}"
    try:
        return read_object(storage, storage.root, where, is_small=is_small)
    except InputError:
        raise
    except TrapauditError as error:
        raise InputError(f"{where}: cannot be read ({error})") from error


def read_object(storage: Storage, path: str, where: str, *, is_small: bool = False) -> bytes:
    """Bytes of an object of a storage.

    Args:
        storage: the storage that holds it.
        path: path in the storage's file system.
        where: name of the object in messages.
        is_small: it is short by its nature: `files.max_small_bytes` is its limit, else `files.max_bytes`.

    Raises:
        InputError: it is not there, cannot be read, is too large, takes longer than `files.max_seconds`, or was found, not
            named, and is a link that leads out of its folder.
        RunError: the storage did not answer.
    """
    try:
        if path != storage.root and storage.leads_out(path):  # nobody named it: it was found there
            raise InputError(
                f"{where}: is a link that leads out of its folder, and is not read; put the file itself there"
            )
        name, limit = _limit(is_small)
        found = storage.head_or_denied(path)
        if found is not None and found.size > limit:
            raise InputError(f"{where}: has {found.size} bytes, over the limit of {limit} ({name}); split it")
        if found is None and storage.local_root is not None:  # a pipe or a device, which may never end
            content = read_in_time(lambda: storage.read_head(path, limit + 1), where)
        else:
            content = read_in_time(lambda: storage.read(path), where)
        if len(content) > limit:
            raise InputError(f"{where}: has more bytes than the limit of {limit} ({name}); split it")
        return content
    except FileNotFoundError as error:
        raise InputError(f"{where}: no such file") from error
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error})") from error


def _limit(is_small: bool = False) -> tuple[str, int]:
    """Name and value of the limit of a file (bytes)."""
    limits = current_limits()
    if is_small:
        return "files.max_small_bytes", limits.max_small_bytes
    return "files.max_bytes", min(limits.max_bytes, MAX_BYTES)


def decode_text(content: bytes, where: str) -> str:
    """Text of UTF-8 bytes, with or without a byte-order mark, or of UTF-16 bytes with one; gzipped or not.

    Args:
        content: the whole file.
        where: name of the file in messages.

    Raises:
        InputError: the bytes are no such text; the message gives the line. Or they unpack to more than `files.max_bytes`.
    """
    if content.startswith(_GZIP_MARK):
        content = _unpacked(content, where)
    is_utf16 = content.startswith(_UTF16_MARKS) and content[2:4] != b"\0\0"
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{where}: line {line}: not UTF-8; save the file as UTF-8") from error


def plain_letters(text: str) -> str:
    """A text in small letters without accents, for comparing words that people and systems spell differently.

    >>> plain_letters("Éléments Supprimés")
    'elements supprimes'
    """
    apart = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(letter for letter in apart if not unicodedata.combining(letter)))


def _unpacked(content: bytes, where: str) -> bytes:
    name, limit = _limit()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            plain = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{where}: damaged gzip file ({error})") from error
    if len(plain) > limit:
        raise InputError(f"{where}: unpacks to more than the limit of {limit} bytes ({name}); split it")
    return plain
