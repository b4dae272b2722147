"""k-means: the clusters of scikit-learn, in its order; groups that are plain to see; nothing left empty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.peers import kmeans


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(6, 80),
    k=st.integers(1, 6),
    dim=st.sampled_from([2, 16, 384]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**16),
)
def test_clusters_are_those_of_scikit_learn(n: int, k: int, dim: int, dtype: type, seed: int):
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn, of the dev extra, is not installed")
    points = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float16).astype(dtype)
    wanted = cluster.KMeans(n_clusters=k, random_state=seed).fit(points)
    found = kmeans(points[None], k, seed=seed)
    assert found.labels[0].tolist() == wanted.labels_.tolist()
    np.testing.assert_allclose(found.centres[0], wanted.cluster_centers_, rtol=1e-3, atol=1e-3)


def test_groups_far_apart_are_found_with_their_means():
    centres = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    points = (centres[:, None] + np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])).reshape(-1, 2)
    (labels,), (found,) = kmeans(points[None], 3, seed=0)
    assert [len(set(group)) for group in labels.reshape(3, 4).tolist()] == [1, 1, 1]
    np.testing.assert_allclose(found[labels[::4]], centres, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    sets=st.integers(1, 9),
    n=st.integers(7, 30),
    k=st.integers(1, 7),
    dim=st.sampled_from([1, 3, 64]),
    whole=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_what_a_set_is_clustered_beside_changes_no_bit(sets: int, n: int, k: int, dim: int, whole: bool, seed: int):
    points = np.random.default_rng(seed).normal(size=(sets, n, dim)).astype(np.float32)
    points[:, :7, 0] += np.arange(7)
    points = points.round() if whole else points
    k = min([k, *(len(np.unique(one, axis=0)) for one in points)])
    together = kmeans(points, k, seed=seed)
    for place, one in enumerate(points):
        alone = kmeans(one[None], k, seed=seed)
        assert np.array_equal(together.labels[place], alone.labels[0])
        assert np.array_equal(together.centres[place], alone.centres[0])


@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.integers(0, 6), min_size=1, max_size=20), k=st.integers(1, 7), seed=st.integers(0, 99))
def test_with_copies_every_cluster_has_a_member_as_long_as_there_are_distinct_points(
    values: list[int], k: int, seed: int
):
    points = np.array(values, dtype=np.float32)[:, None]
    k = min(k, len(set(values)))
    found = kmeans(points[None], k, seed=seed)
    assert set(found.labels[0].tolist()) == set(range(k))
    assert np.isfinite(found.centres).all()
