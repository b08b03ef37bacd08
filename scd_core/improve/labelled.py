"""What there is to learn from: the labelled pictures of an audit, with their cameras and visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.tables.store import AuditStore, read_steadily

__all__ = ["Labelled", "codes", "read_labelled", "read_unlabelled"]

MIN_VISITS = 20
"""Fewest labelled visits of all individuals together."""
MOST_UNLABELLED = 192
"""Most targets of a camera without a label that are looked at."""


@dataclass(frozen=True)
class Labelled:
    """Labelled targets, in a fixed order."""

    rows: Sequence[Mapping[str, Any]]
    """Rows of the query `labelled`."""
    sources: Mapping[str, str]
    """batch_key -> SOURCE."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The individuals, sorted."""
        return tuple(sorted({row["true_id"] for row in self.rows}))

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """(N,) place of each target's individual in `names`."""
        return np.array([self.names.index(row["true_id"]) for row in self.rows], dtype=np.int64)

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        """The cameras, sorted."""
        return tuple(sorted({row["camera"] for row in self.rows}))

    @cached_property
    def camera(self) -> NDArray[np.int64]:
        """(N,) place of each target's camera in `cameras`."""
        return np.array([self.cameras.index(row["camera"]) for row in self.rows], dtype=np.int64)

    @cached_property
    def visit(self) -> NDArray[np.int64]:
        """(N,) number of each target's visit."""
        return codes([row["visit"] for row in self.rows])

    def take(self, places: NDArray[np.int64]) -> Labelled:
        """Some of the targets, by their places."""
        return Labelled([self.rows[place] for place in places.tolist()], self.sources)


def codes(values: list[Any]) -> NDArray[np.int64]:
    """(N,) number of each value, equal values alike; 0, 1, ... in the order of the values' text."""
    return np.unique([str(value) for value in values], return_inverse=True)[1].astype(np.int64)


def read_labelled(out: str) -> Labelled:
    """The labelled targets of the newest report.

    Args:
        out: OUT.

    Raises:
        InputError: OUT holds no audit or no labels, or too few of them: fewer than 20 visits, 2 individuals or 2 cameras.
    """
    labelled = read_steadily(AuditStore(out), lambda: _read(out, "labelled", {}))
    if not labelled.rows:
        raise InputError(
            f"improve: OUT {out} has no labelled individuals in its newest report; give labels "
            "(`trapaudit labels import OUT FILE`, or `trapaudit review OUT`), then `trapaudit report OUT`"
        )
    n_visits = len(np.unique(labelled.visit))
    if n_visits < MIN_VISITS or len(labelled.names) < 2 or len(labelled.cameras) < 2:
        raise InputError(
            f"improve: OUT {out} has labels of {n_visits} visits, {len(labelled.names)} individuals and "
            f"{len(labelled.cameras)} cameras; at least {MIN_VISITS} visits, 2 individuals and 2 cameras are needed: label more"
        )
    return labelled


def read_unlabelled(out: str, most: int = MOST_UNLABELLED) -> Labelled:
    """Targets of events without a label, drawn by their content, as rows like those of `labelled`, but without a name.

    Args:
        out: OUT.
        most: most targets of each camera.

    Raises:
        InputError: OUT holds no audit.
    """
    return read_steadily(AuditStore(out), lambda: _read(out, "unlabelled", {"most": most}))


def _read(out: str, query: str, given: Mapping[str, Any]) -> Labelled:
    with open_tables(out) as connection:
        connection.execute(load_sql("scd_core.audit.errors", "drawn_by"))
        found = connection.execute(load_sql("scd_core.improve", query), given)
        columns = [column[0] for column in found.description or ()]
        rows = [dict(zip(columns, values, strict=True)) for values in found.fetchall()]
        return Labelled(rows, dict(connection.execute(load_sql("scd_core.improve", "sources")).fetchall()))
