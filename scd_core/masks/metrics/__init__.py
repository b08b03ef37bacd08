"""How good a mask is: against a known region, against the model, and against the mask of another class."""

from scd_core.masks.metrics.deletion import DeletionInsertion, deletion_insertion
from scd_core.masks.metrics.regions import average_precision, energy_in_region, pointing_hit
from scd_core.masks.metrics.road import Road, linear_imputation, road
from scd_core.masks.metrics.sensitivity import class_sensitivity, rank_correlation
from scd_core.masks.metrics.smoothness import total_variation

__all__ = [
    "DeletionInsertion",
    "Road",
    "average_precision",
    "class_sensitivity",
    "deletion_insertion",
    "energy_in_region",
    "linear_imputation",
    "pointing_hit",
    "rank_correlation",
    "road",
    "total_variation",
]
