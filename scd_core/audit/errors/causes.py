"""The rules by which a wrong name is given a cause, in words; ``sql/errors.sql`` applies them."""

from __future__ import annotations

from scd_core.names import Cause

__all__ = ["CAUSE_RULES"]

CAUSE_RULES: dict[Cause, str] = {
    Cause.OVERLAY: (
        "The joint mask has at least `min_overlay_reliance` of its mass on burned-in strips, and replacing the strips lowers "
        "the name's log-odds by at least `min_log_odds_drop`."
    ),
    Cause.BACKGROUND: (
        "Taking the background away changes the answer. Either the joint mask has at least `min_background_reliance` of its mass "
        "outside the animal and, without the background, the log-odds fall by at least `min_log_odds_drop` or the box alone is "
        "given another name; or the mask has at least half of that outside and the picture is given another name once the "
        "evidence outside the animal is blurred (`early_inside`)."
    ),
    Cause.LABEL_SUSPECT: (
        "The newest labels of one moment differ; or one labeller's pictures of an individual are given this one name (at least "
        "3 events, a fifth of that labeller's), while those of the other labellers are not (at most a quarter of that share, at "
        "least 3 events), and that is no chance (the labeller's share of the individual's events, to the power of the events "
        "confused, is at most 0.01); or the model is sure of its name (`label_suspect_probability`), stays with it "
        "under the mask, all frames of the event agree, the evidence lies on the animal (or the picture is its box), the "
        "labelled individual is given less than 0.02, and no three events of this individual are given this name."
    ),
    Cause.IMAGE_QUALITY: (
        "Sharpness or brightness is below `low_quality_ratio` of the median of the same camera's pictures in the same light."
    ),
    Cause.FLANK: (
        "The side of the animal is known, and the individual's labelled events of this side err at least two times "
        "in five, while those of its other side err at most two fifths as often (at least 3 events each); or at least 8 of its "
        "events of this side are given one wrong name, which at most a tenth as many of the other side are."
    ),
    Cause.CONFUSABLE_PAIR: (
        "The true individual was a near miss (`confusable_probability`), or the pair recurs: at least 3 events and a fifth of "
        "the individual's labelled events are given this one name."
    ),
}
"""Cause -> when a wrong name has it; the first rule that holds counts, and without any the cause is `unexplained`."""
