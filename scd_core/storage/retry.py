"""Which storage errors are worth another try, and how long to wait before it."""

from __future__ import annotations

import errno
import random
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from scd_core.errors import InputError, RunError
from scd_core.storage.meter import storage_time

__all__ = [
    "ATTEMPTS", "LOOKS", "BadBodyError", "ForeignAnswerError", "ShortReadError", "error_code", "http_status", "is_created",
    "is_transient", "look_again", "retry", "scrub",
]  # fmt: skip

T = TypeVar("T")

ATTEMPTS = 8
"""Tries of one request; the waits below are 10 s together on average, 21 at most."""

LOOKS = 3
"""Times that a refusal, or a body that does not fit its ETag, must be repeated before it is believed."""

LOOK_SECONDS = 0.1

_BASE_SECONDS = 0.2
_LONGEST_SECONDS = 8.0
_LONGEST_RETRY_AFTER_SECONDS = 60.0
_LONGEST_REASON = 300  # letters; a gateway's page would be repeated whole

_TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_TRANSIENT_CODES = frozenset(
    {
        "InternalError", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "SlowDown", "Throttling",
        "ThrottlingException", "TooManyRequests", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch",
    }
)  # fmt: skip
_TRANSIENT_ERRNO = frozenset(
    {
        errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH,
        errno.ENETUNREACH, errno.ENETDOWN, errno.EAGAIN, errno.EINTR,
    }
)  # fmt: skip
# By name, because the HTTP libraries behind the file systems are optional and need not be imported for a local run.
_TRANSIENT_NAMES = frozenset(
    {
        "ClientConnectionError", "ClientOSError", "ClientPayloadError", "ConnectTimeoutError", "ConnectionClosedError",
        "ConnectionError", "EndpointConnectionError", "FSTimeoutError", "HTTPClientError", "IncompleteRead",
        "IncompleteReadError", "ProxyConnectionError", "ReadTimeout", "ReadTimeoutError", "ResponseParserError",
        "ResponseStreamingError", "ServerConnectionError", "ServerDisconnectedError", "ServerTimeoutError",
        "HTTPServerError", "SSLError", "ForeignAnswerError", "ShortReadError", "FlexibleChecksumError", "ChecksumError",
    }
)  # fmt: skip


_UNDECIDED = ("ConditionalRequestConflict", "OperationAborted")
_NO_CREDENTIALS = frozenset(
    {"CredentialRetrievalError", "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}
)
_USER_INFO = re.compile(r"://[^/\s@]+@")
_QUERY = re.compile(
    r"\?[^\s'\"<>]*(?:sig|token|key|secret|password|credential|expires|security)[^\s'\"<>]*", re.IGNORECASE
)


def scrub(text: object) -> str:
    """One line of text without passwords and signed queries of the URLs in it.

    >>> scrub("GET https://me:pw@host/a.jpg?X-Amz-Signature=1 failed")
    'GET https://host/a.jpg failed'
    """
    return " ".join(_QUERY.sub("", _USER_INFO.sub("://", str(text))).split())


class ShortReadError(OSError):
    """A body ended before the length that was announced, or is not the one that was written."""


class ForeignAnswerError(OSError):
    """An answer of something else than the server, such as a gateway's page."""


class BadBodyError(RunError):
    """An object whose body was another than the server said at every try, and nothing else was wrong."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _detach(error: BaseException, handled: BaseException | None) -> None:
    """Take the error that the caller is handling out of the chain of one that came meanwhile: it is not what caused it."""
    for link in _chain(error):
        if handled is not None and link.__context__ is handled:
            link.__context__ = None


def _response(error: BaseException) -> dict:
    for link in _chain(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict) and "Error" in response:
            return response
    return {}


def error_code(error: BaseException) -> str:
    """The S3 error code behind an exception (``AccessDenied``, ``NoSuchKey``, ...); empty where there is none."""
    return str(_response(error).get("Error", {}).get("Code", ""))


def http_status(error: BaseException) -> int | None:
    """The HTTP status behind an exception; None where it did not come from an HTTP answer."""
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status is None:
        status = next((s for link in _chain(error) if isinstance(s := getattr(link, "status", None), int)), None)
    return status


def _is_bad_body(error: BaseException) -> bool:
    """Whether a whole answer came, and its body was not what the server said it would be."""
    names = {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}
    return not names.isdisjoint({"ShortReadError", "FlexibleChecksumError", "ChecksumError"})


def _retry_after(error: BaseException) -> float:
    """Seconds that the server asks to wait (Retry-After), as far as that is sensible; 0 where it asks nothing."""
    headers = _response(error).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return min(_LONGEST_RETRY_AFTER_SECONDS, max(0.0, float(headers.get("retry-after", 0))))
    except ValueError:  # a date: the waits of our own will do
        return 0.0


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later.

    Timeouts, resets, broken bodies, 408, 429 and 5xx are; an answer of 403, 404 or 412 is not.
    """
    if response := _response(error):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status in _TRANSIENT_STATUS or error_code(error) in _TRANSIENT_CODES
    if http_status(error) in _TRANSIENT_STATUS:
        return True
    for link in _chain(error):
        if isinstance(link, TimeoutError | ConnectionError | socket.timeout):
            return True
        if isinstance(link, OSError) and link.errno in _TRANSIENT_ERRNO:
            return True
        if _TRANSIENT_NAMES.intersection(kind.__name__ for kind in type(link).__mro__):
            return True
    return False


def retry(
    call: Callable[[], T], what: str, *, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep
) -> T:
    """Call until it succeeds, waiting with exponential backoff and full jitter after a transient error.

    Args:
        call: the request; must be safe to repeat.
        what: what is being done and where, for the error message, without credentials.
        attempts: most tries.
        sleep: waits the given seconds; replaced in tests.

    Returns:
        What the call returns.

    Raises:
        RunError: every try met a transient error; a BadBodyError where each of them was a bad body.
        InputError: there are no credentials.
        Exception: whatever else the call raises, at once.
    """
    with storage_time():
        return _retry(call, what, attempts, sleep)


def _retry(call: Callable[[], T], what: str, attempts: int, sleep: Callable[[float], None]) -> T:
    kind: type[RunError] = BadBodyError
    handled = sys.exc_info()[1]
    for attempt in range(attempts):
        try:
            return call()
        except Exception as error:
            _detach(error, handled)
            if _NO_CREDENTIALS.intersection(type(link).__name__ for link in _chain(error)):
                raise InputError(
                    f"{what}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
                ) from error
            if not is_transient(error):
                raise
            if not _is_bad_body(error):
                kind = RunError
            if attempt == attempts - 1:
                reason = scrub(error)[:_LONGEST_REASON] or type(error).__name__
                raise kind(
                    f"{what}: failed {attempts} times, last with: {reason}; "
                    "nothing is lost, run again when the storage answers"
                ) from error
            # Full jitter: many workers that fail together must not come back together.
            sleep(_retry_after(error) + random.uniform(0, min(_LONGEST_SECONDS, _BASE_SECONDS * 2**attempt)))
    raise AssertionError("unreachable")


def look_again(call: Callable[[], T]) -> T:
    """Call until it is not refused; the last refusal is raised.

    Raises:
        PermissionError: it was refused each time.
        Exception: whatever else the call raises, at once.
    """
    for _ in range(LOOKS - 1):
        try:
            return call()
        except PermissionError:
            time.sleep(LOOK_SECONDS)
    return call()


class _ConflictError(ConnectionError):
    """409: two create-only puts met; the outcome is open, so try again."""


def is_created(put: Callable[[], object], where: str) -> bool:
    """Do a create-only put; False where it was refused because an object is there.

    AWS, Ceph and moto word that refusal differently.

    Args:
        put: the request.
        where: address of the object, for the error message, without credentials.

    Raises:
        OSError: it was refused for another reason, or is worth another try (:func:`is_transient`).
    """
    try:
        put()
    except OSError as error:
        if error_code(error) in _UNDECIDED:
            raise _ConflictError(f"another writer is at {where}") from error
        is_refused = http_status(error) in (409, 412) or error_code(error) == "PreconditionFailed"
        if is_refused or isinstance(error, FileExistsError):
            return False
        raise
    return True
