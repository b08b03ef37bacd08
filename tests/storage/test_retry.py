"""Transient errors are tried again with jittered waits, refusals are not."""

from __future__ import annotations

import errno

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from scd_core.errors import RunError
from scd_core.storage.retry import ATTEMPTS, BadBodyError, ForeignAnswerError, ShortReadError, is_transient, retry


def answer(status: int, code: str = "") -> OSError:
    """An error as s3fs raises it: translated, with botocore's as its cause."""
    error = OSError(errno.EIO, "said the server")
    error.__cause__ = ClientError(
        {"Error": {"Code": code or str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Get"
    )
    return error


TRANSIENT = [
    answer(500, "InternalError"),
    answer(503, "SlowDown"),
    answer(429),
    answer(400, "RequestTimeout"),
    ConnectionResetError(),
    TimeoutError(),
    OSError(errno.ECONNREFUSED, "refused"),
    EndpointConnectionError(endpoint_url="u"),
    ShortReadError("short"),
    ForeignAnswerError("a page"),
]
FINAL = [
    answer(403, "AccessDenied"),
    answer(404, "NoSuchKey"),
    answer(412, "PreconditionFailed"),
    FileNotFoundError("gone"),
    PermissionError("no"),
    OSError(errno.ENOSPC, "full"),
    ValueError("bug"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_transient_errors_are_tried_again(error):
    assert is_transient(error)
    waits: list[float] = []
    tries = iter([error, error, None])

    def call() -> str:
        if (found := next(tries)) is not None:
            raise found
        return "done"

    assert retry(call, "read x", sleep=waits.append) == "done"
    assert len(waits) == 2 and all(0 <= wait <= 0.4 for wait in waits)


@pytest.mark.parametrize("error", FINAL, ids=repr)
def test_refusals_are_raised_at_once(error):
    assert not is_transient(error)
    tries = []

    def call() -> None:
        tries.append(1)
        raise error

    with pytest.raises(type(error)):
        retry(call, "read x", sleep=lambda seconds: None)
    assert len(tries) == 1


@pytest.mark.parametrize("other", [ForeignAnswerError("a page"), ConnectionResetError()], ids=repr)
@pytest.mark.parametrize("place", [0, ATTEMPTS - 2])
def test_only_a_body_that_was_bad_every_time_is_the_objects_fault(other, place):
    bad = ShortReadError("500 of 900 bytes arrived")

    def give_up(errors: list[Exception]) -> RunError:
        tries = iter(errors)

        def call() -> None:
            raise next(tries)

        with pytest.raises(RunError) as caught:
            retry(call, "read x", sleep=lambda seconds: None)
        return caught.value

    every: list[Exception] = [bad] * ATTEMPTS
    assert type(give_up(every)) is BadBodyError
    assert type(give_up([*every[:place], other, *every[place + 1 :]])) is RunError


def test_giving_up_says_what_and_how_often():
    tries = []

    def call() -> None:
        tries.append(1)
        raise ConnectionResetError("reset by peer")

    waits: list[float] = []
    with pytest.raises(RunError, match=f"read s3://b/k: failed {ATTEMPTS} times.*reset by peer.*run again"):
        retry(call, "read s3://b/k", sleep=waits.append)
    assert len(tries) == ATTEMPTS and len(waits) == ATTEMPTS - 1 and max(waits) <= 8


def test_an_error_while_another_one_is_handled_is_judged_by_itself() -> None:
    """A lost connection while a refusal is looked at again: the refusal's 403 is not its answer."""
    answers: list[object] = [ConnectionResetError("lost"), "there"]

    def call() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    refusal = PermissionError("planted")
    refusal.response = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}  # type: ignore[attr-defined]
    try:
        raise refusal
    except PermissionError:
        assert retry(call, "look", sleep=lambda seconds: None) == "there"
