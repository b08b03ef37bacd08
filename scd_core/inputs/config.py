"""Settings read from a YAML or JSON file."""

from __future__ import annotations

import yaml

from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.inputs.text import read_text
from scd_core.storage import clean_url

__all__ = ["load_config"]


def load_config(url: str | None) -> AuditConfig:
    """Read an :class:`~scd_core.config.AuditConfig` from a YAML or JSON file.

    Args:
        url: fsspec URL or path; None gives the defaults.

    Raises:
        InputError: the file cannot be read or parsed, or has a field or value that the settings do not allow.
    """
    if url is None:
        return AuditConfig()
    where = f"config {clean_url(url)}"
    try:
        content = yaml.safe_load(read_text(url, "config", is_small=True))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{where}: not YAML or JSON ({error})") from error
    return AuditConfig.from_mapping(content, where)
