"""How well vectors tell users apart, without any language model.

A method that reads vectors of past reviews can only write as a user does if these vectors differ between users and
agree with what the user writes next. That is known in seconds, before a model is trained: a new review is compared with
the past reviews of its own user and of every other (authorship verification; the area under the ROC curve is the
share of pairs in which the own user is nearer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.errors import InputError
from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.metrics.base import Mean

_ROWS = 1024
"""Texts compared with all users at once."""
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Identification:
    """How every text compares with the users."""

    users: Sequence[str]
    """Of each text."""
    nearer: np.ndarray
    """float64 (n,): share of the other users that are farther from the text than its own; ties count half."""
    nearest: np.ndarray
    """float64 (n,): 1 if its own user is the nearest of all."""

    def auc(self, *, resamples: int = 1000, seed: int = 0) -> Interval:
        """Share of pairs of text and other user in which the own user is nearer; chance is 0.5."""
        return self._interval(self.nearer, resamples, seed)

    def top(self, *, resamples: int = 1000, seed: int = 0) -> Interval:
        """Share of texts whose own user is the nearest of all; chance is one over the number of users."""
        return self._interval(self.nearest, resamples, seed)

    def _interval(self, shares: np.ndarray, resamples: int, seed: int) -> Interval:
        draws = Resamples(len(shares), np.random.default_rng(seed), resamples=resamples, clusters=list(self.users))
        return interval(draws.score(Mean("share", greater_is_better=True), shares))


def identification(
    past: np.ndarray, of_user: Sequence[str], texts: np.ndarray, of_text: Sequence[str]
) -> Identification:
    """Compare every text with every user, by the cosine of standardised vectors.

    Components are centred and scaled over the users and over the texts, each by their own mean and deviation, because
    a mean of several reviews varies less than one review.

    Args:
        past: float (m, dim): of each user, for instance the mean vector of past reviews.
        of_user: The m users, each once.
        texts: float (n, dim): vectors of later texts.
        of_text: The user of each.

    Raises:
        InputError: There are fewer than two users, no texts, or a text of another user.

    Example:
        >>> past = np.array([[1.0, 0.1], [0.0, 0.9], [-1.0, 0.0]])
        >>> identification(past, ["ann", "bob", "eve"], past + 0.1, ["ann", "bob", "eve"]).auc().value
        1.0
    """
    row = {user: number for number, user in enumerate(of_user)}
    if len(row) < 2 or not len(texts):
        raise InputError("telling users apart needs two users, and texts to compare")
    if strangers := sorted(set(of_text) - row.keys()):
        raise InputError(f"user {strangers[0]!r} has a text to compare and no past texts")
    users, found = _directions(past), _directions(texts)
    own = np.array([row[user] for user in of_text])
    nearer, nearest = np.empty(len(found)), np.empty(len(found))
    for start in range(0, len(found), _ROWS):
        some = slice(start, start + _ROWS)
        cosine = found[some] @ users.T
        mine = cosine[np.arange(len(cosine)), own[some]][:, None]
        farther, tied = (cosine < mine).sum(axis=1), (cosine == mine).sum(axis=1) - 1
        nearer[some] = (farther + tied / 2) / (len(row) - 1)
        nearest[some] = (cosine >= mine).sum(axis=1) == 1
    return Identification(users=list(of_text), nearer=nearer, nearest=nearest)


def _directions(vectors: np.ndarray) -> np.ndarray:
    values = np.asarray(vectors, dtype=np.float64)
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), _FLOOR)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _FLOOR)
