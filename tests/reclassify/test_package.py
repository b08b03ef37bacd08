"""The package loads torch only for what needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import scd_core.reclassify as package

ROOT = Path(__file__).parents[2]


def test_a_certificate_loads_no_torch() -> None:
    program = "import sys, scd_core.reclassify.certificate; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_every_name_of_the_package_is_there_and_no_other() -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = package.nothing
