"""Two models side by side in sentences: the lines of the command `compare`, and of the page."""

from __future__ import annotations

from scd_core.audit.compare.groups import Group
from scd_core.audit.compare.models import Comparison
from scd_core.audit.wording import percent, plural

__all__ = ["comparison_lines"]

_SHOWN = 10
"""Pictures to label that are listed."""


def comparison_lines(found: Comparison) -> list[str]:
    """All that a comparison shows, a line each; the last one is what to do.

    Args:
        found: two models side by side.
    """
    visits = found.visits
    lines = [
        f"old: {found.old}",
        f"new: {found.new}",
        f"{found.n_pictures} labelled {plural(found.n_pictures, 'picture', 'pictures')} in {visits.n} "
        f"{plural(visits.n, 'visit', 'visits')} named by both; {found.n_only_old} by the old model alone, "
        f"{found.n_only_new} by the new one alone, which do not count",
    ]
    if found.learnt_by:
        learnt = "both models were" if found.learnt_by == "both" else f"the {found.learnt_by} model was"
        lines.append(
            f"{learnt} written by `improve` and learnt from labels of {found.n_learnt} of these {visits.n} visits: what follows "
            "favours it, and the last line rests on the other visits alone"
        )
    counts = (visits.both, visits.only_old, visits.only_new, visits.neither)
    for words, n, share in zip(
        ("both right", "only old right", "only new right", "neither right"), counts, visits.shares
    ):
        lines.append(f"  {words:<16}{n:>6} {plural(n, 'visit', 'visits'):<7}{percent(share):>8} of events")
    difference = ("+" if visits.difference > 0 else "-" if visits.difference < 0 else "") + percent(
        abs(visits.difference)
    )
    lines.append(
        f"wrong names: old {percent(visits.old_rate)}, new {percent(visits.new_rate)} of events; difference {difference} "
        f"({100 * visits.low:+.1f} % to {100 * visits.high:+.1f} %); McNemar p {visits.p_value:.2g}"
    )
    lines += [f"better: {_group_words(one, one.q_better)}" for one in found.better] or ["better: no group, proved"]
    lines += [f"worse: {_group_words(one, one.q_worse)}" for one in found.worse] or ["worse: no group, proved"]
    lines += [
        f"systematic error {one.change}: {one.title}; of {one.n} visits the old model errs on {one.old_errors}, the new one on "
        f"{one.new_errors}"
        for one in found.slices
    ]
    errors = [_calibration(side.calibration_error) for side in (found.old_side, found.new_side)]
    lines.append(f"calibration error: old {errors[0]}, new {errors[1]}")
    for words, name in (("called unknown", "n_called_unknown"), ("known, or no animal, called unknown", "n_splits"),
                        ("unknown, or no animal, called known", "n_combinations"), ("without a name", "n_unnamed")):  # fmt: skip
        lines.append(f"{words}: old {getattr(found.old_side, name)}, new {getattr(found.new_side, name)} pictures")
    for row in found.to_label[: min(_SHOWN, found.n_needed)]:
        box = f" box {row['detection_id']}" if row["detection_id"] is not None else ""
        lines.append(f"label: {row['file']}{box} (old {row['old_id']}, new {row['new_id']})")
    if found.n_needed > _SHOWN:
        lines.append(f"label: {found.n_needed - _SHOWN} more; --out FILE.csv writes the whole list")
    return [*lines, found.last_line]


def _group_words(group: Group, q: float) -> str:
    return f"{group.title}: {group.mended} mended, {group.spoilt} spoilt of {group.n} visits, q {q:.2g}"


def _calibration(value: float | None) -> str:
    return "not known (no probabilities)" if value is None else percent(value)
