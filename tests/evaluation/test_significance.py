from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.errors import InputError
from idiolect.evaluation.significance import Permutations, Resamples, compare, holm, interval
from idiolect.metrics.base import Mean, Signature
from idiolect.metrics.bleu import Bleu

MEAN = Mean("x", greater_is_better=True)


class Median:
    """An aggregate that cannot be had from sums."""

    name = "median"
    greater_is_better = True

    def aggregate(self, stats: np.ndarray) -> float:
        return float(np.median(stats[:, 0]))

    def signature(self) -> Signature:
        return Signature((("metric", "median"),))


class RowWiseBleu:
    """BLEU without the short cut over sums."""

    name = "bleu"
    greater_is_better = True
    signature = Bleu.signature

    def __init__(self) -> None:
        self.aggregate = Bleu().aggregate


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_same_seed_gives_the_same_resamples_and_another_seed_others() -> None:
    x = rng().normal(size=50)
    first, again, other = (Resamples(50, rng(seed)).score(MEAN, x).resampled for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_resamples_are_drawn_with_replacement_and_have_the_samples_size(n: int, seed: int) -> None:
    counts = Resamples(n, rng(seed), resamples=20)._draws
    assert counts.shape == (20, n)
    assert (counts.sum(axis=1) == n).all()


def test_drawing_in_blocks_leaves_no_resample_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idiolect.evaluation.significance._BLOCK", 64)
    resamples = Resamples(10, rng(), resamples=25)
    assert (resamples._draws.sum(axis=1) == 10).all()
    assert resamples.score(MEAN, np.ones(10)).resampled.tolist() == [1.0] * 25


def test_scores_from_sums_equal_scores_from_rows() -> None:
    metric = Bleu()
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "it", "ran"]
    texts = [" ".join(rng(k).choice(words, 8)) for k in range(24)]
    stats = metric.segments(texts[:12], texts[12:])
    users = [f"u{k % 4}" for k in range(12)]
    for clusters in (None, users):
        resamples = Resamples(12, rng(), clusters=clusters, resamples=50)
        fast, slow = resamples.score(metric, stats), resamples.score(RowWiseBleu(), stats)
        assert fast.value == pytest.approx(slow.value)
        np.testing.assert_allclose(fast.resampled, slow.resampled, atol=1e-9)


def test_any_aggregate_can_be_resampled() -> None:
    x = rng().normal(5, 1, size=(200, 1))
    value, low, high = interval(Resamples(200, rng(1), resamples=200).score(Median(), x))
    assert low < value < high
    assert high - low < 1


def test_clusters_are_drawn_whole() -> None:
    x = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    resamples = Resamples(6, rng(), clusters=["a"] * 3 + ["b"] * 3, resamples=500)
    assert set(resamples.score(MEAN, x).resampled.tolist()) == {0.0, 0.5, 1.0}


def test_clusters_of_one_are_segments() -> None:
    x = rng().normal(size=30)
    alone = Resamples(30, rng(3)).score(MEAN, x).resampled
    np.testing.assert_allclose(Resamples(30, rng(3), clusters=list(range(30))).score(MEAN, x).resampled, alone)


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    hits = 0
    for k in range(200):
        _, low, high = interval(Resamples(60, rng(k), resamples=300).score(MEAN, rng(10_000 + k).normal(3, 2, 60)))
        hits += low <= 3 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_only_resampling_users_covers_where_segments_of_a_user_are_alike() -> None:
    hits = {"segments": 0, "users": 0}
    users = np.repeat(np.arange(40), 10)
    for k in range(100):
        x = rng(k).normal(0, 1, 40)[users] + rng(k + 500).normal(0, 0.3, 400)
        for name, clusters in (("segments", None), ("users", users.tolist())):
            _, low, high = interval(Resamples(400, rng(k), clusters=clusters, resamples=200).score(MEAN, x))
            hits[name] += low <= 0 <= high
    assert hits["users"] >= 86
    assert hits["segments"] <= 70


def test_false_positives_are_about_as_many_as_the_level_allows() -> None:
    p = []
    for k in range(200):
        resamples = Resamples(80, rng(k), resamples=300)
        a, b = rng(k + 1000).normal(size=(2, 80))
        p.append(compare(resamples.score(MEAN, a), resamples.score(MEAN, b)).p)
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.1


def test_a_system_does_not_differ_from_itself() -> None:
    score = Resamples(40, rng()).score(MEAN, rng(1).normal(size=40))
    assert compare(score, score) == (0, 0, 0, 1)


def test_a_clear_difference_has_the_smallest_p_and_an_interval_off_zero() -> None:
    resamples = Resamples(100, rng())
    base = rng(1).normal(size=100)
    better = base + 1 + rng(2).normal(0, 0.1, 100)
    difference, low, high, p = compare(resamples.score(MEAN, better), resamples.score(MEAN, base))
    assert difference == pytest.approx(1, abs=0.05)
    assert 0.9 < low < difference < high < 1.1
    assert p == pytest.approx(1 / 1001)


def test_a_comparison_turned_round_changes_only_its_sign() -> None:
    resamples = Resamples(50, rng())
    a, b = (resamples.score(MEAN, rng(k).normal(size=50)) for k in (1, 2))
    there, back = compare(a, b), compare(b, a)
    assert back.difference == pytest.approx(-there.difference)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert back.p == there.p


def test_pairing_finds_what_unpaired_noise_hides() -> None:
    resamples = Resamples(100, rng())
    hard = rng(1).normal(0, 10, 100)
    slightly_better = hard + 0.5 + rng(2).normal(0, 0.2, 100)
    a, b = resamples.score(MEAN, slightly_better), resamples.score(MEAN, hard)
    assert interval(a).low < interval(b).high
    assert compare(a, b).p < 0.01


@pytest.mark.parametrize("users", [2, 3, 4, 5, 6, 8])
def test_equal_systems_on_few_users_differ_as_seldom_as_the_level_says(users: int) -> None:
    hits, clusters = 0, np.repeat(np.arange(users), 3).tolist()
    for k in range(300):
        base, per_user, noise = rng(k).normal(size=(3, users * 3))
        resamples = Resamples(users * 3, rng(k), clusters=clusters, resamples=200)
        scores = (resamples.score(MEAN, x) for x in (base + per_user[clusters] + noise, base))
        hits += compare(*scores).p < 0.05
    assert hits / 300 <= (0.0 if users < 6 else 0.085)


def test_of_few_users_every_exchange_is_made() -> None:
    resamples = Resamples(3, rng())
    first, second = resamples.score(MEAN, np.array([1.0, 2.0, 4.0])), resamples.score(MEAN, np.zeros(3))
    differences = np.abs(resamples.exchanged(first, second)) * 3
    assert sorted(differences.tolist()) == pytest.approx([1, 3, 5, 7])
    assert compare(first, second).p == 1 / 4
    assert resamples.min_p == 1 / 4


def test_randomly_drawn_exchanges_are_close_to_all_of_them() -> None:
    a, b = rng(1).normal(0.6, 1, 12), np.zeros(12)
    found = []
    for resamples in (Resamples(12, rng(), resamples=4000), Resamples(12, rng(), resamples=1500)):
        found.append(compare(resamples.score(MEAN, a), resamples.score(MEAN, b)).p)
        assert resamples.exchanges.exact == (len(resamples) > 2**11)
    assert found[0] == pytest.approx(found[1], abs=0.03)


@pytest.mark.parametrize("clusters", [None, [f"u{k % 6}" for k in range(12)]])
def test_a_corpus_score_is_tested_as_its_rows_would_be(clusters: list[str] | None) -> None:
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "it", "ran"]
    texts = [" ".join(rng(k).choice(words, 8)) for k in range(36)]
    stats = [Bleu().segments(texts[k : k + 12], texts[24:]) for k in (0, 12)]
    fast, slow = (
        Resamples(12, rng(), clusters=clusters, resamples=60),
        Resamples(12, rng(), clusters=clusters, resamples=60),
    )
    quick, rowwise = ([of.score(metric, x) for x in stats] for of, metric in ((fast, Bleu()), (slow, RowWiseBleu())))
    np.testing.assert_allclose(fast.exchanged(*quick), slow.exchanged(*rowwise), atol=1e-9)
    assert compare(*quick).p == compare(*rowwise).p


def test_exchanges_move_whole_users() -> None:
    resamples = Resamples(4, rng(), clusters=["a", "a", "b", "b"])
    one, other = resamples.score(MEAN, np.array([1.0, 1.0, 3.0, 3.0])), resamples.score(MEAN, np.zeros(4))
    assert sorted(resamples.exchanged(one, other).tolist()) == [1, 2]


def test_ties_do_not_hang_on_rounding() -> None:
    resamples = Resamples(8, rng())
    x = np.array([0.1, 0.2, 0.3, 0.7, 0.1, 0.2, 0.3, 0.7])
    assert compare(resamples.score(MEAN, x + 1e3), resamples.score(MEAN, np.full(8, 1e3))).p == 2 / 2**8


def test_the_same_seed_gives_the_same_test() -> None:
    x, y = rng(1).normal(size=(2, 30))
    found = []
    for generator in (rng(7), rng(7)):
        resamples = Resamples(30, generator)
        found.append(compare(resamples.score(MEAN, x), resamples.score(MEAN, y)))
    assert found[0] == found[1]


def test_scores_of_different_resamples_are_not_compared() -> None:
    one, other = (Resamples(30, rng()).score(MEAN, rng(1).normal(size=30)) for _ in range(2))
    with pytest.raises(InputError, match="different resamples"):
        compare(one, other)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused_by_the_metrics_name(value: float) -> None:
    with pytest.raises(InputError, match="'x' is not a finite number"):
        Resamples(3, rng()).score(MEAN, np.array([1.0, value, 2.0]))


@pytest.mark.parametrize(
    ("n", "clusters", "message"),
    [
        (1, None, "^1 samples or users"),
        (0, None, "^0 samples or users"),
        (3, ["u"] * 3, "^1 samples or users"),
        (3, ["u"], "1 cluster"),
    ],
)
def test_what_cannot_be_resampled_is_refused(n: int, clusters: list[str] | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Resamples(n, rng(), clusters=clusters)


def test_stats_of_other_samples_are_refused() -> None:
    with pytest.raises(InputError, match="4 segments, but the resamples are of 3"):
        Resamples(3, rng()).score(MEAN, np.ones(4))


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_keeps_the_order_and_never_lowers_p(p: list[float]) -> None:
    corrected = holm(p)
    assert all(raw <= after <= 1 for raw, after in zip(p, corrected, strict=True))
    assert np.all(np.diff(np.array(corrected)[np.argsort(p, kind="stable")]) >= 0)
    if p:
        assert min(corrected) == pytest.approx(min(1, min(p) * len(p)))


@pytest.mark.parametrize(("limit", "exact", "n"), [(15, False, 15), (16, True, 16), (17, True, 16)])
def test_all_exchanges_are_made_where_there_are_at_most_as_many_as_allowed(limit, exact, n):
    drawn = Permutations.draw(5, limit, np.random.default_rng(0))
    assert (drawn.exact, len(drawn.swapped)) == (exact, n)
    assert not exact or len({tuple(row) for row in drawn.swapped.tolist()}) == n
