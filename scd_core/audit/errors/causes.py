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
        "By a mask: taking the background away changes the answer. Either the joint mask has at least "
        "`min_background_reliance` of its mass outside the animal and, without the background, the log-odds fall by at least "
        "`min_log_odds_drop` or the box alone is given another name; or the mask has at least half of that outside and the "
        "picture is given another name once the evidence outside the animal is blurred (`early_inside`). By the gradient, of any "
        "picture, masked or not, where neither the label nor the quality is the cause: at least `min_gradient_outside` of what "
        "raises the name lies outside the animal; where no box is known, at least `min_gradient_spread` of it lies outside the "
        "window of half the width and height that holds most of it, so it lies on no one animal."
    ),
    Cause.LABEL_SUSPECT: (
        "Labels contradict each other, not only the model. Of the visits of two individuals at places where both labelled, this "
        "labeller gives more the one name where the model gives the other than the other labellers do (at least 3, 2.5 times as "
        "often, others at least 3), and by chance that would not fall on one labeller among all that was labelled in the same "
        "deployments and is alike in being flagged (exact test at 0.05, and at 0.01 by this test or that of these visits alone; "
        "of all pairs and labellers for which it can be so small, a false discovery rate of 0.2); "
        "or the model is sure of its name (`label_suspect_probability`), gives the label less than 0.02, "
        "and another person gave other pictures of the same event the model's name; or the newest labels of one moment differ. "
        "Where one person labels a place, nothing is known of the labels there."
    ),
    Cause.IMAGE_QUALITY: (
        "Sharpness or brightness is below `low_quality_ratio` of the camera's median in the same light, over this batch and the "
        "earlier ones; or the median of this camera's is below that share of the median of at least 4 cameras in this light, and "
        "its visits err 1.25 times as often as theirs (at least 3, exact test at 0.01)."
    ),
    Cause.FLANK: (
        "The side of the animal is known, and this side errs more than the other one (at least 3 visits, 2.5 times as often, the "
        "other one seen at least 3 times): that of this individual with this wrong name, with any, or that of all individuals. "
        "By chance the errors would not fall on one side among all animals that passed the same cameras (exact test at 0.02, or "
        "at 0.05 where the individual's own visits pass at 0.02), and they are not all at one camera that it passes one way."
    ),
    Cause.PLACE: (
        "At this camera 3 or more individuals are mostly given this one name where they are misnamed, and so are at least half "
        "of the individuals that are misnamed there; without the one that is called so most often, visits are still called so "
        "2.5 times as often as at the other cameras (exact test at 0.01)."
    ),
    Cause.CONFUSABLE_PAIR: (
        "Two known names, and the true individual was a near miss (`confusable_probability`), here or in at least half of the "
        "pictures with this mistake and in 3 visits, or the pair recurs at several places: at least 3 visits and a fifth of the "
        "individual's labelled ones are given this one name, and away from the camera where that is commonest again at least 2 "
        "and a fifth. Nothing looks like `unknown`."
    ),
}
"""Cause -> when a wrong name has it; the first rule that holds counts, and without any the cause is `unexplained`."""
