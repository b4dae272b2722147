"""Trait fidelity: does a generated text differ from its item's peers in the way its user does?

Likelihood and overlap with one reference mix style with content. Here a text is reduced to measured style, and the mean
of the item's peers is subtracted, so that style caused by the item does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from idiolect.difference.stylometry import (
    N_MEASURES,
    Pairs,
    Shrinkage,
    codes,
    effect_sizes,
    group_sums,
    item_pairs,
    measure,
    within_item_sd,
)
from idiolect.difference.stylometry.english import are_english, detect
from idiolect.errors import InputError
from idiolect.metrics.base import Mean
from idiolect.metrics.habits import Habits, habits_of
from idiolect.types import Sample

CLIP = 3.0
"""Differences are clipped at so many standard deviations: rare marks are 0 in most texts and extreme in the rest."""


class MeanOfKnown(Mean):
    """A mean over known values: of one column, or of rows (value, 1) if it is known and (0, 0) if not."""

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``SufficientStatistics``; 0 for a set without known values."""
        known = totals[:, 1] if totals.shape[1] > 1 else counts
        return np.divide(totals[:, 0], known, out=np.zeros(len(known)), where=known > 0)


FIDELITY = MeanOfKnown("trait-fidelity", greater_is_better=True, unit="cosine")
"""Aggregates ``StyleTargets.score``, or ``StyleTargets.rows``."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StyleTargets:
    """Reference style of each sample; the same for all methods, so that comparisons are paired."""

    peer_mean: np.ndarray
    """float64 (n, n_measures): mean of peers' reviews of the sample's item; of all reviews if there are none."""
    profile: np.ndarray
    """float64 (n, n_measures), in SD: the user's shrunken difference to peers on other items; 0 if
    unknown."""
    n_items: np.ndarray
    """int64 (n,): items that the profile was estimated from."""
    sd: np.ndarray
    """float64 (n_measures,)."""
    centre: np.ndarray
    """float64 (n_measures,), in SD: the mean clipped difference, which is not 0 if a measure is skewed."""
    known: np.ndarray
    """bool (n,): samples whose users write in English; only for them style is measured."""
    habits: Habits
    """Habits of the users, to test whether a text shows them where the user does not."""

    @classmethod
    def of(cls, samples: Sequence[Sample], reviews: pl.DataFrame) -> StyleTargets:
        """From the reviews that are visible in the samples' phase.

        Reviews that are not in English are left out.

        The user's own reviews of the sample's item count neither as peers nor as profile, so that a target that is in
        ``reviews`` by mistake does not leak into its sample's reference.

        Args:
            samples: The samples that are written.
            reviews: ``user``, ``item`` and ``text``, one row per review, of all users.

        Raises:
            InputError: There are no reviews.
        """
        if reviews.is_empty():
            raise InputError("no reviews to compare with", hint="pass the reviews visible in the phase")
        texts = [*reviews["text"].to_list(), *(sample.reference or "" for sample in samples)]
        english = are_english(texts, [*reviews["user"].to_list(), *(str(sample.user) for sample in samples)])
        reviews, known = reviews.filter(pl.Series(english[: len(reviews)])), english[len(reviews) :]
        if reviews.is_empty():
            return cls._unknown(len(samples))
        values, n = measure(reviews["text"].to_list()), len(reviews)
        users = _codes(reviews["user"], [sample.user for sample in samples])
        items = _codes(reviews["item"], [sample.item for sample in samples])
        sd, pairs = within_item_sd(values, items[:n]), item_pairs(values, users[:n], items[:n])
        differences = _clipped(pairs.difference, sd)
        centre = differences.mean(axis=0) if len(differences) else np.zeros(values.shape[1])
        profile, n_items = _profiles(differences - centre, pairs, users[n:], items[n:])
        scale = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0)
        how = {"scale": scale, "centre": centre, "clip": CLIP}
        habits = habits_of(values, differences - centre, pairs, users, items, **how)
        peer_mean = _peer_means(values, users, items)
        return cls(
            peer_mean=peer_mean, profile=profile, n_items=n_items, sd=sd, centre=centre, known=known, habits=habits
        )

    @classmethod
    def _unknown(cls, n: int) -> StyleTargets:
        """Targets of samples without any English review."""
        rows, nothing = np.zeros((n, N_MEASURES)), np.zeros(N_MEASURES)
        counts = np.zeros(n, dtype=np.int64)
        known = np.zeros(n, dtype=bool)
        habits = Habits(profile=rows, elsewhere=rows, others=rows, known=known)
        return cls(peer_mean=rows, profile=rows, n_items=counts, sd=nothing, centre=nothing, known=known, habits=habits)

    def differences(self, texts: Sequence[str]) -> np.ndarray:
        """float64 (n, n_measures), in SD: clipped, centred difference of each text to its item's peers.

        The difference of an empty text is 0, so that a missing answer does not count as a short one. It is also 0 for a
        text that is not English, to which the measures do not apply.
        """
        found = _clipped(measure(texts) - self.peer_mean, self.sd) - self.centre
        found[[not text.strip() for text in texts]] = 0
        found[detect(texts) < 0] = 0
        return found

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """The cosines of one text per sample as ``FIDELITY`` aggregates them.

        Returns:
            float64 (n,) if every sample's is known, else float64 (n, 2): the cosine and 1, or 0 and 0.
        """
        cosine = self.score(texts)
        return cosine if self.known.all() else np.column_stack([np.where(self.known, cosine, 0), self.known])

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """The fidelity of one text per sample; the users' own texts give an upper reference.

        Returns:
            float64 (n,), -1 to 1: the cosine between the text's difference and the user's. 0 for a text like the
            peers', and on average for one like another user's; also if either difference is unknown.

        Raises:
            InputError: There is another number of texts than of samples.
        """
        if len(texts) != len(self.peer_mean):
            raise InputError(f"{len(texts)} texts for {len(self.peer_mean)} samples", hint="pass one text per sample")
        found = self.differences(texts)
        norms = np.linalg.norm(found, axis=1) * np.linalg.norm(self.profile, axis=1)
        return np.divide((found * self.profile).sum(axis=1), norms, out=np.zeros(len(found)), where=norms > 0)


def _codes(known: pl.Series, asked: Sequence[str]) -> np.ndarray:
    """Codes of the ids in ``known``, then of those in ``asked``."""
    return codes(pl.concat([known.cast(pl.String), pl.Series(known.name, asked, dtype=pl.String)]))


def _clipped(differences: np.ndarray, sd: np.ndarray) -> np.ndarray:
    return effect_sizes(differences, sd).clip(-CLIP, CLIP)


def _profiles(
    differences: np.ndarray, pairs: Pairs, users: np.ndarray, items: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The shrunken mean difference of each sample's user on other items than the sample's, and their number."""
    n_users = 1 + int(max(users.max(initial=-1), pairs.users.max(initial=-1)))
    sums = group_sums(differences, pairs.users, n_users)[users]
    counts = np.bincount(pairs.users, minlength=n_users)[users]
    row = {pair: k for k, pair in enumerate(zip(pairs.users.tolist(), pairs.items.tolist(), strict=True))}
    same = [(k, row[pair]) for k, pair in enumerate(zip(users.tolist(), items.tolist(), strict=True)) if pair in row]
    for sample, own in same:
        sums[sample] -= differences[own]
        counts[sample] -= 1
    return Shrinkage.of(differences, pairs.users)(sums / np.maximum(counts, 1)[:, None], counts), counts


def _peer_means(values: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Mean of peers' reviews of each sample's item; codes are those of the reviews, then of the samples."""
    n, pairs = len(values), (users.astype(np.int64) << 32) | items
    others, counts = _sums_of(values, items[:n], items[n:])
    own, n_own = _sums_of(values, pairs[:n], pairs[n:])
    counts, everybody = counts - n_own, values.mean(axis=0)
    return np.where(counts[:, None] > 0, (others - own) / np.maximum(counts, 1)[:, None], everybody)


def _sums_of(values: np.ndarray, groups: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the rows of each requested group; 0 for a group without rows."""
    _, places = np.unique(np.concatenate([groups, asked]), return_inverse=True)
    n_groups, of_rows, of_asked = int(places.max()) + 1, places[: len(values)], places[len(values) :]
    return group_sums(values, of_rows, n_groups)[of_asked], np.bincount(of_rows, minlength=n_groups)[of_asked]
