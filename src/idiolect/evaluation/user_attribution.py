"""How well vectors identify users, without any language model.

A method that reads vectors of past reviews can only write as a user does if these vectors differ between users and
agree with what the user writes next. That is known in seconds, before a model is trained: a new review is compared with
the past reviews of its own user and of every other user (authorship attribution).

How well this can be done also says in nats how much of the user a vector shows. The mutual information of a text and
the user's past is what the best reader of the past gains over one who knows nothing. That of their vectors is at most
as large, and a classifier over users bounds it from below (InfoNCE: van den Oord et al., "Representation Learning with
Contrastive Predictive Coding", 2018, arXiv 1807.03748, section 2.3). A prompt also names the item, which tells
something of the user, as users choose items; of differences to others on the same item it tells little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.context import MeanOfPeers
from idiolect.errors import InputError
from idiolect.evaluation.significance import FEW, Interval, Resamples, interval
from idiolect.metrics.authorship import attribution
from idiolect.metrics.base import Mean
from idiolect.peers import time_cut
from idiolect.pipeline.data import Data

REVIEWS, DIFFERENCES = "reviews", "their differences to others"
"""What vectors are of."""
_FLOOR = 1e-6
_SCALES = np.array([0, *np.geomspace(1, 256, 25)])
"""Of the similarities in the classifier over users, of which the texts of other users choose one; 0 is chance."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UserAttribution:
    """How similar every text is to its own user, compared with the other users."""

    users: Sequence[str]
    """Of each text."""
    n_users: int
    """Users that every text is compared with."""
    shares: np.ndarray
    """float64 (n,): share of the other users who are less similar; equal similarities count half."""
    nearest: np.ndarray
    """bool (n,): whether its own user is the most similar of all."""
    information: np.ndarray
    """float64 (n,): nats by which a classifier over the users is better than chance on the text; see ``nats``."""

    def auc(self) -> Interval:
        """Mean area under the ROC curve, with its interval over users; chance is 0.5."""
        return self._interval(self.shares)

    def top1(self) -> Interval:
        """Top-1 accuracy, with its interval over users; chance is ``1 / n_users``."""
        return self._interval(self.nearest.astype(np.float64))

    def nats(self) -> Interval:
        """Lower bound of the mutual information of texts and past, in nats per text, with its interval over users.

        The bound is at most ``log(n_users)``, and loose where the cosine of means says little of what vectors hold.
        """
        return self._interval(self.information)

    def _interval(self, values: np.ndarray) -> Interval:
        draws = Resamples(len(values), np.random.default_rng(0), clusters=list(self.users))
        return interval(draws.score(Mean("share", greater_is_better=True), values))


def attribute_users(
    past: np.ndarray, of_user: Sequence[str], texts: np.ndarray, of_text: Sequence[str]
) -> UserAttribution:
    """Compare every text with every user, by the cosine of standardised vectors.

    Components are centred and scaled over the users and over the texts, each by their own mean and deviation, because
    a mean of several reviews varies less than one review. Takes memory for n x m similarities.

    Args:
        past: float (m, dim): of each user, for instance the mean vector of past reviews.
        of_user: The m users, each once.
        texts: float (n, dim): vectors of later texts.
        of_text: The user of each.

    Raises:
        InputError: There are fewer than two users, no texts, or a text of another user.

    Example:
        >>> past = np.array([[1.0, 0.1], [0.0, 0.9], [-1.0, 0.0]])
        >>> attribute_users(past, ["ann", "bob", "eve"], past + 0.1, ["ann", "bob", "eve"]).auc().value
        1.0
    """
    column = {user: number for number, user in enumerate(of_user)}
    if len(column) < 2 or not len(texts):
        raise InputError("attribution needs two users, and texts to compare")
    if unknown := sorted(set(of_text) - column.keys()):
        raise InputError(f"user {unknown[0]!r} has a text to compare and no past texts")
    similarity = _directions(texts) @ _directions(past).T
    own = np.array([column[user] for user in of_text])
    shares, information = attribution(similarity, own), _information(similarity, own)
    return UserAttribution(
        users=list(of_text), n_users=len(column), shares=shares, nearest=shares == 1, information=information
    )


def _information(similarity: np.ndarray, own: np.ndarray) -> np.ndarray:
    """float64 (n,): log-likelihood of each text's user under a softmax of similarities, above chance.

    The scale of the similarities is the best one for the texts of the other half of the users.
    """

    def above_chance(rows: np.ndarray, scale: float) -> np.ndarray:
        logits = scale * (similarity[rows] - similarity[rows].max(axis=1, keepdims=True))
        found = logits[np.arange(len(rows)), own[rows]] - np.log(np.exp(logits).sum(axis=1))
        return found + np.log(similarity.shape[1])

    information = np.zeros(len(own))
    turn = np.unique(own, return_inverse=True)[1] % 2  # every other user with a text
    for half in (0, 1):
        rows, others = np.flatnonzero(turn == half), np.flatnonzero(turn != half)
        if len(rows) and len(others):  # else there is nothing to choose a scale by
            means = [above_chance(others, scale).mean() for scale in _SCALES]
            information[rows] = above_chance(rows, _SCALES[int(np.argmax(means))])
    return information


def _directions(vectors: np.ndarray) -> np.ndarray:
    values = np.asarray(vectors, dtype=np.float64)
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), _FLOOR)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _FLOOR)


def vector_attribution(data: Data) -> dict[str, UserAttribution]:
    """Attribution of a split's test targets by the stored vectors, and by their differences to peers (DEP, Eq. 4).

    A user's past is the mean over the entries of the context, as DEP reads them.

    Args:
        data: Store, split and settings; ``targets.max_test`` limits the targets, and so the users.

    Returns:
        By ``REVIEWS`` and ``DIFFERENCES``; a kind that fewer than ``significance.FEW`` users have is left out.
    """
    config, samples = data.settings.context, data.samples("test")
    compare = MeanOfPeers(data.snapshot("test"), data.encoder, config.min_peers)
    targets = data.store.reviews([sample.target for sample in samples if sample.target is not None])
    own = data.store.vectors([target.id for target in targets], encoder=data.encoder).astype(np.float32)
    past: dict[str, dict[str, np.ndarray]] = {REVIEWS: {}, DIFFERENCES: {}}
    new: dict[str, list[tuple[str, np.ndarray]]] = {REVIEWS: [], DIFFERENCES: []}
    for context, target, vector in zip(data.contexts("test").build(samples), targets, own, strict=True):
        before = time_cut(context.sample) if config.peers_before else None
        found = compare([target], vector[None], history=[], before=before)
        differences = [entry.e_diff for entry in context.entries if entry.e_diff is not None]
        if context.entries:
            past[REVIEWS][target.user] = np.mean([entry.e_his for entry in context.entries], axis=0)
            new[REVIEWS].append((target.user, vector))
        if differences and found.n_peers[0]:
            past[DIFFERENCES][target.user] = np.mean(differences, axis=0)
            new[DIFFERENCES].append((target.user, found.diff[0]))
    return {kind: _compared(past[kind], new[kind]) for kind in past if len(past[kind]) >= FEW}


def _compared(past: dict[str, np.ndarray], new: list[tuple[str, np.ndarray]]) -> UserAttribution:
    users, vectors = zip(*new, strict=True)
    return attribute_users(np.stack([*past.values()]), [*past], np.stack(vectors), users)
