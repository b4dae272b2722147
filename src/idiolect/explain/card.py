"""The data of a card: compared reviews and significant differences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.stylometric import MeasuredTexts
from idiolect.difference.stylometry import MEASURES, Measure, within_item_sd
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.equal_lengths import COMPARED, PLACES
from idiolect.difference.stylometry.known import known_languages, known_windows
from idiolect.difference.stylometry.permutation import NullDistribution, find_significant, min_p, permutation_test
from idiolect.difference.stylometry.prose import recurring_lines, without_lines
from idiolect.errors import NotFoundError
from idiolect.explain.recurring import RecurringPhrase, recurring_phrases
from idiolect.peers import peers_of
from idiolect.store.base import ReviewReader
from idiolect.types import ItemId, Review, UserId

MAX_ITEMS = 200
"""Most items compared, those of the user's latest reviews: what is small enough to need more is not worth a claim."""
MAX_PEERS = 100
"""Most peers' reviews of an item, drawn at random if there are more: their mean is then known well enough."""
DRAWS = 10_000
"""Of the permutation test. The smallest p value is 1e-4, below what the correction for all measures asks for."""
SEED = 0
"""Of the draws: the same reviews give the same card."""


class ExplainConfig(Config):
    """Significance and size that a difference needs to be on a card."""

    fdr_level: float = Field(default=0.05, gt=0, lt=1)
    """False discovery rate: highest expected share of false claims (Benjamini and Hochberg over all measures)."""
    min_effect: float = Field(default=0.2, ge=0)
    """Smallest effect that is claimed, in standard deviations of reviews of one item; Cohen calls 0.2 small."""
    min_support: int = Field(default=2, ge=1)
    """Comparisons in which a difference that a model claimed must recur."""
    min_peers: int = Field(default=1, ge=1)
    """Fewest other users of an item."""
    quotes: int = Field(default=2, ge=0)
    """Most sentences of the user quoted for a claim."""

    retired: ClassVar = {"max_items": MAX_ITEMS, "max_peers": MAX_PEERS, "draws": DRAWS, "seed": SEED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A user's reviews and peers' reviews of the same items."""

    user: UserId
    n_reviews: int
    """All reviews of the user."""
    own: tuple[Review, ...]
    """The user's newest review of each item with peers, oldest first."""
    peers: tuple[tuple[Review, ...], ...]
    """Peers' reviews of each item; they are measured and never shown."""
    own_left_out: int = 0
    """The user's reviews that are not measured because they, or all peers' reviews, are not in English."""
    peers_left_out: int = 0
    """Peers' reviews that are not measured because they are not in English."""
    recurring: tuple[RecurringPhrase, ...] = ()
    """What the user repeats from text to text, pasted lines included."""

    @property
    def n_peer_reviews(self) -> int:
        """Number of peers' reviews."""
        return sum(map(len, self.peers))

    @property
    def n_others(self) -> int:
        """Number of peers."""
        return len({peer.user for peer in chain.from_iterable(self.peers)})

    @property
    def texts(self) -> list[str]:
        """All texts to measure."""
        return [review.text for review in (*self.own, *chain.from_iterable(self.peers))]


def gather(reader: ReviewReader, user: UserId, config: ExplainConfig) -> Compared:
    """Collect a user's newest review of each item and peers' reviews of it.

    Raises:
        NotFoundError: The user has no review.
    """
    profile = reader.profile(user)
    if not profile:
        raise NotFoundError(f"no review by user {user!r} in the store", hint="check the id; ids are case-sensitive")
    newest: dict[ItemId, Review] = {review.item: review for review in profile}
    own: list[Review] = []
    peers: list[tuple[Review, ...]] = []
    rng = np.random.default_rng(SEED)
    for review in sorted(newest.values(), key=lambda one: one.moment, reverse=True):
        if len(own) == MAX_ITEMS:
            break
        others = peers_of(reader, review)
        if len({other.user for other in others}) >= config.min_peers:
            own.append(review)
            peers.append(_some(others, MAX_PEERS, rng))
    return Compared(user=user, n_reviews=len(profile), own=tuple(own[::-1]), peers=tuple(peers[::-1]))


def measurable(compared: Compared, config: ExplainConfig) -> Compared:
    """Leave out lines that the user pastes, and count and leave out texts that are not English.

    The measures do not apply to other languages, and a disclaimer under every text is no style.
    """
    texts = [review.text for review in compared.own]
    pasted = recurring_lines(texts)
    own = tuple(replace(review, text=without_lines(review.text, pasted)) for review in compared.own)
    repeated = recurring_phrases(texts, [peer.text for peer in chain.from_iterable(compared.peers)])
    return _in_english(replace(compared, own=own, recurring=repeated), config)


def _in_english(compared: Compared, config: ExplainConfig) -> Compared:
    reviews = [*compared.own, *chain.from_iterable(compared.peers)]
    texts = [one.text for one in reviews]
    is_english = are_english(texts, [one.user for one in reviews], known_languages(texts))
    if is_english.all():
        return compared
    english = {one.id for one, keep in zip(reviews, is_english.tolist(), strict=True) if keep}
    peers = [tuple(one for one in of_item if one.id in english) for of_item in compared.peers]
    kept = [
        (own, others)
        for own, others in zip(compared.own, peers, strict=True)
        if own.id in english and len({one.user for one in others}) >= config.min_peers
    ]
    return replace(
        compared,
        own=tuple(own for own, _ in kept),
        peers=tuple(others for _, others in kept),
        own_left_out=len(compared.own) - len(kept),
        peers_left_out=compared.n_peer_reviews - sum(map(len, peers)),
    )


def _some(reviews: list[Review], most: int, rng: np.random.Generator) -> tuple[Review, ...]:
    if len(reviews) <= most:
        return tuple(reviews)
    return tuple(reviews[k] for k in np.sort(rng.choice(len(reviews), most, replace=False)))


Direction = Literal["more", "less"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One measured difference that is significant and at least ``ExplainConfig.min_effect``."""

    measure: Measure
    direction: Direction
    own: float
    """The user's mean over items, in the measure's unit."""
    others: float
    """The peers' mean over the same items, every item with equal weight."""
    effect: float
    """Own minus peers' mean, in standard deviations of reviews of one item."""
    low: float
    """Lower end of the effect's interval, at ``UserDifferences.level``."""
    high: float
    """Upper end."""
    support: int
    """Items on which the user is on that side of the peers' mean."""
    n_items: int
    p: float
    """p value, corrected for the number of measures."""
    own_showing: float
    """Share of the user's reviews whose value is not the lowest (``least``)."""
    others_showing: float
    """Share of peers' reviews whose value is not the lowest, every item with equal weight."""

    @property
    def sign(self) -> int:
        """+1 for more, -1 for less."""
        return 1 if self.direction == "more" else -1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UserDifferences:
    """Differences of a user on every measure; arrays are (n_measures,) in the order of ``MEASURES``."""

    compared: Compared
    own: np.ndarray
    """float64: means of the user's values over items, in the measures' units."""
    others: np.ndarray
    """float64: means of the peers' values."""
    effect: np.ndarray
    """float64: effect sizes, in standard deviations."""
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    """float64: p values, not corrected."""
    corrected: np.ndarray
    """float64: p values, corrected for all measures that vary on these items."""
    claimed: np.ndarray
    """bool: significant and at least ``ExplainConfig.min_effect``."""
    small: np.ndarray
    """bool: significant, but smaller than ``ExplainConfig.min_effect``."""
    support: np.ndarray
    """int64: items on which the user is on the side of the mean difference."""
    n_items: np.ndarray
    """int64: items compared; variety and repetition of words are compared on those with long enough texts only."""
    showing: np.ndarray
    """float64 (2, n_measures): share of texts whose value is not the lowest, the user's and the peers'."""
    n_tested: int
    """Measures that vary on these items."""
    level: float
    """Coverage of the intervals, by Benjamini and Yekutieli (2005) for selected parameters: of the shown intervals, at
    most a share ``fdr_level`` is expected to miss."""
    too_few: bool
    """Whether the items are too few for any difference to be significant."""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Claims, sorted by the interval end nearer 0, largest first."""
        nearest = np.where(self.effect > 0, self.low, -self.high)
        places = sorted(np.flatnonzero(self.claimed), key=lambda place: -nearest[place])
        return tuple(self._claim(int(place)) for place in places)

    def _claim(self, place: int) -> Claim:
        own_showing, others_showing = self.showing[:, place]
        return Claim(
            measure=COMPARED[place],
            direction="more" if self.effect[place] > 0 else "less",
            own=float(self.own[place]),
            others=float(self.others[place]),
            effect=float(self.effect[place]),
            low=float(self.low[place]),
            high=float(self.high[place]),
            support=int(self.support[place]),
            n_items=int(self.n_items[place]),
            p=float(self.corrected[place]),
            own_showing=float(own_showing),
            others_showing=float(others_showing),
        )


def least(of: Measure) -> float:
    """The lowest value of a measure, that of texts that do not show it: every text has a paragraph."""
    return 1.0 if of.name == "paragraphs" else 0.0


_LEAST = np.array([least(of) for of in MEASURES])


def find_differences(compared: Compared, texts: MeasuredTexts, config: ExplainConfig) -> UserDifferences:
    """Compare a user on every measure.

    Args:
        compared: The user's and peers' reviews.
        texts: Holds all of these texts.
        config: Significance and size of a claim.
    """
    own = texts[[review.text for review in compared.own]]
    peers = [texts[[peer.text for peer in of_item]] for of_item in compared.peers]
    found = _compare(own, peers)
    _at_equal_lengths(found, compared, config.min_peers)
    null = NullDistribution(observed=found.observed, drawn=found.drawn)
    tested = find_significant(null, found.sd, fdr_level=config.fdr_level)
    large = np.abs(tested.effect) >= config.min_effect
    return UserDifferences(
        compared=compared,
        own=found.own,
        others=found.others,
        effect=tested.effect,
        low=tested.low,
        high=tested.high,
        p=tested.p,
        corrected=tested.corrected,
        claimed=tested.significant & large,
        small=tested.significant & ~large,
        support=found.support,
        n_items=found.n_items,
        showing=found.showing,
        n_tested=tested.n_tested,
        level=tested.level,
        too_few=min_p([1 + len(values) for values in peers]) * len(MEASURES) > config.fdr_level,
    )


class _Comparison(NamedTuple):
    """A user's values against peers'; arrays are (n_measures,), their last axis is that of measures."""

    own: np.ndarray
    others: np.ndarray
    sd: np.ndarray
    observed: np.ndarray
    drawn: np.ndarray
    support: np.ndarray
    showing: np.ndarray
    n_items: np.ndarray


def _compare(own: np.ndarray, peers: list[np.ndarray], least: np.ndarray | float = _LEAST) -> _Comparison:
    """Compare float64 (n_items, n_measures) with the peers' values of each item."""
    peer_means = np.array([values.mean(axis=0) for values in peers]).reshape(own.shape)
    null = permutation_test(own, peers, np.random.default_rng(SEED), draws=DRAWS)
    shown = np.array([(values != least).mean(axis=0) for values in peers]).reshape(own.shape)
    return _Comparison(
        own=_mean(own),
        others=_mean(peer_means),
        sd=_within_item_sd(own, peers),
        observed=null.observed,
        drawn=null.drawn,
        support=((own - peer_means) * np.sign(null.observed) > 0).sum(axis=0),
        showing=np.stack([_mean(own != least), _mean(shown)]),
        n_items=np.full(own.shape[1], len(own)),
    )


def _at_equal_lengths(found: _Comparison, compared: Compared, min_peers: int) -> None:
    """Replace what depends on the length of a text by what is compared at equal lengths, on items with long texts."""
    values = known_windows(compared.texts)
    own, peers = values[: len(compared.own)], values[len(compared.own) :]
    of_items = np.split(peers, np.cumsum([len(of_item) for of_item in compared.peers])[:-1]) if len(own) else []
    for column, place in enumerate(PLACES):
        mine, theirs = [], []
        for value, others, reviews in zip(own[:, column], of_items, compared.peers, strict=True):
            known = ~np.isnan(others[:, column])
            users = {review.user for review, long in zip(reviews, known.tolist(), strict=True) if long}
            if not np.isnan(value) and len(users) >= max(min_peers, 1):
                mine.append(value)
                theirs.append(others[known, column][:, None])
        part = _compare(np.array(mine, dtype=np.float64).reshape(-1, 1), theirs, 0.0)
        for whole, new in zip(found, part, strict=True):
            whole[..., place] = new[..., 0]


def _within_item_sd(own: np.ndarray, peers: list[np.ndarray]) -> np.ndarray:
    places = np.arange(len(own), dtype=np.int64)
    items = np.concatenate([places, np.repeat(places, [len(values) for values in peers])])
    return within_item_sd(np.vstack([own, *peers]), items) if len(own) else np.zeros(own.shape[1])


def _mean(rows: np.ndarray) -> np.ndarray:
    """Mean over items; 0 without items."""
    return rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
