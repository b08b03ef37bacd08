"""Candidates that fall into two: split where known individuals never do, kept otherwise, and the same in any order of rows."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from scd_core.audit.individuals import grouped
from scd_core.audit.individuals.grouped import group_batch
from scd_core.audit.individuals.listing import list_individuals
from scd_core.identify import candidates as joining
from scd_core.identify import read_package
from scd_core.identify.splitting import split_in_parts, split_rows
from scd_core.identify.standing import replay
from scd_core.scenes import packaged_model
from scd_core.tables.schema import table_from_rows
from tests.audit.audit_builder import AuditBuilder

KNOWN = [0.7, 0.8, 0.9, 0.75, 0.85, 0.8, 0.7]
"""Ratios of the halves of known individuals."""


def members(*animals: int, n=8, seed=0, noise=0.3, size=48):
    """Pictures of animals: target_id -> embedding of unit length; and whose each is."""
    draw = np.random.default_rng(seed)
    axes = np.linalg.qr(draw.normal(size=(size, size)))[0]
    found, whose = {}, {}
    for animal in animals:
        for number in range(n):
            one = axes[animal] + draw.normal(0, noise / np.sqrt(size), size) * 3
            found[f"t{animal}-{number}"] = (one / np.linalg.norm(one)).astype(np.float32)
            whose[f"t{animal}-{number}"] = animal
    return found, whose


@pytest.mark.parametrize("animals", [(0, 1), (0, 1, 2), (0, 1, 2, 3)])
def test_a_candidate_of_several_animals_falls_into_them(animals) -> None:
    found, whose = members(*animals)
    parts = split_in_parts(found, 0.5, KNOWN)
    assert len(parts) == len(animals) - 1
    assert all(len({whose[target] for target in part.targets}) == 1 and len(part.targets) == 8 for part in parts)
    assert "fall into" in parts[0].reason


@pytest.mark.parametrize("seed", range(5))
def test_one_animal_is_not_split(seed) -> None:
    assert split_in_parts(members(3, seed=seed, n=20, noise=0.6)[0], 0.5, KNOWN) == []


def test_halves_that_would_be_joined_again_are_not_split() -> None:
    assert split_in_parts(members(0, 1)[0], -0.5, KNOWN) == []


def test_nothing_is_split_where_known_individuals_fall_apart_as_much_or_too_few_are_known() -> None:
    found, _ = members(0, 1)
    assert split_in_parts(found, 0.5, [-0.2, 0.6, 0.0, 0.9, 0.1, 0.5, 0.3]) == []
    assert split_in_parts(found, 0.5, KNOWN[:5]) == []


@pytest.mark.parametrize("found", [{}, {"t": np.ones(4, np.float32) / 2}])
def test_few_or_equal_pictures_are_not_split(found) -> None:
    assert split_in_parts(found, 0.5, KNOWN) == []
    assert split_in_parts({f"t{number}": np.ones(4, np.float32) / 2 for number in range(9)}, 0.5, KNOWN) == []


def rows_of(found, name="candidate-a"):
    return [
        {
            "candidate_id": name,
            "version": 1,
            "change": "new",
            "target_id": target,
            "media_id": target,
            "embedding": None,
        }
        for target in found
    ]


def test_a_split_holds_in_any_order_of_rows_and_its_candidates_can_be_split_and_merged_again() -> None:
    found, whose = members(0, 1)
    rows = rows_of(found)
    moved = split_rows("candidate-a", 1, split_in_parts(found, 0.5, KNOWN), {row["target_id"]: row for row in rows}, ())
    new = {row["candidate_id"] for row in moved}
    assert len(new) == 1 and "candidate-a" not in new and {row["split_from"] for row in moved} == {"candidate-a"}
    for together in ([*rows, *moved], [*moved, *rows], list(reversed([*rows, *moved]))):
        standing, _, placed = replay(together, found)
        assert {one.n_pictures for one in standing.values()} == {8} and len(standing) == 2
        of = {target: one.candidate_id for target, one in placed.items()}
        assert {(whose[target], name) for target, name in of.items()} == {
            (whose[moved[0]["target_id"]], next(iter(new))),
            (1 - whose[moved[0]["target_id"]], "candidate-a"),
        }
    back = {"candidate_id": next(iter(new)), "version": 3, "change": "merged", "merged_into": "candidate-a"}
    standing = replay([*rows, *moved, back], found).candidates
    assert {name: one.n_pictures for name, one in standing.items()} == {"candidate-a": 16}


@pytest.mark.parametrize("most", [3000, 4])
def test_a_batch_splits_the_candidate_that_it_shows_to_be_two(tmp_path, monkeypatch, most) -> None:
    """Whether all pictures are grouped anew, or there are too many for that.

    Seven animals are known; twelve pictures of a stranger and five of another are one candidate, and one more comes.
    """
    monkeypatch.setattr(joining, "MOST_REGROUPED", most)
    monkeypatch.setattr(grouped, "MOST_REGROUPED", most)
    model = str(packaged_model("clean"))
    space = read_package(model).spec.embedding_space
    strangers = members(10, n=12, size=24)[0] | members(11, n=5, size=24)[0]
    audit = AuditBuilder(tmp_path / "out")
    for target, row in strangers.items():
        audit.predict(target, "unknown", 0.5, candidate_id="candidate-a")
        stamp = {key: audit.tables["predictions"][-1][key] for key in (*audit.stamp, "target_id", "media_id")}
        more = {
            "candidate_id": "candidate-a",
            "version": 1,
            "change": "new",
            "embedding_space": space,
            "embedding": row.tolist(),
        }
        audit.tables.setdefault("candidates", []).append(stamp | more)
    out = str(audit.write())
    known, whose = members(*range(7), size=24)
    night = AuditBuilder(tmp_path / "out", batch_key="b2", batch_date=date(2026, 3, 2))
    features = []
    for target, row in known.items():
        night.predict(target, f"i{whose[target]}", 0.99)
        names = {key: night.tables["predictions"][-1][key] for key in (*night.stamp, "target_id", "media_id")}
        features.append(names | {"embedding_space": space, "features": row.tolist()})
    night.predict("t-new", "unknown", 0.5, embedding=strangers["t10-0"].tolist())
    predictions = table_from_rows("predictions", night.tables["predictions"])
    rows = group_batch(out, model, predictions, table_from_rows("embeddings", features)).to_pylist()
    split = [row for row in rows if row["change"] == "split"]
    assert {row["split_from"] for row in split} == {"candidate-a"} and len(split) == 5
    assert {row["target_id"].split("-")[1] for row in split} == {"t11"}
    night.tables["candidates"] = [row | night.stamp for row in rows]
    (own,) = [row["candidate_id"] for row in rows if row["change"] in ("new", "grown")]
    night.tables["predictions"][-1]["candidate_id"] = own
    listed = {row["individual_id"]: row for row in list_individuals(str(night.write())).to_pylist()}
    found = [row for row in listed.values() if row["kind"] == "candidate"]
    assert sorted(row["n_pictures"] for row in found) == [5, 13]
