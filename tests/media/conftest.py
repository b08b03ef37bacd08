"""Fixtures of the tests of media."""

from __future__ import annotations

import pytest

from tests.services.pictures import encode, photo


@pytest.fixture
def jpeg() -> bytes:
    return encode(photo())
