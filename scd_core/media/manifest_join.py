"""Joining the media that a manifest names to those of SOURCE, by the one rule of all files that are handed in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from scd_core.inputs.joining import PathIndex

__all__ = ["MediaJoin", "join_media"]


@dataclass(frozen=True)
class MediaJoin:
    """Media and the names that a manifest has for them, one to one."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Address of a medium -> its name, where that is not the address itself."""
    doubtful: Mapping[str, str] = field(default_factory=dict)
    """Name that is of no medium, though it fits one as well as another does -> that medium, as a path relative to SOURCE."""


def join_media(names: Collection[str], files: Mapping[str, str]) -> MediaJoin:
    """Find the media that the names of a manifest mean.

    A medium's own address wins. Names below SOURCE, and those that are paths on another machine, are joined to the other media
    as :meth:`scd_core.inputs.joining.PathIndex.join` does; an address elsewhere in the store is taken as it is written.

    Args:
        names: addresses, or paths on another machine.
        files: address of each medium of SOURCE, all of them -> its path relative to SOURCE.
    """
    root = next((uri.removesuffix(file) for uri, file in files.items() if uri.endswith(f"/{file}")), None)
    if root is None:
        return MediaJoin()
    name_of = {name.removeprefix(root): name for name in names if name.startswith(root) or "://" not in name}
    uri_of = {file: uri for uri, file in files.items() if uri.startswith(root)}
    join = PathIndex(name_of).join(list(uri_of), root)
    return MediaJoin(
        {uri_of[file]: name_of[path] for file, path in join.path_of.items() if file != path},
        {name_of[path]: file for file, paths in join.doubtful.items() for path in paths},
    )
