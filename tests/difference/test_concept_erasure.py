"""A muted measure cannot be read from the vectors, and nothing else is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.difference.concept_erasure import FEWEST, PER_USER, MeasureErasure, fit_erasure
from idiolect.difference.stylometry import NAMES
from idiolect.encoders import load_encoder
from idiolect.peers import InMemoryReviews
from idiolect.types import Item, Review


class Users(InMemoryReviews):
    """A reader that lists its users."""

    def peers(self):
        return sorted({review.user for review in self._reviews})


@st.composite
def corpora(draw):
    """Vectors (n, dim) and four measures, some of them in the vectors; ``n`` may be less than ``dim``."""
    n, dim = draw(st.integers(2, 60)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(size=(n, 4)) * [1, 50, 0.01, 1] + [0, 7, 0, 3]
    if draw(st.booleans()):
        values[:, 3] = 3  # constant
    if draw(st.booleans()):
        values[:, 1] = 2 * values[:, 0]  # two names of one thing
    vectors = rng.normal(size=(n, dim)) + values @ rng.normal(size=(4, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16), values


MUTED = st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True)


@settings(max_examples=25)
@given(corpora(), MUTED)
def test_no_muted_measure_correlates_with_any_coordinate(corpus, muted):
    vectors, values = corpus
    left = MeasureErasure.fit(vectors, values).remove(vectors, muted).astype(np.float64)
    covariance = (left - left.mean(axis=0)).T @ (values - values.mean(axis=0)) / len(values)
    scale = np.maximum(values.std(axis=0), 1e-9)
    assert np.abs(covariance[:, muted] / scale[muted]).max() < 1e-4


@settings(max_examples=25)
@given(corpora(), MUTED)
def test_removing_twice_is_removing_once(corpus, muted):
    vectors, values = corpus
    erasure = MeasureErasure.fit(vectors, values)
    once = erasure.remove(vectors, muted)
    np.testing.assert_allclose(erasure.remove(once, muted), once, atol=1e-3)
    assert np.linalg.matrix_rank(once - vectors.astype(np.float32), tol=1e-2) <= len(muted)


@settings(max_examples=25)
@given(corpora(), MUTED)
def test_a_difference_of_vectors_loses_what_the_vectors_lose(corpus, muted):
    vectors, values = corpus
    erasure = MeasureErasure.fit(vectors, values)
    rows = vectors.astype(np.float32)
    left = erasure.remove(rows, muted)
    np.testing.assert_allclose(
        erasure.remove(rows[0] - rows[1:].mean(axis=0), muted, differences=True),
        left[0] - left[1:].mean(axis=0),
        atol=1e-3,
    )
    np.testing.assert_allclose(erasure.remove(erasure.mean, muted), erasure.mean, atol=1e-5)


@settings(max_examples=25)
@given(corpora(), MUTED)
def test_the_vectors_given_are_not_changed_and_the_order_of_names_does_not_matter(corpus, muted):
    vectors, values = corpus
    erasure, before = MeasureErasure.fit(vectors, values), vectors.copy()
    found = erasure.remove(vectors, muted)
    assert np.isfinite(found).all()
    assert (vectors == before).all()
    np.testing.assert_allclose(erasure.remove(vectors, muted[::-1]), found, atol=1e-3)


def test_a_constant_measure_leaves_the_vectors_as_they_are():
    rng = np.random.default_rng(0)
    vectors, values = rng.normal(size=(50, 3)), np.column_stack([np.full(50, 0.1), rng.normal(size=50)])
    erasure = MeasureErasure.fit(vectors, values)
    assert erasure.removable([0, 1]) == [1]
    assert erasure.remove(vectors, [0]) is vectors
    assert MeasureErasure.fit(np.ones((50, 3)), values).removable([0, 1]) == []
    assert MeasureErasure.fit(np.zeros((50, 0)), values).removable([0, 1]) == []


def reader(users: int, text="Well, {item} is{mark} It did what it should, and I had it {n} times.", encoder="style"):
    """A reader of ``users`` times ten reviews; in some of them somebody shouts."""
    reviews = [
        Review(
            id=f"{u}-{k}", user=f"u{u}", item=f"i{k}", order=k,
            text=text.format(item=f"i{k}", n=u + k, mark="!" if (u + k) % 3 else "."),
        )
        for u in range(users)
        for k in range(10)
    ]  # fmt: skip
    made = load_encoder(encoder)
    vectors = dict(zip((r.id for r in reviews), made.encode([r.text for r in reviews]), strict=True))
    return Users([Item(id=f"i{k}") for k in range(10)], reviews, vectors, encoder=made.name), made.name


def test_it_is_fitted_to_a_part_of_every_users_reviews():
    found, name = reader(6)
    erasure = fit_erasure(found, name)
    assert erasure.n == 6 * PER_USER
    place = NAMES.index("exclamations")
    shouts, calm = (found.vectors([id], encoder=name).astype(np.float32) for id in ("1-1", "1-2"))
    assert abs(shouts - calm)[0, place] > 0.05
    left = erasure.remove(shouts, [place]) - erasure.remove(calm, [place])
    assert abs(left)[0, place] < 0.01
    assert fit_erasure(found, None).typical.tolist() == erasure.typical.tolist()


@pytest.mark.parametrize(
    "text", ["Die Suppe ist{mark} Sie war nicht so gut wie {item} im Jahr {n}, aber das ist egal."]
)
def test_nothing_is_fitted_to_other_languages_or_to_a_few_reviews(text):
    found, name = reader(6, text=text)
    assert fit_erasure(found, name) is None
    found, name = reader(FEWEST // PER_USER)
    assert fit_erasure(found, name) is None


def test_users_with_missing_vectors_are_left_out():
    found, name = reader(6)
    del found._vectors["3-9"]
    assert fit_erasure(found, name).n == 5 * PER_USER
