"""Triage: which predictions deserve a mask, and with what probability each was chosen."""

from scd_core.inputs.flags import read_flags
from scd_core.triage.select import triage

__all__ = ["read_flags", "triage"]
