"""The written rules by which a wrong name is given a cause, in the order in which they are tried."""

from __future__ import annotations

from dataclasses import dataclass

from scd_core.config import SliceConfig

__all__ = ["CAUSES", "RULES", "CauseRule", "cause_sql", "evidence_sql"]

CAUSES = ("overlay", "background", "label_suspect", "image_quality", "flank", "confusable_pair", "unexplained")
"""Every cause, in the order in which the rules are tried."""


@dataclass(frozen=True)
class CauseRule:
    """When a wrong name has a cause."""

    cause: str
    rule: str  # in words, for the documentation
    condition: str  # SQL over the columns of an error; {names} are fields of SliceConfig
    evidence: str  # SQL giving what was seen, in words


RULES = (
    CauseRule(
        "overlay",
        "The joint mask has at least `min_overlay_reliance` of its mass on burned-in strips, and replacing the strips lowers "
        "the name's log-odds by at least `min_log_odds_drop`.",
        "overlay_reliance >= {min_overlay_reliance} AND overlay_log_odds_drop >= {min_log_odds_drop}",
        "printf('%.0f %% of the evidence lies on burned-in strips; without them the log-odds fall by %.1f', "
        "100 * overlay_reliance, overlay_log_odds_drop)",
    ),
    CauseRule(
        "background",
        "Taking the background away changes the answer. Either the joint mask has at least `min_background_reliance` of its mass "
        "outside the animal and, without the background, the log-odds fall by at least `min_log_odds_drop` or the box alone is "
        "given another name; or the mask has at least half of that outside and the picture is given another name once the "
        "evidence outside the animal is blurred (`early_inside`).",
        "(background_reliance >= {min_background_reliance} "
        "AND (background_log_odds_drop >= {min_log_odds_drop} OR is_box_flip)) "
        "OR (background_reliance >= {min_background_reliance} / 2 AND is_inside_flip)",
        "printf('%.0f %% of the evidence lies outside the animal', 100 * background_reliance) "
        "|| CASE WHEN background_log_odds_drop >= {min_log_odds_drop} "
        "THEN printf('; without it the log-odds fall by %.1f', background_log_odds_drop) "
        "WHEN is_inside_flip THEN '; once it is blurred, the picture is given another name' "
        "ELSE '; the animal alone is given another name' END",
    ),
    CauseRule(
        "label_suspect",
        "The newest labels of one moment differ; or one labeller's pictures of an individual are given this one name (at least "
        "3 events, a fifth of that labeller's), while those of the other labellers are not (at most a quarter of that share, at "
        "least 3 events), and that is no chance (the labeller's share of the individual's events, to the power of the events "
        "confused, is at most 0.01); or the model is sure of its name (`label_suspect_probability`), stays with it "
        "under the mask, all frames of the event agree, the evidence lies on the animal (or the picture is its box), the "
        "labelled individual is given less than 0.02, and no three events of this individual are given this name.",
        "is_one_labellers_pair OR (probability >= {label_suspect_probability} AND is_masked AND final_id = predicted_id "
        "AND coalesce(event_predicted_id, predicted_id) = predicted_id AND true_probability < 0.02 "
        "AND (detection_id IS NOT NULL OR coalesce(background_reliance, 1) < {min_background_reliance}) "
        "AND coalesce(overlay_reliance, 0) < {min_overlay_reliance} AND NOT is_repeated_pair)",
        "CASE WHEN is_one_labellers_pair THEN 'only the pictures labelled by ' || labelled_by || ' are confused so' "
        "ELSE printf('the evidence lies on the animal, all frames agree, and the label is given %.3f', true_probability) END",
    ),
    CauseRule(
        "image_quality",
        "Sharpness or brightness is below `low_quality_ratio` of the median of the same camera's pictures in the same light.",
        "quality <> 'good'",
        "'the picture is ' || quality || ' for this camera'",
    ),
    CauseRule(
        "flank",
        "The side of the animal is known, and the individual's labelled events of this side err at least two times "
        "in five, while those of its other side err at most two fifths as often (at least 3 events each); or at least 8 of its "
        "events of this side are given one wrong name, which at most a tenth as many of the other side are.",
        "is_weak_flank",
        "'the ' || flank || ' flank of this individual is mostly misread, the other one is not'",
    ),
    CauseRule(
        "confusable_pair",
        "The true individual was a near miss (`confusable_probability`), or the pair recurs: at least 3 events and a fifth of "
        "the individual's labelled events are given this one name.",
        "true_probability >= {confusable_probability} OR is_recurrent_pair",
        "CASE WHEN true_probability >= {confusable_probability} "
        "THEN printf('the true individual was given %.2f', true_probability) ELSE 'this confusion recurs' END",
    ),
)
"""The rules, first match first; what none explains is `unexplained`."""


def cause_sql(config: SliceConfig) -> str:
    """SQL CASE that names the cause of a wrong name."""
    thresholds = config.model_dump()
    cases = " ".join(f"WHEN {rule.condition.format(**thresholds)} THEN '{rule.cause}'" for rule in RULES)
    return f"CASE {cases} ELSE 'unexplained' END"


def evidence_sql(config: SliceConfig) -> str:
    """SQL CASE that words what the cause was told from; null where it is unexplained."""
    thresholds = config.model_dump()
    cases = " ".join(
        f"WHEN {rule.condition.format(**thresholds)} THEN {rule.evidence.format(**thresholds)}" for rule in RULES
    )
    return f"CASE {cases} END"
