"""Triage: which predictions deserve a mask, and with what probability each was chosen."""

from scd_core.triage.select import triage

__all__ = ["triage"]
