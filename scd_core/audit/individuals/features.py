"""What the network's head read of pictures of an audit: of some targets, and of those that people named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scd_core.audit.errors.certificates import read_certificates
from scd_core.audit.export.newest import create_newest
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.identify.embeddings import feature_matrix
from scd_core.identify.learning import KnownPictures
from scd_core.tables.store import AuditStore

__all__ = ["read_features", "read_known"]


def read_features(out: str, space: str, targets: Sequence[str]) -> NDArray[np.float32]:
    """(N, D) features of targets, in no certain order.

    Args:
        out: OUT.
        space: `embedding_space` of the package.
        targets: their ids.

    Raises:
        InputError: OUT holds no audit, or none of these features.
    """
    with open_tables(out) as connection:
        values = {"space": space, "targets": list(targets)}
        found: pa.Table = connection.sql(load_sql(__package__, "target_features"), params=values).to_arrow_table()
    if not len(found):
        raise InputError(f"OUT {out}: holds no features of these pictures; run the audit again with this package")
    return feature_matrix(found["features"])


def read_known(out: str, space: str) -> KnownPictures:
    """Features of all targets that people named, in the newest run over each.

    Args:
        out: OUT.
        space: `embedding_space` of the package.

    Raises:
        InputError: OUT holds no audit.
    """
    with open_tables(out) as connection:
        create_newest(connection, read_certificates(AuditStore(out)))
        values = {"space": space}
        found: pa.Table = connection.sql(load_sql(__package__, "labelled_features"), params=values).to_arrow_table()
    names, events = found["true_id"].to_pylist(), found["event"].to_pylist()
    return KnownPictures(feature_matrix(found["features"]), names, events)
