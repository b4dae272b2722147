"""Calibrated style: what each measure of style gives for real texts, so that a method's score reads as a share.

The *ceiling* of a measure is its value for the user's own text, the *floor* that for a real text of another user about
the same item, drawn at random. A method at 0 % writes as unlike the user as anybody who writes about that item, one at
100 % as the user does. Measures: trait fidelity (``metrics.fidelity``), Burrows' Delta and attribution
(``metrics.authorship``), and verifiers of authorship on request (``metrics.verification``). Copied sequences are shown
next to them, because copying the user's past texts is the cheap way to a high score.

Some measures hold only for texts in English, or in a script with words. Their columns, floor and ceiling included, are
of the samples that they hold for; the number of the others is in a note.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from idiolect.difference.stylometry.english import detect
from idiolect.evaluation.significance import Interval, Resamples, Score, interval
from idiolect.metrics.authorship import ATTRIBUTION, COPIED_OWN, COPIED_PEERS, DELTA, Authorship, copied, has_words
from idiolect.metrics.base import Mean
from idiolect.metrics.fidelity import FIDELITY, StyleTargets
from idiolect.metrics.verification import Verifier
from idiolect.types import ConditionId, Sample
from idiolect.words import unit, words

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
    left_out: Mapping[str, int] = field(default_factory=dict)
    """By measure: how many of these samples it does not hold for, if any. Its rows are of the rest; it has none if the
    rest is of fewer than two users."""
    notes: tuple[str, ...] = ()
    """What is left out, and why; how texts without blanks between words are counted."""

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
    table = _Table(shown, users, seed=seed, resamples=resamples)
    _add_authorship(table, past, [peers[k] for k in kept])
    english = np.ones(len(kept), dtype=bool)
    if targets is not None:
        english = targets.known[kept] & (detect(real[FLOOR]) >= 0)
        if (rows := table.places([FIDELITY], english, _NOT_ENGLISH)) is not None:
            scored = {title: _placed(targets, texts, kept, len(samples)) for title, texts in shown.items()}
            table.add(FIDELITY, rows, {title: scores[rows] for title, scores in scored.items()})
    for verifier in verifiers:
        fit = english if verifier.english_only else np.ones(len(kept), dtype=bool)
        if (rows := table.places([verifier.measure], fit, _NOT_ENGLISH)) is None:
            continue
        before = verifier.unknown
        some = [samples[kept[row]] for row in rows]
        of_users = {str(one.user): past[one.user] for one in some}
        table.add(verifier.measure, rows, verifier.scores(table.texts(rows), some, of_users))
        if lost := verifier.unknown - before:
            table.notes.append(f"{verifier.measure.name}: {lost} texts have no readable score and are left out")
    return Calibration(rows=table.scores(), n_samples=len(kept), left_out=table.left_out, notes=tuple(table.notes))


_NOT_ENGLISH = "are not in English, or their text of another user is not"
_NO_WORDS = "are in a script whose letters are not parted into words"


class _Table:
    """Scores of real and written texts, every measure on the samples that it holds for.

    Args:
        shown: By title, one text per sample.
        users: Of the samples.
        seed: Of the bootstrap.
        resamples: Bootstrap resamples of users.
    """

    def __init__(self, shown: Mapping[str, Sequence[str]], users: Sequence[str], *, seed: int, resamples: int) -> None:
        self.shown, self.users = shown, users
        self.left_out: dict[str, int] = {}
        self.notes: list[str] = []
        self._seed, self._resamples = seed, resamples
        self._draws: dict[tuple[int, ...], Resamples] = {}
        self._found: dict[str, dict[Mean, Score]] = {title: {} for title in shown}

    def places(self, measures: Sequence[Mean], fit: np.ndarray, why: str) -> list[int] | None:
        """The samples that measures hold for, bool (n,) ``fit``; the others are noted.

        None if they are of fewer than two users, which there are no intervals over.
        """
        rows: list[int] = np.flatnonzero(fit).tolist()
        lost, n = len(fit) - len(rows), len(fit)
        enough = len({self.users[row] for row in rows}) > 1
        if lost:
            of = f"of the other {n - lost}" if enough else "left out"
            also = "" if enough or lost == n else ", and the others are of one user"
            for measure in measures:
                self.left_out[measure.name] = lost
                self.notes.append(f"{measure.name} is {of}: {lost} of {n} samples {why}{also}")
        return rows if enough else None

    def texts(self, rows: Sequence[int]) -> dict[str, list[str]]:
        """By title, the texts of some samples."""
        return {title: [texts[row] for row in rows] for title, texts in self.shown.items()}

    def add(self, measure: Mean, rows: Sequence[int], scores: Mapping[str, np.ndarray]) -> None:
        """Scores by title, of the samples ``rows``: all on the same resamples of their users."""
        key = tuple(rows)
        if key not in self._draws:
            users, rng = [self.users[row] for row in rows], np.random.default_rng([self._seed, 29])
            self._draws[key] = Resamples(len(users), rng, clusters=users, resamples=self._resamples)
        for title, values in scores.items():
            self._found[title][measure] = self._draws[key].score(measure, values)

    def scores(self) -> dict[str, dict[str, CalibratedScore]]:
        """Values and shares, by title and measure."""
        table: dict[str, dict[str, CalibratedScore]] = {title: {} for title in self.shown}
        for title, own in self._found.items():
            for of, score in own.items():
                share = None
                if of not in COPIED and title not in (CEILING, FLOOR):
                    share = share_of_distance(score, self._found[CEILING][of], self._found[FLOOR][of])
                table[title][of.name] = CalibratedScore(value=interval(score), share=share)
        return table


def _add_authorship(table: _Table, past: Mapping[str, Sequence[str]], peers: Sequence[Sequence[str]]) -> None:
    """Burrows' Delta, attribution, and what was copied from users' past texts and from others' on the item."""
    own_texts = table.shown[CEILING]
    pairs = zip(own_texts, table.shown[FLOOR], strict=True)
    fit = np.array([has_words(own) and has_words(other) for own, other in pairs], dtype=bool)
    if (rows := table.places([DELTA, ATTRIBUTION], fit, _NO_WORDS)) is not None:
        users = [table.users[row] for row in rows]
        author, texts = Authorship({user: past[user] for user in dict.fromkeys(users)}), table.texts(rows)
        table.add(DELTA, rows, {title: author.delta(of, users) for title, of in texts.items()})
        table.add(ATTRIBUTION, rows, {title: author.attribution(of, users) for title, of in texts.items()})
    every, own = range(len(fit)), [past[user] for user in table.users]
    table.add(COPIED_OWN, every, {title: copied(texts, own) for title, texts in table.shown.items()})
    others = {title: copied(texts, peers) for title, texts in table.shown.items() if title != FLOOR}
    table.add(COPIED_PEERS, every, others)
    shares = (np.mean([unit(word) != "word" for word in words(text)] or [False]) for text in own_texts)
    if single := sum(share > 0.5 for share in shares):
        table.notes.append(
            f"{single} of {len(own_texts)} samples have a script without blanks between words: its characters are "
            "counted as words are, and eight of them, or sixteen letters of Thai and similar scripts, as five words"
        )


def _placed(targets: StyleTargets, texts: Sequence[str], kept: Sequence[int], n: int) -> np.ndarray:
    """Trait fidelity of the texts of some of the samples."""
    whole = [""] * n
    for place, text in zip(kept, texts, strict=True):
        whole[place] = text
    return targets.score(whole)[list(kept)]


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
