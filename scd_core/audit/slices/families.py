"""Families of slices: which slices a family has, what each is compared with, and which of them can be tested at all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.cells import Sparse
from scd_core.audit.slices.counts import FROM_LABELS, Counts, Groups, groups_by, in_kind_counts
from scd_core.audit.slices.data import PAIR, SliceData
from scd_core.audit.slices.statistics import LEVELS, n_expected
from scd_core.config import SliceConfig
from scd_core.names import UNKNOWN, Quality

__all__ = ["FamilyTests", "family_groups", "family_shares", "family_tests"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_REDUNDANT = {
    frozenset(keys)
    for keys in (
        ("camera_id", "deployment_id"),  # a deployment has one camera
        ("true_id", "predicted_id"),  # the pair
        ("true_id", "pair"),
        ("predicted_id", "pair"),
        ("light", "hour"),
        *(("week", key) for key in ("predicted_id", "pair", "light", "flank", "hour", "quality", "labelled_by")),
    )
}
_WEIGHTS = {
    "week": 0.1,
    "pair": 4.0,
    "camera_id": 3.0,
    "predicted_id": 2.0,
    "true_id": 2.0,
    "deployment_id": 2.0,
    "quality": 2.0,
}
"""Weight of a key among the families; 1 for the others."""
_LEAST_EVIDENT = 3
"""Visits of a slice, and errors of its kind anywhere, from which on it can be announced."""


_MOST_P = 0.25
"""Slices with a larger p-value are not listed: they are far from systematic, and most slices are such."""


@dataclass(frozen=True)
class FamilyTests:
    """The slices of one family that have enough visits and errors; g slices of k keys."""

    family: tuple[str, ...]
    codes: Ints  # (g, k) of the keys
    counts: Counts
    p_value: Floats  # (g,)
    n_expected: (
        Floats  # (l,) slices of the family that would have a p-value up to each of LEVELS where nothing is wrong
    )
    e_weight: Floats  # (g,) share of each in the evidence of the family


@dataclass(frozen=True)
class _Margins:
    """What is fixed of m kinds of hypotheses, whatever errs."""

    n: Floats  # (m,) visits of a slice
    errors: Floats  # (m,) errors of its kind, inside and outside
    n_all: Floats  # (m,) visits, inside and outside
    counts: Floats  # (m,) slices of this kind


def family_groups(config: SliceConfig) -> Iterator[tuple[str, ...]]:
    """The families that are tested: each key, then each pair of keys that is more than one of them."""
    yield from ((key,) for key in config.families)
    if config.max_depth > 1:
        for keys in combinations(config.families, 2):
            if frozenset(keys) not in _REDUNDANT:
                yield keys


def family_shares(families: list[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """Share of the error rate that each family has, fixed before looking.

    Half is for families of one key, by the weight of the key, the rest for families of two, by the product of their weights:
    most errors have to do with a place, an individual, or the name that is given.
    """
    weights = {family: math.prod(_WEIGHTS.get(key, 1.0) for key in family) for family in families}
    totals = {size: sum(weight for family, weight in weights.items() if len(family) == size) for size in (1, 2)}
    n_sizes = sum(total > 0 for total in totals.values())
    return {family: weight / totals[len(family)] / n_sizes for family, weight in weights.items()}


def family_tests(data: SliceData, family: tuple[str, ...], config: SliceConfig) -> FamilyTests:
    """Test the slices of a family that have at least ``min_events`` visits; list those with ``min_errors``
    that err and a p-value of at most 0.25.

    A slice is compared with all visits outside it of which the same keys are known. What counts as an error depends on the
    family:

    - without ``pair`` and ``predicted_id``: a wrong name.
    - ``pair`` A -> B: among the visits of A (at one value of the other key), being called B; outside, among all visits that
      are not of B.
    - ``predicted_id`` B: among the visits that are not of B (at one value of the other key), being called B; where there is no
      other key, compared with how often they are called another wrong name, on average. The name ``unknown`` alone is not
      tested: it is what a doubtful picture is called by design, so a comparison with the average individual would
      always condemn it.

    A slice with a key that only labels have is compared with labelled visits of its kind
    (:func:`scd_core.audit.slices.counts.in_kind_counts`).

    Args:
        data: the visits.
        family: keys of the slices.
        config: limits.
    """
    of_names = "pair" in family or "predicted_id" in family
    codes, counts, margins = (_count_names if of_names else _count_errors)(data, family, config)
    enough = counts.errors >= config.min_errors
    codes, counts = codes[enough], counts[enough]
    if FROM_LABELS.keys() & set(family) and len(codes):
        counts = in_kind_counts(data, family, codes)
    listed = (np.rint(counts.n) >= config.min_events) & (counts.errors >= config.min_errors)
    listed &= counts.lift >= config.min_lift
    codes, counts = codes[listed], counts[listed]
    p_value = counts.p_values()
    is_small = p_value <= _MOST_P
    codes, counts, p_value = codes[is_small], counts[is_small], p_value[is_small]
    n_expected_by_chance = n_expected(
        LEVELS, margins.n, margins.errors, margins.n_all, margins.counts, config.min_errors
    )
    # Evidence is weighed by margins alone: a hypothesis that can never have enough errors has no share.
    has_share = np.minimum(np.rint(counts.n), counts.errors + counts.base_errors) >= _LEAST_EVIDENT
    n_evident = margins.counts[np.minimum(margins.n, margins.errors) >= _LEAST_EVIDENT].sum()
    e_weight = has_share / max(float(n_evident), 1.0)
    return FamilyTests(family, codes, counts, p_value, n_expected_by_chance, e_weight)


def _count_errors(data: SliceData, family: tuple[str, ...], config: SliceConfig) -> tuple[Ints, Counts, _Margins]:
    """Families without names: every wrong name is an error."""
    groups = groups_by(data, family)
    errors, n = groups.sums(data.is_wrong), groups.sums(data.exposure)
    counts = Counts(errors, n, errors.sum() - errors, n.sum() - n)
    has_enough = (np.rint(counts.n) >= config.min_events) & _is_new(data, family, groups, family)
    codes, counts = groups.codes[has_enough], counts[has_enough]
    margins = _Margins(counts.n, counts.errors + counts.base_errors, counts.n + counts.base_n, np.ones(len(codes)))
    return codes, counts, margins


def _count_names(data: SliceData, family: tuple[str, ...], config: SliceConfig) -> tuple[Ints, Counts, _Margins]:
    """Families about being called B: pair A -> B among the visits of A, predicted B among all that are not of B."""
    by_pair = "pair" in family
    others = tuple(key for key in family if key not in ("pair", "predicted_id"))
    group_keys = ("true_id", *others) if by_pair else others
    groups = groups_by(data, group_keys)
    n_names = max(len(data.values["predicted_id"]), 1)
    named, own_name = data.codes["predicted_id"], data.own_name
    of_group = groups.sums(data.exposure)
    has_enough = (np.rint(of_group) >= config.min_events) & _is_new(data, family, groups, group_keys)

    # All visits of which the keys are known: errors called each name, visits that are not of it.
    erring = data.wrong[0]
    at = np.minimum(np.searchsorted(groups.rows, erring), max(groups.rows.size - 1, 0))
    is_called = (groups.rows[at] == erring) & (named[erring] >= 0) if groups.rows.size else np.zeros(erring.size, bool)
    group, name = groups.group[at[is_called]], named[erring[is_called]]
    called = np.bincount(name, minlength=n_names).astype(float)
    own_name, exposure = own_name[groups.rows], data.exposure[groups.rows]
    own = np.bincount(own_name + 1, exposure, minlength=n_names + 1)[1:]
    exposed = exposure.sum() - own
    is_alone = not others and not by_pair

    # The cells (group, B): wrong visits of the group that are called B, and its visits that are not of B.
    is_tested = has_enough[group]
    if is_alone and UNKNOWN in data.values["predicted_id"]:
        is_tested &= name != data.values["predicted_id"].index(UNKNOWN)
    cells, errors = np.unique(group[is_tested] * n_names + name[is_tested], return_counts=True)
    of, name = cells // n_names, cells % n_names
    n = of_group[of]
    if not by_pair:
        is_known = own_name >= 0
        own_cells = Sparse(groups.group[is_known] * n_names + own_name[is_known])
        n = n - own_cells.sums(cells, exposure[is_known])
    counts = Counts(errors.astype(float), n, called[name] - errors, exposed[name] - n)
    if is_alone:
        # No other circumstance to compare with: how often are the other names given wrongly, on average?
        counts = replace(counts, base_errors=called.sum() - errors, base_n=exposed[name] * (n_names - 1))
        margins = _Margins(exposed, np.full(n_names, called.sum()), exposed * n_names, np.ones(n_names))
    else:
        sizes, many = np.unique(np.rint(of_group[has_enough]), return_counts=True)
        # What is exposed differs little from name to name: to the next 2 %.
        nearly = np.exp(0.02 * np.rint(np.log(np.maximum(exposed, 1.0)) / 0.02))
        kinds, alike = np.unique(np.stack([called, nearly], axis=1)[called > 0], axis=0, return_counts=True)
        shape = sizes.size, len(kinds)
        margins = _Margins(
            np.broadcast_to(sizes[:, None], shape).ravel(),
            np.broadcast_to(kinds[:, 0], shape).ravel(),
            np.broadcast_to(kinds[:, 1], shape).ravel(),
            np.outer(many, alike).ravel().astype(np.float64),
        )
    return _name_codes(data, family, others, groups.codes[of], name), counts, margins


def _is_new(data: SliceData, family: tuple[str, ...], groups: Groups, keys: tuple[str, ...]) -> Bools:
    """Whether slices differ from all rows and from each of their keys alone, without looking at errors.

    None is of good pictures, as most are: where poor ones are few and right by chance, nothing follows from it.
    """
    sizes = np.bincount(groups.group, minlength=groups.n)
    is_new = np.full(groups.n, not keys) | (sizes < data.exposure.size)
    if "quality" in keys and Quality.GOOD in data.values["quality"]:
        is_new &= groups.codes[:, keys.index("quality")] != data.values["quality"].index(Quality.GOOD)
    if (
        len(family) > 1 and len(keys) > 1
    ):  # the truth of a pair stands for the pair itself: another key must narrow it down
        for place, key in enumerate(keys):
            is_new &= sizes < data.n_with(key)[groups.codes[:, place]]
    return is_new


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
