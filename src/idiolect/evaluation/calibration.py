"""Calibrated style: what each measure of style gives for real texts, so that a method's score reads as a share.

The *ceiling* of a measure is its value for the user's own text, the *floor* that for a real text of another user about
the same item, drawn at random. A method at 0 % writes as unlike the user as anybody who writes about that item, one at
100 % as the user does. Measures: trait fidelity (``metrics.fidelity``), Burrows' Delta and attribution
(``metrics.authorship``). Copied sequences are shown beside them, because copying the user's past texts is the cheap way
to a high score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from idiolect.evaluation.significance import Interval, Resamples, interval
from idiolect.metrics.authorship import ATTRIBUTION, COPIED_OWN, COPIED_PEERS, DELTA, Authorship, copied
from idiolect.metrics.base import Mean
from idiolect.metrics.fidelity import FIDELITY, StyleTargets
from idiolect.types import ConditionId, Sample

CALIBRATED = (FIDELITY, DELTA, ATTRIBUTION)
COPIED = (COPIED_OWN, COPIED_PEERS)
CEILING, FLOOR = "the users' own texts", "others' texts on the same items"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedScore:
    """One value of a row."""

    value: Interval
    share: Interval | None
    """0 at the floor, 1 at the ceiling; None for the two themselves, for copied sequences, and where ceiling and floor
    do not differ significantly: there the measure tells nothing on these samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Style of every condition between floor and ceiling."""

    rows: Mapping[str, Mapping[str, CalibratedScore]]
    """By condition, ceiling and floor included, and by measure."""
    n_samples: int
    """Samples with a real text of another user on the same item; the others are left out."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The table: value, and in brackets the share of the way from floor to ceiling with its interval."""
        known = {name for row in self.rows.values() for name in row}
        names = [measure.name for measure in (*CALIBRATED, *COPIED) if measure.name in known]
        lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
        for title, row in self.rows.items():
            cells = [_cell(row[name]) if name in row else "" for name in names]
            lines.append(f"| {title.replace('|', ' ')} | {' | '.join(cells)} |")
        note = (
            f"{self.n_samples} samples. In brackets: share of the way from others' texts (0 %) to the users' own "
            "(100 %), with its 95 % interval over users; none where the two do not differ. Lower is better for "
            f"{DELTA.name}; {COPIED_OWN.name} and {COPIED_PEERS.name} are shares of a text's five-word sequences."
        )
        return "\n".join([*lines, "", note]) + "\n"


def _cell(score: CalibratedScore) -> str:
    value = f"{score.value.value:.3f}"
    if score.share is None:
        return value
    return f"{value} ({score.share.value:.0%} [{score.share.low:.0%}, {score.share.high:.0%}])"


def calibrate(
    samples: Sequence[Sample],
    reviews: pl.DataFrame,
    written: Mapping[ConditionId, Sequence[str]],
    targets: StyleTargets | None,
    *,
    places: Sequence[int] | None = None,
    seed: int,
    resamples: int,
) -> Calibration | None:
    """Score real texts and all conditions' texts on the same samples.

    Args:
        samples: With references.
        reviews: ``user``, ``item`` and ``text`` of the reviews visible in the phase.
        written: One text per sample, by condition.
        targets: For trait fidelity; None: it is left out.
        places: Samples that every condition has a text of; None: all.
        seed: Of the drawn texts and the bootstrap.
        resamples: Bootstrap resamples of users.

    Returns:
        None if fewer than two users have past texts and peers on the item.
    """
    past = _texts_by(reviews, "user")
    peers = _peers_texts(samples, reviews)
    answered = range(len(samples)) if places is None else places
    kept = [k for k in answered if peers[k] and past.get(samples[k].user)]
    users = [samples[k].user for k in kept]
    if len(set(users)) < 2:
        return None
    rng = np.random.default_rng([seed, 23])
    real = {
        CEILING: [samples[k].reference or "" for k in kept],
        FLOOR: [peers[k][int(rng.integers(len(peers[k])))] for k in kept],
    }
    shown = {**real, **{str(one): [texts[k] for k in kept] for one, texts in written.items()}}
    author = Authorship({user: past[user] for user in dict.fromkeys(users)})
    own, others = [past[user] for user in users], [peers[k] for k in kept]
    draws = Resamples(len(kept), np.random.default_rng([seed, 29]), clusters=users, resamples=resamples)
    stats: dict[str, dict[Mean, np.ndarray]] = {}
    for title, texts in shown.items():
        stats[title] = {
            DELTA: author.delta(texts, users),
            ATTRIBUTION: author.attribution(texts, users),
            COPIED_OWN: copied(texts, own),
        }
        if title != FLOOR:
            stats[title][COPIED_PEERS] = copied(texts, others)
        if targets is not None and targets.known[kept].all():
            stats[title][FIDELITY] = _placed(targets, texts, kept, len(samples))
    return Calibration(rows=_scores(stats, draws), n_samples=len(kept))


def _placed(targets: StyleTargets, texts: Sequence[str], kept: Sequence[int], n: int) -> np.ndarray:
    """Trait fidelity of the texts of some of the samples."""
    whole = [""] * n
    for place, text in zip(kept, texts, strict=True):
        whole[place] = text
    return targets.score(whole)[list(kept)]


def _scores(stats: Mapping[str, Mapping[Mean, np.ndarray]], draws: Resamples) -> dict[str, dict[str, CalibratedScore]]:
    found = {title: {of: draws.score(of, rows) for of, rows in own.items()} for title, own in stats.items()}
    table: dict[str, dict[str, CalibratedScore]] = {title: {} for title in stats}
    for title, own in found.items():
        for of, score in own.items():
            share = None
            if of in CALIBRATED and title not in (CEILING, FLOOR):
                share = _share(score, found[CEILING][of], found[FLOOR][of])
            table[title][of.name] = CalibratedScore(value=interval(score), share=share)
    return table


def _share(score: Any, ceiling: Any, floor: Any) -> Interval | None:
    """The share of the way from floor to ceiling, paired in every resample."""
    sign = np.sign(ceiling.value - floor.value)
    apart = sign * (ceiling.resampled - floor.resampled)
    if sign == 0 or np.percentile(apart, 2.5) <= 0:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = sign * (score.resampled - floor.resampled) / apart
    shares = shares[np.isfinite(shares)]
    low, high = np.percentile(shares, [2.5, 97.5])
    return Interval(float((score.value - floor.value) / (ceiling.value - floor.value)), float(low), float(high))


def _texts_by(reviews: pl.DataFrame, column: str) -> dict[str, list[str]]:
    grouped = reviews.select(column, "text").group_by(column, maintain_order=True).agg("text")
    return {str(key): texts for key, texts in grouped.iter_rows()}


def _peers_texts(samples: Sequence[Sample], reviews: pl.DataFrame) -> list[list[str]]:
    """Others' texts on each sample's item."""
    items = pl.Series([str(sample.item) for sample in samples]).unique()
    known: dict[str, list[tuple[str, str]]] = {}
    asked = reviews.filter(pl.col("item").is_in(items.implode()))
    for user, item, text in asked.select("user", "item", "text").iter_rows():
        known.setdefault(item, []).append((user, text))
    return [[text for user, text in known.get(sample.item, []) if user != sample.user] for sample in samples]
