"""Candidates over nights: average linkage against scipy, ids that stay, merges as rows, and bad nights."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from scd_core.identify import candidates as grouping_of
from scd_core.identify.candidates import group_unknowns, ranked
from scd_core.identify.grouping import PLAIN_SIMILARITY, find_similarity, fit_grouping
from scd_core.identify.linkage import average_linkage
from scd_core.identify.standing import replay
from scd_core.identify.whitening import hidden_groups

SIMILARITY = 0.5


def strangers(
    n: int, pictures: int, noise: float = 0.3, seed: int = 0, size: int = 48
) -> tuple[NDArray[np.float32], list[int]]:
    """Pictures of strangers, (n * pictures, size) of unit length, and whose each is."""
    draw = np.random.default_rng(seed)
    of = np.linalg.qr(draw.normal(size=(size, size)))[0][:n]
    found = np.repeat(of, pictures, 0) + draw.normal(0, noise / np.sqrt(size), (n * pictures, size)) * 3
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32), [animal for animal in range(n) for _ in range(pictures)]


def unknown(number: int, **more):
    row = {
        "target_id": f"t{number}",
        "media_id": f"t{number}",
        "predicted_id": "unknown",
        "event_id": f"e{number}",
        "entropy": 0.5,
    }
    return (
        row
        | {"topk": [{"individual_id": "Luna", "probability": 0.6}, {"individual_id": "Nyx", "probability": 0.4}]}
        | more
    )


@pytest.mark.parametrize("least", [0.1, 0.3, 0.5, 0.8])
def test_groups_are_those_of_scipys_average_linkage(least: float) -> None:
    unit, _ = strangers(9, 6, noise=0.9)
    distances = 1 - unit.astype(np.float64) @ unit.T
    np.fill_diagonal(distances, 0)
    expected = fcluster(linkage(squareform(distances, checks=False), "average"), 1 - least, "distance")
    found = average_linkage(unit, np.ones(len(unit)), least)
    assert adjusted_rand_score(expected, found) == 1.0
    assert len(set(found.tolist())) == len(set(expected.tolist()))


def test_a_group_of_earlier_nights_is_joined_as_if_its_pictures_were_at_hand() -> None:
    unit, _ = strangers(5, 8, noise=0.9, seed=3)
    whole = average_linkage(unit, np.ones(len(unit)), 0.6)
    groups = sorted(set(whole.tolist()))
    sums = np.stack([unit[whole == group].sum(0) for group in groups])
    counts = np.array([int((whole == group).sum()) for group in groups])
    for least in (0.5, 0.2, 0.05):
        whole_again = average_linkage(unit, np.ones(len(unit)), least)
        of_groups = average_linkage(sums, counts, least)
        expanded = [of_groups[groups.index(group)] for group in whole.tolist()]
        assert adjusted_rand_score(whole_again, expanded) == 1.0


@pytest.mark.parametrize("n", [0, 1, 2])
def test_nothing_one_and_two(n: int) -> None:
    unit = np.ones((n, 3), dtype=np.float32) / np.sqrt(np.float32(3))
    assert average_linkage(unit, np.ones(n), 0.5).tolist() == [0] * n


def nights(unit: NDArray[np.float32], order: NDArray[np.int64], n_nights: int) -> list[list[dict]]:
    """Rows of `candidates` of each night, when pictures come in this order."""
    rows: list[list[dict]] = []
    held: dict[str, NDArray[np.float32]] = {}
    for part in np.array_split(order, n_nights):
        standing = replay([row for night in rows for row in night], held)
        held |= {f"t{number}": unit[number] for number in part}
        rows.append(group_unknowns([unknown(int(n)) for n in part], held, standing, 0.3))
    return rows


def test_a_stranger_keeps_its_id_over_thirty_nights() -> None:
    unit, of = strangers(12, 15)
    order = np.random.default_rng(1).permutation(len(unit))
    rows = nights(unit, order, 30)
    together = [row for night in rows for row in night]
    standing, stands, members = replay(together, {f"t{n}": unit[n] for n in range(len(unit))})
    assert len(standing) <= 1.3 * 12
    assert adjusted_rand_score(of, [members[f"t{n}"].candidate_id for n in range(len(unit))]) >= 0.9
    first = {row["candidate_id"] for row in rows[0]}
    assert first <= set(stands)
    grown = [row for row in together if row["change"] == "grown"]
    assert grown and all(row["version"] > 1 and "like its" in row["change_reason"] for row in grown)
    assert sum(one.n_pictures for one in standing.values()) == len(unit)


def test_two_candidates_that_a_picture_links_are_merged_by_a_row_with_a_reason() -> None:
    def at(degrees: float) -> NDArray[np.float32]:
        return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], dtype=np.float32)

    unit = np.stack([at(0), at(70), at(35), at(36)])
    held = {"t0": unit[0], "t1": unit[1]}
    first = group_unknowns([unknown(0), unknown(1)], held, replay([], {}), SIMILARITY)
    assert [row["change"] for row in first] == ["new", "new"] and len({row["candidate_id"] for row in first}) == 2
    standing = replay(first, held)
    held |= {"t2": unit[2], "t3": unit[3]}
    second = group_unknowns([unknown(2), unknown(3)], held, standing, SIMILARITY)
    (merged,) = [row for row in second if row["change"] == "merged"]
    assert merged["merged_into"] in {row["candidate_id"] for row in first} - {merged["candidate_id"]}
    assert "its 1 picture and 3 others: mean similarity 0.66" in merged["change_reason"]
    standing, homes, _ = replay(first + second, held)
    assert list(standing) == [merged["merged_into"]] and standing[merged["merged_into"]].n_pictures == 4
    assert set(homes.values()) == {merged["merged_into"]}
    # In whatever order the rows are read, and without a picture that was forgotten.
    again = replay(list(reversed(first + second)), held).candidates
    assert again.keys() == standing.keys()
    left = replay([row for row in first + second if row.get("target_id") != "t2"], held).candidates
    assert left[merged["merged_into"]].n_pictures == 3


def _at(*degrees: float) -> NDArray[np.float32]:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1).astype(np.float32)


def test_what_a_first_night_got_wrong_is_split_by_rows_with_a_reason() -> None:
    unit = _at(0, 55, 1, 2, 56, 57, 58, 59, 3, 4)
    held = {"t0": unit[0], "t1": unit[1]}
    first = group_unknowns([unknown(0), unknown(1)], held, replay([], {}), SIMILARITY)
    (wrong,) = {row["candidate_id"] for row in first}
    everything = {f"t{n}": unit[n] for n in range(len(unit))}
    second = group_unknowns([unknown(n) for n in range(2, 10)], everything, replay(first, held), 0.7)
    (moved,) = [row for row in second if row["change"] == "split"]
    assert (
        moved["n_moves"] == 1
        and moved["split_from"] == wrong
        and moved["media_id"] == moved["target_id"]
        and moved["candidate_id"] != wrong
    )
    assert "whose 1 others have mean similarity 0.57 with them" in moved["change_reason"]
    assert [row["change"] for row in second].count("grown") == 4
    candidates, _, members = replay([*first, *second][::-1], everything)
    assert {target: one.candidate_id for target, one in members.items()} == {
        f"t{n}": members["t0" if n in (0, 2, 3, 8, 9) else "t1"].candidate_id for n in range(10)
    }
    assert sorted(one.n_pictures for one in candidates.values()) == [5, 5]
    # Of two batches that move a picture at once the same one counts, in whatever order they are read.
    other = {**moved, "candidate_id": "a"}
    for rows in ([*first, *second, other], [other, *second, *first]):
        assert replay(rows, everything).members[str(moved["target_id"])].candidate_id == "a"


def test_named_again_a_picture_counts_once_and_where_it_was_put_last() -> None:
    unit = _at(0, 1, 80)
    held = {f"t{n}": unit[n] for n in range(3)}
    rows = group_unknowns([unknown(n) for n in range(3)], held, replay([], {}), SIMILARITY)
    again = group_unknowns([unknown(0)], held | {"t0": _at(81)[0]}, replay(rows, held), SIMILARITY)
    assert [row.get("n_moves") for row in again] == [1]
    members = replay([*again, *rows], held).members
    assert members["t0"].candidate_id == members["t2"].candidate_id != members["t1"].candidate_id
    assert sum(one.n_pictures for one in replay([*rows, *again], held).candidates.values()) == 3


def test_very_many_pictures_join_candidates_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    unit, of = strangers(6, 10)
    monkeypatch.setattr(grouping_of, "MOST_REGROUPED", 16)
    monkeypatch.setattr(grouping_of, "_AT_ONCE", 8)
    rows = [row for night in nights(unit, np.random.default_rng(2).permutation(len(unit)), 4) for row in night]
    assert not [row for row in rows if row["change"] == "split"]
    members = replay(rows, {}).members
    assert adjusted_rand_score(of, [members[f"t{n}"].candidate_id for n in range(len(unit))]) >= 0.9


def test_candidates_merged_into_each_other_at_once_stand_under_one_id() -> None:
    rows = [
        {"candidate_id": "a", "change": "new", "version": 1, "target_id": "t0"},
        {"candidate_id": "b", "change": "new", "version": 1, "target_id": "t1"},
        {"candidate_id": "a", "change": "merged", "version": 2, "merged_into": "b"},
        {"candidate_id": "b", "change": "merged", "version": 2, "merged_into": "a"},
    ]
    standing, homes, _ = replay(rows, {"t0": np.ones(2), "t1": np.ones(2)})
    assert homes == {"a": "a", "b": "a"} and standing["a"].n_pictures == 2


def test_the_order_of_rows_changes_nothing_and_an_id_is_never_given_twice() -> None:
    unit, _ = strangers(4, 5)
    held = {f"t{n}": unit[n] for n in range(len(unit))}
    rows = [unknown(n) for n in range(len(unit))]
    found = group_unknowns(rows, held, replay([], {}), SIMILARITY)
    assert group_unknowns(rows[::-1], held, replay([], {}), SIMILARITY) == found
    again = group_unknowns(rows, held, replay([], {}), SIMILARITY, {str(row["candidate_id"]) for row in found})
    assert not {row["candidate_id"] for row in again} & {row["candidate_id"] for row in found}


def test_a_night_of_one_of_strangers_only_and_of_pictures_that_show_nothing() -> None:
    unit, _ = strangers(1, 1)
    (row,) = group_unknowns([unknown(0)], {"t0": unit[0]}, replay([], {}), SIMILARITY)
    assert row["change"] == "new" and [one["individual_id"] for one in row["resembles"]] == ["Luna", "Nyx"]
    rows = group_unknowns([unknown(1), unknown(2)], {}, replay([], {}), SIMILARITY)
    assert len({row["candidate_id"] for row in rows}) == 2
    assert all("nothing to compare" in row["change_reason"] for row in rows)
    assert replay(rows, {})[0] == {}
    assert group_unknowns([unknown(3, predicted_id="Luna")], {}, replay([], {}), SIMILARITY) == []


def test_a_candidate_is_ranked_by_what_its_label_settles() -> None:
    rows = [unknown(n, event_id=f"e{n // 2}") for n in range(6)] + [unknown(9, predicted_id="Luna")]
    candidates = [{"target_id": f"t{n}", "candidate_id": "small" if n < 2 else "large"} for n in range(6)]
    found = ranked(rows, candidates)
    assert [row["review_rank"] for row in found] == [2, 2, 1, 1, 1, 1, None]
    assert found[-1]["candidate_id"] is None


def test_the_similarity_is_found_by_hiding_known_individuals() -> None:
    unit, of = strangers(8, 6, noise=0.4, seed=5)
    names = [f"a{animal}" for animal in of]
    limit = find_similarity(hidden_groups(unit, names))
    assert limit is not None and find_similarity([]) is None
    other, of_other = strangers(8, 6, noise=0.4, seed=6)
    grouping = fit_grouping(unit, names, other)
    assert grouping.similarity == limit
    labels = average_linkage(grouping.space(other), np.ones(len(other)), limit)
    assert adjusted_rand_score(of_other, labels) > 0.9
    bare = fit_grouping(unit[:0], [], other)
    assert bare.similarity == PLAIN_SIMILARITY and np.isfinite(bare.space(other)).all()
