"""How the embeddings of a gallery are compared: whitening, temperature and limits, fitted to the gallery's own pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scd_core.identify.grouping import find_similarity
from scd_core.identify.spec import PackageSpec, validated
from scd_core.identify.strangers import HeldOut, StrangerLimit, find_stranger_limit, gallery_temperature, hold_out
from scd_core.identify.whitening import Whitening, fit_whitening, hidden_groups

__all__ = ["choose_whitening", "fit_comparison"]


def choose_whitening(embeddings: NDArray[np.floating], names: Sequence[str]) -> tuple[Whitening | None, HeldOut]:
    """The whitening of a gallery, where it names no fewer held-out pictures right than plain cosine does.

    Held-out pictures of known individuals decide, since these are what a gallery names. On cats and on antelopes they foresee
    which way names more test pictures right; individuals that are held out altogether do not (docs/individuals.md).

    Args:
        embeddings: (N, D) of all pictures of the gallery.
        names: N individuals.

    Returns:
        None for plain cosine; and the similarities of what is held out, compared in the way that is chosen.
    """
    plain = hold_out(embeddings, names, is_whitened=False)
    fitted = fit_whitening(embeddings, names)
    if fitted is None:
        return None, plain
    whitened = hold_out(embeddings, names, is_whitened=True)
    return (fitted, whitened) if whitened.n_right >= plain.n_right else (None, plain)


def fit_comparison(
    spec: PackageSpec, embeddings: NDArray[np.float32], names: Sequence[str], unknown_rate: float | None
) -> tuple[PackageSpec, bytes | None, StrangerLimit | None]:
    """How a gallery's embeddings are compared, and from which similarity they are a name.

    Args:
        spec: of the package, without this.
        embeddings: (N, D) of all pictures of the gallery.
        names: N individuals.
        unknown_rate: share of strangers' pictures that may get a name, 0-1; None sets no limit.

    Returns:
        The description with the comparison; the bytes of the whitening's file, None without one; and what the limit costs.

    Raises:
        InputError: too few pictures for `unknown_rate`.
    """
    fitted, held_out = choose_whitening(embeddings, names)
    limit = None if unknown_rate is None else find_stranger_limit(held_out, unknown_rate)
    data = None if fitted is None else fitted.to_bytes()
    changes = {
        "temperature": gallery_temperature(held_out, spec.similarity_scale) or spec.temperature,
        "unknown_similarity": None if limit is None else limit.similarity,
        "candidate_similarity": find_similarity(hidden_groups(embeddings, names)),
        "whitening": None if data is None else f"whitening-{hashlib.sha256(data).hexdigest()[:12]}.safetensors",
    }
    return validated(spec.model_dump(mode="json") | changes, "model pack-gallery"), data, limit
