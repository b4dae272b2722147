"""What every metric must do, whatever it measures."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from idiolect.errors import InputError
from idiolect.metrics.base import Metric, SufficientStatistics
from idiolect.metrics.registry import METRICS, load_metrics

REFERENCES = [
    "A dark amber ale with a nutty finish that I would happily drink again.",
    "Don't stop believin' - the third album is their best, and I've heard them all!",
    "Thin, sour and over-priced; poured most of it down the drain this evening.",
    "naïve café — ÜBER good songs, 9/10, the second side drags a little though.",
    "Shipping took three weeks but the headphones themselves sound warm and wide.",
]
PREDICTIONS = [
    "A dark amber beer, nutty in the finish; I would drink it again.",
    "",
    "Sour and thin, and far too expensive for what it is this evening.",
    "Good songs, but the second half drags.",
    "I have no idea what this is about.",
]
CEILING = {"bleu": 100.0, "chrf": 100.0}
NEEDS_NETWORK = {"bertscore-led"}


@pytest.fixture(scope="module", params=sorted(set(METRICS) - NEEDS_NETWORK))
def metric(request: pytest.FixtureRequest) -> Metric:
    if request.param == "bertscore" and find_spec("bert_score") is None:
        pytest.skip("bert-score is not installed")
    return load_metrics([request.param])[0]


@pytest.fixture(scope="module")
def stats(metric: Metric) -> np.ndarray:
    return metric.segments(PREDICTIONS, REFERENCES)


class TestEveryMetric:
    def test_gives_one_finite_float64_row_a_pair(self, stats: np.ndarray) -> None:
        assert stats.shape[0] == len(PREDICTIONS)
        assert stats.ndim == 2
        assert stats.dtype == np.float64
        assert np.isfinite(stats).all()

    def test_gives_an_empty_prediction_the_worst_score(self, metric: Metric, stats: np.ndarray) -> None:
        assert metric.aggregate(stats[1:2]) == 0
        assert metric.aggregate(metric.segments([""], [""])) == 0

    def test_survives_texts_without_words(self, metric: Metric) -> None:
        odd = [" \n\t", "!?…", "\u200b", "🙂🙂", "x" * 3000]
        assert np.isfinite(metric.segments(odd, odd[::-1])).all()

    def test_gives_identical_pairs_the_best_score(self, metric: Metric, stats: np.ndarray) -> None:
        ceiling = CEILING.get(metric.name, 1.0)
        identical = metric.aggregate(metric.segments(REFERENCES, REFERENCES))
        assert identical == pytest.approx(ceiling, rel=1e-3)  # METEOR's penalty leaves 1 - 0.5 / length^3
        assert metric.aggregate(stats) < identical

    def test_prefers_the_right_reference(self, metric: Metric, stats: np.ndarray) -> None:
        assert metric.greater_is_better
        assert metric.aggregate(stats) > metric.aggregate(metric.segments(PREDICTIONS[::-1], REFERENCES))

    def test_aggregates_independently_of_order(self, metric: Metric, stats: np.ndarray) -> None:
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(stats))
            assert metric.aggregate(stats[order]) == pytest.approx(metric.aggregate(stats), abs=1e-12)

    def test_scores_a_pair_the_same_alone_and_among_others(self, metric: Metric, stats: np.ndarray) -> None:
        alone = [metric.segments([p], [r]) for p, r in zip(PREDICTIONS, REFERENCES, strict=True)]
        np.testing.assert_allclose(np.concatenate(alone), stats, atol=1e-3 if metric.name == "bertscore" else 1e-12)

    def test_repeats_itself(self, metric: Metric, stats: np.ndarray) -> None:
        np.testing.assert_array_equal(metric.segments(PREDICTIONS, REFERENCES), stats)

    def test_scores_sums_as_it_scores_rows(self, metric: Metric, stats: np.ndarray) -> None:
        assert isinstance(metric, SufficientStatistics)
        draws = np.random.default_rng(0).integers(len(stats), size=(20, 7))
        totals, counts = stats[draws].sum(axis=1), np.full(20, 7.0)
        expected = [metric.aggregate(stats[draw]) for draw in draws]
        np.testing.assert_allclose(metric.score_totals(totals, counts), expected, atol=1e-12)

    def test_says_what_its_number_depends_on(self, metric: Metric) -> None:
        signature = str(metric.signature())
        assert signature.startswith("metric:")
        assert all(key and value for key, value in metric.signature().fields)

    def test_has_no_rows_for_no_pairs_and_refuses_to_score_them(self, metric: Metric, stats: np.ndarray) -> None:
        none = metric.segments([], [])
        assert none.shape == (0, stats.shape[1])
        with pytest.raises(InputError, match="no segment"):
            metric.aggregate(none)

    def test_refuses_what_is_no_list_of_pairs(self, metric: Metric) -> None:
        with pytest.raises(InputError, match="2 predictions but 1 references"):
            metric.segments(["a", "b"], ["a"])
        with pytest.raises(InputError, match="not one text"):
            metric.segments("a", "b")
