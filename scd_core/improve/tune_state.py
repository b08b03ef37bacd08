"""What a fine-tuning has done so far, kept beside the package that is to be written, so that a killed run goes on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scd_core.errors import RunError

__all__ = ["TuneWork"]


@dataclass(frozen=True)
class TuneWork:
    """A folder of unfinished work; what other labels, settings or another model left there is not read."""

    folder: Path
    key: str
    """Hash of all that the work rests on."""

    @property
    def copies(self) -> Path:
        """File of what the frozen part of the network gives."""
        return self.folder / f"copies-{self.key}.npy"

    def load(self, training: str) -> Mapping[str, Any] | None:
        """What a training had reached; None where it has not begun, or where its file cannot be read."""
        try:
            found: Mapping[str, Any] = torch.load(self._file(training), weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, ValueError, EOFError):
            return None
        return found

    def save(self, training: str, state: Mapping[str, Any]) -> None:
        """Replace what a training had reached, whole or not at all.

        Raises:
            RunError: the folder cannot be written.
        """
        try:
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".training-", suffix=".pt")
            with os.fdopen(handle, "wb") as file:
                torch.save(dict(state), file)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._file(training))
        except OSError as error:
            raise RunError(f"--fine-tune: {self.folder} cannot be written ({error}); free some space there") from error

    def _file(self, training: str) -> Path:
        return self.folder / f"training-{self.key}-{training}.pt"
