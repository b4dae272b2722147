"""Calibrated style: what each measure of style gives for real texts, so that a method's score reads as a share.

The *ceiling* of a measure is its value for the user's own text, the *floor* that for a real text of another user about
the same item, drawn at random. A method at 0 % writes as unlike the user as anybody who writes about that item, one at
100 % as the user does. Measures: trait fidelity (``metrics.fidelity``), Burrows' Delta and attribution
(``metrics.authorship``), and verifiers of authorship on request (``metrics.verification``). Copied sequences are shown
next to them, because copying the user's past texts is the cheap way to a high score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from idiolect.evaluation.significance import Interval, Resamples, Score, interval
from idiolect.metrics.authorship import ATTRIBUTION, COPIED_OWN, COPIED_PEERS, DELTA, Authorship, copied
from idiolect.metrics.base import Mean
from idiolect.metrics.fidelity import FIDELITY, StyleTargets
from idiolect.metrics.verification import Verifier
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

    def to_text(self) -> str:
        """The value and, in brackets, the share."""
        value = f"{self.value.value:.3f}"
        if self.share is None:
            return value
        return f"{value} ({self.share.value:.0%} [{self.share.low:.0%}, {self.share.high:.0%}])"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Style of every condition between floor and ceiling."""

    rows: Mapping[str, Mapping[str, CalibratedScore]]
    """By condition, ceiling and floor included, and by measure."""
    n_samples: int
    """Samples with a real text of another user on the same item; the others are left out."""
    notes: tuple[str, ...] = ()
    """Measures that are left out, and why."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The table: value, and in brackets the share of the way from floor to ceiling with its interval."""
        known = {name for row in self.rows.values() for name in row}
        fixed = [measure.name for measure in (*CALIBRATED, *COPIED)]
        names = [name for name in (*fixed[: len(CALIBRATED)], *sorted(known.difference(fixed)), *fixed[-len(COPIED) :])]
        names = [name for name in names if name in known]
        lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
        for title, row in self.rows.items():
            cells = [row[name].to_text() if name in row else "" for name in names]
            lines.append(f"| {title.replace('|', ' ')} | {' | '.join(cells)} |")
        note = (
            f"{self.n_samples} samples. In brackets: share of the way from others' texts (0 %) to the users' own "
            "(100 %), with its 95 % interval over users; none where the two do not differ. Lower is better for "
            f"{DELTA.name}; {COPIED_OWN.name} and {COPIED_PEERS.name} are shares of a text's five-word sequences."
        )
        return "\n".join([*lines, "", note, *(f"{one}." for one in self.notes)]) + "\n"


def calibrate(
    samples: Sequence[Sample],
    reviews: pl.DataFrame,
    written: Mapping[ConditionId, Sequence[str]],
    targets: StyleTargets | None,
    *,
    places: Sequence[int] | None = None,
    verifiers: Sequence[Verifier] = (),
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
        verifiers: Further measures of authorship.
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
    foreign = 0 if targets is None else int((~targets.known[kept]).sum())
    notes: list[str] = []
    for verifier in verifiers:
        before = verifier.unknown
        if verifier.english_only and foreign:
            notes.append(f"{verifier.measure.name} is left out: {foreign} samples are not in English")
            continue
        of_users = {str(user): past[user] for user in dict.fromkeys(users)}
        for title, scores in verifier.scores(shown, [samples[k] for k in kept], of_users).items():
            stats[title][verifier.measure] = scores
        if lost := verifier.unknown - before:
            notes.append(f"{verifier.measure.name}: {lost} texts have no readable score and are left out")
    return Calibration(rows=_scores(stats, draws), n_samples=len(kept), notes=tuple(notes))


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
            if of not in COPIED and title not in (CEILING, FLOOR):
                share = share_of_distance(score, found[CEILING][of], found[FLOOR][of])
            table[title][of.name] = CalibratedScore(value=interval(score), share=share)
    return table


def share_of_distance(score: Score, ceiling: Score, floor: Score) -> Interval | None:
    """The share of the way from floor to ceiling, paired in every resample; None if the two do not differ."""
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
