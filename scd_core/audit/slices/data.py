"""Visits that were looked at, as arrays: labelled ones and known exposures; and the members of every slice of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.audit.slices.codes import dictionary, encode, errs, joined, most, stable_order
from scd_core.audit.slices.pictures import Pictures
from scd_core.audit.slices.together import in_threads
from scd_core.names import Cause, ErrorType

__all__ = [
    "DAY",
    "DAY_HOURS",
    "PAIR",
    "Members",
    "SliceData",
    "has_keys",
    "is_error",
    "is_of",
    "slice_data",
    "slice_errors",
    "slice_keys",
    "slice_members",
    "wrong_places",
    "wrong_rows",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PAIR = " -> "
"""Between the true individual and the name given to it, in values of the key ``pair``."""
_ALL = slice(None)
_UNUSED = (
    "report_id", "cause_evidence", "suspicion_reasons", "inclusion_probability", "label_probability", "final_id",
    "final_probability", "probability", "is_suspected", "is_broken", "gradient_region", "stratum",
)  # fmt: skip
"""Columns of ``errors`` that slices are not made of."""
DAY = 86_400_000_000
"""Microseconds of a day."""
DAY_HOURS = (6, 18)
"""Hours between which a colour picture counts as taken by day, on the camera's clock."""


@dataclass(frozen=True)
class SliceData:
    """Visits by the current predictions: v labelled ones, then known exposures, n rows together; r rows of ``errors``."""

    exposure: Floats  # (n,) visits that a row counts as; 1 for a labelled one
    is_wrong: Bools  # (n,) a labelled visit at least half of whose events err, that is at least half of their frames
    codes: dict[str, Ints]  # key, or `place` -> (n,) index into values, -1 where it is not known
    values: dict[str, list[str]]  # key -> values
    cause: Ints  # (v,) place in Cause of most of its errors; -1 for a right visit
    weight: Floats  # (v,) events that a labelled visit stands for in rates
    wrong_weight: Floats  # (v,) those of them that err
    has_control: Bools  # (v,) a picture of it is labelled that nothing flagged
    n_images: Ints  # (v,) labelled pictures
    rows: pa.Table  # (r,) the labelled rows
    visit: Ints  # (r,) visit of each

    @property
    def n_visits(self) -> int:
        """Number of labelled visits, v."""
        return self.cause.size

    @cached_property
    def ordinary_rates(self) -> tuple[float, float]:
        """Weighted error rates of the labelled visits without, and with, a labelled picture that nothing flagged."""
        found = []
        for kind in (False, True):
            here = self.has_control == kind
            found.append(float(self.wrong_weight[here].sum() / max(self.weight[here].sum(), 1e-300)))
        return found[0], found[1]

    @cached_property
    def own_name(self) -> Ints:
        """(n,) code in ``predicted_id`` of each row's truth; -1 where nothing is called so."""
        names = {value: place for place, value in enumerate(self.values["predicted_id"])}
        # Codes of values that are counted together, and of none, are called nothing.
        code = np.array([*(names.get(value, -1) for value in self.values["true_id"]), -1, -1], np.int64)
        return code[self.codes["true_id"]]

    @cached_property
    def individual_at_camera(self) -> Ints:
        """(n,) number of the individual and camera of each row."""
        place = self.codes["true_id"] * (len(self.values["camera_id"]) + 1) + self.codes["camera_id"]
        return np.unique(place, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def _sorted(self) -> dict[str, tuple[Ints, Ints]]:
        return {}

    @cached_property
    def _counted(self) -> dict[str, Ints]:
        return {}

    def n_with(self, key: str) -> Ints:
        """How many rows have each value of a key."""
        if key not in self._counted:
            codes = self.codes[key]
            self._counted[key] = np.bincount(codes + 1, minlength=len(self.values[key]) + 1)[1:]
        return self._counted[key]

    def rows_with(self, key: str, code: int) -> Ints:
        """Indices of the rows with a value of a key, rising."""
        if key not in self._sorted:
            codes = self.codes[key]
            order = stable_order(codes, len(self.values[key]))
            self._sorted[key] = order, np.searchsorted(codes[order], np.arange(len(self.values[key]) + 1))
        order, starts = self._sorted[key]
        return order[starts[code] : starts[code + 1]]

    @cached_property
    def labelled(self) -> SliceData:
        """The labelled visits alone, far fewer than all where millions are known exposures."""
        v = self.n_visits
        codes = {key: codes[:v] for key, codes in self.codes.items()}
        return replace(self, exposure=self.exposure[:v], is_wrong=self.is_wrong[:v], codes=codes)

    @cached_property
    def wrong(self) -> tuple[Ints, SliceData]:
        """Indices of the visits that err, rising, and these alone."""
        found = np.flatnonzero(self.is_wrong)
        codes = {key: codes[found] for key, codes in self.codes.items()}
        return found, replace(self, exposure=self.exposure[found], is_wrong=self.is_wrong[found], codes=codes)

    @cached_property
    def light_shares(self) -> Floats:
        """Share of the rows that have each light."""
        codes = self.codes["light"]
        known = np.bincount(codes[codes >= 0], minlength=len(self.values["light"]))
        return known / max(codes.size, 1)

    @cached_property
    def wrong_keys(self) -> tuple[Ints, dict[str, tuple[Ints, dict[str, int]]]]:
        """Indices of the rows that are wrong, and key -> number of its value in each of these, -1 where it is not known, and
        of each value."""
        found = np.flatnonzero(pc.not_equal(self.rows["error_type"], ErrorType.CORRECT).to_numpy(zero_copy_only=False))
        keys = {}
        for key, column in _key_columns(self.rows.take(pa.array(found))).items():
            codes, values = encode(column)
            keys[key] = codes, {value: place for place, value in enumerate(values)}
        return found, keys

    def wrong_with(self, key: str, value: str) -> Ints:
        """Places of the wrong rows with a value of a key, rising."""
        name = f"wrong {key}"
        codes, places = self.wrong_keys[1][key]
        if name not in self._sorted:
            order = stable_order(codes, len(places))
            self._sorted[name] = order, np.searchsorted(codes[order], np.arange(len(places) + 1))
        order, starts = self._sorted[name]
        place = places.get(value)
        return order[:0] if place is None else order[starts[place] : starts[place + 1]]

    @cached_property
    def wrong_pictures(self) -> Pictures:
        """The wrong rows, in the order of :attr:`wrong_keys`."""
        return Pictures.of(self.rows.take(pa.array(self.wrong_keys[0])))

    @cached_property
    def visits_by_type(self) -> dict[str, Bools]:
        """Type of error -> which labelled visits have a picture with it."""
        rows, _ = self.wrong_keys
        types = np.array(self.rows["error_type"].take(pa.array(rows)).to_pylist(), dtype=object)
        found = {one: np.zeros(self.n_visits, bool) for one in set(types.tolist())}
        for one, has in found.items():
            has[self.visit[rows[types == one]]] = True
        return found


@dataclass(frozen=True)
class Members:
    """The rows of a slice, and those of them that count as its errors."""

    rows: Ints  # indices of the rows that could err so: for B as predicted, all at the place that are not of B
    is_error: Bools  # per row; for a pair or a predicted name: called by this one name
    name: int | None  # code of that name in predicted_id; None where any wrong name counts
    keys: tuple[str, ...]  # what the rows share, beside the names

    @property
    def errors(self) -> Ints:
        """Indices of the errors, which are labelled visits."""
        return self.rows[self.is_error]

    def left(self, is_left: Bools) -> Members:
        """Those of the rows that are left."""
        kept = is_left[self.rows]
        return Members(self.rows[kept], self.is_error[kept], self.name, self.keys)


def slice_members(data: SliceData, values: Mapping[str, str]) -> Members:
    """The rows of a slice that is given as key -> value."""
    wanted, name = [], None
    for key, value in values.items():
        if key == "pair":
            true, called = value.split(PAIR, 1)
            wanted.append(("true_id", bisect_left(data.values["true_id"], true)))
            name = bisect_left(data.values["predicted_id"], called)
        elif key == "predicted_id":
            name = bisect_left(data.values[key], value)
        else:
            wanted.append((key, bisect_left(data.values[key], value)))
    some = [data.rows_with(key, code) for key, code in wanted]
    rows = min(some, key=len) if some else np.arange(data.exposure.size)
    for key, code in wanted:
        rows = rows[data.codes[key][rows] == code]
    if name is not None and "pair" not in values:
        rows = rows[~is_of(data, name, rows)]
    keys = tuple(key for key in values if key not in ("pair", "predicted_id"))
    return Members(rows, is_error(data, rows, name), name, keys)


def slice_errors(data: SliceData, values: Mapping[str, str]) -> Ints:
    """``slice_members(data, values).errors``, without a look at the visits that do not err."""
    places, wrong = data.wrong
    return places[slice_members(wrong, values).errors]


def wrong_rows(data: SliceData, values: Mapping[str, str]) -> Ints:
    """Indices into ``data.rows`` of the wrong names that have all of some keys, as the view `slice_pictures` lists them."""
    return data.wrong_keys[0][wrong_places(data, values)]


def wrong_places(data: SliceData, values: Mapping[str, str]) -> Ints:
    """Places of :func:`wrong_rows` among all wrong names."""
    keys = data.wrong_keys[1]
    some = [data.wrong_with(key, value) for key, value in values.items()]
    found = min(some, key=len) if some else np.arange(data.wrong_keys[0].size)
    for key, value in values.items():
        codes, places = keys[key]
        found = found[codes[found] == places.get(value, len(places))]
    return found


def is_error(data: SliceData, rows: Ints, name: int | None) -> Bools:
    """Which rows err: are wrong, or are wrongly called by one name."""
    if name is None:
        return data.is_wrong[rows]
    return data.is_wrong[rows] & (data.codes["predicted_id"][rows] == name)


def has_keys(data: SliceData, keys: Iterable[str], rows: Ints | slice = _ALL) -> Bools:
    """Of some rows, or of all, those of which all of some keys are known."""
    known = np.ones(data.exposure[rows].size, bool)
    for key in keys:
        known &= data.codes[key][rows] >= 0
    return known


def is_of(data: SliceData, name: int, rows: Ints | slice = _ALL) -> Bools:
    """Of some rows, or of all, which have the individual with this code in predicted_id as their truth."""
    return data.own_name[rows] == name


def slice_data(errors: pa.Table, exposures: pa.Table | None = None) -> SliceData:
    """Visits of the labelled, current rows of ``errors``, and what else was looked at.

    A key of a visit is what most of its rows have, the name given what most of its wrong rows have, or of its right ones
    where it is right; of equally many the first in order.

    Args:
        errors: rows of ``errors``; one without a visit is a visit with the others of its event and truth.
        exposures: visits that count as right (:func:`scd_core.audit.errors.derive.known_exposures`).
    """
    is_one = pc.and_(errors["is_labelled"], pc.fill_null(errors["is_current"], False))
    rows = errors.select([name for name in errors.column_names if name not in _UNUSED]).filter(is_one).combine_chunks()
    event, visits = rows["event_id"], rows["visit_id"]
    if event.null_count:
        event = pc.coalesce(event, pc.binary_join_element_wise("target", rows["target_id"], ":"))
    if visits.null_count:
        of_event = pc.binary_join_element_wise(event, pc.fill_null(rows["true_id"], ""), "\x1f")
        visits = pc.coalesce(visits, of_event)
    visit, names = encode(visits)
    n = len(names)
    is_wrong_row = pc.not_equal(rows["error_type"], ErrorType.CORRECT).to_numpy(zero_copy_only=False)
    # Most visits have no wrong picture, and then their events do not matter.
    doubted = np.flatnonzero((np.bincount(visit, is_wrong_row, minlength=n) > 0)[visit])
    is_wrong = errs(visit[doubted], encode(event.take(pa.array(doubted)))[0], is_wrong_row[doubted], n)
    columns = _key_columns(rows) | {"place": _places(rows)}
    others = _key_columns(exposures) | {"place": _places(exposures)} if exposures is not None else {}
    is_of_kind = is_wrong_row == is_wrong[visit]
    nothing = pa.nulls(0 if exposures is None else exposures.num_rows, pa.string())

    def of_key(name: str) -> tuple[Ints, list[str]]:
        together, found = encode(columns[name], others.get(name, nothing))
        counts = is_of_kind if name in ("predicted_id", "pair") else None
        return np.concatenate([most(visit, together[: rows.num_rows], n, counts), together[rows.num_rows :]]), found

    by_key = dict(zip(columns, in_threads(of_key, columns), strict=True))
    cause = pc.fill_null(pc.index_in(rows["cause"], pa.array(list(Cause))), -1).to_numpy().astype(np.int64)
    weight = pc.fill_null(rows["event_weight"], 0.0).to_numpy()
    has_flag = pc.fill_null(rows["has_flag"], False).to_numpy(zero_copy_only=False)
    extra = exposures["exposure"].to_numpy() if exposures is not None else np.zeros(0)
    return SliceData(
        exposure=np.concatenate([np.ones(n), extra]),
        is_wrong=np.concatenate([is_wrong, np.zeros(extra.size, bool)]),
        codes={name: codes for name, (codes, _) in by_key.items()},
        values={name: values for name, (_, values) in by_key.items()},
        cause=np.where(is_wrong, most(visit, cause, n, is_wrong_row), -1),
        weight=np.bincount(visit, weight, minlength=n).astype(np.float64),
        wrong_weight=np.bincount(visit, weight * is_wrong_row, minlength=n).astype(np.float64),
        has_control=np.bincount(visit, ~has_flag, minlength=n) > 0,
        n_images=np.bincount(visit, minlength=n),
        rows=rows,
        visit=visit,
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
    """Key -> its value in each row of ``errors``, or of exposures; null where it is not known."""
    columns: dict[str, Any] = {
        name: rows[name] if name in rows.column_names else pa.nulls(rows.num_rows, pa.string())
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
    columns["pair"] = joined(rows["true_id"], rows["predicted_id"], PAIR)
    # Of each moment once: of known exposures only the hours of weeks are known.
    taken = dictionary(rows["captured_at"])
    hour = pc.hour(taken.dictionary)
    is_day = pc.and_(pc.greater_equal(hour, DAY_HOURS[0]), pc.less(hour, DAY_HOURS[1]))
    by_moment = {
        "hour": pc.binary_join_element_wise(pc.utf8_lpad(pc.cast(hour, pa.string()), 2, "0"), "h", ""),
        "week": _weeks(taken.dictionary),
        "light": pc.if_else(is_day, "day", "night"),
    }
    columns |= {name: pa.DictionaryArray.from_arrays(taken.indices, column) for name, column in by_moment.items()}
    is_infrared = pc.fill_null(rows["is_infrared"], False)
    columns["light"] = pc.if_else(is_infrared, "infrared", columns["light"].cast(pa.string()))
    return columns


def _weeks(moments: Any) -> Any:
    """The ISO week of some moments, each day looked at once."""
    days = pc.floor_temporal(moments, unit="day").dictionary_encode()
    return pc.strftime(days.dictionary, "%G-W%V").take(days.indices)


def _places(rows: pa.Table) -> Any:
    """The camera and batch of each row, a place where people look on some days; null where the batch is not known."""
    if "batch_key" not in rows.column_names:
        return pa.nulls(rows.num_rows, pa.string())
    cameras = rows["camera_id"]
    if cameras.null_count:
        cameras = pc.fill_null(cameras.cast(pa.string()), "")
    return joined(rows["batch_key"], cameras, "\x1f")
