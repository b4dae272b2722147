"""Labels of an autoencoder's units, and how well they find the units' reviews among texts of other users.

A label is made of the words that set reviews in which a unit is strong apart from peers' reviews of the same items in
which it is weak.
Same-item peers are the hard negatives: a word of the item's topic stands in both, so that only how it is written about
can set them apart. Everything is computed for all units at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.stats import rankdata

from idiolect.words import WordPattern

_TOKEN = WordPattern(r"[^\W_]+(?:['’-][^\W_]+)*|(?!\w)\S")
_VOCABULARY = 5000
"""Most words that are looked at: those in most texts."""
_LEAST_Z = 3.0
"""A word is part of a label from this z on: some thousand words are looked at for each unit."""
_LEAST_PAIRS = 20
"""Pairs of texts below which there is no detection score."""


class Words(NamedTuple):
    """Which words stand in which texts."""

    names: tuple[str, ...]
    present: sparse.csr_array
    """float32 (n_texts, n_words): 1 where a word stands in a text."""


class Label(NamedTuple):
    """The words of one unit."""

    words: tuple[str, ...]
    """Most telling first; empty: none sets its reviews apart."""
    weights: np.ndarray
    """float64 (n_words,): log odds of each."""


class Detection(NamedTuple):
    """How well a label finds the reviews of its unit among texts of users that it was not made from."""

    auc: float | None
    """Share of same-item pairs in which the strong review has more of the label; 0.5 is chance. None: too few pairs,
    or no label."""
    sd: float | None
    """Standard deviation over random halves of the users, each with a label of its own; None: fewer than two."""
    pairs: int
    """Pairs of a strong and a weak review of one item, in the first half."""


def read_words(texts: Sequence[str], users: np.ndarray, *, min_users: int) -> Words:
    """The words and marks of texts, lower-cased; those of fewer than ``min_users`` users are left out.

    Args:
        texts: Unchanged.
        users: int (n_texts,): who wrote each.
        min_users: So that no label holds what only one or two people write, such as a name.
    """
    numbers: dict[str, int] = {}
    found = [
        [numbers.setdefault(word, len(numbers)) for word in dict.fromkeys(_TOKEN.findall(t.lower()))] for t in texts
    ]
    columns = np.fromiter((number for row in found for number in row), dtype=np.int64)
    rows = np.repeat(np.arange(len(texts)), [len(row) for row in found])
    by_user = np.unique(np.stack([columns, users[rows]]), axis=1)[0] if len(rows) else columns
    writers, texts_with = (np.bincount(x, minlength=len(numbers)) for x in (by_user, columns))
    kept = np.flatnonzero(writers >= min_users)
    kept = np.sort(kept[np.argsort(-texts_with[kept], kind="stable")[:_VOCABULARY]])
    place = np.full(len(numbers), -1)
    place[kept] = np.arange(len(kept))
    known = place[columns] >= 0
    ones = np.ones(int(known.sum()), dtype=np.float32)
    present = sparse.csr_array((ones, (rows[known], place[columns[known]])), shape=(len(texts), len(kept)))
    names = list(numbers)
    return Words(tuple(names[k] for k in kept.tolist()), present)


def make_labels(words: Words, strong: np.ndarray, weak: np.ndarray, items: np.ndarray, *, size: int) -> list[Label]:
    """The label of every unit: its words by the z of their log odds between strong and weak reviews of the same items.

    Within an item both kinds have the same weight, the number of the rarer, so that no item's topic is a label.

    Args:
        words: Of n texts.
        strong: bool (n, n_units).
        weak: bool (n, n_units).
        items: int (n,): codes.
        size: Most words of a label.
    """
    weights = [_balanced(one, other, items) for one, other in ((strong, weak), (weak, strong))]
    n = [one.sum(axis=0) for one in weights]
    having = [np.asarray(words.present.T @ one) for one in weights]
    parts = [np.log(a + 0.5) - np.log(np.maximum(total - a, 0) + 0.5) for a, total in zip(having, n, strict=True)]
    odds = parts[0] - parts[1]
    variance = sum(1 / (a + 0.5) + 1 / (np.maximum(t - a, 0) + 0.5) for a, t in zip(having, n, strict=True))
    z = odds / np.sqrt(variance)
    labels = []
    for unit in range(strong.shape[1]):
        best = np.argsort(-z[:, unit], kind="stable")[:size]
        best = best[z[best, unit] >= _LEAST_Z]
        labels.append(Label(tuple(words.names[k] for k in best.tolist()), odds[best, unit].astype(np.float64)))
    return labels


def _balanced(own: np.ndarray, other: np.ndarray, items: np.ndarray) -> np.ndarray:
    """float32 (n, n_units): weights of ``own``, whose sum per item is the smaller of its and the other's number."""
    counts = [_by_item(one, items) for one in (own, other)]
    shared = np.minimum(*counts) / np.maximum(counts[0], 1)
    return np.where(own, shared[items], 0).astype(np.float32)


def _by_item(rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """float32 (n_items, n_units): the sums over each item's rows."""
    of_item = sparse.csr_array((np.ones(len(items), np.float32), (items, np.arange(len(items)))))
    return of_item @ rows.astype(np.float32)


def detect(
    words: Words, strong: np.ndarray, weak: np.ndarray, users: np.ndarray, items: np.ndarray, *, size: int, halves: int,
    seed: int,
) -> list[tuple[Label, Detection]]:  # fmt: skip
    """Labels made from one half of the users, with their detection score on the other half's reviews.

    The label is that of the first half; the score is the mean over ``halves`` random halves.

    Args:
        words: Of n texts.
        strong: bool (n, n_units).
        weak: bool (n, n_units).
        users: int (n,): codes.
        items: int (n,): codes.
        size: Most words of a label.
        halves: How often the users are divided.
        seed: Of the division.
    """
    labels: list[Label] = []
    scores: list[list[float]] = [[] for _ in range(strong.shape[1])]
    pairs = np.zeros(strong.shape[1], dtype=np.int64)
    for turn, held_out in enumerate(_halves(users, halves, seed)):
        made = make_labels(_rows(words, ~held_out), strong[~held_out], weak[~held_out], items[~held_out], size=size)
        tested = _rows(words, held_out)
        for unit, label in enumerate(made):
            found, n = _auc(tested, label, strong[held_out, unit], weak[held_out, unit], items[held_out])
            if turn == 0:
                pairs[unit] = n
            if found is not None:
                scores[unit].append(found)
        labels = labels or made
    return [(label, _detection(label, own, int(n))) for label, own, n in zip(labels, scores, pairs, strict=True)]


def _detection(label: Label, scores: list[float], pairs: int) -> Detection:
    if not scores or not label.words:
        return Detection(None, None, pairs)
    return Detection(float(np.mean(scores)), float(np.std(scores, ddof=1)) if len(scores) > 1 else None, pairs)


def _halves(users: np.ndarray, halves: int, seed: int) -> Iterator[np.ndarray]:
    """Yield bool (n,): the reviews of a random half of the users."""
    rng, n_users = np.random.default_rng([seed, 23]), int(users.max(initial=-1)) + 1
    for _ in range(halves):
        held_out = np.zeros(n_users, dtype=bool)
        held_out[rng.permutation(n_users)[: n_users // 2]] = True
        yield held_out[users]


def _rows(words: Words, kept: np.ndarray) -> Words:
    return words._replace(present=words.present[np.flatnonzero(kept)])


def _auc(
    words: Words, label: Label, strong: np.ndarray, weak: np.ndarray, items: np.ndarray
) -> tuple[float | None, int]:
    """AUC over pairs of a strong and a weak review of one item, and their number (Mann and Whitney, by item)."""
    rows = np.flatnonzero(strong | weak)
    item, positive = np.unique(items[rows], return_inverse=True)[1], strong[rows]
    n_strong, n_weak = (np.bincount(item, weights=of, minlength=1) for of in (positive, ~positive))
    pairs = int((n_strong * n_weak).sum())
    if pairs < _LEAST_PAIRS or not label.words:
        return None, pairs
    places = [words.names.index(word) for word in label.words]
    score = np.asarray(words.present[rows][:, places] @ label.weights)
    # Ranks over all rows become ranks within an item, because an item's scores are moved apart from every other's.
    moved = score + item * (np.ptp(score) + 1.0)
    before = np.concatenate([[0], np.cumsum(n_strong + n_weak)[:-1]])
    rank = rankdata(moved) - before[item]
    wins = np.bincount(item, weights=rank * positive, minlength=1) - n_strong * (n_strong + 1) / 2
    return float(wins.sum() / pairs), pairs
