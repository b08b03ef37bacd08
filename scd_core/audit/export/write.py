"""Writing an export: every file is made whole beside, then sent, the file that names the others last."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from scd_core.audit.errors.certificates import read_certificates
from scd_core.audit.export.camtrap_dp import write_camtrap_dp
from scd_core.audit.export.label_studio import write_label_studio
from scd_core.audit.export.megadetector import write_megadetector
from scd_core.audit.export.newest import create_newest
from scd_core.audit.export.send import send_file
from scd_core.audit.export.timelapse import write_timelapse
from scd_core.audit.query.connection import open_tables
from scd_core.errors import InputError
from scd_core.storage import open_source
from scd_core.tables.store import AuditStore

__all__ = ["export_audit"]

ExportForm = Literal["camtrap-dp", "megadetector", "label-studio", "timelapse"]

_MEMORY = "2GB"
_WRITERS: dict[str, tuple[Callable[..., list[str]], str]] = {
    "camtrap-dp": (write_camtrap_dp, "datapackage.json"),
    "megadetector": (write_megadetector, "megadetector.json"),
    "label-studio": (write_label_studio, "tasks.json"),
    "timelapse": (write_timelapse, "timelapse.csv"),
}
"""Form -> what writes it, and the file to open."""
_CHECKED = ("label-studio", "timelapse")
"""Forms in which people check names."""
_LOG = logging.getLogger(__name__)


def export_audit(
    out: str, directory: str, form: ExportForm, now: datetime | None = None, *, limit: int | None = None
) -> str:
    """Write an audit in the form of other software.

    - ``camtrap-dp``: a Camtrap DP 1.0.2 package (:func:`scd_core.audit.export.camtrap_dp.write_camtrap_dp`).
    - ``megadetector``: ``megadetector.json`` for Timelapse (:func:`scd_core.audit.export.megadetector.write_megadetector`).
    - ``label-studio``: ``tasks.json`` with names to check (:func:`scd_core.audit.export.label_studio.write_label_studio`).
    - ``timelapse``: a template and a table to check names in (:func:`scd_core.audit.export.timelapse.write_timelapse`).

    What the form requires and the audit does not know is a warning of the logger ``scd_core.audit.export.write``,
    one line each, and in the package.

    Args:
        out: OUT.
        directory: URL or path of the folder that gets the files; files of the same names are replaced.
        form: form of the export.
        now: time of the export; None is now.
        limit: most pictures, of a form in which names are checked: the first of the list of what to label next; None takes all.

    Returns:
        Address of the file to open.

    Raises:
        InputError: there is no such form, or it takes no limit; OUT holds no audit, or holds nothing that the form could carry.
        RunError: a file could not be written.
    """
    if form not in get_args(ExportForm):
        raise InputError(f"export format {form}: not known; give one of {', '.join(get_args(ExportForm))}")
    writer, main = _WRITERS[form]
    if limit is not None and form not in _CHECKED:
        raise InputError(f"export format {form}: holds the whole audit; --limit is for {', '.join(_CHECKED)}")
    more = {"limit": limit} if form in _CHECKED else {}
    storage = open_source(directory)
    with tempfile.TemporaryDirectory(prefix="trapaudit-") as scratch:
        folder = Path(scratch) / "export"
        folder.mkdir()
        with open_tables(out, memory_limit=_MEMORY, scratch=scratch) as connection:
            connection.execute("SET preserve_insertion_order = true")  # files come out in the order of their rows
            create_newest(connection, read_certificates(AuditStore(out)))
            notes = writer(connection, folder, now or datetime.now(UTC), **more)
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        # The file that names the others comes last, so that a package that can be opened is whole.
        for relative in [*(file for file in files if file != main), main]:
            send_file(storage, folder / relative, relative)
    for note in notes:
        _LOG.warning("%s", note)
    return storage.uri_of(storage.path(main))
