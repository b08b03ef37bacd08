"""The third maker of worlds: what the proof of the audit rests on."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.audit.baselines import fisher_p, group_by, labelled_visits
from benchmarks.audit.forest.errors import KINDS, LOOKS
from benchmarks.audit.forest.labels import REGIMES
from benchmarks.audit.forest.world import make_forest, p_wrong, true_lift
from benchmarks.audit.nights import NOTHING, STATION, label_by_list, label_by_lot
from benchmarks.audit.worlds import names


@pytest.fixture(scope="module")
def world():
    return make_forest((1, 2), REGIMES["controls_5"], len(KINDS))


def wrong_visits(world):
    """Visits of which at least half of the frames are wrong, whatever people say of them."""
    right = np.minimum(world.visits.true, world.forest.n_known)
    visit = world.frames.visit
    return np.bincount(visit, world.frames.name != right[visit]) >= np.bincount(visit) / 2


def test_a_seed_makes_one_world(world):
    again = make_forest((1, 2), REGIMES["controls_5"], len(KINDS))
    other = make_forest((1, 3), REGIMES["controls_5"], len(KINDS))
    assert all(again.tables[name].equals(table) for name, table in world.tables.items())
    assert not other.tables["predictions"].equals(world.tables["predictions"])


def test_each_regime_labels_what_it_says():
    for name, regime in REGIMES.items():
        world = make_forest((4, 4), regime, 0)
        labelled, reason = world.labelling.is_labelled, world.frames.has_reason
        share_flagged, share_others = labelled[reason].mean(), labelled[~reason].mean()
        expected = {"flagged": (1, 0), "controls_1": (1, 0.01), "controls_5": (1, 0.05), "quarter": (0.25, 0.05)}
        expected |= {"random_5": (0.05, 0.05), "random_20": (0.2, 0.2), "everything": (1, 1)}
        # Delays and what nobody labels take up to a fifth away, and a few controls are few.
        for share, wanted in zip((share_flagged, share_others), expected[name], strict=True):
            assert 0.7 * wanted <= share <= 1.25 * wanted, name
        people = set(world.tables["labels"]["labelled_by"].to_pylist())
        assert len(people) == 5


def test_planted_errors_err_as_often_as_their_mechanism_has_it(world):
    wrong = wrong_visits(world)
    for one in world.found.planted:
        reached = one.reach & (np.minimum(world.visits.true, world.forest.n_known) != one.name)
        if one.is_alias:
            aliased = world.found.labelled_as[reached] != world.visits.true[reached]
            assert abs(aliased.mean() - LOOKS[one.kind].rate) < 0.25
        else:
            assert reached.sum() >= 10
            assert wrong[reached].mean() > 2 * wrong[~reached].mean()


def test_true_probabilities_are_those_of_what_happens():
    worlds = [make_forest((9, place), REGIMES["flagged"], 6) for place in range(4)]
    expected = sum(p_wrong(one, None).sum() for one in worlds)
    found = sum((one.found.named != np.minimum(one.visits.true, one.forest.n_known)).sum() for one in worlds)
    assert found == pytest.approx(expected, rel=0.06)


def test_the_true_lift_of_a_planted_place_is_large_and_of_an_hour_is_one(world):
    (place,) = [one for one in world.planted if one.kind == "place"]
    (camera,), (name,) = place.keys["camera_id"], place.keys["predicted_id"]
    assert true_lift(world, {"camera_id": camera, "predicted_id": name}) > 10
    assert true_lift(world, {"camera_id": camera}) > 2
    assert true_lift(world, {"hour": "12h"}) == pytest.approx(1, abs=0.35)
    assert true_lift(world, {"camera_id": "no such camera"}) == 0


def test_a_slice_names_a_planted_error_only_where_nothing_contradicts_it(world):
    (place,) = [one for one in world.planted if one.kind == "place"]
    (camera,), (name,) = place.keys["camera_id"], place.keys["predicted_id"]
    assert names(place, {"camera_id": camera})
    assert names(place, {"camera_id": camera, "predicted_id": name})
    assert not names(place, {"camera_id": camera, "predicted_id": "somebody else"})
    assert not names(place, {"hour": "06h"})


def test_the_groups_test_is_fishers():
    table = [[7, 13], [20, 160]]
    assert fisher_p(np.array([7]), np.array([20]), 27, 200)[0] == pytest.approx(
        stats.fisher_exact(table, "greater").pvalue
    )


def test_the_plain_group_by_finds_most_where_a_fifth_is_labelled():
    world = make_forest((3, 3), REGIMES["random_20"], 6)
    found = [values for values, _ in group_by(labelled_visits(world))]
    named = {one.kind for one in world.planted for values in found if names(one, values)}
    assert len(named) >= 3


def test_ten_nights_by_list_and_by_lot_label_300_pictures_the_list_one_a_visit():
    world = make_forest((5, 5), NOTHING, 5, STATION)
    by_list, by_lot = (label(world, np.random.default_rng(1)) for label in (label_by_list, label_by_lot))
    assert not world.labelling.is_labelled.any()
    assert by_list.labelling.is_labelled.sum() == by_lot.labelling.is_labelled.sum() == 300
    assert world.frames.has_reason[by_lot.labelling.is_labelled].sum() == 200
    assert by_list.tables["labels"].num_rows == 300
    visits = world.frames.visit[by_list.labelling.is_labelled]
    assert len(set(visits.tolist())) > 290
