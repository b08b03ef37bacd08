"""Classification again under a mask: strategies, and the decision that combines them."""

from scd_core.reclassify.core import Outcome, reclassify
from scd_core.reclassify.strategies import STRATEGIES, MaskedPicture

__all__ = ["STRATEGIES", "MaskedPicture", "Outcome", "reclassify"]
