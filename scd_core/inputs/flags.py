"""Flags set by people: a CSV of files to look at, with a reason."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

from scd_core.errors import InputError
from scd_core.inputs.text import read_user_file

__all__ = ["read_flags"]


def read_flags(url: str) -> dict[str, str]:
    """File (relative to SOURCE, or a full URI) -> reason, from a CSV with `file` and optionally `reason`.

    Raises:
        InputError: the file cannot be read or has no column `file`.
    """
    reader = csv.DictReader(io.StringIO(read_user_file(url, "flags")))
    if "file" not in (reader.fieldnames or ()):
        raise InputError(f"flags {PurePosixPath(url).name}: no column 'file'; it needs file and optionally reason")
    return {row["file"]: (row.get("reason") or "").strip() for row in reader if row["file"]}
