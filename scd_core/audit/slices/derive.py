"""The table ``error_slices``: slices that err more than the rest, tested on events, and which slices explain others."""

from __future__ import annotations

from typing import cast

import pyarrow as pa

from scd_core.audit.slices.data import PAIR, SliceData, family_groups, slice_data
from scd_core.audit.slices.describe import describe
from scd_core.audit.slices.explain import explain
from scd_core.audit.slices.families import FamilyTests, family_tests, total_sums
from scd_core.audit.slices.statistics import benjamini_hochberg, wilson_interval
from scd_core.audit.slices.tested import TestedSlice, slice_id
from scd_core.audit.slices.trend import set_trends
from scd_core.config import SliceConfig
from scd_core.tables.rows import SliceRow
from scd_core.tables.schema import table_from_rows

__all__ = ["find_slices"]


def find_slices(
    errors: pa.Table,
    config: SliceConfig | None = None,
    previous: pa.Table | None = None,
    report_id: str = "",
    assumed: pa.Table | None = None,
) -> pa.Table:
    """Test every slice of the configured families for erring more than all other events do.

    The unit is the event: a row counts ``event_weight`` events, and an event's rows inside a slice are one observation.
    A slice's ``error_rate`` is the weighted share that errs (for slices with the key ``pair``: that is called by that one
    name), ``n_effective`` the number of equally weighted events that give it as exactly
    (:func:`scd_core.audit.slices.counts.effective_counts`), the interval Wilson's on those two. The p-value is Fisher's
    one-sided test on effective counts (:func:`scd_core.audit.slices.statistics.rate_excess_p_value`). ``q_value`` is
    Benjamini-Hochberg's, weighted so that every family has an equal share: ``n_tests`` is the number of families times the
    number of slices of this family that have ``min_events`` events. Those with fewer than ``min_errors`` errors are not
    listed and count with p = 1, because leaving them out would choose the tests by their outcome.

    Which name an individual is given at a place is as many hypotheses as there are names, and few errors
    survive so many tests. So a pair A -> B, alone or at a place, that does not is tested again where A, alone or at that
    place, is found to err (a tree of hypotheses; Yekutieli, JASA 2008): then ``tested_within`` is that slice, ``n_tests``
    twice the number of wrong names, because there are two levels to err on, and ``q_value`` Benjamini-Hochberg's among the
    names, but at least that of the slice within which it is tested.

    A slice is systematic where its q-value is below ``max_q`` and its lift at least ``min_lift``; one that another slice
    explains carries that one's id in ``folded_into`` (:func:`scd_core.audit.slices.explain.explain`).

    Args:
        errors: rows of ``errors``; the labelled, current ones count.
        config: families and limits; None is the default.
        previous: ``error_slices`` of the report before, for the trend.
        report_id: report that the rows are for.
        assumed: what counts as right where only flagged rows are labelled (:func:`scd_core.audit.errors.derive.assumed_right`).

    Returns:
        Rows of the table ``error_slices``, most significant first.
    """
    config = config or SliceConfig()
    data = slice_data(errors, assumed)
    families = []
    if data.event.size:
        total = total_sums(data)
        families = [family_tests(data, family, config, total) for family in family_groups(config)]
    tested = _tested(data, families, config)
    explain(data, tested, config)
    gone = set_trends(tested, previous, report_id)
    rows = []
    for one in tested:
        described = describe(data, one, config) if one.p_value < 0.05 else {}
        rows.append(cast(SliceRow, {**vars(one), **described, "report_id": report_id}))
    return table_from_rows("error_slices", rows + gone)


def _tested(data: SliceData, families: list[FamilyTests], config: SliceConfig) -> list[TestedSlice]:
    """The listed slices of all families with their q-values, most significant first."""
    n_families = sum(tests.n_hypotheses > 0 for tests in families)
    found: list[TestedSlice] = []
    for tests in families:
        low, high = wilson_interval(tests.rate, tests.n_effective, config.confidence)
        for place, codes in enumerate(tests.codes.tolist()):
            values = {key: data.values[key][code] for key, code in zip(tests.family, codes, strict=True)}
            found.append(
                TestedSlice(
                    slice_id=slice_id(values),
                    slice=list(values.items()),
                    family="+".join(tests.family),
                    n_events=int(tests.sums.n_events[place]),
                    n_images=int(tests.sums.n_images[place]),
                    n_errors=int(tests.sums.n_errors[place]),
                    n_effective=float(tests.n_effective[place]),
                    error_rate=float(tests.rate[place]),
                    ci_low=float(low[place]),
                    ci_high=float(high[place]),
                    baseline_rate=float(tests.base_rate[place]),
                    lift=float(tests.lift[place]),
                    p_value=float(tests.p_value[place]),
                    n_tests=n_families * tests.n_hypotheses,
                )
            )
    found.sort(key=lambda one: (one.p_value, one.slice_id))
    _judge(found, config)
    _test_within(found, len(data.values["predicted_id"]) - 1, config)
    return found


def _judge(found: list[TestedSlice], config: SliceConfig, at_least: float = 0.0) -> None:
    """Set the q-values of slices that are tested together, none below `at_least`, and which of them are systematic."""
    q_values = benjamini_hochberg([one.p_value for one in found], [one.n_tests for one in found])
    for one, q in zip(found, q_values, strict=True):
        one.q_value = max(float(q), at_least)
        one.is_systematic = bool(one.q_value < config.max_q and one.lift >= config.min_lift)


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
                one.tested_within, one.n_tests = within, 2 * n_names
                groups.setdefault(within, []).append(one)
    _judge([one for one in found if one.tested_within is None], config)
    for within, group in groups.items():
        _judge(group, config, systematic[within].q_value)
