"""How many individuals: what follows from answers, the draw, exactness of a full sample, and the interval's coverage."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from scd_core.errors import InputError
from scd_core.identify import counting
from scd_core.identify.counting import draw_order, estimate_count, tell_apart
from scd_core.identify.sameness import Sameness
from scd_core.inputs.pairs import PairAnswer


def answer(first: str, second: str, is_same: bool | None, line: int = 1) -> PairAnswer:
    return PairAnswer(first, second, is_same, f"answers a.csv: line {line}")


def alike_by(truth):
    return lambda target, others: np.array([float(truth[target] == truth[other]) for other in others])


def blind(target, others):
    return np.zeros(len(others))


def ask(truth, order, likeness, budget, per_round):
    """Answer rounds of pairs by the truth; the drawn pictures and the number of answers."""
    given: list[PairAnswer] = []
    while True:
        left = budget - len(given)
        drawn = tell_apart(order, Sameness({}, given), likeness, min(per_round, left), is_last=left <= per_round)
        if not drawn.pairs:
            return drawn, len(given)
        given += [answer(first, second, truth[first] == truth[second]) for first, second in drawn.pairs]


def test_what_follows_from_names_and_answers_is_known() -> None:
    known = Sameness(
        {"a": "Luna", "b": "Luna", "c": "Nyx"},
        [answer("b", "d", True), answer("d", "e", False), answer("f", "g", None)],
    )
    assert known("a", "b") is True and known("a", "c") is False
    assert known("a", "d") is True, "by b"
    assert known("d", "c") is False, "by its name"
    assert known("a", "e") is False, "by d"
    assert known("c", "e") is None
    assert known("f", "g") is None and known.is_unclear("g", "f")


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        ({}, [answer("a", "b", True), answer("b", "a", False, 2)], "line 2"),
        ({}, [answer("a", "b", True), answer("b", "c", True), answer("a", "c", False, 3)], "line 3"),
        ({"a": "Luna", "b": "Nyx"}, [answer("a", "b", True)], "'Luna' and 'Nyx'"),
        ({"a": "Luna", "b": "Nyx"}, [answer("a", "c", True), answer("c", "b", True, 4)], "line 4"),
        ({"a": "Luna", "b": "Luna"}, [answer("a", "b", False)], "line 1"),
    ],
)
def test_answers_that_contradict_each_other_or_names_are_refused_with_their_place(names, given, said) -> None:
    with pytest.raises(InputError, match=said):
        Sameness(names, given)


def test_each_group_is_drawn_first_as_often_as_each_other_one() -> None:
    groups = {f"a{number}": "large" for number in range(90)} | {f"b{number}": "small" for number in range(10)}
    first = Counter(groups[draw_order(groups, {}, str(seed))[0]] for seed in range(400))
    assert 160 <= first["large"] <= 240


def test_the_draw_depends_on_content_and_neither_on_ids_nor_on_their_order() -> None:
    one = draw_order({"x": "a", "y": "a", "z": "b"}, {"x": "1", "y": "2", "z": "3"})
    other = draw_order({"r": "b", "q": "a", "p": "a"}, {"p": "1", "q": "2", "r": "3"})
    assert [dict(zip("xyz", "pqr"))[target] for target in one] == other


@pytest.mark.parametrize("per_round", [1, 7, 1000])
def test_where_all_pictures_are_told_apart_the_count_is_exact(per_round) -> None:
    truth = {f"t{number}": f"i{number % 7}" for number in range(40)}
    drawn, _ = ask(truth, sorted(truth), alike_by(truth), 10_000, per_round)
    assert sorted(map(sorted, drawn.individuals)) == sorted(
        sorted(target for target in truth if truth[target] == one) for one in set(truth.values())
    )
    found = estimate_count([len(members) for members in drawn.individuals], len(truth))
    assert (found.estimate, found.low, found.high) == (7.0, 7, 7)


def test_with_good_embeddings_a_known_individual_costs_one_answer() -> None:
    truth = {f"t{number}": f"i{number % 5}" for number in range(60)}
    drawn, n_answers = ask(truth, sorted(truth), alike_by(truth), 10_000, 1)
    assert n_answers == 55 + 5 * 4 // 2
    assert not drawn.left_out


def test_the_sample_ends_before_the_first_open_question() -> None:
    drawn = tell_apart(["a", "b", "c"], Sameness({}, [answer("a", "c", True)]), blind, 5)
    assert drawn.individuals == [["a"]], "c is known to be a, but b is drawn before it"
    assert drawn.pairs == [("b", "a")]


def test_a_picture_that_nobody_can_tell_is_left_out_and_counts_for_nothing() -> None:
    drawn = tell_apart(["a", "b", "c"], Sameness({}, [answer("b", "a", None), answer("c", "a", False)]), blind, 5)
    assert drawn.individuals == [["a"], ["c"]] and drawn.left_out == ["b"]


def test_where_every_picture_is_of_another_individual_nearly_all_may_be() -> None:
    found = estimate_count([1, 1, 1, 1, 1], 40)
    assert 33 <= found.high <= 40 and found.estimate > 5 and found.low >= 5
    assert estimate_count([1] * 20, 100_000).high > 10_000, "many pictures are left, and nothing was seen twice"


def test_the_estimate_is_that_of_the_sum_over_all_numbers_by_hand() -> None:
    """One evenness, few pictures: chances of the urn are multiplied one picture after another."""

    def chance_of_sample(n: int, evenness: float, sizes: list[int]) -> float:
        drawn, chance = [0] * n, 1.0
        for place, size in enumerate(sizes):
            for _ in range(size):
                chance *= (evenness + drawn[place]) / (n * evenness + sum(drawn))
                drawn[place] += 1
        return chance * math.perm(n, len(sizes)) / n  # which individuals they are; and the weight before the draw

    def new_among(n_unseen: int, n: int, evenness: float, m: int, left: int) -> dict[int, float]:
        """Polya's urn: individuals that come up first among `left` more pictures."""
        found = {0: 1.0}
        for step in range(left):
            after: dict[int, float] = {}
            for k, share in found.items():
                new = (n_unseen - k) * evenness / (n * evenness + m + step)
                after[k] = after.get(k, 0.0) + share * (1 - new)
                after[k + 1] = after.get(k + 1, 0.0) + share * new
            found = after
        return found

    sizes, left, evenness = [5, 4, 2, 1], 30, 2.0
    shares: dict[int, float] = {}
    for unseen in range(20 * left + 1):
        n = 4 + unseen
        for k, share in new_among(unseen, n, evenness, 12, left).items():
            shares[k] = shares.get(k, 0.0) + share * chance_of_sample(n, evenness, sizes)
    upto = np.cumsum([shares[k] for k in sorted(shares)]) / sum(shares.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_EVENNESS", np.array([evenness]))
        found = estimate_count(sizes, 12 + left)
    assert found.estimate == 4 + int(np.searchsorted(upto, 0.5))
    # The code takes the unseen ones for independent of each other, which the urn does not.
    assert found.low == 4 and abs(found.high - (4 + int(np.searchsorted(upto, 0.95)))) <= 1


def test_of_very_many_pictures_left_it_depends_on_how_many_alone() -> None:
    few, many = (estimate_count([8, 6, 5, 4, 2, 1], n) for n in (400, 400_000))
    assert few.low == many.low == 6 and 6 <= few.high <= many.high <= few.high + 2


def test_more_pictures_make_the_interval_narrower() -> None:
    draws = np.random.default_rng(3)
    pictures = np.repeat(np.arange(20), 60)
    order = draws.permutation(pictures)
    widths = []
    for m in (20, 60, 180, 540):
        found = estimate_count(np.unique(order[:m], return_counts=True)[1].tolist(), len(order))
        assert found.low <= 20 <= found.high and found.low <= found.estimate <= found.high
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True) and widths[0] > 5 and widths[-1] <= 1


@pytest.mark.parametrize(("n", "sigma", "m"), [(10, 1.0, 40), (30, 0.5, 60), (60, 1.0, 120)])
def test_the_interval_covers_individuals_of_uneven_numbers_of_pictures_and_is_not_wide(n, sigma, m) -> None:
    """Chao and Lin's interval, which was used before, has a mean width of 0.7 to 1.3 of the true number here."""
    draws = np.random.default_rng(11)
    covered, widths = [], []
    for _ in range(80):
        sizes = np.maximum(1, np.exp(draws.normal(np.log(15), sigma, n))).astype(int)
        groups = {f"{one}-{place}": str(one) for one, size in enumerate(sizes) for place in range(size)}
        for target in groups:  # a third has the name of another one, or is in a candidate
            if draws.random() < 0.33:
                groups[target] = str(draws.integers(0, n + n // 3))
        drawn = draw_order(groups, {}, str(draws.integers(10**9)))[:m]
        found = estimate_count(list(Counter(target.split("-")[0] for target in drawn).values()), len(groups))
        covered.append(found.low <= n <= found.high)
        widths.append((found.high - found.low) / n)
    assert np.mean(covered) >= 0.9 and np.mean(widths) < 0.7


def test_nothing_drawn_is_between_none_and_all() -> None:
    assert (estimate_count([], 12).low, estimate_count([], 12).high) == (0, 12)


@pytest.mark.parametrize("n_individuals", [6, 11])
def test_the_interval_covers_the_true_number_in_at_least_nine_of_ten_draws(n_individuals) -> None:
    draws = np.random.default_rng(5)
    covered = []
    for _ in range(150):
        sizes = draws.integers(8, 40, n_individuals)
        pictures = np.repeat(np.arange(n_individuals), sizes)
        sample = draws.permutation(pictures)[: draws.integers(12, 60)]
        found = estimate_count(np.unique(sample, return_counts=True)[1].tolist(), len(pictures))
        covered.append(found.low <= n_individuals <= found.high)
    assert np.mean(covered) >= 0.9
