"""The data of a card: compared reviews, significant differences, their wording, and sentences as evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.stylometric import MeasuredTexts
from idiolect.difference.stylometry import MEASURES, NAMES, Measure, within_item_sd
from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.known import known_languages, known_measures
from idiolect.difference.stylometry.measures import plain, split
from idiolect.difference.stylometry.patterns import LIST_LINE
from idiolect.difference.stylometry.permutation import find_significant, min_p, permutation_test
from idiolect.difference.stylometry.prose import recurring_lines, without_lines
from idiolect.errors import NotFoundError
from idiolect.explain.recurring import RecurringPhrase, recurring_phrases
from idiolect.peers import peers_of
from idiolect.store.base import ReviewReader
from idiolect.types import ItemId, Review, ReviewId, UserId

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
    """Share of the user's reviews whose value is not 0."""
    others_showing: float
    """Share of peers' reviews whose value is not 0, every item with equal weight."""

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
    showing: np.ndarray
    """float64 (2, n_measures): share of texts whose value is not 0, the user's and the peers'."""
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
            measure=MEASURES[place],
            direction="more" if self.effect[place] > 0 else "less",
            own=float(self.own[place]),
            others=float(self.others[place]),
            effect=float(self.effect[place]),
            low=float(self.low[place]),
            high=float(self.high[place]),
            support=int(self.support[place]),
            n_items=len(self.compared.own),
            p=float(self.corrected[place]),
            own_showing=float(own_showing),
            others_showing=float(others_showing),
        )


def find_differences(compared: Compared, texts: MeasuredTexts, config: ExplainConfig) -> UserDifferences:
    """Compare a user on every measure.

    Args:
        compared: The user's and peers' reviews.
        texts: Holds all of these texts.
        config: Significance and size of a claim.
    """
    own = texts[[review.text for review in compared.own]]
    peers = [texts[[peer.text for peer in of_item]] for of_item in compared.peers]
    peer_means = np.array([values.mean(axis=0) for values in peers]).reshape(own.shape)
    sd = _within_item_sd(own, peers)
    null = permutation_test(own, peers, np.random.default_rng(SEED), draws=DRAWS)
    tested = find_significant(null, sd, fdr_level=config.fdr_level)
    large = np.abs(tested.effect) >= config.min_effect
    return UserDifferences(
        compared=compared,
        own=_mean(own),
        others=_mean(peer_means),
        effect=tested.effect,
        low=tested.low,
        high=tested.high,
        p=tested.p,
        corrected=tested.corrected,
        claimed=tested.significant & large,
        small=tested.significant & ~large,
        support=((own - peer_means) * np.sign(null.observed) > 0).sum(axis=0),
        showing=np.stack([_mean(own != 0), _mean(np.array([(values != 0).mean(axis=0) for values in peers]))]),
        n_tested=tested.n_tested,
        level=tested.level,
        too_few=min_p([1 + len(values) for values in peers]) * len(MEASURES) > config.fdr_level,
    )


def _within_item_sd(own: np.ndarray, peers: list[np.ndarray]) -> np.ndarray:
    places = np.arange(len(own), dtype=np.int64)
    items = np.concatenate([places, np.repeat(places, [len(values) for values in peers])])
    return within_item_sd(np.vstack([own, *peers]), items) if len(own) else np.zeros(len(MEASURES))


def _mean(rows: np.ndarray) -> np.ndarray:
    """Mean over items; 0 without items."""
    return rows.mean(axis=0) if len(rows) else np.zeros(len(MEASURES))


LEAD = "Compared with others who wrote about the same items, this user"

_ABSOLUTE = re.compile(
    r"\b(?:never|no|nobody|nothing|not|without|every|hardly|just stops|unsupported|avoids|bare|stays (?:general|out)"
    r"|one (?:block|side|thought)|keeps (?:clear|to neutral|their own)|leaves the choice|flatly)\b"
)
"""Phrases that say more than that a user does something less often than others."""
_OF_DEGREE = {"hedges": "hedges claims"}
"""In place of "hedges every claim", which few do. The phrases of the measures stand in prompts and stay as they are."""
_OFTEN = ("per 100 words", "% of sentences", "% of texts", "per text", "per sentence")
_SIGNED = ("tone", "british_spelling")
"""Differences of two counts, for which ratios have no meaning."""
_COUNTED = {
    "british_spelling": "British less American spellings",
    "tone": "praise less blame",
    "joints": "clauses joined",
    "information": "content words",
    "verdict_first": "verdict in the first less the last sentence",
    "lowercase_starts": "starts in lower case",
}
"""What was counted, where the measure's name does not say it."""


def phrase(of: Measure, direction: Direction, own: float) -> str:
    """The end of ``LEAD``: the measure's phrase, but "less often" instead of "never" if the user's mean is above 0.

    Args:
        of: The measure.
        direction: Sign of the difference.
        own: The user's mean, in the measure's unit.
    """
    if direction == "more":
        return f"often {_OF_DEGREE[of.name]}" if of.name in _OF_DEGREE else of.more
    less_often = own > 0 and _ABSOLUTE.search(of.less) and of.name not in _SIGNED
    return f"less often {_OF_DEGREE.get(of.name, of.more)}" if less_often else of.less


def figures(claim: Claim) -> str:
    """The measured values in plain words: "3.1 times as often as others on the same 12 items (4.2 per 100 ...)".

    For a user with lower values the measure is named, because the phrase says the opposite of what was counted:
    "first person 0.2 per 100 words, others 1.4, on the same 12 items".
    """
    where = f"on the same {claim.n_items} items"
    own, others, unit = amount(claim.own), amount(claim.others), claim.measure.unit
    if claim.direction == "more" and counts(claim.measure):
        if claim.others == 0:
            return f"{own} {unit} {where}; others not once"
        return f"{amount(claim.own / claim.others)} times as often as others {where} ({own} {unit}, others {others})"
    if claim.measure.name == "length":
        return f"{own} words, others {others}, {where}"
    counted = _COUNTED.get(claim.measure.name, claim.measure.name.replace("_", " "))
    if claim.own == 0 and counts(claim.measure):
        return f"{counted} not once {where}; others {others} {unit}"
    unit = f" {unit}" if counts(claim.measure) else f" ({unit})"
    return f"{counted} {own}{unit}, others {others}, {where}"


def counts(of: Measure) -> bool:
    """Whether a measure is a count, so that ratios and texts without it have a meaning."""
    return of.unit in _OFTEN and of.name not in _SIGNED


def amount(value: float) -> str:
    """A number in short: two significant digits below 10, one decimal place below 100."""
    size = abs(value)
    if size >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 0.995 else f"{value:.2g}"


def effect(claim: Claim) -> str:
    """The effect with its interval."""
    return f"effect {claim.effect:+.2f} [{claim.low:+.2f}, {claim.high:+.2f}]"


def chance(p: float) -> str:
    """A corrected p value."""
    return "corrected p < 0.001" if p < 0.001 else f"corrected p = {p:.3f}"


LONGEST = 240
"""Longest quote, in characters; longer sentences are not quoted, because a cut could remove the evidence."""
LEAST_WORDS = 4
"""Shorter sentences are quoted last: one mark in two words is a high rate but weak evidence."""

_WHOLE = frozenset({"length", "sentence_variety", "word_variety", "repetition", "paragraphs"})
"""Measures that no single sentence shows."""
_LOW_SHOWS = frozenset({"sentence_length", "word_length", "information", "tone", "british_spelling"})
"""Measures whose low values a sentence can show; for other measures it would show an absence."""
_OF_LISTS = frozenset({"list_lines"})
"""Measures that list items show; others are quoted from sentences."""
_JUDGED_BY = {"verdict_first": "judging_words"}
"""The measure that a sentence is judged by, for measures of whole texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuote:
    """A quote of the user's own words."""

    text: str
    review: ReviewId
    item: ItemId


class Sentences:
    """The sentences of a user's reviews, measured once; each is quoted at most once.

    Args:
        reviews: The user's own reviews.
    """

    def __init__(self, reviews: Sequence[Review]) -> None:
        self._reviews = reviews
        texts = plain([review.text for review in reviews])
        frame, lines = _sentences(texts), [" ".join(text.split()) for text in texts]
        literal = [sentence in lines[row] for row, sentence in frame.select("row", "sentence").iter_rows()]
        frame = frame.filter(pl.Series(literal, dtype=pl.Boolean))
        self._texts: list[str] = frame["sentence"].to_list()
        self._rows = frame["row"].to_numpy()
        self._first, self._last = frame["first"].to_numpy(), frame["last"].to_numpy()
        self._words = np.array([len(text.split()) for text in self._texts], dtype=np.int64)
        self._quotable = np.array([len(text) <= LONGEST for text in self._texts], dtype=bool)
        self._listed = np.array([re.match(LIST_LINE, text) is not None for text in self._texts], dtype=bool)
        self._values = known_measures(self._texts)
        self._quoted: set[str] = set()

    def showing(self, claim: Claim, k: int) -> tuple[UserQuote, ...]:
        """At most ``k`` sentences that show a claim and were not returned before, best first, one per review."""
        name = claim.measure.name
        if name in _WHOLE or (claim.direction == "less" and name not in _LOW_SHOWS | _JUDGED_BY.keys()):
            return ()
        values = self._values[:, NAMES.index(_JUDGED_BY.get(name, name))]
        fits = self._quotable & self._place(claim) & self._shows(claim, values)
        fits &= np.full(len(fits), name in _OF_LISTS) | ~self._listed
        towards = values if name in _JUDGED_BY else claim.sign * values
        order = np.lexsort((self._words, -towards, self._words < LEAST_WORDS))
        chosen: list[int] = []
        rows: set[int] = set()
        for place in map(int, order[fits[order]]):
            if len(chosen) == k:
                break
            if self._rows[place] not in rows and self._texts[place] not in self._quoted:
                chosen.append(place)
                rows.add(int(self._rows[place]))
                self._quoted.add(self._texts[place])
        return tuple(map(self._evidence, chosen))

    def _place(self, claim: Claim) -> np.ndarray:
        """Bool (n,): sentences whose position can show the claim."""
        if claim.measure.name == "verdict_first":
            return self._first if claim.direction == "more" else self._last
        return self._last if claim.measure.name == "sign_offs" else np.ones(len(self._texts), dtype=bool)

    @staticmethod
    def _shows(claim: Claim, values: np.ndarray) -> np.ndarray:
        if claim.measure.name in _JUDGED_BY:
            return values > 0
        beyond = claim.sign * (values - claim.others) > 0
        if claim.direction == "more" or claim.measure.name in ("tone", "british_spelling"):
            return beyond & (claim.sign * values > 0)
        return beyond

    def _evidence(self, place: int) -> UserQuote:
        review = self._reviews[self._rows[place]]
        return UserQuote(text=self._texts[place], review=review.id, item=review.item)


def _sentences(texts: Sequence[str]) -> pl.DataFrame:
    """``row``, ``sentence`` and whether it is the text's ``first`` or ``last``."""
    return (
        pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
        .with_row_index("row")
        .select("row", split(pl.col("text")).alias("sentence"))
        .explode("sentence", empty_as_null=True, keep_nulls=True)
        .with_columns(pl.col("sentence").str.strip_chars())
        .filter(pl.col("sentence").str.contains(r"[\p{L}\p{N}]"))
        .with_columns(
            first=pl.col("row") != pl.col("row").shift(1).fill_null(len(texts)),
            last=pl.col("row") != pl.col("row").shift(-1).fill_null(len(texts)),
        )
    )
