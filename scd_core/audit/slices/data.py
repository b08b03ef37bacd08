"""The labelled rows of ``errors`` as arrays, and the members of every slice of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.config import SliceConfig
from scd_core.names import Cause, ErrorType

__all__ = [
    "DAY_HOURS",
    "PAIR",
    "Members",
    "SliceData",
    "family_groups",
    "has_keys",
    "is_error",
    "is_of",
    "slice_data",
    "slice_keys",
    "slice_members",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PAIR = " -> "
"""Between the true individual and the name given to it, in values of the key ``pair``."""
_REDUNDANT = {
    frozenset(keys)
    for keys in (
        ("camera_id", "deployment_id"),  # a deployment has one camera
        ("true_id", "predicted_id"),  # the pair
        ("true_id", "pair"),
        ("predicted_id", "pair"),
        ("light", "hour"),
    )
}
DAY_HOURS = (6, 18)
"""Hours between which a colour picture counts as taken by day, on the camera's clock."""


@dataclass(frozen=True)
class SliceData:
    """Labelled predictions of the newest runs, one entry per row; n rows, E events."""

    event: Ints  # (n,) index of the row's event, 0..E-1
    weight: Floats  # (n,) events that the row stands for
    is_sampled: Bools  # (n,) the row was not certain to be labelled
    unseen: Floats  # (n,) weight that a sampled event of the row's batch has more than a certain one
    is_wrong: Bools  # (n,)
    codes: dict[str, Ints]  # key -> (n,) index into values, -1 where the key is null
    values: dict[str, list[str]]  # key -> values
    cause: Ints  # (n,) place in Cause; -1 for a right row
    is_of_flagged: Bools  # (n,) of a batch in which nothing but flagged rows is labelled
    rows: pa.Table  # the rows themselves

    @property
    def n_events(self) -> int:
        """Number of events."""
        return int(self.event.max()) + 1 if self.event.size else 0


@dataclass(frozen=True)
class Members:
    """The rows of a slice, and those of them that count as its errors."""

    rows: Ints  # indices of the rows that could err so: for B as predicted, all at the place that are not of B
    is_error: Bools  # per row; for a pair or a predicted name: called by this one name
    name: int | None  # code of that name in predicted_id; None where any wrong name counts
    keys: tuple[str, ...]  # what the rows share, beside the names

    @property
    def errors(self) -> Ints:
        """Indices of the errors."""
        return self.rows[self.is_error]

    def left(self, is_left: Bools) -> Members:
        """Those of the rows that are left."""
        kept = is_left[self.rows]
        return Members(self.rows[kept], self.is_error[kept], self.name, self.keys)


def slice_members(data: SliceData, values: Mapping[str, str]) -> Members:
    """The rows of a slice that is given as key -> value."""
    inside = np.ones(data.event.size, bool)
    name = None
    for key, value in values.items():
        code = bisect_left(data.values[key], value)
        if key == "pair":
            example = int(np.flatnonzero(data.codes["pair"] == code)[0])
            inside &= data.codes["true_id"] == data.codes["true_id"][example]
            name = int(data.codes["predicted_id"][example])
        elif key == "predicted_id":
            inside &= ~is_of(data, code)
            name = code
        else:
            inside &= data.codes[key] == code
    rows = np.flatnonzero(inside)
    keys = tuple(key for key in values if key not in ("pair", "predicted_id"))
    return Members(rows, is_error(data, rows, name), name, keys)


def is_error(data: SliceData, rows: Ints, name: int | None) -> Bools:
    """Which rows err: are wrong, or are wrongly called by one name."""
    if name is None:
        return data.is_wrong[rows]
    return data.is_wrong[rows] & (data.codes["predicted_id"][rows] == name)


def has_keys(data: SliceData, keys: Iterable[str]) -> Bools:
    """(n,) rows of which all of some keys are known."""
    known = np.ones(data.event.size, bool)
    for key in keys:
        known &= data.codes[key] >= 0
    return known


def is_of(data: SliceData, name: int) -> Bools:
    """(n,) rows whose truth is the individual with this code in predicted_id."""
    place = bisect_left(data.values["true_id"], data.values["predicted_id"][name])
    found = data.values["true_id"][place : place + 1] == [data.values["predicted_id"][name]]
    return data.codes["true_id"] == place if found else np.zeros(data.event.size, bool)


def slice_data(errors: pa.Table, assumed: pa.Table | None = None) -> SliceData:
    """Arrays of the labelled, current rows of ``errors``; a row without an event is an event of its own.

    Args:
        errors: rows of ``errors``.
        assumed: rows beside them that count as right (:func:`scd_core.audit.errors.derive.assumed_right`).
    """
    rows = errors.filter(pc.and_(errors["is_labelled"], pc.fill_null(errors["is_current"], False)))
    is_of_flagged = np.zeros(rows.num_rows, bool)
    if assumed is not None and assumed.num_rows:
        # With them no control is missing in their batches.
        is_whole = pc.is_in(rows["batch_key"], pc.unique(assumed["batch_key"]))
        place = rows.column_names.index("control_probability")
        control = pc.if_else(is_whole, None, rows["control_probability"])
        rows = pa.concat_tables([rows.set_column(place, rows.schema.field(place), control), assumed])
        is_of_flagged = np.concatenate([is_whole.to_numpy(), np.ones(assumed.num_rows, bool)])
    event = pc.coalesce(rows["event_id"], pc.binary_join_element_wise("target", rows["target_id"], ":"))
    codes, values = {}, {}
    for name, column in _key_columns(rows).items():
        codes[name], values[name] = _encode(column)
    event_codes, _ = _encode(event)
    probability = pc.fill_null(rows["label_probability"], 1.0).to_numpy()
    return SliceData(
        event=event_codes,
        weight=rows["event_weight"].to_numpy(),
        is_sampled=probability < 1,
        unseen=_unseen(rows, probability),
        is_wrong=pc.not_equal(rows["error_type"], ErrorType.CORRECT).to_numpy(),
        codes=codes,
        values=values,
        cause=pc.fill_null(pc.index_in(rows["cause"], pa.array(list(Cause))), -1).to_numpy().astype(np.int64),
        is_of_flagged=is_of_flagged,
        rows=rows,
    )


def slice_keys(errors: pa.Table) -> list[dict[str, str]]:
    """What each row of ``errors`` is counted by in slices: key -> value, keys that are not known left out.

    Args:
        errors: rows of ``errors``.
    """
    columns = {name: column.to_pylist() for name, column in _key_columns(errors).items()}
    return [
        {name: values[place] for name, values in columns.items() if values[place] is not None}
        for place in range(errors.num_rows)
    ]


def _key_columns(rows: pa.Table) -> dict[str, Any]:
    """Key -> its value in each row of ``errors``; null where it is not known."""
    columns: dict[str, Any] = {
        name: rows[name]
        for name in (
            "camera_id",
            "deployment_id",
            "true_id",
            "predicted_id",
            "flank",
            "quality",
            "model_digest",
            "labelled_by",
        )
    }
    columns["pair"] = pc.binary_join_element_wise(rows["true_id"], rows["predicted_id"], PAIR)
    hour = pc.hour(rows["captured_at"])
    columns["hour"] = pc.binary_join_element_wise(pc.utf8_lpad(pc.cast(hour, pa.string()), 2, "0"), "h", "")
    is_day = pc.and_(pc.greater_equal(hour, DAY_HOURS[0]), pc.less(hour, DAY_HOURS[1]))
    columns["light"] = pc.if_else(
        pc.fill_null(rows["is_infrared"], False), "infrared", pc.if_else(is_day, "day", "night")
    )
    return columns


def _unseen(rows: pa.Table, probability: Floats) -> Floats:
    """Weight of one sampled event more than one certain event has, in each row's batch.

    In a batch without a labelled control it is that of the controls it could have had.
    """
    if not probability.size:
        return np.zeros(0)
    batch, names = _encode(rows["batch_key"])
    largest, smallest = np.zeros(len(names)), np.full(len(names), np.inf)
    if "control_probability" in rows.column_names:
        np.maximum.at(largest, batch, 1 / pc.fill_null(rows["control_probability"], 1.0).to_numpy())
    np.maximum.at(largest, batch, 1 / probability)
    np.minimum.at(smallest, batch, 1 / probability)
    frames = np.mean(rows["event_weight"].to_numpy() * probability)  # one over the usual number of frames
    return (largest - smallest)[batch] * frames


def _encode(column: Any) -> tuple[Ints, list[str]]:
    encoded = (
        column.combine_chunks().dictionary_encode()
        if isinstance(column, pa.ChunkedArray)
        else column.dictionary_encode()
    )
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    # Codes in the order of the values, so that nothing depends on the order of the rows.
    values = encoded.dictionary.to_pylist()
    order = np.argsort(np.array(values, dtype=object), kind="stable") if values else np.array([], int)
    rank = np.empty(len(values) + 1, np.int64)
    rank[order] = np.arange(len(values))
    rank[-1] = -1
    return rank[codes], [values[place] for place in order]


def family_groups(config: SliceConfig) -> Iterator[tuple[str, ...]]:
    """The families that are tested: each key, then each pair of keys that is more than one of them."""
    yield from ((key,) for key in config.families)
    if config.max_depth > 1:
        for keys in combinations(config.families, 2):
            if frozenset(keys) not in _REDUNDANT:
                yield keys
