"""Finding the medium of SOURCE that a path in a file means, for labels, flags, detections and manifests alike."""

from __future__ import annotations

import math
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from scd_core.errors import InputError

__all__ = ["Join", "MediaIndex", "PathIndex", "fold_path", "path_as_joined"]

_Score = tuple[float, bool]
"""Parts that agree from the end, whatever their case and Unicode form; and whether all of these agree as they are written."""
_WHOLE: _Score = (math.inf, True)


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


def fold_path(path: str) -> str:
    """A path without what differs between disks: the case of its letters and their Unicode form (NFC, NFD).

    >>> fold_path("C01/IMG_1.JPG") == fold_path("c01/img_1.jpg")
    True
    """
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


@dataclass(frozen=True)
class Join:
    """Media and the paths of a file that mean them, one to one."""

    path_of: Mapping[str, str]
    """Medium -> its path."""
    doubtful: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Medium that is not joined -> the paths that fit it as well as another, in all but case or Unicode form."""
    unused: Sequence[str] = ()
    """Paths that are of no medium."""
    spellings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Medium -> more paths that are its own in all but case or Unicode form; each is a path of no other medium's own."""


class PathIndex:
    """Paths of a file, in which media are looked up.

    Args:
        paths: in the form of :func:`path_as_joined`.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = dict.fromkeys(paths)

    @cached_property
    def _by_end(self) -> dict[str, list[tuple[str, _Parts]]]:
        """End of a path, folded: its last two parts and, for bare names, the last one -> the paths that end so, in parts."""
        found: dict[str, list[tuple[str, _Parts]]] = defaultdict(list)
        for path in self.paths:
            parts = _Parts(path)
            found[parts.end(2)].append((path, parts))
        return dict(found)

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[str, _Parts]]]:
        """Last part of a path, folded -> the paths that end so, in parts."""
        found: dict[str, list[tuple[str, _Parts]]] = defaultdict(list)
        for path in self.paths:
            parts = _Parts(path)
            found[parts.end(1)].append((path, parts))
        return dict(found)

    def join(self, files: Sequence[str], source: str = "", what: str | None = None) -> Join:
        """Join the paths here to media, one to one.

        A medium's own path wins; else the path that agrees with it in most folders, counted from the end, where the shorter
        of the two agrees whole (results made one folder higher or lower, absolute paths). Case and Unicode form decide only
        between paths that agree otherwise. A bare file name never decides between two folders.

        Args:
            files: media, as paths relative to SOURCE: all of them, since what a path means depends on the others.
            source: SOURCE, whose own folders count as well.
            what: name of the file in messages; None refuses nothing.

        Raises:
            InputError: `what`, and no path fits, or paths and media do not fit one to one as they are written.
        """
        best = {file: fit for file in files if (fit := self._best(file, source))}
        if what is not None and files and not best:
            first = next(iter(self.paths), "nothing")
            raise InputError(
                f"{what}: match no image of SOURCE (the file names {first!r}, SOURCE holds {files[0]!r}); {_HINT}"
            )
        rivals: dict[str, list[tuple[_Score, str]]] = defaultdict(list)
        for file, (score, paths) in best.items():
            for path in paths:
                rivals[path].append((score, file))
        path_of: dict[str, str] = {}
        doubtful: dict[str, Sequence[str]] = {}
        for file, (score, paths) in best.items():
            if len(paths) == 1 and score != max(rivals[paths[0]])[0]:
                continue  # the path is nearer to another medium
            equal = [other for other_score, other in rivals[paths[0]] if other_score == score and other != file]
            if len(paths) == 1 and not equal:
                path_of[file] = paths[0]
                continue
            if what is not None and score[1]:
                raise InputError(
                    f"{what}: {paths[0]!r} and {paths[1]!r} both fit {file!r} of SOURCE; {_HINT}"
                    if len(paths) > 1
                    else f"{what}: {paths[0]!r} fits both {file!r} and {equal[0]!r} of SOURCE; {_HINT}"
                )
            doubtful[file] = paths
        spoken_for = {*path_of.values(), *(path for paths in doubtful.values() for path in paths)}
        unused = [path for path in self.paths if path not in spoken_for]
        spellings = _spellings(path_of, unused)
        others = {path for paths in spellings.values() for path in paths}
        return Join(path_of, doubtful, [path for path in unused if path not in others], spellings)

    def _best(self, file: str, source: str) -> tuple[_Score, list[str]] | None:
        """The paths that fit a medium best, and how well; None for none."""
        if file in self.paths:
            return _WHOLE, [file]
        own, whole = _Parts(file), _Parts(f"{source.replace(_BACKSLASH, '/')}/{file}")
        # A path that agrees in the name alone fits only where it, or the medium, is a bare name.
        near = self._by_end.get(whole.end(2), []) + self._by_end.get(whole.end(1), [])
        fitting: dict[_Score, list[str]] = defaultdict(list)
        for path, parts in near if len(own.written) > 1 else self._by_name.get(own.end(1), ()):
            score = _agreement(whole, parts)
            if score[0] >= min(len(own.written), len(parts.written)):
                fitting[score].append(path)
        return max(fitting.items()) if fitting else None


class MediaIndex:
    """Media, in which paths of a file are looked up: those of labels and flags, of which several may name one medium.

    Args:
        media: address and path relative to SOURCE of each.
    """

    def __init__(self, media: Iterable[tuple[str, str]]) -> None:
        self._whole: dict[str, dict[str, None]] = defaultdict(dict)
        self._by_end: dict[str, dict[str, tuple[_Parts, int]]] = defaultdict(dict)
        for uri, file in media:
            self._whole[uri][uri] = self._whole[file][uri] = None
            parts = _Parts(uri)
            for n in (1, 2):
                self._by_end[parts.end(n)][uri] = parts, len(_Parts(file).written)

    def find(self, path: str) -> list[str]:
        """Addresses of the media that a path means: one, where it is clear; several, where it fits them equally well.

        A medium's address or path relative to SOURCE wins. Else a medium fits whose address ends in the whole path; or, for
        an absolute path of another machine (``D:/cards/C01/a.jpg``), whose path relative to SOURCE is the end of it, a
        folder at least. Of those, the ones that agree in most parts, and of these the ones that agree as they are written, count.

        Args:
            path: in the form of :func:`path_as_joined`.
        """
        if path in self._whole:
            return list(self._whole[path])
        wanted = _Parts(_without_root(path))
        is_absolute = path != _without_root(path)
        fitting: dict[_Score, list[str]] = defaultdict(list)
        for uri, (parts, n_own) in self._by_end.get(wanted.end(2), {}).items():
            score = _agreement(parts, wanted)
            if score[0] == len(wanted.written) or (is_absolute and score[0] >= n_own > 1):
                fitting[score].append(uri)
        return max(fitting.items())[1] if fitting else []


def _spellings(path_of: Mapping[str, str], unused: Collection[str]) -> dict[str, list[str]]:
    """Medium -> unused paths that are its path in all but case or Unicode form."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for path in unused:
        wanted[fold_path(path)].append(path)
    return (
        {file: wanted[fold] for file, path in path_of.items() if (fold := fold_path(path)) in wanted} if wanted else {}
    )


_BACKSLASH = "\\"
_HINT = "paths must be relative to SOURCE"


def _without_root(path: str) -> str:
    """A path without its scheme, drive or leading slashes."""
    rest = path.partition("://")[2] or path
    if rest[1:2] == ":" and rest[:1].isalpha():
        rest = rest[2:]
    return rest.lstrip("/")


def _split(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


class _Parts:
    """A path in parts, as they are written and folded."""

    __slots__ = ("folded", "written")

    def __init__(self, path: str) -> None:
        self.written = _split(path)
        self.folded = _split(fold_path(path))

    def end(self, n: int) -> str:
        """Its last parts, folded; all where it has no more."""
        return "/".join(self.folded[-n:])


def _agreement(first: _Parts, second: _Parts) -> _Score:
    """How many parts agree, counted from the end, and whether they agree as they are written."""
    n = 0
    for one, other in zip(reversed(first.folded), reversed(second.folded)):
        if one != other:
            break
        n += 1
    return n, first.written[len(first.written) - n :] == second.written[len(second.written) - n :]
