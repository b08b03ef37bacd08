"""New heads, held against scikit-learn's own predictions and a discriminant by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from scd_core.improve.heads import FITTED, fit_head
from scd_core.improve.names import HeadKind


def blobs(n: int, k: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    shape = rng.normal(size=(d, d)) / 3 + np.eye(d)
    return (rng.normal(0, 2, (k, d))[truth] + rng.normal(size=(n, d)) @ shape).astype(np.float32), truth


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize("k", [2, 5])
def test_a_head_names_what_it_did_not_learn(kind, k):
    features, truth = blobs(400, k, 8)
    head = fit_head(kind, features[:200], truth[:200], k)
    assert (head.scores(features[200:]).argmax(1) == truth[200:]).mean() > 0.85
    assert head.weight.shape == (k, 8) and head.bias.shape == (k,)


def test_class_means_are_the_linear_discriminant_of_equal_priors():
    features, truth = blobs(3000, 4, 5)
    head = fit_head(HeadKind.CLASS_MEANS, features, truth, 4)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.25] * 4).fit(features, truth)
    assert (head.scores(features).argmax(1) == theirs.predict(features)).mean() > 0.99


@pytest.mark.parametrize("kind", FITTED)
def test_a_rare_individual_is_named_as_well(kind):
    rng = np.random.default_rng(1)
    truth = np.array([0] * 300 + [1] * 6)
    features = rng.normal(size=(306, 3)).astype(np.float32) + np.array([[0, 0, 0], [2.0, 0, 0]])[truth].astype(
        np.float32
    )
    fresh = (rng.normal([2.0, 0, 0], size=(200, 3))).astype(np.float32)
    assert (fit_head(kind, features, truth, 2).scores(fresh).argmax(1) == 1).mean() > 0.7


@pytest.mark.parametrize("kind", FITTED)
def test_a_name_without_pictures_is_never_given(kind):
    features, truth = blobs(100, 3, 4)
    head = fit_head(kind, features, truth + 1, 5)
    assert set(head.scores(100 * features).argmax(1)) <= {1, 2, 3}


@pytest.mark.parametrize("kind", FITTED)
def test_more_features_than_pictures(kind):
    features, truth = blobs(30, 3, 200)
    assert np.isfinite(fit_head(kind, features, truth, 3).weight).all()


def test_one_individual_is_no_choice():
    with pytest.raises(ValueError, match="at least 2 individuals"):
        fit_head(HeadKind.LOGISTIC, np.zeros((4, 2), np.float32), np.zeros(4, int), 2)
