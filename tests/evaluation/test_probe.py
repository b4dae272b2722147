from __future__ import annotations

import numpy as np
import pytest

from idiolect.errors import InputError
from idiolect.evaluation.probe import MeanR2, cross_predict, probe, r2_stats
from idiolect.evaluation.significance import compare, interval


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def plain_ridge(x, y, folds, penalty):
    """One draw, one penalty, fold by fold, by the normal equations."""
    predicted = np.empty(y.shape)
    for fold in np.unique(folds):
        train, held_out = folds != fold, folds == fold
        mean, sd = x[train].mean(axis=0), x[train].std(axis=0)
        z = (x - mean) / sd
        gram = z[train].T @ z[train] / train.sum() + penalty * np.eye(x.shape[1])
        centred = y[train] - y[train].mean(axis=0)
        weights = np.linalg.solve(gram, z[train].T @ centred / train.sum())
        predicted[held_out] = z[held_out] @ weights + y[train].mean(axis=0)
    return predicted


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_predictions_are_those_of_a_plain_ridge_regression(penalty: float) -> None:
    x, folds = rng().normal(3.0, 2.0, size=(40, 6)), np.arange(40) % 4
    y = x[:, :3] @ rng(1).normal(size=(3, 2)) + rng(2).normal(size=(40, 2))
    found = cross_predict(x[None], y, folds, penalties=np.array([penalty]))
    np.testing.assert_allclose(found[0], plain_ridge(x, y, folds, penalty), rtol=1e-9)


def test_each_trait_gets_the_penalty_that_suits_it() -> None:
    x, folds = rng().normal(size=(60, 40)), np.arange(60) % 5
    y = np.column_stack([x @ rng(1).normal(size=40), rng(2).normal(size=60)])
    both = cross_predict(x[None], y, folds, penalties=np.array([1e-3, 1e3]))[0]
    np.testing.assert_allclose(both[:, 0], plain_ridge(x, y, folds, 1e-3)[:, 0], rtol=1e-6)
    np.testing.assert_allclose(both[:, 1], plain_ridge(x, y, folds, 1e3)[:, 1], rtol=1e-6)


def test_nothing_about_a_user_reaches_the_probe_that_predicts_them() -> None:
    x, y, folds = rng().normal(size=(2, 50, 8)), rng(1).normal(size=(50, 3)), np.arange(50) % 5
    before = cross_predict(x, y, folds)
    changed = y.copy()
    changed[folds == 2] += 100 * rng(2).normal(size=(10, 3))
    after = cross_predict(x, changed, folds)
    np.testing.assert_allclose(after[:, folds == 2], before[:, folds == 2], rtol=1e-9)
    assert not np.allclose(after[:, folds == 1], before[:, folds == 1])


def test_scale_offset_and_constant_features_do_not_matter() -> None:
    x, y, folds = rng().normal(size=(2, 50, 4)), rng(1).normal(size=(50, 2)), np.arange(50) % 5
    other = np.concatenate([x * [1e-3, 1, 10, 1e3] + 7, np.full((2, 50, 1), 0.3)], axis=2)
    # Whole scales apart, the floor under the smallest standard deviations would show.
    some = np.concatenate([x * [0.5, 1, 2, 3] + 7, np.full((2, 50, 1), 0.3)], axis=2)
    np.testing.assert_allclose(cross_predict(some, y, folds), cross_predict(x, y, folds), atol=1e-8)
    assert np.isfinite(cross_predict(other, y, folds)).all()


def test_features_that_never_vary_predict_the_mean_of_the_other_users() -> None:
    y, folds = rng().normal(size=(30, 2)), np.arange(30) % 3
    found = cross_predict(np.ones((1, 30, 4)), y, folds)[0]
    for fold in range(3):
        np.testing.assert_allclose(found[folds == fold], np.broadcast_to(y[folds != fold].mean(axis=0), (10, 2)))


def test_the_score_is_r2_with_draws_averaged_in_the_errors() -> None:
    y, predicted = rng().normal(size=(20, 3)), rng(1).normal(size=(4, 20, 3))
    errors = np.square(predicted - y).mean(axis=0).sum(axis=0)
    expected = 1 - errors / np.square(y - y.mean(axis=0)).sum(axis=0)
    assert MeanR2(3).aggregate(r2_stats(predicted, y)) == pytest.approx(expected.mean())
    assert MeanR2(3).aggregate(r2_stats(y[None], y)) == pytest.approx(1.0)
    assert MeanR2(3).aggregate(r2_stats(np.broadcast_to(y.mean(axis=0), y.shape)[None], y)) == pytest.approx(0.0)


def test_known_shares_of_signal_are_recovered_within_their_intervals() -> None:
    y = rng().normal(size=(600, 10))
    inputs = {
        "half": y + rng(1).normal(size=(3, 600, 10)),
        "fifth": y + 2 * rng(2).normal(size=(3, 600, 10)),
        "none": rng(3).normal(size=(3, 600, 10)),
    }
    found = {name: interval(r.mean) for name, r in probe(inputs, y, rng=rng(4)).items()}
    for name, expected in (("half", 0.5), ("fifth", 0.2), ("none", 0.0)):
        assert found[name].value == pytest.approx(expected, abs=0.02)
        assert found[name].low < found[name].value < found[name].high
        assert found[name].high - found[name].low < 0.05


def test_the_intervals_cover_as_often_as_they_say() -> None:
    covered = []
    for world in range(40):
        y = rng(world).normal(size=(80, 1))
        x = (y + rng(1000 + world).normal(size=y.shape))[None]
        low, high = interval(probe({"x": x}, y, rng=rng(world), resamples=100)["x"].mean)[1:]
        covered.append(low <= 0.5 <= high)
    assert np.mean(covered) > 0.8


def test_the_mean_is_the_mean_of_the_traits_and_traits_keep_their_order() -> None:
    y = rng().normal(size=(200, 3))
    x = y + [0.1, 1, 10] * rng(1).normal(size=(2, 200, 3))
    found = probe({"x": x}, y, rng=rng(2))["x"]
    values = [trait.value for trait in found.traits]
    assert values == sorted(values, reverse=True)
    assert found.mean.value == pytest.approx(np.mean(values))
    np.testing.assert_allclose(found.mean.resampled, np.mean([t.resampled for t in found.traits], axis=0))


def test_inputs_are_paired() -> None:
    y = rng().normal(size=(120, 4))
    x = y + rng(1).normal(size=(2, 120, 4))
    found = probe({"x": x, "same": 3 * x + 1, "worse": x + 0.3 * rng(2).normal(size=x.shape)}, y, rng=rng(3))
    same = compare(found["same"].mean, found["x"].mean)
    assert (same.difference, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-9)
    worse, alone = compare(found["worse"].mean, found["x"].mean), interval(found["x"].mean)
    assert worse.high < 0
    assert worse.high - worse.low < alone.high - alone.low


@pytest.mark.parametrize(
    ("n_users", "n_folds", "message"), [(9, 5, "cannot be probed"), (40, 2, "cannot be probed"), (30, 5, "has shape")]
)
def test_what_cannot_be_probed_is_refused(n_users: int, n_folds: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        probe({"x": np.zeros((1, 29, 2))}, rng().normal(size=(n_users, 2)), rng=rng(), n_folds=n_folds)


def test_a_trait_without_variance_is_refused() -> None:
    with pytest.raises(InputError, match="the same for all users"):
        probe({"x": np.zeros((1, 30, 2))}, np.zeros((30, 2)), rng=rng())
