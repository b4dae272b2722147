"""k-means: the clusters of scikit-learn, in its order; groups that are plain to see; nothing left empty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idiolect.peers.kmeans import kmeans


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
    found = kmeans(points, k, seed=seed)
    assert found.labels.tolist() == wanted.labels_.tolist()
    np.testing.assert_allclose(found.centres, wanted.cluster_centers_, rtol=1e-3, atol=1e-3)


def test_groups_far_apart_are_found_with_their_means():
    centres = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    points = (centres[:, None] + np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])).reshape(-1, 2)
    found = kmeans(points, 3, seed=0)
    assert [len(set(group)) for group in found.labels.reshape(3, 4).tolist()] == [1, 1, 1]
    np.testing.assert_allclose(found.centres[found.labels[::4]], centres, atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.integers(0, 6), min_size=1, max_size=20), k=st.integers(1, 7), seed=st.integers(0, 99))
def test_with_copies_every_cluster_has_a_member_as_long_as_there_are_distinct_points(
    values: list[int], k: int, seed: int
):
    points = np.array(values, dtype=np.float32)[:, None]
    k = min(k, len(set(values)))
    found = kmeans(points, k, seed=seed)
    assert set(found.labels.tolist()) == set(range(k))
    assert np.isfinite(found.centres).all()
