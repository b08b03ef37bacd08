"""Files below SOURCE that are no media: side files, thumbnails, recycle bins and what people have deleted, by name alone."""

from __future__ import annotations

import re
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import PurePosixPath

from scd_core.inputs.text import plain_letters
from scd_core.names import LeftOutKind
from scd_core.storage.objects import LeftOut

__all__ = ["LeftOutCounter", "left_out_kind", "left_out_line", "left_out_reason", "left_out_words"]

_MAX_EXAMPLES = 5

_RECYCLE_BINS = frozenset(
    plain_letters(name)
    for name in (
        "#recycle", "@recycle", "@recyclebin", "$recycle.bin", "$recycled", "recycler", "recycled", "recyclebin", "recycle.bin",
        "networkrecyclebin", ".recycle", ".recycle.bin", ".recyclebin", ".recycled", ".trash", ".trashes", ".dtrash",
        ".trashbox", "trashbox", "trash", "trashbin", "trashcan", "rubbishbin", "wastebasket", "networktrashfolder",
        "filestrashbin", ".trashcan", "papierkorb", "corbeille", "papelera", "papeleradereciclaje", "paperera", "lixeira", "lixo",
        "poubelle", "mulleimer",
        "reciclagem", "cestino", "prullenbak", "prullenmand", "papirkurv", "papirkurven", "papperskorg", "papperskorgen",
        "roskakori", "kosz", "odpadkovykos", "lomtar", "copkutusu", "geridonusumkutusu", "cosdegunoi", "cosdereciclare",
        "корзина", "кошик", "кошче", "καδοσανακυκλωσησ", "סלהמחזור", "سلةالمحذوفات", "سطلبازیافت", "ごみ箱", "ゴミ箱", "回收站",
        "资源回收筒", "資源回收筒", "垃圾桶", "废纸篓", "휴지통", "ถังขยะ", "thungrac", "tempatsampah",
    )
)  # fmt: skip
"""As `_folded` gives all names of recycle bins and deleted folders."""
_GONE = (
    "deleted|erased|(?:zuletzt|kurzlich)?(?:geloschte?[nr]?)|supprime(?:e?s?)|efface(?:e?s?)|(?:eliminad|borrad|excluid|apagad)[oa]s?"
    "|(?:eliminat|cancellat)[oaie]|verwijderde?|gewiste?|borttag(?:na|et)|raderade?|slette(?:de|t)|poistet(?:ut|tu)|usuniet[ey]"
    "|smazan[eay]|odstranen[eay]|torolt|silin(?:en|mis)|sters(?:e|i)|eliminatele|удален+(?:ные|ное|о)|видалені|διαγραμμενα"
    "|削除済み(?:の)?|削除した|已删除的?|已刪除的?|最近删除|最近刪除|삭제된|삭제한|dihapus|daxoa"
)
_THINGS = (
    "files?|images?|pictures?|photos?|media|items?|videos?|recently|my|the|all|dateien|datei|bilder|fotos?|elemente?|objekte?"
    "|medien|aufnahmen|fichiers?|elements?|recemment|archivos?|elementos|imagenes|imagens|recientemente|recentemente|arquivos?"
    "|ficheiros|itens|elementi|immagini|recente|direcente|bestanden|afbeeldingen|recent|onlangs|filer|objekt|elementer|billeder"
    "|nylig|nyligen|senast|tiedostot|kuvat|pliki|elementy|zdjecia|ostatnio|soubory|polozky|fotky|fajlok|elemek|kepek|dosyalar"
    "|ogeler|fisiere|файлы|фото|фотографии|недавно|файли|αρχεια|アイテム|ファイル|写真|画像|项目|文件|照片|图片|項目|檔案|相片|圖片"
    "|파일|항목|사진|berkas|最近の?"
)
_DELETED = re.compile(plain_letters(f"(?:{_THINGS}){{0,3}}(?:{_GONE})(?:{_THINGS}){{0,3}}"))
"""`Deleted files` of one program is `DeletedFiles` of another, and `Gelöschte Dateien` of the next."""
_THUMBNAILS = frozenset(
    {
        "@eadir", "@__thumb", ".@__thumb", ".thumbnails", ".thumbs", ".thumb", ".vthumb", "thumbnails", "_thumbnails", "thumbs",
        "_thumbs", "thumbnail", "_thumbnail", "@transcode",
    }
)  # fmt: skip
_COPIES = frozenset(
    {
        "backups.backupdb", "#snapshot", "@snapshot", ".snapshot", ".snapshots", "~snapshot", ".zfs", "@recently-snapshot",
        ".@recently-snapshot", ".stversions", "files_versions", "[originals]", ".picasaoriginals", ".versions", "#archive",
    }
)  # fmt: skip
_SYSTEM = frozenset(
    {
        "system volume information", "__macosx", "@tmp", "@sharebin", "@synologydrive", "@synofinder-log", "lost+found",
        "temporary items", "thevolumesettingsfolder", ".temporaryitems", ".spotlight-v100", ".fseventsd",
        ".documentrevisions-v100", ".appledouble", ".appledb", ".appledesktop", ".@upload_cache", ".@qmariadb", ".streams",
        "$extend",
    }
)  # fmt: skip
_COUNTED = re.compile(r"\(\d+\)$|(?<=recyclebin)\d+$")
"""How a system marks a further folder of one name: `#recycle (1)`, `Network Recycle Bin 2`."""
_NUMBERED_FOLDERS = (
    (re.compile(r"\.trash-\d+|\$recycle\.bin.*"), LeftOutKind.RECYCLE_BIN),
    (re.compile(r"@gmt-[\d.-]+"), LeftOutKind.COPY),
    (re.compile(r"found\.\d{3}"), LeftOutKind.SYSTEM),
)
_PREVIEWS = (".lrdata", ".lrcat-data", ".cocatalogdb", ".dtgallery")
_LIBRARIES = (".photoslibrary", ".migratedphotolibrary", ".aplibrary")
_PICTURES_OF_LIBRARIES = frozenset({"originals", "masters"})

_SIDECAR_SUFFIXES = frozenset(
    {
        ".csv", ".tsv", ".json", ".jsonl", ".geojson", ".txt", ".md", ".xml", ".yaml", ".yml", ".log", ".ini", ".xmp",
        ".parquet", ".xlsx", ".xls", ".ods", ".pdf", ".md5", ".sha1", ".sha256", ".db", ".ddb", ".tdb", ".sqlite", ".sqlite3",
        ".aae", ".pp3", ".dop", ".cos", ".lrcat", ".doc", ".docx", ".odt", ".rtf", ".gpx", ".kml", ".kmz", ".inf", ".lnk",
        ".url", ".webloc", ".ctg", ".bdm", ".mpl", ".cpi", ".ind", ".db-journal", ".db-wal", ".db-shm", ".lock", ".jbf",
    }
)  # fmt: skip
_THUMBNAIL_SUFFIXES = frozenset({".thm", ".lrv", ".thumb", ".cot", ".ithmb"})
_SIDECAR_NAMES = frozenset({"_success", "license", "readme"})
_TABLE = re.compile(r"\.(csv|tsv|json|jsonl|txt|tdb|ddb|db)(\.gz|\.bz2|\.xz|\.zst)$")
_SYSTEM_NAME = re.compile(
    r"thumbs\.db|(eh)?thumbs(_vista)?\.db|desktop\.ini|autorun\.inf|icon\r|\.ds_store|\._.*|.*@synoeastream|.*@synoresource"
    r"|synoindex_.*|indexervolumeguid|wpsettings\.dat|bootsect\.bak|file\d{4}\.chk|.*:zone\.identifier",
    re.DOTALL,
)
_THUMBNAIL_NAME = re.compile(r"synophoto_(thumb|film)_.*|zbthumbnail\.info|s\d{3}_?thumb\.jpe?g", re.DOTALL)
_COPY_NAME = re.compile(r"\.[a-z0-9]{2,5}(_original|_exiftool_tmp|~|\.bak|\.orig|\.xnbak)\Z")

_PLAIN = re.compile(r"[a-z0-9_ +()-]+\.(?:jpe?g|png|tiff?)")
"""Names that none of the patterns above meets, where they hold neither `thumb` nor `syno`."""

_WORDS = {
    LeftOutKind.RECYCLE_BIN: ("in a recycle bin", "in recycle bins"),
    LeftOutKind.DELETED: ("in a folder of deleted files", "in folders of deleted files"),
    LeftOutKind.THUMBNAIL: ("thumbnail or preview", "thumbnails and previews"),
    LeftOutKind.COPY: ("copy kept by a program", "copies kept by programs"),
    LeftOutKind.SYSTEM: ("file of an operating system", "files of operating systems"),
    LeftOutKind.HIDDEN: ("hidden file", "hidden files"),
    LeftOutKind.SIDECAR: ("side file", "side files"),
    LeftOutKind.LINK: ("link that leads out of SOURCE", "links that lead out of SOURCE"),
}


def left_out_kind(file: str) -> LeftOutKind | None:
    """What a file is that goes along with media instead of being one; None for media.

    Everything else is media, videos and unknown types included, so that nothing is lost. Case does not matter.

    Args:
        file: path relative to SOURCE, with forward slashes.

    >>> left_out_kind("#recycle/C01/IMG_0001.JPG"), left_out_kind("C01/IMG_0001.JPG_original"), left_out_kind("C01/a.jpg")
    (<LeftOutKind.RECYCLE_BIN: 'recycle_bin'>, <LeftOutKind.COPY: 'copy'>, None)
    """
    folder, _, name = file.rpartition("/")
    return _kind_of_folders(folder) or _kind_of_name(name.lower())


class LeftOutCounter:
    """How many files are left out, by kind, with up to five examples each: the first by their paths.

    >>> counter = LeftOutCounter()
    >>> counter.add("b.csv", LeftOutKind.SIDECAR), counter.add("a.csv", LeftOutKind.SIDECAR), counter.counts()
    (None, None, (LeftOut(kind=<LeftOutKind.SIDECAR: 'sidecar'>, n=2, examples=('a.csv', 'b.csv')),))
    """

    def __init__(self) -> None:
        self._n: Counter[LeftOutKind] = Counter()
        self._first: dict[LeftOutKind, list[str]] = defaultdict(list)

    def add(self, file: str, kind: LeftOutKind) -> None:
        """Count a file, given by its path relative to SOURCE."""
        self._n[kind] += 1
        first = self._first[kind]
        if len(first) < _MAX_EXAMPLES or file < first[-1]:
            insort(first, file)
            del first[_MAX_EXAMPLES:]

    def counts(self) -> tuple[LeftOut, ...]:
        """What was counted; kinds without any are not there."""
        return tuple(
            LeftOut(kind, self._n[kind], tuple(self._first[kind])) for kind in LeftOutKind if kind in self._first
        )


def left_out_reason(file: str) -> str | None:
    """Why a file is left out, in words; None for media. Arguments as for :func:`left_out_kind`.

    >>> left_out_reason("C01/DeletedFiles/a.jpg")
    'in a folder of deleted files'
    """
    kind = left_out_kind(file)
    return None if kind is None else _WORDS[kind][0]


def left_out_words(left_out: Iterable[LeftOut]) -> list[str]:
    """What was left out in words, kind by kind: how many, and the first."""
    return [
        f"{one.n} {_WORDS[one.kind][one.n > 1]} ({'first ' if one.n > 1 else ''}{one.examples[0]!r})"
        for one in left_out
    ]


def left_out_line(left_out: Iterable[LeftOut]) -> str:
    """All that was left out in one line; empty where nothing was.

    >>> left_out_line([LeftOut(LeftOutKind.RECYCLE_BIN, 3, ("#recycle/a.jpg",)), LeftOut(LeftOutKind.COPY, 1, ("b.jpg~",))])
    "left out: 3 in recycle bins (first '#recycle/a.jpg'), 1 copy kept by a program ('b.jpg~')"
    """
    parts = left_out_words(left_out)
    return f"left out: {', '.join(parts)}" if parts else ""


@lru_cache(maxsize=16_384)
def _kind_of_folders(folder: str) -> LeftOutKind | None:
    """The kind of what lies in a folder, by its own name and those above it."""
    parts = [part for part in folder.lower().split("/") if part]
    for number, part in enumerate(parts):
        kind = _kind_of_folder(part)
        if kind is None and part.endswith(_LIBRARIES):
            below = parts[number + 1] if number + 1 < len(parts) else ""
            kind = None if below in _PICTURES_OF_LIBRARIES else LeftOutKind.THUMBNAIL
        if kind is not None:
            return kind
    return None


def _kind_of_folder(name: str) -> LeftOutKind | None:
    folded = _folded(name)
    if folded in _RECYCLE_BINS:
        return LeftOutKind.RECYCLE_BIN
    if _DELETED.fullmatch(folded):
        return LeftOutKind.DELETED
    if name in _COPIES:
        return LeftOutKind.COPY
    if name in _THUMBNAILS or _COUNTED.sub("", name).strip() in _THUMBNAILS or name.endswith(_PREVIEWS):
        return LeftOutKind.THUMBNAIL
    if name in _SYSTEM:
        return LeftOutKind.SYSTEM
    numbered = next((kind for pattern, kind in _NUMBERED_FOLDERS if pattern.fullmatch(name)), None)
    return numbered or (LeftOutKind.HIDDEN if _is_hidden(name) else None)


def _folded(name: str) -> str:
    """A folder's name without accents, blanks, hyphens, underscores and the number of a further folder of one name."""
    return _COUNTED.sub("", re.sub(r"[\s_-]", "", plain_letters(name)))


def _kind_of_name(name: str) -> LeftOutKind | None:
    """The kind of a file by its own name in lower case."""
    if _PLAIN.fullmatch(name) and "thumb" not in name and "syno" not in name:
        return None  # as nearly all names are, of millions
    suffix = PurePosixPath(name).suffix
    if _SYSTEM_NAME.fullmatch(name):
        return LeftOutKind.SYSTEM
    if suffix in _THUMBNAIL_SUFFIXES or _THUMBNAIL_NAME.fullmatch(name):
        return LeftOutKind.THUMBNAIL
    if _COPY_NAME.search(name):
        return LeftOutKind.COPY
    if name in _SIDECAR_NAMES or suffix in _SIDECAR_SUFFIXES or _TABLE.search(name):
        return LeftOutKind.SIDECAR
    return LeftOutKind.HIDDEN if _is_hidden(name) else None


def _is_hidden(name: str) -> bool:
    # `..` in the key of an object store is a name like any other, and hides nothing.
    return name.startswith(".") and bool(name.strip("."))
