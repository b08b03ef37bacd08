"""A candidate gets a name: a package's gallery gets its pictures, or a classifier learns it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scd_core.audit.errors.certificates import read_certificates
from scd_core.audit.export.newest import create_newest
from scd_core.audit.individuals.features import read_features, read_known
from scd_core.audit.individuals.grouped import read_candidates
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.identify.child import check_target
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.gallery import read_gallery
from scd_core.identify.gallery_files import remove_embeddings
from scd_core.identify.grouping import PLAIN_SIMILARITY
from scd_core.identify.learning import Learnt, learn_name
from scd_core.identify.package import Package, read_package
from scd_core.identify.packing import add_embeddings
from scd_core.identify.spelling import checked_name
from scd_core.identify.standing import replay
from scd_core.identify.whitening import group_space
from scd_core.names import UNKNOWN
from scd_core.tables.store import AuditStore

__all__ = ["Added", "Removed", "add_candidate", "remove_candidate"]


@dataclass(frozen=True)
class Added:
    """What was done with a candidate."""

    package: Package
    """That knows the name."""
    n_pictures: int
    """Of the candidate that it knows the name by."""
    n_left_out: int
    """Of the candidate that people gave another name."""
    near: list[tuple[str, float]]
    """Known individuals whose pictures are as like the candidate's as those of one animal are, with their mean similarity."""
    learnt: Learnt | None
    """Of a classifier; None of a gallery."""


def add_candidate(out: str, candidate: str, name: str, model: str, write: str | None = None) -> Added:
    """Make a candidate of an audit known to a package under a name, new or known.

    Its pictures go into the gallery, or a classifier learns the name from what its head read of them, beside the labelled
    pictures of OUT. Pictures that people named otherwise are left out. The audit's tables stay as they are: runs with the
    package know the name.

    Args:
        out: OUT.
        candidate: its id, or the first characters of one.
        name: the individual.
        model: package; of a gallery, on a local disk, it is changed where `write` is None.
        write: folder of the new package; None is for galleries alone.

    Raises:
        InputError: no such candidate, or several; the name is one that the package has in another spelling, or no name; the
            package has another network than the one that saw the candidate, or is a classifier that cannot learn the name.
        RunError: OUT could not be read.
    """
    package = read_package(model)
    name = checked_name(name, package.spec.labels)
    if write is not None:
        check_target(write)
    space = package.spec.embedding_space
    own, members = _members(out, candidate, space)
    others = {target for target, given in _labels(out, list(members)).items() if given not in (name, UNKNOWN)}
    kept = sorted(members.keys() - others)
    if not kept:
        raise InputError(f"{own}: people gave another name to all of its {len(members)} pictures; see `labels list`")
    if package.gallery is None:
        assert write is not None, "a classifier is not changed in its place"
        found = read_features(out, space, kept)
        known = None if package.class_means is not None else read_known(out, space)
        learnt = learn_name(package, name, found, known, write)
        return Added(learnt.package, len(kept), len(others), [], learnt)
    unit = unit_rows(np.stack([members[target] for target in kept]))
    near = _near(unit, package, name)
    changed = add_embeddings(model, name, torch.from_numpy(unit), write)
    return Added(changed, len(kept), len(others), near, None)


@dataclass(frozen=True)
class Removed:
    """What taking a name back did, and what follows for OUT."""

    package: Package
    """Without the pictures."""
    n_pictures: int
    """It has less."""
    is_used: bool
    """Runs of OUT used the package with the pictures, so the next run names theirs again."""
    is_restored: bool
    """Runs of OUT used a package of its digest, and none the one with the pictures: the next run names nothing again."""


def remove_candidate(out: str, candidate: str, name: str, model: str, write: str | None = None) -> Removed:
    """Take back :func:`add_candidate`: a candidate that was given a name by mistake.

    Its pictures leave the gallery under this name, and the name goes where it has no others. The audit's tables stay as they
    are: runs with the package call the individual unknown again.

    Args:
        out: OUT.
        candidate: its id, or the first characters of one.
        name: that it was given.
        model: package with a gallery; on a local disk it is changed where `write` is None.
        write: folder of a new package.

    Raises:
        InputError: no such candidate, or several; the package has no gallery, or none of the pictures under this name.
        RunError: OUT could not be read.
    """
    package = read_package(model)
    if package.gallery is None:
        raise InputError(
            f"model {model}: is a classifier, which add leaves as it is: go on with the package that the new one was made from"
        )
    _, members = _members(out, candidate, package.spec.embedding_space)
    unit = torch.from_numpy(unit_rows(np.stack([members[target] for target in sorted(members)])))
    digests = {one["model_digest"] for one in AuditStore(out).committed().values() if not one.get("is_shadow")}
    is_used = package.digest in digests
    own = unicodedata.normalize("NFC", name).strip()
    changed, n_gone = remove_embeddings(model, own, unit, write, is_used=is_used)
    return Removed(changed, n_gone, is_used, changed.digest in digests)


def _members(out: str, candidate: str, space: str) -> tuple[str, dict[str, NDArray[np.float32]]]:
    """The candidate that an id means, and its pictures: target_id -> embedding."""
    rows = read_candidates(out)
    if all(row.get("embedding") is None for row in rows):
        raise InputError(
            f"candidate {candidate}: {out} holds no candidate with pictures that can be compared; an older version, and names of "
            "another tool, leave none: run the audit again with the package"
        )
    _, homes, standing = replay([row for row in rows if row["embedding_space"] == space], {})
    own = _find(candidate, homes, out)
    return own, {
        target: np.asarray(embedding, dtype=np.float32)
        for target, member in standing.items()
        if member.candidate_id == own and (embedding := member.row.get("embedding")) is not None
    }


def _find(candidate: str, stands: dict[str, str], out: str) -> str:
    """The candidate that an id, or its beginning, means; the one that it was merged into."""
    wanted = candidate if candidate.startswith("candidate-") else f"candidate-{candidate}"
    fitting = {stands[one] for one in stands if one.startswith(wanted)}
    if len(fitting) == 1:
        return fitting.pop()
    if fitting:
        raise InputError(f"candidate {candidate}: fits {len(fitting)} candidates of {out}; give more of its id")
    if not stands:
        raise InputError(
            f"candidate {candidate}: the candidates of {out} were seen by another network than the package's"
        )
    raise InputError(f"candidate {candidate}: {out} has none of this id; see `trapaudit individuals {out}`")


def _labels(out: str, targets: list[str]) -> dict[str, str]:
    """Names that people gave to some targets."""
    with open_tables(out) as connection:
        create_newest(connection, read_certificates(AuditStore(out)))
        found = connection.execute(load_sql(__package__, "target_labels"), {"targets": targets}).fetchall()
    return dict(found)


def _near(found: NDArray[np.float32], package: Package, name: str) -> list[tuple[str, float]]:
    """Individuals of the gallery whose mean similarity with the pictures is that of one individual; the nearest first."""
    assert package.gallery is not None
    embeddings, classes = read_gallery(package.gallery, package.spec)
    held = embeddings.numpy()
    space = group_space(package.read_whitening(), np.concatenate([held, found]))
    white, mean = space(held), space(found).mean(0)
    least = package.spec.candidate_similarity
    of: dict[str, list[float]] = {}
    for place, alike in zip(classes.tolist(), (white @ mean).tolist(), strict=True):
        of.setdefault(package.spec.labels[place], []).append(alike)
    means = {label: float(np.mean(values)) for label, values in of.items() if label != name}
    limit = PLAIN_SIMILARITY if least is None else least
    return sorted(((label, alike) for label, alike in means.items() if alike >= limit), key=lambda one: -one[1])
