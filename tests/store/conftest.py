"""Builders that tests of the store share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from idiolect.store.sql import SqlStore
from idiolect.types import Review


def synthetic(n: int, *, users: int = 20, items: int = 15, seed: int = 0) -> list[Review]:
    """``n`` reviews of random users, items and days; several share a day."""
    rng = np.random.default_rng(seed)
    draws = zip(rng.integers(users, size=n), rng.integers(items, size=n), rng.integers(n // 3 + 1, size=n), strict=True)
    return [
        Review(id=f"r{k}", user=f"u{user}", item=f"i{item}", text=f"Text {k} " * (k % 7), timestamp=int(day), order=k)
        for k, (user, item, day) in enumerate(draws)
    ]


def unit_vectors(n: int, dim: int = 8, *, seed: int = 0) -> np.ndarray:
    """float16 (n, dim) of length about one."""
    vectors = np.random.default_rng(seed).standard_normal((n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture
def reviews() -> Callable[..., list[Review]]:
    return synthetic


@pytest.fixture
def vectors() -> Callable[..., np.ndarray]:
    return unit_vectors


@pytest.fixture
def store(tmp_path):
    """300 reviews with vectors of encoder "e" in a file."""
    with SqlStore(tmp_path / "store.db") as store:
        some = synthetic(300)
        store.add([], some)
        store.add_vectors([review.id for review in some], unit_vectors(300), encoder="e")
        yield store
