"""Over-personalization: does a method show the user's habits where the user does not?

Two shares of pairs of sample and habit (``metrics.habits``): *kept* where the user's own text shows the habit,
*overdone* where it does not. Real texts give both their scale. Others' texts on the same items are at 0 %: so often
anybody shows it there. The users' own texts on other items are at 100 %: so often the user shows it regardless of the
item. A method that knows when a habit is used is high in the first and near 0 % in the second. One that writes the same
way whatever the item has the same percentage in both. Shares of the users' own texts are 1 and 0 by definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from idiolect.evaluation.calibration import CalibratedScore, share_of_distance
from idiolect.evaluation.significance import Resamples, Score, interval
from idiolect.metrics.fidelity import StyleTargets
from idiolect.metrics.habits import HABIT, KEPT, OVERDONE, Rate
from idiolect.types import ConditionId, Sample

ELSEWHERE, OTHERS = "the users' texts on other items", "others' texts on the same items"
FEWEST_PAIRS = 30
"""Pairs of sample and habit of each kind below which nothing is shown."""
_COLUMNS: Mapping[Rate, slice] = {KEPT: slice(0, 2), OVERDONE: slice(2, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitReport:
    """Habits kept and overdone by every condition, between others' texts and the users' texts on other items."""

    rows: Mapping[str, Mapping[str, CalibratedScore]]
    """By condition, the two kinds of real texts included, and by rate."""
    n_samples: int
    """Samples whose users have habits, and real texts to compare with."""
    n_left_out: int
    """Samples without them, or not in English."""
    pairs: tuple[int, int]
    """Pairs of sample and habit: where the user shows it, and where not."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The table: rate, and in brackets the share of the way between the two kinds of real texts."""
        lines = [f"| | {KEPT.name} ↑ | {OVERDONE.name} ↓ |", "|---|---:|---:|"]
        for title, row in self.rows.items():
            cells = [row[rate.name].to_text() for rate in _COLUMNS]
            lines.append(f"| {title.replace('|', ' ')} | {' | '.join(cells)} |")
        note = (
            f"A habit: the user departs from others by {HABIT} SD or more on other items. *Kept*: shown where the "
            f"user's own text shows it ({self.pairs[0]} pairs of sample and habit); *overdone*: shown where it does "
            f"not ({self.pairs[1]} pairs). In brackets: share of the way from {OTHERS} (0 %) to {ELSEWHERE} (100 %), "
            "with its 95 % interval over users; none where the two do not differ. A method over-personalizes if it "
            f"overdoes habits more than anybody on these items. {self.n_samples} samples; {self.n_left_out} others "
            "are not in English, or lack past texts or peers."
        )
        return "\n".join([*lines, "", note]) + "\n"


def habit_report(
    samples: Sequence[Sample],
    written: Mapping[ConditionId, Sequence[str]],
    targets: StyleTargets,
    *,
    places: Sequence[int],
    seed: int,
    resamples: int,
) -> HabitReport | None:
    """Count habits in all conditions' texts, on the same samples.

    Args:
        samples: With references.
        written: One text per sample, by condition.
        targets: Measured style of these samples and of their users.
        places: Samples that every condition has a text of.
        seed: Of the bootstrap.
        resamples: Bootstrap resamples of users.

    Returns:
        None if there are fewer than two users with habits and real texts to compare with, or too few pairs.
    """
    habits = targets.habits
    kept = [place for place in places if habits.known[place] and targets.known[place]]
    users = [samples[place].user for place in kept]
    if len(set(users)) < 2:
        return None
    own = targets.differences([sample.reference or "" for sample in samples])
    shown = {ELSEWHERE: habits.elsewhere, OTHERS: habits.others}
    shown |= {str(one): targets.differences(texts) for one, texts in written.items()}
    counts = {title: habits.counts(found, own)[kept] for title, found in shown.items()}
    _, present, _, absent = counts[OTHERS].sum(axis=0).astype(int).tolist()
    if min(present, absent) < FEWEST_PAIRS:
        return None
    draws = Resamples(len(kept), np.random.default_rng([seed, 41]), clusters=users, resamples=resamples)
    return HabitReport(
        rows=_scores(counts, draws),
        n_samples=len(kept),
        n_left_out=len(places) - len(kept),
        pairs=(present, absent),
    )


def _scores(counts: Mapping[str, np.ndarray], draws: Resamples) -> dict[str, dict[str, CalibratedScore]]:
    found: dict[str, dict[Rate, Score]] = {
        title: {rate: draws.score(rate, rows[:, columns]) for rate, columns in _COLUMNS.items()}
        for title, rows in counts.items()
    }
    table: dict[str, dict[str, CalibratedScore]] = {}
    for title, own in found.items():
        real = title in (ELSEWHERE, OTHERS)
        table[title] = {
            rate.name: CalibratedScore(
                value=interval(score),
                share=None if real else share_of_distance(score, found[ELSEWHERE][rate], found[OTHERS][rate]),
            )
            for rate, score in own.items()
        }
    return table
