"""One user's differences on every measure: which are claimed, which are not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from idiolect.difference.language.measured import MeasuredTexts
from idiolect.difference.stylometry import MEASURES, Measure, spread
from idiolect.difference.stylometry.luck import draw_luck, judge, least_p
from idiolect.experiments.explain.compared import Compared
from idiolect.experiments.explain.settings import ExplainConfig

Direction = Literal["more", "less"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One measured difference that is neither luck nor too small to matter."""

    measure: Measure
    direction: Direction
    own: float
    """The user's mean over items, in the measure's unit."""
    others: float
    """The others' mean over the same items, each item's crowd counting once."""
    effect: float
    """Own minus others', in spreads of reviews of one item."""
    low: float
    """Lower end of the effect's interval, at ``Findings.level``."""
    high: float
    """Upper end."""
    support: int
    """Items on which the user lies on that side of the others' mean."""
    n_items: int
    p: float
    """Corrected for the number of measures."""
    own_showing: float
    """Share of the user's reviews whose value is not 0."""
    others_showing: float
    """The same of the others', each item counting once."""

    @property
    def sign(self) -> int:
        """+1 for more, -1 for less."""
        return 1 if self.direction == "more" else -1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Findings:
    """A user on every measure; all arrays (n_measures,) in the order of ``MEASURES``."""

    compared: Compared
    own: np.ndarray
    """float64: the user's means over items, in the measures' units."""
    others: np.ndarray
    """float64: the others'."""
    effect: np.ndarray
    """float64, spreads."""
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    """float64: each measure looked at alone."""
    corrected: np.ndarray
    """float64: for all measures that vary on these items."""
    claimed: np.ndarray
    """bool: sure and large enough."""
    small: np.ndarray
    """bool: sure, but too small to matter."""
    support: np.ndarray
    """int64: items on which the user lies on the side of the mean difference."""
    showing: np.ndarray
    """float64 (2, n_measures): share of texts whose value is not 0, the user's and the others'."""
    n_looked_at: int
    """Measures that vary on these items."""
    level: float
    """Coverage of the intervals: that of Benjamini and Yekutieli (2005) for parameters that were selected, so that of
    the intervals shown the expected share that misses is at most ``false_share``."""
    too_few: bool
    """These items could not tell anybody from others, however strange."""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What is claimed, by the end of the interval that is nearer 0: the surely largest first."""
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


def find(compared: Compared, texts: MeasuredTexts, config: ExplainConfig) -> Findings:
    """Compare a user on every measure.

    Args:
        compared: The user's reviews and others'.
        texts: Holds all of these texts.
        config: How sure and how large.
    """
    own = texts[[review.text for review in compared.own]]
    peers = [texts[[peer.text for peer in of_item]] for of_item in compared.peers]
    crowds = np.array([values.mean(axis=0) for values in peers]).reshape(own.shape)
    spreads = _spreads(own, peers)
    luck = draw_luck(own, peers, np.random.default_rng(config.seed), draws=config.draws)
    judged = judge(luck, spreads, false_share=config.false_share)
    large = np.abs(judged.effect) >= config.least_effect
    return Findings(
        compared=compared,
        own=_mean(own),
        others=_mean(crowds),
        effect=judged.effect,
        low=judged.low,
        high=judged.high,
        p=judged.p,
        corrected=judged.corrected,
        claimed=judged.sure & large,
        small=judged.sure & ~large,
        support=((own - crowds) * np.sign(luck.observed) > 0).sum(axis=0),
        showing=np.stack([_mean(own != 0), _mean(np.array([(values != 0).mean(axis=0) for values in peers]))]),
        n_looked_at=judged.n_looked_at,
        level=judged.level,
        too_few=least_p([1 + len(values) for values in peers]) * len(MEASURES) > config.false_share,
    )


def _spreads(own: np.ndarray, peers: list[np.ndarray]) -> np.ndarray:
    places = np.arange(len(own), dtype=np.int64)
    items = np.concatenate([places, np.repeat(places, [len(values) for values in peers])])
    return spread(np.vstack([own, *peers]), items) if len(own) else np.zeros(len(MEASURES))


def _mean(rows: np.ndarray) -> np.ndarray:
    """Over rows, an item each; 0 where there is none."""
    return rows.mean(axis=0) if len(rows) else np.zeros(len(MEASURES))
