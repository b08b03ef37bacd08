"""The table ``error_slices``: slices that err more than the rest, tested on visits, and which slices explain others."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scd_core.audit.slices.announce import announce
from scd_core.audit.slices.counts import Counts
from scd_core.audit.slices.data import PAIR, SliceData, slice_data
from scd_core.audit.slices.describe import describe, is_supported
from scd_core.audit.slices.explain import explain
from scd_core.audit.slices.families import FamilyTests, family_groups, family_shares, family_tests
from scd_core.audit.slices.needed import set_labels_needed
from scd_core.audit.slices.onset import set_onset, visit_times
from scd_core.audit.slices.rates import slice_rates
from scd_core.audit.slices.statistics import benjamini_hochberg, n_expected_together
from scd_core.audit.slices.tested import TestedSlice, slice_id
from scd_core.audit.slices.together import in_threads
from scd_core.audit.slices.trend import set_trends
from scd_core.config import SliceConfig
from scd_core.tables.rows import SliceRow
from scd_core.tables.schema import table_from_rows

__all__ = ["find_slices", "tested_slices"]

Floats = NDArray[np.float64]


def find_slices(
    errors: pa.Table,
    config: SliceConfig | None = None,
    previous: pa.Table | None = None,
    report_id: str = "",
    exposures: pa.Table | None = None,
) -> pa.Table:
    """Test every slice of the configured families for erring more than all other visits that were looked at do.

    The unit is the visit, and every visit that was looked at counts once: labelled ones, and unlabelled ones by their known
    exposure, as right. Weights have no part in finding; they enter the rate alone
    (:func:`scd_core.audit.slices.rates.slice_rates`). The p-value is Fisher's one-sided test
    (:func:`scd_core.audit.slices.statistics.rate_excess_p_value`). ``q_value`` is Benjamini-Hochberg's for
    discrete tests: ``n_tests`` is the number of slices that chance would put as far up, over the p-value. In its own family these
    are the ones with such a p-value (:func:`scd_core.audit.slices.statistics.n_expected`); each other family adds as many as it
    expects, up to the same multiple of its share of the error rate
    (:func:`scd_core.audit.slices.statistics.n_expected_together`, :func:`scd_core.audit.slices.families.family_shares`). Slices
    with fewer than ``min_errors`` errors, a lift below ``min_lift`` or a p-value above 0.25 are not listed and count with p =
    1, because leaving them out would choose the tests by their outcome.

    Which name an individual is given at a place is as many hypotheses as there are names, and few errors
    survive so many tests. So a pair A -> B, alone or at a place, that does not is tested again where A, alone or at that
    place, is found to err (a tree of hypotheses; Yekutieli, JASA 2008): then ``tested_within`` is that slice, ``n_tests``
    twice the number of wrong names, because there are two levels to err on, and ``q_value`` Benjamini-Hochberg's among the
    names, but at least that of the slice within which it is tested.

    A slice of one labeller is listed only where the labels differ from other people's
    (:func:`scd_core.audit.slices.describe.is_supported`). A slice is systematic where its q-value is below ``max_q``; one
    that another slice explains carries that one's id in ``folded_into`` (:func:`scd_core.audit.slices.explain.explain`).
    ``labels_needed`` is how many more labels settle it (:func:`scd_core.audit.slices.needed.set_labels_needed`).

    Args:
        errors: rows of ``errors``; the labelled, current ones count.
        config: families and limits; None is the default.
        previous: ``error_slices`` of the report before, for the trend.
        report_id: report that the rows are for.
        exposures: what else was looked at (:func:`scd_core.audit.errors.derive.known_exposures`).

    Returns:
        Rows of the table ``error_slices``, most significant first.
    """
    with _no_collection():
        return _find_slices(errors, config or SliceConfig(), previous, report_id, exposures)


def _find_slices(
    errors: pa.Table, config: SliceConfig, previous: pa.Table | None, report_id: str, exposures: pa.Table | None
) -> pa.Table:
    data = slice_data(errors, exposures)
    tested, counts = tested_slices(data, config)
    explain(data, tested, config)
    set_labels_needed(tested, counts, config)
    gone = set_trends(tested, previous, report_id)
    rows, times = [], visit_times(data)
    for one in tested:
        if one.is_systematic:
            set_onset(data, one, times)
        described = describe(data, one, config) if one.p_value < 0.05 else {}
        rows.append(cast(SliceRow, {**vars(one), **described, "report_id": report_id}))
    return table_from_rows("error_slices", rows + gone)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage for a while: slices are objects by the ten thousand that all live to the end, and Python would look
    at all of them again and again, a tenth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def tested_slices(data: SliceData, config: SliceConfig) -> tuple[list[TestedSlice], dict[str, Counts]]:
    """The listed slices, judged and announced: all that :func:`find_slices` knows of them before it explains and describes.

    Args:
        data: the visits.
        config: families and limits.

    Returns:
        The slices by p-value, and the counts that each was tested on, by its id.
    """
    families = [family for family in family_groups(config) if all(len(data.values[key]) > 1 for key in family)]
    shares = family_shares(families)
    tested: list[TestedSlice] = []
    counts: dict[str, Counts] = {}
    tests = in_threads(lambda family: family_tests(data, family, config), families)
    expected = _expected_together(tests, shares)

    def of_family(place: int) -> list[tuple[TestedSlice, Counts]]:
        one = tests[place]
        return list(_listed(data, one, expected[place], shares[one.family], config))

    for listed in in_threads(of_family, range(len(tests))):
        for one, of_one in listed:
            if is_supported(data, one):
                tested.append(one)
                counts[one.slice_id] = of_one
    tested.sort(key=lambda one: (one.p_value, one.slice_id))
    _judge(tested, config)
    announce(data, tested, config)
    n_names = len({code for code in data.codes["predicted_id"][data.is_wrong].tolist() if code >= 0})
    _test_within(tested, n_names, config)
    return tested, counts


def _expected_together(tests: list[FamilyTests], shares: dict[tuple[str, ...], float]) -> list[Floats]:
    """Of each family, the number of slices that chance would put as far up as each of its slices."""
    if not tests:
        return []
    of = np.repeat(np.arange(len(tests)), [one.p_value.size for one in tests])
    expected = n_expected_together(
        np.concatenate([one.p_value for one in tests]),
        of,
        np.stack([one.n_expected for one in tests]),
        [shares[one.family] for one in tests],
    )
    return [expected[of == place] for place in range(len(tests))]


def _listed(
    data: SliceData, tests: FamilyTests, expected: Floats, share: float, config: SliceConfig
) -> Iterator[tuple[TestedSlice, Counts]]:
    """The slices of a family that err more, with their rates, and the counts that each was tested on."""
    rates = slice_rates(data, tests.family, tests.codes, tests.counts, config.confidence)
    for place, (codes, rate) in enumerate(zip(tests.codes.tolist(), rates, strict=True)):
        values = {key: data.values[key][code] for key, code in zip(tests.family, codes, strict=True)}
        one = tests.counts[place : place + 1]
        slice_ = TestedSlice(
            slice_id=slice_id(values),
            slice=list(values.items()),
            family="+".join(tests.family),
            exposure=float(one.n[0]),
            p_value=float(tests.p_value[place]),
            n_tests=math.ceil(max(1.0, expected[place] / max(tests.p_value[place], 1e-300))),
            e_weight=share * float(tests.e_weight[place]),
            **vars(rate),
        )
        yield slice_, one


def _judge(found: list[TestedSlice], config: SliceConfig, at_least: float = 0.0) -> None:
    """Set the q-values of slices that are tested together, none below `at_least`, and which of them are systematic."""
    q_values = benjamini_hochberg([one.p_value for one in found], [one.n_tests for one in found])
    for one, q in zip(found, q_values, strict=True):
        one.q_value = max(float(q), at_least)
        one.is_systematic = bool(one.q_value < config.max_q)


def _test_within(found: list[TestedSlice], n_names: int, config: SliceConfig) -> None:
    """Test pairs that are not systematic once more, among the names of the systematic slice of their true individual."""
    systematic = {one.slice_id: one for one in found if one.is_systematic}
    groups: dict[str, list[TestedSlice]] = {}
    for one in found:
        values = dict(one.slice)
        if "pair" in values and not one.is_systematic:
            true = values.pop("pair").split(PAIR, 1)[0]
            within = slice_id(values | {"true_id": true})
            if within in systematic:
                one.tested_within, one.n_tests = within, 2 * max(n_names, 1)
                groups.setdefault(within, []).append(one)
    _judge([one for one in found if one.tested_within is None], config)
    for within, group in groups.items():
        _judge(group, config, systematic[within].q_value)
