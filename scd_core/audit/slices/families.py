"""Families of slices: which slices a family has, what each is compared with, and how surprising it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.counts import (
    Sums,
    effective_counts,
    group_sums,
    name_excess_p_value,
    ordinary_rates,
    sure_events,
)
from scd_core.audit.slices.data import PAIR, SliceData
from scd_core.audit.slices.statistics import rate_excess_p_value
from scd_core.config import SliceConfig
from scd_core.names import UNKNOWN

__all__ = ["FamilyTests", "family_tests", "total_sums"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_FROM_LABELS = frozenset({"flank", "labelled_by"})
"""Keys that only labels have. They are not known of rows that nobody labelled, so where nothing but flagged rows is labelled,
they can be compared with one another, but not within a place or an individual."""


@dataclass(frozen=True)
class FamilyTests:
    """The listed slices of one family; g slices of k keys."""

    family: tuple[str, ...]
    codes: Ints  # (g, k) of the keys
    sums: Sums
    rate: Floats  # (g,)
    n_effective: Floats  # (g,)
    base_rate: Floats  # (g,)
    lift: Floats  # (g,) rate over base_rate; for predicted_id, wrong calls over those expected; infinite over nothing
    p_value: Floats  # (g,)
    n_hypotheses: int  # slices with enough events, those that are not listed for want of errors included


def family_tests(
    data: SliceData, family: tuple[str, ...], config: SliceConfig, total: Sums | None = None
) -> FamilyTests:
    """Test the slices of a family that have at least ``min_events`` events; list those with ``min_errors`` that err.

    A slice is compared with all rows outside it of which the same keys are known. What counts as an error depends on the family:

    - without ``pair`` and ``predicted_id``: a wrong name.
    - ``pair`` A -> B: among the events of A (at one value of the other key), being called B; outside, among all events
      that are not of B.
    - ``predicted_id`` B: among the events called B, a wrong name. What it should be follows from how often other events
      are called B: a rare individual is named wrongly more often than rightly by nothing but ordinary confusion. So the
      test compares how often events that are not of B are called B, inside and outside the other key's value, or, where
      there is no other key, with how often they are called another wrong name, on average; ``base_rate`` is the share of
      wrong among those called B that this would give. The name ``unknown`` alone is not tested: it is what a doubtful
      picture is called by design, so a comparison with the average individual would always condemn it.

    Args:
        data: the labelled rows.
        family: keys of the slices.
        config: limits.
        total: sums over all rows (:func:`total_sums`), for families whose keys are always known; None computes them.
    """
    if "pair" in family or "predicted_id" in family:
        return _test_names(data, family, config)
    codes, group, inside = _groups(data, family)
    sums = group_sums(data, group, inside, data.is_wrong[inside], len(codes))
    if total is None or inside.size < data.event.size:
        total = total_sums(data, inside)
    tested = (sums.n_events >= config.min_events) & _is_new(data, family, codes, sums.n_images)
    listed = tested & (sums.n_errors >= config.min_errors)
    sums = sums[listed]
    ordinary = ordinary_rates(total)
    rate, n = _shown_rates(sums, ordinary)
    base_rate, base_n = effective_counts(total.minus(sums), ordinary)
    p_value = _p_value(sums, ordinary, base_rate, base_n)
    return FamilyTests(
        family, codes[listed], sums, rate, n, base_rate, _lift(rate, base_rate), p_value, int(tested.sum())
    )


def _test_names(data: SliceData, family: tuple[str, ...], config: SliceConfig) -> FamilyTests:
    """Families about being called B: pair A -> B among the events of A, predicted B among all that are not of B."""
    by_pair = "pair" in family
    others = tuple(key for key in family if key not in ("pair", "predicted_id"))
    group_keys = ("true_id", *others) if by_pair else others
    codes, group, inside = _groups(data, group_keys)
    of_group = group_sums(data, group, inside, data.is_wrong[inside], len(codes))
    is_tested = _is_new(data, family, codes, of_group.n_images, group_keys) & (of_group.n_events >= config.min_events)
    n_names = max(len(data.values["predicted_id"]), 1)
    named = data.codes["predicted_id"]

    # The cells (group, B): rows of the group that are called B, and those of them that are wrong.
    is_called = (named[inside] >= 0) & is_tested[group] & (data.is_wrong[inside] | (not by_pair))
    if not others and not by_pair and UNKNOWN in data.values["predicted_id"]:
        is_called &= named[inside] != data.values["predicted_id"].index(UNKNOWN)
    rows = inside[is_called]
    cells, cell = np.unique(group[is_called] * n_names + named[rows], return_inverse=True)
    of, name = cells // n_names, cells % n_names
    called = group_sums(data, cell, rows, data.is_wrong[rows], len(cells))
    own = _of_truth(data, group, inside, of, name)
    own_total = _of_truth(data, np.zeros(inside.size, np.int64), inside, np.zeros(len(of), np.int64), name)
    everything = total_sums(data, inside)
    called_total = _called_weights(data, inside, name)
    exposed = of_group[of].minus(own).with_wrong(called.wrong)
    base = everything.minus(own_total).minus(exposed).with_wrong(np.maximum(called_total - called.wrong, 0))
    if by_pair:
        shown = exposed.with_errors(_events_called(data, group, inside, cell, rows, of))
        n_hypotheses = int(is_tested.sum()) * (n_names - 1)
    else:
        shown = called
        n_hypotheses = int((called.n_events >= config.min_events).sum())
    listed = (shown.n_events >= config.min_events) & (shown.n_errors >= config.min_errors)
    shown, exposed, base, of, name = shown[listed], exposed[listed], base[listed], of[listed], name[listed]
    ordinary = _ratio(called_total[listed], everything.minus(own_total[listed]).weight)
    if not others and not by_pair:
        # No other circumstance to compare with: how often are the other names given wrongly, on average?
        wrong_names = (everything.wrong - exposed.wrong) / max(n_names - 1, 1)
        base = everything.minus(own_total[listed]).with_wrong(np.maximum(wrong_names, 0))
        ordinary = _ratio(base.wrong, base.weight)
    base_rate, base_n = effective_counts(base, ordinary)
    if others or by_pair:
        sure = sure_events(data, inside)
        count = np.bincount(cell, sure[rows], minlength=len(cells)).astype(np.float64)
        of_name = np.bincount(np.maximum(named[inside], 0), sure[inside], minlength=n_names)
        elsewhere = np.maximum(of_name[cells % n_names] - count, 0.0)
        p_value = name_excess_p_value(exposed, ordinary, base, count[listed], elsewhere[listed])
    else:
        p_value = _p_value(exposed, ordinary, base_rate, base_n * (n_names - 1))
    rate, n = _shown_rates(shown, ordinary if by_pair else ordinary_rates(everything))
    lift = _lift(effective_counts(exposed, ordinary)[0], base_rate)
    if not by_pair:
        expected = base_rate * exposed.weight.sum(axis=1)
        base_rate = _ratio(expected, expected + (shown.weight - shown.wrong).sum(axis=1))
    names = _name_codes(data, family, others, codes[of], name)
    return FamilyTests(family, names, shown, rate, n, base_rate, lift, p_value, n_hypotheses)


def _lift(rate: Floats, base_rate: Floats) -> Floats:
    return np.divide(rate, base_rate, out=np.full(rate.shape, np.inf), where=base_rate > 0)


def _shown_rates(sums: Sums, ordinary: Floats) -> tuple[Floats, Floats]:
    """Rates and effective events of slices; one whose controls were never drawn shows only what was flagged, so its rate is
    worth no more events than with the one that is missing."""
    rate, n = effective_counts(sums, ordinary)
    _, with_missing = effective_counts(sums, ordinary, with_unseen=True)
    return rate, np.where(sums.weight[:, 1] > 0, n, np.minimum(n, with_missing))


def _p_value(sums: Sums, ordinary: Floats, base_rate: Floats, base_n: Floats) -> Floats:
    rate, n = effective_counts(sums, ordinary, with_unseen=True)
    return rate_excess_p_value(rate * n, n, base_rate * base_n, base_n)


def total_sums(data: SliceData, rows: Ints | None = None) -> Sums:
    """Sums over some rows, as one group; None is all."""
    rows = np.arange(data.event.size) if rows is None else rows
    return group_sums(data, np.zeros_like(rows), rows, data.is_wrong[rows], 1)


def _groups(data: SliceData, keys: tuple[str, ...]) -> tuple[Ints, Ints, Ints]:
    """Distinct values of some keys as (g, k) codes, the group of each row that has them all, and those rows."""
    if not keys:
        rows = np.arange(data.event.size)
        return np.zeros((1, 0), np.int64), np.zeros_like(rows), rows
    columns = np.stack([data.codes[key] for key in keys], axis=1)
    is_inside = (columns >= 0).all(axis=1)
    if len(keys) > 1 and not _FROM_LABELS.isdisjoint(keys):
        is_inside &= ~data.is_of_flagged
    inside = np.flatnonzero(is_inside)
    flat = np.zeros(inside.size, np.int64)
    for place, key in enumerate(keys):
        flat = flat * max(len(data.values[key]), 1) + columns[inside, place]
    _, first, group = np.unique(flat, return_index=True, return_inverse=True)
    return columns[inside[first]].reshape(-1, len(keys)), group.astype(np.int64), inside


def _is_new(
    data: SliceData, family: tuple[str, ...], codes: Ints, n_images: Ints, keys: tuple[str, ...] | None = None
) -> NDArray[np.bool_]:
    """Whether slices differ from all rows and from each of their keys alone, without looking at errors."""
    keys = family if keys is None else keys
    is_new = np.full(len(codes), not keys) | (n_images < data.event.size)
    if len(family) > 1:
        for place, key in enumerate(keys):
            of_key = np.bincount(data.codes[key][data.codes[key] >= 0], minlength=len(data.values[key]))
            # The truth of a pair stands for the pair itself: another key must narrow it down.
            alone = len(keys) == 1
            is_new &= alone | (n_images < of_key[codes[:, place]])
    return is_new


def _strata(data: SliceData, rows: Ints) -> tuple[Floats, Floats]:
    """Wrong rows of the two strata, as 0 and 1."""
    wrong = data.is_wrong[rows]
    return (wrong & ~data.is_sampled[rows]).astype(float), (wrong & data.is_sampled[rows]).astype(float)


def _of_truth(data: SliceData, group: Ints, inside: Ints, of: Ints, name: Ints) -> Sums:
    """Sums of the rows of groups `of` whose truth is the individual called `name`."""
    names = {value: place for place, value in enumerate(data.values["predicted_id"])}
    named_true = np.array([names.get(value, -1) for value in data.values["true_id"]], np.int64)[
        data.codes["true_id"][inside]
    ]
    n_names = max(len(names), 1)
    has_name = named_true >= 0
    keys, place = np.unique(group[has_name] * n_names + named_true[has_name], return_inverse=True)
    rows = inside[has_name]
    sums = group_sums(data, place, rows, data.is_wrong[rows], len(keys) + 1)  # the last one is empty
    wanted = of * n_names + name
    found = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    is_there = (keys[found] == wanted) if len(keys) else np.zeros(wanted.shape, bool)
    return sums[np.where(is_there, found, len(keys))]


def _called_weights(data: SliceData, rows: Ints, name: Ints) -> Floats:
    """(c, 2) weight of the wrong rows that are called each name, in the two strata."""
    # One further, because a row without a name has the code -1.
    code, n = data.codes["predicted_id"][rows] + 1, len(data.values["predicted_id"]) + 1
    weights = [np.bincount(code, data.weight[rows] * here, minlength=n)[name + 1] for here in _strata(data, rows)]
    return np.stack(weights, axis=1)


def _events_called(data: SliceData, group: Ints, inside: Ints, cell: Ints, rows: Ints, of: Ints) -> Ints:
    """Events of each cell's group of which at least half, by weight, is called the cell's name."""
    n_events = max(data.n_events, 1)
    keys, place = np.unique(group * n_events + data.event[inside], return_inverse=True)
    weight = np.bincount(place, data.weight[inside])
    cell_keys, cell_place = np.unique(cell * n_events + data.event[rows], return_inverse=True)
    called = np.bincount(cell_place, data.weight[rows])
    of_cell = cell_keys // n_events
    whole = weight[np.searchsorted(keys, of[of_cell] * n_events + cell_keys % n_events)] if len(of) else called
    return np.bincount(of_cell[called >= whole / 2], minlength=len(of))


def _name_codes(data: SliceData, family: tuple[str, ...], others: tuple[str, ...], codes: Ints, name: Ints) -> Ints:
    columns = {key: codes[:, codes.shape[1] - len(others) + place] for place, key in enumerate(others)}
    columns["predicted_id"] = name
    if "pair" in family:
        places = {value: place for place, value in enumerate(data.values["pair"])}
        true, predicted = data.values["true_id"], data.values["predicted_id"]
        pairs = [
            places[f"{true[a]}{PAIR}{predicted[b]}"] for a, b in zip(codes[:, 0].tolist(), name.tolist(), strict=True)
        ]
        columns["pair"] = np.array(pairs, np.int64)
    return np.stack([columns[key] for key in family], axis=1).reshape(len(name), len(family))


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)
