"""What random draws of a target are made from: its content, so that they are the same wherever a picture lies."""

from __future__ import annotations

import hashlib

from scd_core.tables.rows import MediaRow, PredictionRow

__all__ = ["content_number", "draw_name"]


def content_number(media: MediaRow, detection_id: str | None) -> int | None:
    """Number of a target, made of its picture's bytes and its detection; None where the bytes could not be read.

    Args:
        media: row of the medium; `content_sha256` is used.
        detection_id: box within the picture; None for the whole frame.

    Returns:
        0 to 2**63 - 1.

    Example:
        >>> first, other = ({"content_sha256": "ab" * 32, "uri": uri} for uri in ("s3://a/1.jpg", "/disk/1.jpg"))
        >>> content_number(first, "0") == content_number(other, "0") != content_number(first, None)
        True
    """
    content = media.get("content_sha256")
    if content is None:
        return None
    return int.from_bytes(hashlib.sha256(f"{content}:{detection_id or ''}".encode()).digest()[:8], "big") >> 1


def draw_name(row: PredictionRow) -> str:
    """What seeds and draws of a prediction are made from: its content, or its address where no content is known.

    Rows of older audits, and those of pictures that could not be read, have no `content_number`.
    """
    content = row.get("content_number")
    return row["target_id"] if content is None else str(content)
