"""Finding the medium of SOURCE that a path in a file means, for labels, flags and detections alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from scd_core.errors import InputError

__all__ = ["PathIndex", "check_join", "path_as_joined"]


def path_as_joined(path: str) -> str:
    """A path of a file in the form that media are compared in: forward slashes, no ``./``, no credentials.

    >>> path_as_joined("./C01\\\\IMG_1.JPG")
    'C01/IMG_1.JPG'
    >>> path_as_joined("s3://key:secret@bucket/C01/IMG_1.JPG")
    's3://bucket/C01/IMG_1.JPG'
    """
    path = path.strip().replace("\\", "/")
    scheme, separator, rest = path.partition("://")
    if separator:
        host, slash, key = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{key}"
    while path.startswith("./"):
        path = path[2:]
    return path


class PathIndex:
    """Paths, in which others are looked up.

    Args:
        paths: in the form of :func:`path_as_joined`.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = dict.fromkeys(paths)

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
        """Last part of a path -> the paths that end so, in parts."""
        found: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
        for path in self.paths:
            found[PurePosixPath(path).name].append((path, _parts(path)))
        return dict(found)

    def absent(self, others: Collection[str], *, by_ending: bool = False) -> list[str]:
        """Those of some paths that are none of the paths here, nor the end of one where `by_ending`."""
        return [path for path in others if path not in self.paths and not (by_ending and self._has_ending(path))]

    def best_for(self, files: Sequence[str], source: str = "") -> dict[str, list[str]]:
        """For each media file the paths here that fit it best: one, where it is clear; files that none fits are left out.

        A file fits its own path; else the path that agrees with it in most folders, counted from the end, where the shorter
        of the two agrees whole (results made one folder higher or lower, absolute paths). A bare file name never decides
        between two folders.

        Args:
            files: paths relative to SOURCE.
            source: SOURCE, whose own folders count as well.
        """
        above = _parts(source.replace("\\", "/"))
        found: dict[str, list[str]] = {}
        for file in files:
            if file in self.paths:
                found[file] = [file]
                continue
            own = _parts(file)
            agreeing: dict[int, list[str]] = defaultdict(list)
            for path, parts in self._by_name.get(PurePosixPath(file).name, ()):
                n = _agreement((*above, *own), parts)
                if n >= min(len(own), len(parts)):
                    agreeing[n].append(path)
            if agreeing:
                found[file] = agreeing[max(agreeing)]
        return found

    def _has_ending(self, path: str) -> bool:
        ending = "/" + (path.partition("://")[2] if "://" in path else path).lstrip("/")
        return any(("/" + own).endswith(ending) for own, _ in self._by_name.get(PurePosixPath(path).name, ()))


def check_join(what: str, paths: Iterable[str], files: Sequence[str], found: Mapping[str, Sequence[str]]) -> None:
    """Refuse a file of which no path fits the media, or of which paths and media do not fit one to one.

    Args:
        what: name of the file in messages.
        paths: the paths in it.
        files: the media, as paths relative to SOURCE.
        found: the paths that fit each medium best, as :meth:`PathIndex.best_for` gives them.

    Raises:
        InputError: the message names a path of the file and one of SOURCE.
    """
    hint = "paths must be relative to SOURCE"
    if files and not found:
        first = next(iter(paths), "nothing")
        raise InputError(
            f"{what}: match no image of SOURCE (the file names {first!r}, SOURCE holds {files[0]!r}); {hint}"
        )
    for file, fitting in found.items():
        if len(fitting) > 1:
            raise InputError(f"{what}: {fitting[0]!r} and {fitting[1]!r} both fit {file!r} of SOURCE; {hint}")
    uses = Counter(fitting[0] for fitting in found.values())
    doubtful = next((path for path, n in uses.items() if n > 1), None)
    if doubtful is not None:
        rivals = [file for file, fitting in found.items() if fitting[0] == doubtful][:2]
        raise InputError(f"{what}: {doubtful!r} fits both {rivals[0]!r} and {rivals[1]!r} of SOURCE; {hint}")


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _agreement(first: Sequence[str], second: Sequence[str]) -> int:
    """How many parts agree, counted from the end."""
    n = 0
    for one, other in zip(reversed(first), reversed(second)):
        if one != other:
            break
        n += 1
    return n
