"""Concept erasure: take measures of style out of vectors, so that a muted difference cannot be read from them.

LEACE for scalar concepts (Belrose et al. 2023, https://arxiv.org/abs/2306.03819, Theorem 4.2). With vectors ``x``,
muted measures ``z``, their covariance ``C`` and the inverse covariance ``W`` of the vectors,

    x' = x - C (C' W C)^+ C' W (x - mean).

No linear function of ``x'`` correlates with ``z``, and of all such changes this one is the smallest by ``W``. It is an
oblique projection of rank at most the number of muted measures. Vectors get the mean's component, that of other users;
differences to others, whose mean is 0, get 0.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from idiolect.difference.stylometry import N_MEASURES
from idiolect.difference.stylometry.encoder import standardise
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.known import known_languages, known_measures
from idiolect.errors import NotFoundError
from idiolect.store.base import KnownUsers
from idiolect.types import Review, UserId

USERS = 500
PER_USER = 8
"""Latest reviews per user: no single user dominates. 4,000 reviews give covariances within a few percent."""
FEWEST = 30
"""Reviews; with fewer nothing is fitted."""
_COLLINEAR = 1e-9
"""Share of the largest eigenvalue below which a direction is one of the others already."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MeasureErasure:
    """Removes measures from the vectors of one encoder.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> values = rng.normal(size=(200, 2))
        >>> vectors = np.column_stack([values[:, 0] + rng.normal(size=200), values[:, 1], rng.normal(size=200)])
        >>> erasure = MeasureErasure.fit(vectors, values)
        >>> left = erasure.remove(vectors, [0])
        >>> abs(np.corrcoef(left[:, 0], values[:, 0])[0, 1]) < 1e-6
        True
    """

    n: int
    """Reviews it was fitted on."""
    typical: np.ndarray
    """float64 (n_measures,): mean of the measures."""
    mean: np.ndarray
    """float64 (dim,): mean of the vectors."""
    covariance: np.ndarray
    """float64 (dim, n_measures): of vectors and measures, the latter in standard deviations; 0 for constant ones."""
    whitened: np.ndarray
    """float64 (dim, n_measures): the inverse covariance of the vectors times ``covariance``."""

    @classmethod
    def fit(cls, vectors: np.ndarray, values: np.ndarray) -> MeasureErasure:
        """Fit to reviews.

        The covariance of the vectors is shrunk (Ledoit and Wolf 2004), because there may be fewer reviews than
        dimensions. ``z`` and ``x'`` are uncorrelated in these reviews however far it is shrunk.

        Args:
            vectors: float (n, dim), n at least 1.
            values: float (n, n_measures): the measures of the same reviews.
        """
        x, z = np.asarray(vectors, dtype=np.float64), np.asarray(values, dtype=np.float64)
        mean, typical, sd = x.mean(axis=0), z.mean(axis=0), z.std(axis=0)
        varies = sd > 1e-9 * (1 + np.abs(typical))
        scaled = np.divide(z - typical, sd, out=np.zeros_like(z), where=varies)
        covariance = (x - mean).T @ scaled / len(x)
        return cls(
            n=len(x), typical=typical, mean=mean, covariance=covariance, whitened=_whitened(x - mean, covariance)
        )

    def removable(self, measures: Sequence[int]) -> list[int]:
        """Those of the measures that vary with the vectors."""
        return [k for k in measures if self.covariance[:, k].any()]

    def remove(self, vectors: np.ndarray, measures: Sequence[int], *, differences: bool = False) -> np.ndarray:
        """The vectors without the measures.

        Args:
            vectors: float (..., dim).
            measures: Columns of ``values``.
            differences: Whether the vectors are differences of vectors, whose mean is 0.

        Returns:
            float32 (..., dim), new; the vectors themselves where no measure is removable.
        """
        if not (places := self.removable(measures)):
            return vectors
        covariance, whitened = self.covariance[:, places], self.whitened[:, places]
        inverse = np.linalg.pinv(covariance.T @ whitened, rcond=_COLLINEAR, hermitian=True)
        apart = np.asarray(vectors, dtype=np.float64) - (0 if differences else self.mean)
        return (vectors - apart @ whitened @ inverse @ covariance.T).astype(np.float32)


def _whitened(centred: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """float64 (dim, n_measures): the shrunk inverse covariance of float64 (n, dim) ``centred`` times ``covariance``."""
    if not centred.any():
        return np.zeros_like(covariance)
    from sklearn.covariance import ledoit_wolf

    shrunk = ledoit_wolf(centred, assume_centered=True)[0]
    # A store of copies of two reviews is shrunk to rank one.
    shrunk[np.diag_indices_from(shrunk)] += 1e-9 * np.trace(shrunk) / len(shrunk)
    return np.linalg.solve(shrunk, covariance)


def fit_erasure(reader: KnownUsers, encoder: str | None) -> MeasureErasure | None:
    """The erasure for a store, fitted to up to ``USERS`` times ``PER_USER`` reviews in English.

    Args:
        reader: Reviews of many users; opted-out users are not read.
        encoder: Name of the encoder; None: only what is typical of the measures is needed, for texts.

    Returns:
        None if there are too few reviews.
    """
    reviews, vectors = _drawn(reader, encoder)
    texts = [review.text for review in reviews]
    english = are_english(texts, [review.user for review in reviews], known_languages(texts))
    if english.sum() < FEWEST:
        return None
    return MeasureErasure.fit(vectors[english], style_values([reviews[row].text for row in np.flatnonzero(english)]))


def style_values(texts: Sequence[str]) -> np.ndarray:
    """float64 (len(texts), n_measures): the measures on a scale on which vectors depend on them nearly linearly."""
    return standardise(known_measures(texts)) if texts else np.zeros((0, N_MEASURES))


def _drawn(reader: KnownUsers, encoder: str | None) -> tuple[list[Review], np.ndarray]:
    """Reviews of users drawn by a digest of their id, so that a new user changes one of them at most; their vectors."""
    users = heapq.nsmallest(USERS, reader.peers(), key=_digest)
    by_user = [reviews for user in users if (reviews := reader.profile(user)[-PER_USER:])]
    if encoder is None:
        found = [review for reviews in by_user for review in reviews]
        return found, np.zeros((len(found), 0))
    try:
        found = [review for reviews in by_user for review in reviews]
        return found, reader.vectors([review.id for review in found], encoder=encoder)
    except NotFoundError:  # some were added without vectors
        return _embedded(reader, by_user, encoder)


def _embedded(reader: KnownUsers, by_user: Sequence[Sequence[Review]], encoder: str) -> tuple[list[Review], np.ndarray]:
    """The reviews of users that have vectors of all of them."""
    found, vectors = list[Review](), list[np.ndarray]()
    for reviews in by_user:
        try:
            vectors.append(reader.vectors([review.id for review in reviews], encoder=encoder))
        except NotFoundError:
            continue
        found += reviews
    return found, np.concatenate(vectors) if vectors else np.zeros((0, 0))


def _digest(user: UserId) -> bytes:
    return blake2b(user.encode(errors="surrogatepass"), digest_size=8).digest()
