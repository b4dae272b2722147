"""How much of one peer reaches anybody else: caps on contributions, and optional Gaussian noise on sums of vectors.

``PrivateReader`` is the view of a store that keeps to these limits.

A cap bounds what one user contributes to an item: their latest reviews of it, so many at most. With the cap, one user
changes the sum of an item's vectors (each clipped to length 1) by at most ``cap``, and the number of its reviews too.

The noise makes the sum and the number of an item (epsilon, delta)-differentially private for the addition or removal
of one user with all their reviews, by the analytic Gaussian mechanism (Balle and Wang 2018, Theorem 8, arXiv
1805.06530). It is drawn from a secret and from which reviews the item has. The same sum asked for again therefore has
the same noise: asking often does not average it out. Every change of an item's reviews is a further release of it.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from idiolect.data.output_files import make_once
from idiolect.errors import ArtifactError, ConfigError
from idiolect.pipeline.settings import Settings
from idiolect.server.settings import ServerConfig
from idiolect.store.base import Correction, KnownUsers, PeerSums, WrappedReader
from idiolect.types import Item, ItemId, Moment, Review, ReviewId, UserId

_SECRET_BYTES = 32


@lru_cache(maxsize=64)
def gaussian_sd(epsilon: float, delta: float, sensitivity: float) -> float:
    """The least standard deviation with which Gaussian noise is (epsilon, delta)-differentially private.

    Args:
        epsilon: More than 0.
        delta: Within (0, 1).
        sensitivity: Largest L2 distance that one user makes.

    Example:
        >>> round(gaussian_sd(1.0, 1e-5, 1.0), 2)
        3.73
    """
    from scipy.optimize import brentq  # costs 100 ms, and most servers draw no noise
    from scipy.special import log_ndtr

    def excess(log_sd: float) -> float:
        ratio = float(np.exp(-log_sd))  # of the sensitivity to the standard deviation
        high, low = log_ndtr(ratio / 2 - epsilon / ratio), log_ndtr(-ratio / 2 - epsilon / ratio)
        return float(np.exp(high) - np.exp(epsilon + low)) - delta

    log_sd: Any = brentq(excess, -12.0, 12.0, xtol=1e-10)
    return sensitivity * float(np.exp(log_sd))


def capped(reviews: Sequence[Review], cap: int) -> list[Review]:
    """At most ``cap`` reviews of each user, their latest; 0: all.

    Args:
        reviews: Oldest first.
        cap: Of one user.
    """
    if not cap:
        return list(reviews)
    seen, kept = Counter[UserId](), []
    for review in reversed(reviews):
        seen[review.user] += 1
        if seen[review.user] <= cap:
            kept.append(review)
    return kept[::-1]


def read_secret(path: Path) -> bytes:
    """A secret, such as that which noise is drawn from, made at the first call; only its owner may read the file.

    Raises:
        ArtifactError: The file holds no secret.
    """
    make_once(path, secrets.token_bytes(_SECRET_BYTES))
    found = path.read_bytes()
    if len(found) != _SECRET_BYTES:
        raise ArtifactError(f"{path.name} holds no secret of {_SECRET_BYTES} bytes", hint="delete it: another is made")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise of every sum."""

    epsilon: float
    delta: float
    cap: int
    """Reviews of one user on one item, at most; at least 1."""
    secret: bytes

    @property
    def sd(self) -> float:
        """Of each component of a sum, and of a number of reviews."""
        return gaussian_sd(self.epsilon, self.delta, self.cap * 2**0.5)  # of the sum and the number together

    def draw(self, dim: int, encoder: str, ids: Sequence[ReviewId]) -> np.ndarray:
        """float64 (dim + 1,): the noise of the sum of these reviews' vectors, and of their number."""
        said = "\0".join([encoder, *sorted(map(str, ids))]).encode(errors="surrogatepass")
        seed = hmac.new(self.secret, said, sha256).digest()
        return np.random.default_rng(int.from_bytes(seed, "big")).normal(0.0, self.sd, dim + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """What is read of peers."""

    least: int = 1
    """Other users of an item, of fewer nothing is read."""
    cap: int = 0
    """See ``capped``."""
    noise: Noise | None = None


def private_sum(
    reviews: Sequence[Review],
    vectors: Callable[[Sequence[ReviewId]], np.ndarray],
    *,
    exclude: UserId,
    encoder: str,
    limits: PeerLimits,
) -> PeerSums:
    """Sum and number of one item's vectors without those of one user.

    The noise is that of all users' sum: the user's own part, which they know, is taken off afterwards, so that one
    release serves every user. Whether there are enough others is counted without noise.

    Args:
        reviews: Of the item, by all users, oldest first.
        vectors: Gives the vectors of reviews, float (n, dim).
        exclude: Who is compared.
        encoder: Name of the vectors' encoder.
        limits: Of too few other users the sum and the number are 0.

    Returns:
        Sums float64 (1, dim), counts int64 (1,).
    """
    kept = capped(reviews, limits.cap)
    ids = [review.id for review in kept]
    rows = vectors(ids).astype(np.float64)
    others = np.array([review.user != exclude for review in kept], dtype=bool)
    if len({review.user for review in kept} - {exclude}) < limits.least:
        return PeerSums(np.zeros((1, rows.shape[1])), np.zeros(1, dtype=np.int64))
    if limits.noise is None:
        return PeerSums(rows[others].sum(axis=0, keepdims=True), np.array([others.sum()]))
    rows /= np.maximum(1.0, np.linalg.norm(rows, axis=1, keepdims=True))
    drawn = limits.noise.draw(rows.shape[1], encoder, ids)
    total = rows[others].sum(axis=0) + drawn[:-1]
    return PeerSums(total[None], np.array([max(0, round(float(others.sum() + drawn[-1])))]))


class PrivateReader(WrappedReader):
    """A reader that shows nothing of an item that too few other users wrote about, and of each of them a limited part.

    Args:
        reader: What is visible otherwise.
        limits: Of peers.
        read: Reviews of users that were read already.
        items: Items that were read already, by id; None: the store does not know it.
        corrections: Whether users' corrections are seen.
    """

    def __init__(
        self,
        reader: KnownUsers,
        limits: PeerLimits,
        read: Mapping[UserId, Sequence[Review]] | None = None,
        items: Mapping[ItemId, Item | None] | None = None,
        *,
        corrections: bool = True,
    ) -> None:
        super().__init__(reader)
        self._limits, self._read, self._items, self._corrections = limits, read or {}, items or {}, corrections

    def corrections(self, user: UserId) -> list[Correction]:
        """See ``WrappedReader``."""
        return super().corrections(user) if self._corrections else []

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        if before is None and user in self._read:
            return list(self._read[user])
        return self._reader.profile(user, before=before)

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """See ``ReviewReader``."""
        found = self._reader.reviews_of(item, exclude=exclude, before=before)
        least = self._limits.least + (not exclude)  # the user who is compared is among them
        return capped(found, self._limits.cap) if len({review.user for review in found}) >= least else []

    def items(self, ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """See ``ReviewReader``."""
        unread = [id for id in ids if id not in self._items]
        found = self._reader.items(unread) if unread else {}
        return found | {id: item for id in ids if (item := self._items.get(id)) is not None}

    def peer_sums(
        self, items: Sequence[ItemId], *, exclude: UserId, encoder: str, before: int | None = None, at_least: int = 1
    ) -> PeerSums:
        """See ``ReviewReader``."""
        if not self._limits.cap:
            return super().peer_sums(items, exclude=exclude, encoder=encoder, before=before, at_least=at_least)
        limits = replace(self._limits, least=self._least(exclude, at_least))
        vectors = partial(self._reader.vectors, encoder=encoder)
        found = [
            private_sum(
                self._reader.reviews_of(item, exclude=UserId(""), before=before),
                vectors,
                exclude=exclude,
                encoder=encoder,
                limits=limits,
            )
            for item in items
        ]
        return PeerSums(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _least(self, exclude: UserId, at_least: int) -> int:
        """See ``WrappedReader``."""
        return max(at_least, self._limits.least)


def peer_limits(config: ServerConfig, settings: Sequence[Settings]) -> PeerLimits:
    """What may be read of peers.

    Raises:
        ConfigError: Sums are to be limited that cannot be.
    """
    context = [one.context for one in settings]
    if config.peer_cap and any(one.cold_start != "none" or one.peer_weighting != "mean" for one in context):
        raise ConfigError(
            "peer_cap holds for means over an item's reviews only",
            hint="leave context.cold_start and context.peer_weighting at their defaults, and fit the adapter with them",
        )
    if not config.peer_epsilon:
        return PeerLimits(least=config.min_peers, cap=config.peer_cap)
    config.data.mkdir(parents=True, exist_ok=True)
    noise = Noise(
        epsilon=config.peer_epsilon,
        delta=config.peer_delta,
        cap=config.peer_cap,
        secret=read_secret(config.data / "noise.key"),
    )
    return PeerLimits(least=config.min_peers, cap=config.peer_cap, noise=noise)
