"""How much of a corpus is personal in the choice of words, without any neural model.

A bigram model of the corpus is interpolated with a cache, the words of a user's past texts (Kuhn and De Mori 1990).
What the user's own cache saves, and what another user's costs instead, says what a language model could gain from past
texts, however well or badly a particular one does. It takes seconds, so it can be known before a model is trained.
Words are those of ``words.unicode_tokens``: single characters in scripts without blanks between words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.metrics.base import Mean
from idiolect.words import kind_of, unicode_tokens

WEIGHTS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Of the cache; validation texts choose one. 0: it has no use."""
_PRIOR = 8.0
"""Strength of the word frequencies in a bigram's probability (a Dirichlet prior; MacKay and Peto 1995)."""
_UNKNOWN, _START = 0, 1

UserText = tuple[str, str]
"""A user and a text of theirs."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CacheGains:
    """Nats of the same test texts in three conditions."""

    users: Sequence[str]
    """Of each text."""
    without: np.ndarray
    """float64 (n,): bigram model alone."""
    own: np.ndarray
    """float64 (n,): with the past words of its user."""
    other: np.ndarray
    """float64 (n,): with those of another user."""
    weight: float
    """Of the cache."""
    n_unspaced: int = 0
    """Test texts in scripts without blanks between words: their characters, or letters, are counted."""

    def gain(self) -> Interval:
        """What the user's own past words save per text, with its interval over users."""
        return self._interval(self.without - self.own)

    def cost(self) -> Interval:
        """What another user's past words cost per text, in place of the user's own."""
        return self._interval(self.other - self.own)

    def _interval(self, nats: np.ndarray) -> Interval:
        draws = Resamples(len(nats), np.random.default_rng(0), clusters=list(self.users))
        return interval(draws.score(Mean("nats", greater_is_better=True), nats))


def cache_gains(
    background: Iterable[str],
    past: Mapping[str, Sequence[str]],
    validation: Sequence[UserText],
    test: Sequence[UserText],
    *,
    seed: int = 0,
) -> CacheGains:
    """Nats per test text under a bigram model without a cache, with its user's and with another user's.

    Args:
        background: Texts of the bigram model, without any of ``validation`` and ``test``.
        past: Earlier texts of at least two users. Where they have no word of the background, there is no cache.
        validation: Texts that choose the weight of the cache.
        test: Texts that are measured; their users have past texts.
        seed: Of the draw of other users.

    Raises:
        InputError: There are fewer than two users with past texts, no texts, or texts of further users.

    Example:
        >>> past = {"ann": ["so so good", "so nice"], "bob": ["quite good", "quite nice"]}
        >>> texts = [("ann", "so good so nice"), ("bob", "quite nice")]
        >>> found = cache_gains(["good", "nice", "so", "quite"], past, texts, texts)
        >>> bool((found.own < found.other).all())
        True
    """
    if len(past) < 2 or not validation or not test:
        raise InputError("a cache model needs two users with past texts, and texts to measure")
    strangers = sorted({user for user, _ in (*validation, *test)} - past.keys())
    if strangers:
        raise InputError(f"user {strangers[0]!r} has a text to measure and no past texts")
    vocabulary: dict[str, int] = {}
    model = _Bigrams(_Ids(background, vocabulary, grow=True))
    caches = _Caches(past, vocabulary)
    drawn = np.random.default_rng(seed)
    tuned, measured = (_Texts(texts, model, caches, vocabulary, drawn) for texts in (validation, test))
    weight = min(WEIGHTS, key=lambda one: float(tuned.nats(one, tuned.own).mean()))
    return CacheGains(
        users=[user for user, _ in test],
        without=measured.nats(0.0, measured.own),
        own=measured.nats(weight, measured.own),
        other=measured.nats(weight, measured.other),
        weight=weight,
        n_unspaced=sum(kind_of(text) in ("chinese", "unspaced") for _, text in test),
    )


class _Ids:
    """Words of texts as numbers, one text after the other, and each word's predecessor.

    Args:
        texts: Any number.
        vocabulary: Word to number, from 2 on.
        grow: Number new words; else they are unknown.
    """

    def __init__(self, texts: Iterable[str], vocabulary: dict[str, int], *, grow: bool) -> None:
        words: list[int] = []
        lengths: list[int] = []
        for text in texts:
            found = unicode_tokens(text)
            if grow:
                words += [vocabulary.setdefault(word, len(vocabulary) + 2) for word in found]
            else:
                words += [vocabulary.get(word, _UNKNOWN) for word in found]
            lengths.append(len(found))
        self.words, self.lengths = np.array(words, dtype=np.int64), np.array(lengths, dtype=np.int64)
        self.before = np.concatenate([[_START], self.words[:-1]])[: len(words)]
        starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])[self.lengths > 0] if lengths else []
        self.before[np.asarray(starts, dtype=np.int64)] = _START


class _Counts:
    """Counts of pairs of numbers, looked up by the pair."""

    def __init__(self, first: np.ndarray, second: np.ndarray, n: int) -> None:
        self._n = n
        self._keys, self._counts = np.unique(first * n + second, return_counts=True)

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """float64: 0 for a pair that does not occur."""
        if not len(self._keys):
            return np.zeros(len(second))
        wanted = first * self._n + second
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[places] == wanted, self._counts[places], 0).astype(np.float64)


class _Bigrams:
    """P(b | a) = (c(a, b) + 8 P(b)) / (c(a) + 8), where P(b) = (c(b) + 1/2) / (N + n/2)."""

    def __init__(self, ids: _Ids) -> None:
        self.n = int(ids.words.max(initial=_START)) + 1
        counts = np.bincount(ids.words, minlength=self.n)
        self._word = (counts + 0.5) / (counts.sum() + 0.5 * self.n)
        self._before = np.bincount(ids.before, minlength=self.n)
        self._pairs = _Counts(ids.before, ids.words, self.n)

    def probabilities(self, ids: _Ids) -> np.ndarray:
        """float64 (n_words,)."""
        prior = _PRIOR * self._word[ids.words]
        return (self._pairs(ids.before, ids.words) + prior) / (self._before[ids.before] + _PRIOR)


class _Caches:
    """Relative frequencies of words in the past texts of each user."""

    def __init__(self, past: Mapping[str, Sequence[str]], vocabulary: dict[str, int]) -> None:
        self.users = {user: place for place, user in enumerate(past)}
        texts = [(place, text) for place, texts in enumerate(past.values()) for text in texts]
        ids = _Ids((text for _, text in texts), vocabulary, grow=False)
        owners = np.repeat(np.array([place for place, _ in texts], dtype=np.int64), ids.lengths)
        known = ids.words != _UNKNOWN
        n = max(vocabulary.values(), default=_START) + 1
        self._pairs = _Counts(owners[known], ids.words[known], n)
        self._totals = np.bincount(owners[known], minlength=len(past))

    def probabilities(self, users: np.ndarray, ids: _Ids, without: np.ndarray) -> np.ndarray:
        """float64 (n_words,): in the cache of each text's user, int64 (n_texts,).

        An empty cache has the probabilities ``without`` one: else its texts would seem to lack another user's words.
        """
        of_word = np.repeat(users, ids.lengths)
        totals = self._totals[of_word]
        return np.where(totals > 0, self._pairs(of_word, ids.words) / np.maximum(totals, 1), without)


class _Texts:
    """Texts to measure, with what does not depend on the weight."""

    def __init__(
        self,
        texts: Sequence[UserText],
        model: _Bigrams,
        caches: _Caches,
        vocabulary: dict[str, int],
        rng: np.random.Generator,
    ) -> None:
        ids = _Ids((text for _, text in texts), vocabulary, grow=False)
        users = np.array([caches.users[user] for user, _ in texts], dtype=np.int64)
        others = (users + rng.integers(1, len(caches.users), size=len(users))) % len(caches.users)
        self._of_text, self._n = np.repeat(np.arange(len(texts)), ids.lengths), len(texts)
        self._model = model.probabilities(ids)
        self.own, self.other = (caches.probabilities(whose, ids, self._model) for whose in (users, others))

    def nats(self, weight: float, cache: np.ndarray) -> np.ndarray:
        """float64 (n_texts,)."""
        nats = -np.log((1 - weight) * self._model + weight * cache)
        return np.bincount(self._of_text, weights=nats, minlength=self._n)
