"""Authorship of texts by their commonest words: Burrows' Delta, attribution among users, and copied word sequences.

Delta (Burrows 2002) is the mean absolute difference of z-scored relative frequencies of the commonest words, here
between one text and all past texts of a user. It says nothing of topics and needs no list of words, so it holds for any
language that separates words, and for Chinese and Japanese, whose commonest characters are function words and particles
(``words.words``). Letters of Thai and similar scripts are no words: ``has_words``. One short text is far from
everybody, its writer included; read a value between its ceiling and floor (``evaluation.calibration``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from idiolect.metrics.base import Mean
from idiolect.words import runs, size, unit, words

DELTA = Mean("burrows-delta", greater_is_better=False, unit="SD")
"""Aggregates ``Authorship.delta``."""
ATTRIBUTION = Mean("attribution", greater_is_better=True, unit="AUC")
"""Aggregates ``Authorship.attribution``."""
COPIED_OWN = Mean("copied from history", greater_is_better=False, unit="share")
"""Aggregates ``copied`` against the user's past texts."""
COPIED_PEERS = Mean("copied from peers", greater_is_better=False, unit="share")
"""Aggregates ``copied`` against others' texts on the same item."""

_COMMONEST = 100
"""Words counted; Burrows used 150 of whole novels."""
_RUN = 5
"""Words in a row that count as copied."""


def has_words(text: str) -> bool:
    """Whether words, or characters that mean as much, can be counted: not if most of a text is in Thai or similar.

    Example:
        >>> has_words("很好吃"), has_words("อร่อยมาก"), has_words("so good")
        (True, False, True)
    """
    tokens = words(text)
    return 2 * sum(size(token) for token in tokens if unit(token) == "letter") <= sum(map(size, tokens))


class Authorship:
    """Past texts of users, to compare new texts with.

    Args:
        past: Texts of each user.

    Example:
        >>> loud, calm = ["so so good and so fun"] * 3, ["the tea is in the pot on the table"] * 3
        >>> found = Authorship({"ann": loud, "bob": calm})
        >>> found.attribution(["so so nice and so new"], ["ann"]).tolist()
        [1.0]
    """

    def __init__(self, past: Mapping[str, Sequence[str]]) -> None:
        self._users = {user: place for place, user in enumerate(past)}
        counted = [Counter(word for text in texts for word in words(text)) for texts in past.values()]
        total: Counter[str] = sum(counted, Counter())
        self._columns = {word: place for place, (word, _) in enumerate(total.most_common(_COMMONEST))}
        rates = np.array([self._rates(one) for one in counted]).reshape(len(past), len(self._columns))
        self._centre, sd = rates.mean(axis=0), rates.std(axis=0)
        self._scale = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0)
        self._past = (rates - self._centre) * self._scale

    def _rates(self, counted: Counter[str]) -> np.ndarray:
        row = np.zeros(len(self._columns))
        for word in counted.keys() & self._columns.keys():
            row[self._columns[word]] = counted[word]
        return row / max(1, sum(counted.values()))

    def distances(self, texts: Sequence[str]) -> np.ndarray:
        """float64 (len(texts), n_users): Delta between each text and each user's past texts."""
        rows = np.array([self._rates(Counter(words(text))) for text in texts]).reshape(len(texts), len(self._columns))
        z = (rows - self._centre) * self._scale
        return np.array([np.abs(row - self._past).mean(axis=1) for row in z]).reshape(len(texts), len(self._past))

    def delta(self, texts: Sequence[str], users: Sequence[str]) -> np.ndarray:
        """float64 (n,): Delta between each text and the past texts of its user."""
        return self.distances(texts)[np.arange(len(texts)), [self._users[user] for user in users]]

    def attribution(self, texts: Sequence[str], users: Sequence[str]) -> np.ndarray:
        """float64 (n,), 0 to 1: the share of other users whose past texts are further from a text than its user's.

        Chance is 0.5; equal distances count half, so an empty text has 0.5 only on average over users.
        """
        return attribution(-self.distances(texts), np.array([self._users[user] for user in users], dtype=np.int64))


def attribution(similarity: np.ndarray, own: np.ndarray) -> np.ndarray:
    """float64 (n,), 0 to 1: the share of other users who are less similar to a text than its own user.

    This is the area under the ROC curve of each text. Chance is 0.5; equal similarities count half.

    Args:
        similarity: float (n, n_users), of each text to each user.
        own: int (n,), the column of each text's user.

    Example:
        >>> attribution(np.array([[0.9, 0.1, 0.3]]), np.array([0])).tolist()
        [1.0]
    """
    of_user = similarity[np.arange(len(own)), own][:, None]
    below = (np.sign(of_user - similarity) + 1).sum(axis=1) / 2 - 0.5  # without the user
    return below / max(1, similarity.shape[1] - 1)


def copied(texts: Sequence[str], sources: Sequence[Sequence[str]]) -> np.ndarray:
    """float64 (n,), 0 to 1: the share of each text's five-word sequences that are in its sources.

    In scripts without blanks between words, of its sequences of eight characters (Chinese, Japanese) or sixteen letters
    (Thai and similar), which are as long as five words.

    Args:
        texts: What was written; a text that is shorter than one sequence has 0.
        sources: For each text, the texts it may have copied from.

    Example:
        >>> copied(["one two three four five six"], [["a one two three four five b"]]).tolist()
        [0.5]
    """
    shares = np.zeros(len(texts))
    for place, (text, known) in enumerate(zip(texts, sources, strict=True)):
        runs = _runs(text)
        if runs:
            shares[place] = len(runs & set().union(*map(_runs, known))) / len(runs)
    return shares


def _runs(text: str) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[first:end]) for first, end in runs(tokens, _RUN)}
