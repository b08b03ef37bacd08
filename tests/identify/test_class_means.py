"""Means and heads of individuals, held against scikit-learn and against draws; a row beside rows that stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from scd_core.errors import InputError
from scd_core.identify.class_means import ClassMeans, Head, align_row, fit_class_means, read_class_means


def blobs(n: int, k: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features with one covariance for all of k individuals, far enough apart to be named mostly right."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % k
    shape = rng.normal(size=(d, d)) / 3 + np.eye(d)
    return rng.normal(0, 2, (k, d))[truth] + rng.normal(size=(n, d)) @ shape, truth


def test_the_covariance_is_that_of_scikit_learn_with_many_pictures() -> None:
    features, truth = blobs(4000, 4, 5)
    found = fit_class_means(features, truth, 4)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.25] * 4, store_covariance=True).fit(features, truth)
    assert np.allclose(found.scatter.T @ found.scatter + found.level * np.eye(5), theirs.covariance_, atol=0.02)
    assert np.allclose(found.means, theirs.means_)


def test_an_added_individual_gives_the_head_of_all_at_once() -> None:
    features, truth = blobs(600, 5, 8)
    old = truth < 4
    grown = fit_class_means(features[old], truth[old], 4).with_pictures(4, features[~old])
    assert np.allclose(grown.means, fit_class_means(features, truth, 5).means)
    both = fit_class_means(features[old], truth[old], 4)
    parts = both.with_pictures(4, features[~old][:50]).with_pictures(4, features[~old][50:])
    assert np.allclose(parts.means[4], features[~old].mean(0)) and parts.counts[4] == (~old).sum()
    assert (grown.head().scores(features).argmax(1) == truth).mean() > 0.9


def test_the_covariance_after_additions_is_that_of_all_pictures() -> None:
    """Apart from the share that it is shrunk by, which is taken from the first pictures."""
    features, truth = blobs(400, 5, 8)
    old, new = truth < 4, np.flatnonzero(truth == 4)
    grown = fit_class_means(features[old], truth[old], 4)
    for part in np.array_split(new, 3):
        grown = grown.with_pictures(4, features[part])
    grown = grown.with_pictures(0, features[:1]).with_pictures(0, features[1:9] + 0.5)
    every = np.concatenate([features, features[:1], features[1:9] + 0.5])
    names = np.concatenate([truth, np.zeros(9, dtype=np.int64)])
    found = np.zeros((8, 8))
    for kind in range(5):
        spread = every[names == kind] - every[names == kind].mean(0)
        found += spread.T @ spread / (len(every) - 5)
    share, variance = grown.shrinkage
    assert 0 < share < 0.1 and variance == pytest.approx(np.trace(found) / 8)
    wanted = (1 - share) * found + share * variance * np.eye(8)
    assert np.allclose(grown.scatter.T @ grown.scatter + grown.level * np.eye(8), wanted)
    assert grown.n_free == len(every) - 5 and len(grown.scatter) <= 8


def test_the_covariance_stays_where_trained_rows_stay() -> None:
    features, truth = blobs(60, 3, 8)
    means = replace(fit_class_means(features[truth < 2], truth[truth < 2], 2), is_aligned=False)
    grown = means.with_pictures(2, features[truth == 2])
    assert np.array_equal(grown.scatter, means.scatter) and grown.level == means.level


@pytest.mark.parametrize("size", [6, 120])
def test_the_lead_of_an_added_name_is_that_of_its_pictures_left_out_one_by_one(size: int) -> None:
    rng = np.random.default_rng(2)
    features, truth = blobs(60, 4, size, seed=5)
    old, own = truth < 3, features[truth == 3] + rng.normal(0, 1, size)
    grown = fit_class_means(features[old], truth[old], 3).with_pictures(3, own)
    share, variance = grown.shrinkage
    leads = []
    for place, one in enumerate(own):
        others = np.delete(own, place, axis=0)
        spread = np.concatenate([features[old] - grown.means[truth[old]], others - others.mean(0)])
        inner = (1 - share) * spread.T @ spread / grown.n_free + share * variance * np.eye(size)
        solved = np.linalg.inv(inner)
        to_own = (one - others.mean(0)) @ solved @ (one - others.mean(0))
        leads.append(min((one - mean) @ solved @ (one - mean) for mean in grown.means[:3]) / 2 - to_own / 2)
    assert grown.leads[0] == pytest.approx(min(lead for lead in leads if lead > 0), rel=1e-6)


def test_added_names_are_held_back_by_one_number_and_trained_ones_are_not() -> None:
    features, truth = blobs(100, 5, 30, seed=1)
    grown = fit_class_means(features[truth < 3], truth[truth < 3], 3)
    for kind in (3, 4):
        grown = grown.with_pictures(kind, features[truth == kind])
    assert grown.held_back == pytest.approx(0.5 * np.median(grown.leads)) and grown.held_back > 0
    free = replace(grown, leads=grown.leads * np.nan).head()
    held = grown.head()
    assert np.array_equal(free.weight, held.weight) and np.array_equal(free.bias[:3], held.bias[:3])
    assert np.allclose(free.bias[3:] - held.bias[3:], grown.held_back, rtol=1e-3)
    alone = grown.with_pictures(5, features[:1] + 3)
    assert np.isnan(alone.leads[2]) and alone.held_back == grown.held_back, "one picture shows no lead"


def test_draws_have_the_mean_and_covariance_that_they_are_drawn_from() -> None:
    features, truth = blobs(300, 3, 4)
    found = fit_class_means(features, truth, 3)
    drawn = found.draw(np.full(40_000, 2), seed=1)
    assert np.allclose(drawn.mean(0), found.means[2], atol=0.05)
    assert np.allclose(np.cov(drawn.T), found.scatter.T @ found.scatter + found.level * np.eye(4), atol=0.1)


def test_the_file_gives_the_same_back_and_a_wrong_one_is_one_line() -> None:
    features, truth = blobs(60, 3, 200)
    found = fit_class_means(features, truth, 3)
    again = read_class_means(found.to_bytes(), "m", 3)
    assert np.allclose(again.head().weight, found.head().weight, rtol=1e-2, atol=1e-3)
    assert (again.n_trained, again.is_aligned) == (3, True)
    with pytest.raises(InputError, match="of 3 individuals, the package has 4"):
        read_class_means(found.to_bytes(), "m", 4)
    with pytest.raises(InputError, match="cannot be read"):
        read_class_means(b"no such file", "m", 3)
    grown = found.with_pictures(3, features[:1])
    assert np.isnan(read_class_means(grown.to_bytes(), "m", 4).leads).tolist() == [True]
    with pytest.raises(InputError, match="0 leads of 1 added"):
        read_class_means(replace(grown, leads=grown.leads[:0]).to_bytes(), "m", 4)
    broken = ClassMeans(found.means * np.nan, found.counts, found.scatter, found.level, 3, True)
    with pytest.raises(InputError, match="not finite"):
        read_class_means(broken.to_bytes(), "m", 3)


def test_a_row_beside_trained_ones_names_the_new_and_takes_few_of_the_old() -> None:
    features, truth = blobs(2000, 6, 10, seed=3)
    learn, test = np.arange(2000) < 1000, np.arange(2000) >= 1000
    old = truth < 5
    model = LogisticRegression(max_iter=500).fit(features[learn & old], truth[learn & old])
    head = Head(model.coef_.astype(np.float32), model.intercept_.astype(np.float32))
    means = fit_class_means(features[learn & old], truth[learn & old], 5).with_pictures(5, features[learn & ~old])
    row = align_row(means, 5, head, 1.0)
    scores = np.concatenate([head.scores(features[test]), row.scores(features[test])], axis=1)
    assert np.array_equal(scores[:, :5], head.scores(features[test])), "the trained rows stay"
    is_right = scores.argmax(1) == truth[test]
    before = (head.scores(features[test & old]).argmax(1) == truth[test & old]).mean()
    whole = LogisticRegression(max_iter=500).fit(features[learn], truth[learn])
    of_new = (whole.predict(features[test & ~old]) == 5).mean()
    assert is_right[old[test]].mean() > before - 0.05
    assert is_right[~old[test]].mean() > 0.9 * of_new


def test_a_row_does_not_depend_on_the_scale_of_the_logits() -> None:
    """Logits and temperature twice as large are the same classifier, so the row is twice as large, too."""
    features, truth = blobs(500, 4, 6)
    means = fit_class_means(features, truth, 4)
    trained = means.head()
    head = Head(trained.weight[:3], trained.bias[:3])
    twice = Head(2 * head.weight, 2 * head.bias)
    one, two = align_row(means, 3, head, 1.0), align_row(means, 3, twice, 2.0)
    assert np.allclose(2 * one.scores(features), two.scores(features), rtol=1e-3, atol=1e-2)
