"""Flags set by people: a CSV file of files to look at, with a reason."""

from __future__ import annotations

from scd_core.inputs.csv import read_csv
from scd_core.inputs.text import read_text
from scd_core.storage import clean_url

__all__ = ["read_flags"]


def read_flags(url: str) -> dict[str, str]:
    """File (relative to SOURCE, or a full URI) -> reason, from a CSV with `file` and optionally `reason`.

    Raises:
        InputError: the file cannot be read or has no column `file`.
    """
    lines = read_csv(read_text(url, "flags"), f"flags {clean_url(url)}", ("file",))
    return {line["file"]: line["reason"] for line in lines if line["file"]}
