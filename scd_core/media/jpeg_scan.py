"""Damage in the coded data of a JPEG file that libjpeg fills with grey instead of refusing."""

from __future__ import annotations

import re

__all__ = ["check_scan"]

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_SEGMENT = re.compile(rb"\xff++[^\xff]", re.DOTALL)
_RESTART = re.compile(rb"\xff([\xd0-\xd7])", re.DOTALL)
_LOOKAHEAD = bytes(16)
_BLANK = bytes(512)
"""A sector of a memory card."""


class _Header:
    """What the segments before the coded data hold."""

    def __init__(self, data: bytes) -> None:
        self.scan = 0
        """Where the coded data begin; 0 where the file is not one sequential scan of Huffman codes."""
        self.restarts: int | None = None
        """Restart markers there must be."""
        self.may_be_blank = False
        """Whether zero bytes are what a flat picture is coded as."""
        interval = units = components = 0
        flat: dict[int, bool] = {}
        at = 2
        while (start := _SEGMENT.match(data, at)) is not None:
            at = start.end() - 2
            kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            body = data[at + 4 : at + 2 + length]
            if length < 2 or len(body) < length - 2 or (0xC2 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC)):
                return
            if kind in (0xC0, 0xC1):
                components, units = _units(body)
            elif kind == 0xC4:
                flat |= _zeros_are_flat(body)
            elif kind == 0xDD and len(body) >= 2:
                interval = int.from_bytes(body[:2], "big")
            elif kind == 0xDA:
                if components and body and body[0] == components:
                    self.scan = at + 2 + length
                    self.restarts = (units - 1) // interval if interval and units else 0
                    self.may_be_blank = all(flat.get(pair & 15, True) for pair in body[2 : 1 + 2 * components : 2])
                return
            at += 2 + length


def _units(frame: bytes) -> tuple[int, int]:
    """Components of a frame, and its minimum coded units where they are interleaved in one scan."""
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        return 0, 0
    height, width, components = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), frame[5]
    across = max((frame[6 + 3 * n + 1] >> 4 for n in range(components)), default=0)
    down = max((frame[6 + 3 * n + 1] & 15 for n in range(components)), default=0)
    if not across or not down:
        return 0, 0
    if components == 1:  # a scan of one component is not interleaved: a unit is one block
        across = down = 1
    return components, -(-width // (8 * across)) * -(-height // (8 * down))


def _zeros_are_flat(tables: bytes) -> dict[int, bool]:
    """For each table of AC codes, whether the code of zeros alone ends a block, as all blocks of a flat picture do."""
    found, at = {}, 0
    while at + 17 < len(tables):
        if tables[at] >> 4:
            found[tables[at] & 15] = tables[at + 17] == 0
        at += 17 + sum(tables[at + 1 : at + 17])
    return found


def check_scan(data: bytes) -> tuple[bytes, str | None]:
    """The file in a form in which a decoder notices missing data, and what is wrong with its coded data.

    At the end-of-image marker libjpeg takes what is missing for grey and only warns. Where the data just stop it waits
    for more, and Pillow reports a truncated file: so the file is given back up to the end of its coded data, with
    a few zero bytes for the decoder to look ahead. Besides, restart markers must all be there and in order, and there
    must be no sector of zeros, unless zeros are what a flat picture is coded as.

    Only files of one sequential scan of Huffman codes are checked, as cameras write them; others (progressive ones) are
    given back as they are.

    Args:
        data: the whole file.

    Returns:
        What to decode, and why the coded data cannot be whole; None where nothing shows that.
    """
    header = _Header(data)
    if not header.scan:
        return data, None
    end = _end(data, header.scan)
    # A file without an end is left to Pillow, which refuses it.
    return data[:end] + _LOOKAHEAD if end < len(data) else data, _damage(data, header, end)


def _damage(data: bytes, header: _Header, end: int) -> str | None:
    if header.restarts:
        found = [marker[0] & 7 for marker in _RESTART.findall(data, header.scan, end)]
        # Some encoders put one more before the end.
        if found != [n % 8 for n in range(len(found))] or len(found) - header.restarts not in (0, 1):
            return f"{len(found)} restart markers where {header.restarts} belong, or in another order"
    if not header.may_be_blank and (at := data.find(_BLANK, header.scan, end)) >= 0:
        return f"a block of zero bytes in the coded data, at byte {at}"
    return None


def _end(data: bytes, start: int) -> int:
    """Where the coded data end: at a marker, or at the bytes of ones that may be put before it."""
    found = _MARKER.search(data, start)
    if found is None:
        return len(data)
    end = found.start()
    while end > start and data[end - 1] == 0xFF:
        end -= 1
    return end
