"""Pictures that lie in SOURCE more than once: what was handed in for any of the copies counts for the one that is audited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.inputs.detections import Entry
from scd_core.inputs.given import Given, GivenEntry

__all__ = ["Copies", "boxes_of_copies", "copies_of", "differing_words", "flags_of_copies", "names_of_copies"]

Copies = Mapping[str, Sequence[str]]
"""Medium that is audited, as a path relative to SOURCE -> the others with its content, in the order of files."""
_DIFFER = "copies of one picture are named differently"


def copies_of(media: pa.Table, column: Literal["file", "uri"] = "file") -> Copies:
    """Copies of each medium that has some.

    Args:
        media: the table `media` of a whole batch, in the order of files.
        column: of the copies that is wanted.
    """
    originals = media.column("duplicate_of").combine_chunks().drop_null()
    some = pc.or_(pc.is_valid(media.column("duplicate_of")), pc.is_in(media.column("media_id"), originals))
    rows = media.select(["media_id", "file", "uri", "duplicate_of"]).filter(some).to_pylist()
    files = {row["media_id"]: row["file"] for row in rows}
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if (original := row["duplicate_of"]) in files:
            found[files[original]].append(row[column])
    return found


def names_of_copies(names: Mapping[str, GivenEntry], files: Collection[str], copies: Copies) -> dict[str, GivenEntry]:
    """What a tool gave each medium, whichever of its copies the tool named.

    Args:
        names: medium -> what the tool gave it; media without an entry are left out.
        files: media that are audited.
        copies: of these and others.

    Returns:
        Medium -> its entry. Where the tool gave no name to one copy, the other's count. Where it gave other names to another
        copy, the entry is the reason why neither counts.
    """
    found: dict[str, GivenEntry] = {}
    for file in files:
        here = [one for one in (file, *copies.get(file, ())) if one in names]
        usable = [one for one in here if not isinstance(names[one], str)]
        sure = [one for one in usable if _called(names[one]) or not names[one]]
        other = next((one for one in sure if _called(names[one]) != _called(names[sure[0]])), None)
        if other is not None:
            first, second = (_words(names[one]) for one in (sure[0], other))
            found[file] = f"{_DIFFER}: {sure[0]} {first}, {other} {second}"
        elif here:
            found[file] = names[(sure or usable or here)[0]]
    return found


def differing_words(entries: Iterable[GivenEntry]) -> str | None:
    """How many entries of :func:`names_of_copies` are of copies with other names, in words; None for none."""
    n = sum(isinstance(entry, str) and entry.startswith(_DIFFER) for entry in entries)
    return (
        f"{n} {'picture has' if n == 1 else 'pictures have'} copies with other names; `failure_reason` has them"
        if n
        else None
    )


def boxes_of_copies(boxes: Mapping[str, Entry], files: Collection[str], copies: Copies) -> dict[str, Entry]:
    """What the detections hold about each medium: its own entry, else that of a copy; one with boxes before a failure."""
    found: dict[str, Entry] = {}
    for file in files:
        here = [one for one in (file, *copies.get(file, ())) if one in boxes]
        if here:
            found[file] = boxes[next((one for one in here if not isinstance(boxes[one], str)), here[0])]
    return found


def flags_of_copies(flagged: Collection[str], copies: Mapping[str, Collection[str]]) -> frozenset[str]:
    """What people flagged, and the media that are audited in the place of a flagged copy.

    Args:
        flagged: addresses.
        copies: medium -> addresses of its copies.
    """
    return frozenset(flagged).union(file for file, uris in copies.items() if not frozenset(uris).isdisjoint(flagged))


def _called(entry: GivenEntry) -> list[str]:
    """Names of an entry; empty where it holds no animal, or none with a name."""
    return sorted(one.candidates[0][0] for one in entry if isinstance(one, Given) and one.candidates)


def _words(entry: GivenEntry) -> str:
    return ", ".join(map(repr, _called(entry))) or "without an animal"
