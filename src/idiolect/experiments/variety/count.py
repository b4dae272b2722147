"""How many different things a run's methods found of its users (UVQ), and whether more go with better texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.evaluation.additive import Additive, Mean
from idiolect.evaluation.base import Metric
from idiolect.evaluation.significance import Bootstrapped, Interval, Resamples, interval
from idiolect.evaluation.uvq import Uvq, uvq
from idiolect.evaluation.uvq_report import correlation, failure_signs
from idiolect.experiments.variety.found import Found
from idiolect.llm.usage import Usage
from idiolect.types import UserId

RELATED = ("bleu", "meteor")
"""The scores that UVQ is held against, as in the paper's Figure 2."""
LEAST_USERS = 10
"""Below it a correlation's interval says nothing."""


class _MeanOfKnown(Mean):
    """A mean over those users of whom it is known: rows of a user's number and 1, or of 0 and 0."""

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``Additive``; a resample without a known user repeats the mean of all of them."""
        known = totals[:, 1]
        return np.divide(totals[:, 0], known, out=np.full(len(known), np.nan), where=known > 0)


_UVQ = _MeanOfKnown("uvq", greater_is_better=True, unit="differences/user")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Variety:
    """What one method found of its users."""

    uvq: Uvq
    """By a judge where one was asked, else of the validated features."""
    validated: Uvq
    """Of the validated features."""
    mean: Interval | None
    """UVQ a user, resampled over users; None where it is known of nobody."""
    comparisons: int
    """Those that claim something."""
    reasons: Mapping[str, int]
    """Why features were dropped, and how many, the most frequent first."""
    scores: Mapping[str, np.ndarray]
    """By metric, float64 (n_users,): of each user's texts."""
    related: Mapping[str, Interval]
    """By metric: correlation of UVQ with the score over users (the paper's is over systems, of which a run has one);
    without those that are not defined, for too few users or for want of spread."""
    judged: int | None = None
    """Comparisons that a judge was asked about; None: there is no judge."""
    unread: int = 0
    """Of these, those whose answer failed or could not be read."""
    unknown: int = 0
    """Users who are left out: no answer about them could be read, which is not the same as no difference."""
    usage: Usage | None = None
    """What the judge took."""

    @property
    def users(self) -> int:
        """How many are counted, whether or not something was found."""
        return len(self.uvq.kept)

    @property
    def warnings(self) -> list[str]:
        """The paper's signs of a failing run, unless nothing was read that could show them."""
        unread = f"{self.unread} of {self.judged} comparisons have no judgement: the judge's answer was none, or unread"
        signs = [] if self.unread and self.unread == self.judged else failure_signs(self.uvq, validated=self.validated)
        missing = f"{self.unknown} users are left out: no answer about them could be read"
        return [*signs, *([unread] if self.unread else []), *([missing] if self.unknown and not self.unread else [])]


def variety(found: Found, scores: Mapping[str, np.ndarray], draws: Resamples) -> Variety:
    """What a method found, in numbers.

    Args:
        found: By the method.
        scores: By metric, float64 (n_users,) in the order of ``found.users``.
        draws: Resamples of the users.
    """
    known = np.array([user not in found.unknown for user in found.users], dtype=bool)
    counted = uvq([cells for cells, heard in zip(found.units, known, strict=True) if heard])
    scores = {name: own[known] for name, own in scores.items()}
    features = [one for own in found.features.values() for one in own]
    dropped = Counter(one.reason or "rejected" for one in features if not one.valid)
    asked = [one for cell, one in (found.judged or {}).items() if any(f.valid for f in found.features[cell])]
    return Variety(
        uvq=counted,
        validated=counted if found.judged is None else uvq(found.validated),
        mean=_mean(counted.per_user, known, draws),
        comparisons=len(found.features),
        reasons=dict(dropped.most_common()),
        scores=scores,
        related={name: of for name, own in scores.items() if (of := _related(counted.per_user, own, draws))},
        judged=None if found.judged is None else len(asked),
        unread=sum(one.failed for one in asked),
        usage=None if found.judged is None else Usage.total(one.usage for one in asked),
        unknown=int((~known).sum()),
    )


def _mean(counts: np.ndarray, known: np.ndarray, draws: Resamples) -> Interval | None:
    """The mean over the known users with its interval over resamples of all; a resample without any of them is none."""
    if not known.any():
        return None
    rows = np.zeros((len(known), 2))
    rows[known] = np.column_stack([counts, np.ones(len(counts))])
    score = draws.score(_UVQ, rows)
    return interval(Bootstrapped(score.value, score.resampled[np.isfinite(score.resampled)]))


def judging(found: Mapping[str, Variety]) -> dict[str, Usage]:
    """What the judge took, by method."""
    return {name: one.usage for name, one in found.items() if one.usage is not None}


def user_scores(
    metrics: Sequence[Metric],
    stats: Mapping[str, np.ndarray],
    users: Sequence[UserId],
    answered: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """BLEU and METEOR of each user's texts, where they were computed.

    Args:
        metrics: Of the run.
        stats: By metric, float64 (n, n_stats) of one method's texts.
        users: The user of each text.
        answered: int64 places of the texts that count; None: all.

    Returns:
        By metric, float64 (n_users,), users in the order of first appearance; nothing if a user has no text that
        counts.
    """
    places = {user: place for place, user in enumerate(dict.fromkeys(users))}
    kept = np.arange(len(users)) if answered is None else answered
    owners = np.array([places[user] for user in users])[kept]
    counts = np.bincount(owners, minlength=len(places)).astype(np.float64)
    if not counts.all():
        return {}
    found: dict[str, np.ndarray] = {}
    for metric in metrics:
        if metric.name in RELATED and metric.name in stats and isinstance(metric, Additive):
            totals = np.zeros((len(places), stats[metric.name].shape[1]))
            np.add.at(totals, owners, stats[metric.name][kept])
            found[metric.name] = metric.score_totals(totals, counts)
    return found


def _related(counts: np.ndarray, scores: np.ndarray, draws: Resamples) -> Interval | None:
    defined = len(counts) >= LEAST_USERS and np.ptp(counts) > 0 and np.ptp(scores) > 0
    return correlation(counts, scores, draws) if defined else None
