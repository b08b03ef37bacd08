"""Packages of an extra: absent they are a skip, and under CI, where the whole dev set is installed, a failure."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def extra(name: str) -> Any:
    """The package, imported."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name)
