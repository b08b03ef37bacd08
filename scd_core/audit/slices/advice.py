"""What to do about a slice: one line of a short list, with the command that lists its pictures."""

from __future__ import annotations

from scd_core.audit.slices.data import PAIR
from scd_core.audit.slices.sentence import Common
from scd_core.audit.slices.tested import TestedSlice
from scd_core.names import Cause, Quality

__all__ = ["what_to_do"]


def what_to_do(tested: TestedSlice, common: Common, n_pictures: int) -> str:
    """One line of advice; commands stand between backticks, and OUT is the audit's address.

    Args:
        tested: the slice.
        common: what its errors have in common.
        n_pictures: its wrong pictures.

    >>> keys = [("camera_id", "C07"), ("predicted_id", "Nyx")]
    >>> slice = TestedSlice("5e1f", keys, "", 9, 9, 8, 9.0, 9.0, 0.9, 0.6, 1, 0, 9, 0, 1)
    >>> what_to_do(slice, Common("overlay"), 12)
    'Switch the info strip of camera C07 off, or mask it, in the camera\\'s settings. Its 12 wrong pictures: \
`trapaudit sql OUT "select * from slice_pictures where slice_id = \\'5e1f\\'"`'
    """
    values = dict(tested.slice)
    of = _where(values)
    pictures = "the wrong picture" if n_pictures == 1 else f"the {n_pictures} wrong pictures"
    found = "Its wrong picture" if n_pictures == 1 else f"Its {n_pictures} wrong pictures"
    advice = {
        Cause.OVERLAY: f"Switch the info strip of {of} off, or mask it, in the camera's settings. {found}",
        Cause.BACKGROUND: f"Move what the evidence lies on, such as a feeder, or the view of {of}. {found}",
        Cause.PLACE: f"Move what these pictures share, such as a feeder, or the view of {of}. {found}",
        Cause.IMAGE_QUALITY: f"{_repair(values, of)}. {found}",
        Cause.LABEL_SUSPECT: f"Look at {pictures} again and label them anew (`trapaudit labels import OUT FILE`)",
        Cause.CONFUSABLE_PAIR: f"Retrain with {pictures}, as labelled, and more of {_both(values, common)}",
        Cause.FLANK: f"Retrain with {pictures}, as labelled, and more of this flank",
    }.get(Cause(common.cause), f"Nothing yet: no cause shows. Label {_more(tested)} to know; {pictures} so far")
    return f"{advice}: `trapaudit sql OUT \"select * from slice_pictures where slice_id = '{tested.slice_id}'\"`"


def _where(values: dict[str, str]) -> str:
    if "camera_id" in values:
        return f"camera {values['camera_id']}"
    return (
        f"the camera of deployment {values['deployment_id']}"
        if "deployment_id" in values
        else "the cameras in question"
    )


def _repair(values: dict[str, str], of: str) -> str:
    if values.get("quality") == Quality.DARK:
        return f"Give more light or a longer exposure to {of}"
    return f"Clean and focus the lens of {of}"


def _more(tested: TestedSlice) -> str:
    n = tested.labels_needed
    return "more of its visits" if not n else f"{n} more of its visits" if n > 1 else "one more of its visits"


def _both(values: dict[str, str], common: Common) -> str:
    true, _, name = values.get("pair", "").partition(PAIR)
    both = [
        one
        for one in (true or values.get("true_id"), name or values.get("predicted_id") or common.confused_with)
        if one
    ]
    return " and ".join(both) if len(both) == 2 else "the individuals in them"
