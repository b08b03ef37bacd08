"""The type of a file by its first bytes."""

from __future__ import annotations

import re

__all__ = ["sniff"]

_BLANK = rb"[\xef\xbb\xbf \t\r\n]*"
_KINDS = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\xff\xd8\xff", "JPEG"),
        (rb"\x89PNG\r\n\x1a\n", "PNG"),
        (rb"(II[*+]\0|MM\0[*+]).{4}CR", "RAW"),  # CR2
        (rb"II[*+]\0|MM\0[*+]", "TIFF"),
        (rb"RIFF.{4}WEBP", "WEBP"),
        (rb"GIF8[79]a", "GIF"),
        (rb"BM", "BMP"),
        (rb".{4}ftyp(heic|heix|mif1|msf1|avif|avis|hevc)", "HEIF"),
        (rb".{4}ftypcrx ", "RAW"),  # CR3
        (rb".{4}(ftyp|moov|mdat|wide|free|skip)", "video"),  # MP4 and QuickTime
        (rb"RIFF.{4}AVI|\x1aE\xdf\xa3|\0\0\x01[\xba\xb3]|FLV\x01|0&\xb2u", "video"),  # AVI, Matroska, MPEG, FLV, ASF
        (rb"IIRO|IIU\0|FOVb|FUJIFILM|\0MRM", "RAW"),
        (_BLANK + rb"(?i:<!doctype html|<html|<head|<body)", "HTML"),
        (_BLANK + rb"(?i:<\?xml|<error|<svg)", "XML"),
        (_BLANK + rb"(?i:%pdf)", "PDF"),
        (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b", "archive"),
    )
)
"""Patterns of the first bytes in the order in which they are tried. Ours, since `filetype` and `puremagic` know neither all
of these RAW files and videos nor the error pages of downloads."""


def sniff(head: bytes) -> str:
    """Name the type of a file by its first bytes, whatever its name is.

    Args:
        head: the first 64 bytes or more.

    Returns:
        A Pillow format name for images that are read (``JPEG``, ``PNG``, ``TIFF``, ``WEBP``, ``BMP``, ``GIF``), else
        ``video``, ``RAW``, ``HEIF``, ``HTML``, ``XML``, ``PDF``, ``archive`` or ``unknown``.

    >>> sniff(b"<!DOCTYPE html><html>")
    'HTML'
    """
    return next((kind for pattern, kind in _KINDS if pattern.match(head)), "unknown")
