"""The model of a shard, loaded once in each process."""

from __future__ import annotations

from scd_core.errors import RunError
from scd_core.identify.classifier import Classifier, shared_model
from scd_core.job import Shard
from tasks.gpu import device_here

__all__ = ["shard_model"]


def shard_model(shard: Shard) -> Classifier:
    """The model that the shard's run was planned with.

    Raises:
        InputError: it cannot be loaded, or has changed since.
        RunError: the shard is of a run without a model.
    """
    if shard.model is None:
        raise RunError("names were given and no model: this stage has nothing to compute with")
    return shared_model(
        shard.model, device_here(shard.config.classify.device), shard.package_digest or shard.model_digest
    )
