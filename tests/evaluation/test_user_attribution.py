"""How well vectors identify users."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from idiolect.errors import InputError
from idiolect.evaluation.user_attribution import _information, attribute_users


def names(n: int) -> list[str]:
    return [f"user {number}" for number in range(n)]


def standardised(values: np.ndarray) -> np.ndarray:
    scaled = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-6)
    return scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-6)


def test_users_with_vectors_of_their_own_are_identified_and_noise_is_chance() -> None:
    rng = np.random.default_rng(0)
    habits = rng.normal(size=(60, 16))
    own = attribute_users(habits, names(60), habits + 0.1 * rng.normal(size=habits.shape), names(60))
    assert own.auc().low > 0.95
    assert own.top1().low > 0.9
    noise = attribute_users(habits, names(60), rng.normal(size=habits.shape), names(60))
    assert noise.auc().low < 0.5 < noise.auc().high


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(1, 20), st.integers(2, 5), st.integers(0, 2**31))
def test_the_share_is_the_area_under_the_roc_curve_of_each_text(users: int, texts: int, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    past, new = rng.integers(-2, 3, size=(users, dim)).astype(float), rng.integers(-2, 3, size=(texts, dim))
    of_text = [names(users)[number] for number in rng.integers(0, users, size=texts)]
    found = attribute_users(past, names(users), new, of_text)

    cosine = standardised(new.astype(float)) @ standardised(past).T
    for number, user in enumerate(of_text):
        truth = [other == user for other in names(users)]
        # One positive: the area under the curve is its rank among the negatives. Rounded, so that ties are ties here.
        assert found.shares[number] == pytest.approx(roc_auc_score(truth, cosine[number]), abs=1e-9)


def test_vectors_that_tell_one_of_eight_groups_tell_log_eight_nats() -> None:
    groups = np.repeat(np.eye(8), 25, axis=0)
    found = attribute_users(groups, names(200), groups, names(200)).nats()
    assert found.value == pytest.approx(np.log(8), abs=1e-6)
    alone = attribute_users(np.eye(60), names(60), np.eye(60), names(60)).nats()
    assert alone.value == pytest.approx(np.log(60), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(1, 60), st.integers(0, 2**31))
def test_noise_tells_nothing_and_nothing_tells_more_than_who_it_was(users: int, texts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    of_text = [names(users)[number] for number in rng.integers(0, users, size=texts)]
    found = attribute_users(rng.normal(size=(users, 3)), names(users), rng.normal(size=(texts, 3)), of_text)
    assert (found.information <= np.log(users) + 1e-9).all()
    many = attribute_users(rng.normal(size=(100, 3)), names(100), rng.normal(size=(400, 3)), names(100) * 4)
    assert abs(many.nats().value) < 0.05


def test_a_text_is_compared_at_a_scale_that_other_users_texts_choose() -> None:
    rng = np.random.default_rng(2)
    similarity, own = rng.uniform(-0.1, 0.1, size=(20, 20)), np.arange(20)
    similarity[own, own] += 0.5
    before = _information(similarity, own)
    similarity[0] = similarity[0][::-1]  # the first user's text is another's
    after = _information(similarity, own)
    assert after[0] < 0 < before[0]
    np.testing.assert_array_equal(after[2::2], before[2::2])
    assert (after[1::2] < before[1::2]).all()


def test_a_single_user_with_texts_leaves_nothing_to_choose_a_scale_by() -> None:
    found = attribute_users(np.eye(5), names(5), np.eye(5)[[2, 2]], [names(5)[2]] * 2)
    assert found.information.tolist() == [0, 0]


def test_equal_vectors_are_chance_and_never_nearest() -> None:
    found = attribute_users(np.ones((4, 3)), names(4), np.ones((2, 3)), names(2))
    assert found.auc().value == 0.5
    assert found.top1().value == 0
    assert found.nats().value == pytest.approx(0, abs=1e-9)


def test_many_texts_of_a_user_count_as_one_in_the_interval() -> None:
    rng = np.random.default_rng(1)
    past = rng.normal(size=(20, 4))
    texts = past + rng.normal(size=past.shape)
    once = attribute_users(past, names(20), texts, names(20))
    often = attribute_users(past, names(20), np.repeat(texts, 9, axis=0), np.repeat(names(20), 9).tolist())
    assert often.auc().value == pytest.approx(once.auc().value)
    assert often.auc().high - often.auc().low == pytest.approx(once.auc().high - once.auc().low, rel=0.3)


@pytest.mark.parametrize(
    ("users", "of_text", "what"),
    [(names(1), names(1), "two users"), (names(2), [], "texts to compare"), (names(2), ["eve"], "'eve'")],
)
def test_too_little_to_compare_is_one_line(users: list[str], of_text: list[str], what: str) -> None:
    with pytest.raises(InputError, match=what):
        attribute_users(np.ones((len(users), 2)), users, np.ones((len(of_text), 2)), of_text)
