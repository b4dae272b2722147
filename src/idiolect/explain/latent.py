"""Codes of a store's reviews under an adapter's autoencoder (DEP, Eq. 5), and statistics of its units.

A row is a review of the stream that is looked at: its own vector (``his``) or its difference to the mean of its peers'
(``diff``, Eq. 4, over all reviews of the store). Opted-out users are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from pydantic import Field
from scipy.stats import rankdata

from idiolect.config import Config
from idiolect.difference.latent import all_differences
from idiolect.difference.stylometry import NAMES, group_sums, measure
from idiolect.difference.stylometry.english import are_english
from idiolect.errors import ConfigError, NotFoundError
from idiolect.store.sql import SqlStore
from idiolect.types import ReviewId, Stream

if TYPE_CHECKING:
    from idiolect.softprompt.adapter import Adapter

_FEWEST = 8
"""Reviews below which nothing is said about units."""
_FEWEST_MEASURED = 30
"""English reviews below which no correlation with stylometry is given."""
_SHIFT_ROWS = 128
"""Rows whose soft prompts are computed again with each unit silenced."""


class LatentConfig(Config):
    """How units are looked at, and which are shown."""

    stream: Literal["auto", "his", "diff"] = "auto"
    """Codes of the reviews' own vectors or of their differences to peers; auto: of differences if the adapter has
    them."""
    shown: int = Field(default=8, ge=1)
    """Units shown: those whose silence changes the soft prompts most."""
    units: tuple[int, ...] = ()
    """These units instead."""
    top: int = Field(default=3, ge=1)
    """Reviews shown per unit: those with the highest code, one per user."""
    words: int = Field(default=6, ge=1)
    """Most words of a label."""
    min_users: int = Field(default=3, ge=1)
    """Users who must write a word before it can be part of a label."""
    strong: float = Field(default=0.1, gt=0, le=0.5)
    """A unit is strong in this share of the reviews, those with the highest code above 0, and weak in those with a code
    no higher than the median. Labels set the former apart from the latter."""
    halves: int = Field(default=5, ge=1)
    """Random halves of the users, one for the label and one for its detection score."""
    dense: float = Field(default=0.5, gt=0, le=1)
    """Share of the reviews from which a unit that is active in them is called dense."""
    max_reviews: int = Field(default=20_000, ge=_FEWEST)
    """Most reviews: of users drawn at random."""
    samples: int = Field(default=32, ge=2)
    """Held-out targets whose likelihood is computed with each shown unit silenced, if there is a split."""
    seed: int = Field(default=0, ge=0)
    """Of everything that is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStatistics:
    """The autoencoder on the vectors of one stream."""

    stream: Stream
    rows: int
    l0: float
    """Units active per row, mean."""
    explained_variance: float
    """1 minus the variance of the residual over that of the input: 1 is perfect."""
    dead: tuple[int, ...]
    """Units active in no row."""
    dense: tuple[int, ...]
    """Units active in at least ``LatentConfig.dense`` of the rows."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Codes:
    """The codes of one stream, and whose they are."""

    stream: Stream
    code: np.ndarray
    """float32 (n, n_units)."""
    active: np.ndarray
    """bool (n, n_units): above 0; of sigmoid codes above 0.5."""
    ids: tuple[ReviewId, ...]
    names: tuple[str, ...]
    """Of the users."""
    users: np.ndarray
    """int64 (n,): codes of the users."""
    items: np.ndarray
    """int64 (n,): codes of the items."""
    texts: tuple[str, ...]
    item_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UnitStatistics:
    """All units of one stream; every array has a row or entry per unit."""

    active: np.ndarray
    """float64: share of the rows in which it is active."""
    user_share: np.ndarray
    """float64: share of its variance that lies between users (omega squared, at least 0)."""
    item_share: np.ndarray
    """float64: the same between items: a unit of the topic rather than of the writer."""
    contrast: np.ndarray
    """float64: by how many standard deviations it is above the mean of the peers' reviews of the same item, where it is
    strong."""
    shift: np.ndarray
    """float64: mean change of the soft prompt embedding when it is silenced, relative to the embedding's norm."""
    style: np.ndarray | None
    """float64 (n_units, n_measures): Spearman's correlation with the measures of style; None: too few English texts."""
    strong: np.ndarray
    """bool (n, n_units)"""
    weak: np.ndarray
    """bool (n, n_units)"""
    peers: np.ndarray
    """float32 (n, n_units): the mean code of the peers' reviews of the same item; nan without peers."""


def collect(
    database: SqlStore, adapter: Adapter, encoder: str, config: LatentConfig, *, min_peers: int = 1
) -> tuple[Codes, tuple[StreamStatistics, ...]]:
    """The codes of a store's reviews, and what the autoencoder does on each of the adapter's streams.

    Args:
        database: A store with vectors of the encoder.
        adapter: With an autoencoder.
        encoder: Name of the encoder that the adapter was fitted with.
        config: Which reviews, and which stream's codes.
        min_peers: Fewest other users of an item that a difference is taken to.

    Raises:
        ConfigError: The adapter has no autoencoder, or no such stream.
        NotFoundError: There are too few reviews with vectors, or with peers.
    """
    kept = adapter.config.kept_streams
    wanted = kept[-1] if config.stream == "auto" else config.stream
    if wanted not in kept:
        raise ConfigError(f"the adapter has no stream {wanted!r}", hint=f"its streams are: {', '.join(kept)}")
    frame = _reviews(database, encoder, config)
    ids = [ReviewId(one) for one in frame["review_id"].to_list()]
    vectors = database.vectors(ids, encoder=encoder).astype(np.float32)
    users, items = (frame[name].rank("dense").to_numpy().astype(np.int64) - 1 for name in ("user", "item"))
    statistics, codes = [], None
    for stream in kept:
        rows = np.arange(len(ids))
        values = vectors
        if stream == "diff":
            found = all_differences(vectors, users, items)
            rows = np.flatnonzero((found.n_peers > 0) & (_others(users, items) >= min_peers))
            values = found.diff[rows]
        if len(rows) < _FEWEST:
            raise NotFoundError(
                f"{len(rows)} reviews have a vector of {encoder!r} and peers: too few to look at units",
                hint="embed a store in which items have several reviewers",
            )
        x, code, x_hat = adapter.codes(values, stream)
        active = code > (0.5 if adapter.config.activation == "sigmoid" else 0)
        statistics.append(_stream_statistics(stream, x.numpy(), x_hat.numpy(), active.numpy(), config))
        if stream == wanted:
            some = frame[rows]
            codes = Codes(
                stream=stream,
                code=code.numpy(),
                active=active.numpy(),
                ids=tuple(ids[k] for k in rows.tolist()),
                names=tuple(some["user"].to_list()),
                users=users[rows],
                items=items[rows],
                texts=tuple(some["text"].to_list()),
                item_ids=tuple(some["item"].to_list()),
            )
    assert codes is not None
    return codes, tuple(statistics)


def _reviews(database: SqlStore, encoder: str, config: LatentConfig) -> pl.DataFrame:
    """The reviews with a vector of users who may be compared with, of random users if there are too many."""
    frame = database.review_frame().select("review_id", "user", "item", "text")
    missing = database.missing_vectors(encoder)["review_id"]
    peers = pl.Series(database.peers(), dtype=pl.String)
    frame = frame.filter(~pl.col("review_id").is_in(missing.implode()) & pl.col("user").is_in(peers.implode()))
    if frame.height < _FEWEST:
        raise NotFoundError(
            f"the store has {frame.height} reviews with vectors of {encoder!r}", hint=f"idiolect embed: {encoder}"
        )
    if frame.height > config.max_reviews:
        counts = frame.group_by("user", maintain_order=True).len()
        order = np.random.default_rng([config.seed, 19]).permutation(counts.height)
        fits = np.cumsum(counts["len"].to_numpy()[order]) <= config.max_reviews
        some = counts["user"][order[fits]]
        frame = frame.filter(pl.col("user").is_in(some.implode()))
    return frame


def _others(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """int64 (n,): how many other users wrote about each review's item."""
    pairs = np.unique(np.stack([items, users]), axis=1)
    return np.bincount(pairs[0], minlength=int(items.max()) + 1)[items] - 1


def _stream_statistics(
    stream: Stream, x: np.ndarray, x_hat: np.ndarray, active: np.ndarray, config: LatentConfig
) -> StreamStatistics:
    residual, variance = np.square(x - x_hat).sum(), np.square(x - x.mean(axis=0)).sum()
    share = active.mean(axis=0)
    return StreamStatistics(
        stream=stream,
        rows=len(x),
        l0=float(active.sum(axis=1).mean()),
        explained_variance=float(1 - residual / max(variance, 1e-12)),
        dead=tuple(np.flatnonzero(share == 0).tolist()),
        dense=tuple(np.flatnonzero(share >= config.dense).tolist()),
    )


def unit_statistics(codes: Codes, adapter: Adapter, config: LatentConfig) -> UnitStatistics:
    """What is known of every unit without a language model.

    Args:
        codes: Of one stream.
        adapter: Projects them.
        config: What is strong.
    """
    code = codes.code
    level = np.quantile(code, 1 - config.strong, axis=0)
    strong = codes.active & (code >= level)
    weak = (code <= np.median(code, axis=0)) & ~strong
    peers, sd = _peer_means(codes), code.std(axis=0)
    above = np.where(strong & ~np.isnan(peers), code - np.nan_to_num(peers), 0.0)
    n = np.maximum((strong & ~np.isnan(peers)).sum(axis=0), 1)
    return UnitStatistics(
        active=codes.active.mean(axis=0),
        user_share=_variance_share(code, codes.users),
        item_share=_variance_share(code, codes.items),
        contrast=np.divide(above.sum(axis=0) / n, sd, out=np.zeros(len(sd)), where=sd > 0),
        shift=_shift(codes, adapter, config.seed),
        style=_style(codes),
        strong=strong,
        weak=weak,
        peers=peers,
    )


def _peer_means(codes: Codes) -> np.ndarray:
    scale = max(float(np.abs(codes.code).max()), 1e-12)
    found = all_differences(codes.code / np.float32(scale), codes.users, codes.items)
    means = codes.code - found.diff * scale
    means[found.n_peers == 0] = np.nan
    return means


def _variance_share(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Omega squared of a one-way analysis of variance, per column: unlike eta squared it is about 0 by chance."""
    _, number, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n, k = len(values), len(counts)
    if k < 2 or n <= k:
        return np.zeros(values.shape[1])
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    total = np.square(centred).sum(axis=0)
    between = (np.square(group_sums(centred, number, k)) / counts[:, None]).sum(axis=0)
    within = (total - between) / (n - k)
    share = np.divide(between - (k - 1) * within, total + within, out=np.zeros_like(total), where=total > 0)
    return np.clip(share, 0, 1)


def _shift(codes: Codes, adapter: Adapter, seed: int) -> np.ndarray:
    import torch

    rows = np.random.default_rng([seed, 29]).permutation(len(codes.code))[:_SHIFT_ROWS]
    code = torch.from_numpy(codes.code[rows])
    whole = adapter.embed_codes(code, codes.stream)
    norms, shift = whole.norm(dim=1).clamp(min=1e-12), np.zeros(code.shape[1])
    for unit in np.flatnonzero((code != 0).any(dim=0).numpy()).tolist():
        silenced = code.clone()
        silenced[:, unit] = 0
        shift[unit] = float(((adapter.embed_codes(silenced, codes.stream) - whole).norm(dim=1) / norms).mean())
    return shift


def _style(codes: Codes) -> np.ndarray | None:
    english = are_english(codes.texts, codes.names)
    if english.sum() < _FEWEST_MEASURED:
        return None
    rows = np.flatnonzero(english)
    return _spearman(codes.code[rows], measure([codes.texts[k] for k in rows.tolist()]))


def _spearman(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float64 (columns of left, columns of right): rank correlations; 0 where a column does not vary."""
    ranks = [rankdata(one, axis=0) for one in (left, right)]
    centred = [one - one.mean(axis=0) for one in ranks]
    norms = [np.linalg.norm(one, axis=0) for one in centred]
    a, b = (np.divide(x, n, out=np.zeros_like(x), where=n > 0) for x, n in zip(centred, norms, strict=True))
    return a.T @ b


def closest_measures(style: np.ndarray | None, unit: int) -> tuple[tuple[str, float], ...]:
    """The three measures of style that a unit's code goes with best, and Spearman's correlation with each."""
    if style is None:
        return ()
    best: Sequence[int] = np.argsort(-np.abs(style[unit]), kind="stable")[:3].tolist()
    return tuple((NAMES[k], float(style[unit, k])) for k in best)
