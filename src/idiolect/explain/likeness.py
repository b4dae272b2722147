"""Does a text sound like a user, and has a user's style changed over time? Measured style, no model.

A text is a vector of style measures (``style`` encoder). The direction from others' texts about the same items to the
user's own is what is typical of the user; a text's score is how far it lies in that direction. Single texts scatter as
widely as the two means lie apart, so a text is ranked, not placed between means: its likeness is the mean of the share
of others' texts that score lower and the share of the user's own that do, each text scored without itself. The floor is
what a text of others gets on average, the ceiling what a text of the user gets: 0.25 and 0.75 if the two never overlap.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from idiolect.difference.stylometry import NAMES, within_item_sd
from idiolect.difference.stylometry.encoder import StyleEncoder
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.equal_lengths import COMPARED
from idiolect.difference.stylometry.known import known_values
from idiolect.errors import InputError, NotFoundError
from idiolect.explain.card import ExplainConfig, gather, measurable
from idiolect.explain.wording import phrase
from idiolect.store.base import ReviewReader
from idiolect.types import Review, UserId

MIN_REVIEWS = 3
"""Of the user's own, on items that others wrote about too."""
MIN_SEPARATION = 0.6
"""Below it, a user's own texts cannot be distinguished from others', and no text is scored."""
_MAX_OTHERS = 2000
_PER_WINDOW = 4
_WINDOWS = 6
_DRAWS = 999
_FDR_LEVEL = 0.1
_MOST_DEPARTURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleDeviation:
    """A measure on which a text is unlike the user's own texts."""

    measure: str
    phrase: str
    """What the text does more or less than the user's own: "uses more exclamation marks"."""
    text: float
    """In the measure's unit."""
    own: float
    """Mean of the user's own texts."""
    unit: str
    effect: float
    """Difference in standard deviations of reviews of one item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How much a text sounds like a user."""

    likeness: float | None
    """Mean of ``above_others`` and ``above_own``, 0 to 1. None: it cannot be said."""
    reason: str
    """Why it cannot be said; empty if it can."""
    low: float | None = None
    """Lower end of a 95 % interval: the user has written few texts to rank with."""
    high: float | None = None
    above_others: float | None = None
    """Share of others' texts about the user's items that are less like the user."""
    above_own: float | None = None
    """Share of the user's own texts that are less like the user."""
    floor: float | None = None
    """Mean likeness of others' texts."""
    ceiling: float | None = None
    """Mean likeness of the user's own texts."""
    separation: float | None = None
    """Probability that a text of the user scores higher than one of another; 0.5 is chance."""
    n_own: int = 0
    n_others: int = 0
    departures: tuple[StyleDeviation, ...] = ()
    """Where the text is least like the user, the largest first."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def likeness(
    reader: ReviewReader, user: UserId, text: str, *, min_peers: int = 1, without: Collection[str] = ()
) -> Likeness:
    """How much a text sounds like a user.

    Args:
        reader: What is visible.
        user: Whose voice.
        text: The text. If it is one of the user's own, it is not compared with itself.
        min_peers: Others that an item needs to count.
        without: Names of measures that do not count, such as those that the user muted.

    Raises:
        NotFoundError: The user has no review.
        InputError: The text is empty.
    """
    if not text.strip():
        raise InputError("there is no text", hint="pass one")
    config = ExplainConfig(min_peers=min_peers)
    compared = measurable(gather(reader, user, config), config)
    rest = [(one, peers) for one, peers in zip(compared.own, compared.peers, strict=True) if one.text != text]
    reviews, peers_of = [one for one, _ in rest], [peers for _, peers in rest]
    own = [review.text for review in reviews]
    others = [review.text for of_item in peers_of for review in of_item]
    counts: dict[str, Any] = {"n_own": len(own), "n_others": len(others)}
    if len(own) < MIN_REVIEWS:
        why = f"{len(own)} reviews of the user can be compared with others' of the same items; {MIN_REVIEWS} are needed"
        return Likeness(likeness=None, reason=why, **counts)
    if not are_english([text], [user])[0]:
        return Likeness(likeness=None, reason="the text is not in English, and only English is measured", **counts)
    weights = np.concatenate([np.full(len(peers), 1 / len(peers)) for peers in peers_of])
    rows = np.random.default_rng(0).permutation(len(others))[:_MAX_OTHERS]
    counts_in = np.array([name not in without for name in NAMES])
    vectors = _directions([*own, *(others[row] for row in rows), text], counts_in)
    found = _score(vectors, len(own), weights[rows])
    departures = _departures(text, own, reviews, peers_of, counts_in)
    return Likeness(**found, **counts, departures=departures)


def _directions(texts: Sequence[str], counts_in: np.ndarray) -> np.ndarray:
    """float64 (n, measures that count): vectors of style of length 1."""
    vectors = StyleEncoder().encode(texts).astype(np.float64)
    if counts_in.all():
        return vectors
    left = vectors[:, counts_in]
    return left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-12)


def _score(vectors: np.ndarray, n: int, weights: np.ndarray) -> dict[str, Any]:
    """The scores of the last text; the first n are the user's own, those between are others'."""
    mine, theirs, one = vectors[:n], vectors[n:-1], vectors[-1]
    share = weights / weights.sum()
    peer_mean, centre = share @ theirs, mine.mean(axis=0)

    def scores(rows: np.ndarray, centres: np.ndarray, peer_means: np.ndarray) -> np.ndarray:
        direction = centres - peer_means
        length = np.linalg.norm(direction, axis=-1)
        return ((rows - peer_means) * direction).sum(axis=-1) / np.maximum(length, 1e-12)

    of_own = scores(mine, (centre * n - mine) / (n - 1), peer_mean)
    left = 1 - share[:, None]
    without = np.where(left > 1e-9, (peer_mean - share[:, None] * theirs) / np.maximum(left, 1e-9), peer_mean)
    of_others = scores(theirs, centre, without)
    separation = float((np.sign(of_own[:, None] - of_others) + 1).mean() / 2)
    if separation < MIN_SEPARATION:
        why = "the user's own texts cannot be distinguished from others'"
        return {"likeness": None, "reason": why, "separation": separation}
    ranked = np.concatenate([scores(one, centre, peer_mean)[None], of_own, of_others])
    gap = float(of_own.mean() - share @ of_others)
    above_others = _share_below(ranked, of_others, share, gap)
    above_own = _share_below(ranked, of_own, np.full(n, 1 / n), gap)
    likeness = (above_others + above_own) / 2
    low, high = _mean_interval((above_others[0], n), (above_own[0], n))
    return {
        "likeness": float(likeness[0]),
        "reason": "",
        "low": low,
        "high": high,
        "above_others": float(above_others[0]),
        "above_own": float(above_own[0]),
        "floor": float(share @ likeness[1 + n :]),
        "ceiling": float(likeness[1 : 1 + n].mean()),
        "separation": separation,
    }


def _share_below(values: np.ndarray, sample: np.ndarray, weights: np.ndarray, gap: float) -> np.ndarray:
    """Distribution function of a weighted sample at values, smoothed by a normal kernel.

    The bandwidth is Silverman's, but at least a quarter of the gap between the two means: between texts that are all
    alike and others, there are degrees, too.
    """
    from scipy.special import ndtr

    mean = weights @ sample
    sd = float(np.sqrt(weights @ (sample - mean) ** 2))
    bandwidth = max(0.9 * sd * len(sample) ** -0.2, gap / 4, 1e-9)
    return ndtr((values[:, None] - sample) / bandwidth) @ weights


def _mean_interval(*shares: tuple[float, int]) -> tuple[float, float]:
    """95 % interval of the mean of shares, each of so many items.

    Jeffreys intervals of the shares, combined by the method of variance estimates recovery (Zou and Donner 2008).
    """
    from scipy.special import betaincinv

    values, sizes = np.array(shares).T
    hits, misses = values * sizes + 0.5, (1 - values) * sizes + 0.5
    down = np.maximum(values - betaincinv(hits, misses, 0.025), 0)
    up = np.maximum(betaincinv(hits, misses, 0.975) - values, 0)
    mean, n = values.mean(), len(values)
    return float(max(mean - np.linalg.norm(down) / n, 0)), float(min(mean + np.linalg.norm(up) / n, 1))


def _departures(
    text: str,
    own: Sequence[str],
    reviews: Sequence[Review],
    peers: Sequence[Sequence[Review]],
    counts_in: np.ndarray,
) -> tuple[StyleDeviation, ...]:
    values = known_values([*own, *(review.text for of_item in peers for review in of_item), text])
    items = [*range(len(reviews)), *(k for k, of_item in enumerate(peers) for _ in of_item)]
    sd = within_item_sd(values[:-1], np.array(items, dtype=np.int64))
    known = ~np.isnan(values[: len(own)])
    mean = np.where(known, values[: len(own)], 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    comparable = known.any(axis=0) & ~np.isnan(values[-1]) & (sd > 0) & counts_in
    effect = np.divide(values[-1] - mean, sd, out=np.zeros(len(sd)), where=comparable)
    places = [int(k) for k in np.argsort(-np.abs(effect), kind="stable")[:_MOST_DEPARTURES] if abs(effect[k]) >= 1]
    return tuple(
        StyleDeviation(
            measure=COMPARED[k].name,
            phrase=phrase(COMPARED[k], "more" if effect[k] > 0 else "less", float(values[-1, k])),
            text=float(values[-1, k]),
            own=float(mean[k]),
            unit=COMPARED[k].unit,
            effect=float(effect[k]),
        )
        for k in places
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of a user's reviews."""

    start: int
    """Seconds since 1970, of the first review."""
    end: int
    n_reviews: int
    distance: float
    """Of the window's mean style to that of all others, in style vectors' lengths (0 to 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A measure that rises or falls with time."""

    measure: str
    direction: str
    correlation: float
    """Spearman's, with time."""
    p: float
    """Corrected for all measures (Benjamini and Hochberg)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Whether a user's style has changed."""

    changed: bool | None
    """None: it cannot be said."""
    reason: str
    p: float | None = None
    """Of a permutation test: how often reviews in random order differ as much between windows."""
    windows: tuple[Window, ...] = ()
    trends: tuple[Trend, ...] = ()
    """Measures with a significant trend, the strongest first."""

    def record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def drift(reader: ReviewReader, user: UserId) -> Drift:
    """Whether a user's style has changed over time.

    Raises:
        NotFoundError: The user has no review.
    """
    profile = reader.profile(user)
    if not profile:
        raise NotFoundError(f"no review by user {user!r} in the store", hint="check the id; ids are case-sensitive")
    english = are_english([review.text for review in profile], [review.user for review in profile])
    dated = [one for one, keep in zip(profile, english, strict=True) if keep and one.timestamp is not None]
    n_windows = min(_WINDOWS, len(dated) // _PER_WINDOW)
    if n_windows < 2:
        why = f"{len(dated)} dated reviews in English; {2 * _PER_WINDOW} are needed"
        return Drift(changed=None, reason=why)
    texts = [review.text for review in dated]
    vectors = StyleEncoder().encode(texts).astype(np.float64)
    of = np.arange(len(dated)) * n_windows // len(dated)
    observed = _between(vectors, of, n_windows)
    rng = np.random.default_rng(0)
    drawn = [_between(vectors[rng.permutation(len(vectors))], of, n_windows) for _ in range(_DRAWS)]
    p = (1 + sum(one >= observed for one in drawn)) / (1 + _DRAWS)
    windows = tuple(_window(dated, vectors, of == k) for k in range(n_windows))
    return Drift(changed=p <= 0.05, reason="", p=p, windows=windows, trends=_trends(known_values(texts)))


def _between(vectors: np.ndarray, of: np.ndarray, n: int) -> float:
    """Sum of squares between windows."""
    centre = vectors.mean(axis=0)
    return float(sum((of == k).sum() * ((vectors[of == k].mean(axis=0) - centre) ** 2).sum() for k in range(n)))


def _window(dated: Sequence[Review], vectors: np.ndarray, inside: np.ndarray) -> Window:
    times = [one.timestamp or 0 for one, here in zip(dated, inside, strict=True) if here]
    apart = vectors[inside].mean(axis=0) - vectors[~inside].mean(axis=0)
    return Window(start=times[0], end=times[-1], n_reviews=len(times), distance=float(np.linalg.norm(apart)))


def _trends(values: np.ndarray) -> tuple[Trend, ...]:
    from scipy.stats import false_discovery_control, spearmanr  # takes a second to import

    known = {k: np.flatnonzero(~np.isnan(values[:, k])) for k in range(values.shape[1])}  # in order of time
    places = [k for k, rows in known.items() if len(rows) >= 2 * _PER_WINDOW and np.ptp(values[rows, k]) > 0]
    if not places:
        return ()
    found: list[Any] = [spearmanr(known[k], values[known[k], k]) for k in places]
    corrected = false_discovery_control([one.pvalue for one in found])
    trends = [
        Trend(
            measure=COMPARED[place].name,
            direction="rises" if one.statistic > 0 else "falls",
            correlation=float(one.statistic),
            p=float(p),
        )
        for place, one, p in zip(places, found, corrected, strict=True)
        if p <= _FDR_LEVEL
    ]
    return tuple(sorted(trends, key=lambda one: -abs(one.correlation)))
