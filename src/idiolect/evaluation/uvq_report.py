"""UVQ of the methods of a run: correlation with the texts' quality, failure signs, figures, tables and records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.difference.claims.taxonomy import CATEGORIES
from idiolect.errors import InputError, MissingDependencyError
from idiolect.evaluation.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, plotting
from idiolect.evaluation.judge import Found
from idiolect.evaluation.significance import Bootstrapped, Interval, Resamples, interval
from idiolect.evaluation.uvq import Uvq, uvq
from idiolect.llm.base import Usage
from idiolect.metrics.base import AdditiveScore, Mean, Metric, Signature, SufficientStatistics
from idiolect.pipeline.results import file_name
from idiolect.types import ConditionId, UserId


class Correlation(AdditiveScore):
    """Pearson's r as an aggregate of five sums; 0 if one of the two does not vary."""

    name = "correlation"
    greater_is_better = True

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``SufficientStatistics``; the columns are x, y, x squared, y squared, x times y."""
        x, y, xx, yy, xy = (totals / counts[:, None]).T
        product_sd = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
        return np.divide(xy - x * y, product_sd, out=np.zeros_like(product_sd), where=product_sd > 1e-12)

    def signature(self) -> Signature:
        """Name and kind."""
        return Signature((("metric", self.name), ("kind", "pearson")))


def correlation(
    counts: Sequence[float] | np.ndarray,
    scores: Sequence[float] | np.ndarray,
    resamples: Resamples,
    *,
    ranks: bool = False,
) -> Interval:
    """Correlation of UVQ with a score of the texts, with a percentile bootstrap interval (the paper's Figure 2).

    Args:
        counts: float (n,): UVQ of each user, or of each system.
        scores: float (n,): BLEU or METEOR of the same, in the same order.
        resamples: Of the same n.
        ranks: Spearman's rho (Pearson's r of ranks in the whole sample) instead of Pearson's r.

    Raises:
        InputError: The two are of different lengths, or one of them does not vary.
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (counts, scores))
    if x.shape != y.shape:
        raise InputError(f"{len(x)} UVQ values but {len(y)} scores", hint="pass one of each per user")
    if ranks:
        from scipy.stats import rankdata  # here, because importing it takes longer than the correlation

        x, y = rankdata(x), rankdata(y)
    if not (np.ptp(x) > 0 and np.ptp(y) > 0):
        raise InputError("no correlation: one of the two is the same everywhere", hint="take more users or systems")
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    return interval(resamples.score(Correlation(), np.stack([x, y, x * x, y * y, x * y], axis=1)))


class Thresholds(Config):
    """Thresholds of failure signs. The signs are the paper's; the thresholds are ours, because it gives none."""

    min_uvq: float = Field(default=2.0, ge=0)
    """Mean UVQ below which the extractor finds too little that is different and holds."""
    max_surface: float = Field(default=0.65, gt=0, le=1)
    """Share of Writing and Emotion among valid differences above which extraction stays on the surface (they have 13 of
    35 keys)."""
    max_rejected: float = Field(default=0.5, gt=0, le=1)
    """Share of rejected differences above which extractor and validator disagree."""


def failure_signs(result: Uvq, thresholds: Thresholds | None = None, *, validated: Uvq | None = None) -> list[str]:
    """The paper's failure signs in a run, one sentence each, with a possible cause.

    Args:
        result: UVQ of a run.
        thresholds: Thresholds; None: the defaults.
        validated: UVQ of the validated features, if ``result`` is a judge's; None: ``result``.
    """
    limits, before = thresholds or Thresholds(), validated or result
    if not len(result.kept):
        return []
    signs = []
    if result.mean < limits.min_uvq:
        signs.append(
            f"low UVQ ({result.mean:.2f} differences a user, below {limits.min_uvq:g}): the extractor finds few "
            "different valid features; try more comparisons or open dimensions, or another model if one was asked"
        )
    total = sum(result.distribution.values())
    surface = result.distribution["Writing"] + result.distribution["Emotion"]
    if total and surface / total > limits.max_surface:
        signs.append(
            f"Writing and Emotion dominate ({surface / total:.0%} of {total} valid features): the extractor does not "
            "reach semantics, structure and pragmatics"
        )
    if before.rejection_rate > limits.max_rejected:
        signs.append(
            f"high rejection ({before.rejection_rate:.0%} of {before.n_units} features): extractor and validation are "
            "at odds; look at the reasons"
        )
    return signs


_COLOURS = dict(zip(CATEGORIES, (BLUE, VERMILLION, GREEN, ORANGE, PURPLE), strict=True))
_LEAST_WRITTEN = 0.06
"""Smaller shares are drawn without their number."""


class System(NamedTuple):
    """One system, or one user, as a point: UVQ against a score of the texts."""

    name: str
    """Label of the point; empty: none."""
    uvq: float
    score: float


def draw_categories(results: Mapping[str, Uvq], path: Path) -> None:
    """The share of each category among valid differences, a bar a system (the paper's category figure).

    Args:
        results: By system; the first is drawn on top.
        path: ``.svg`` or ``.png``.

    Raises:
        InputError: There is no system.
        ConfigError: Another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    if not results:
        raise InputError("there is no system to draw", hint="give at least one result")
    counts = np.array([[result.distribution[name] for name in CATEGORIES] for result in results.values()], dtype=float)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    starts = np.cumsum(shares, axis=1) - shares
    with plotting(path, width=6.2, height=1.1 + 0.42 * len(results)) as figure:
        axes = figure.subplots()
        places = np.arange(len(results))
        for k, name in enumerate(CATEGORIES):
            axes.barh(places, shares[:, k], left=starts[:, k], height=0.66, color=_COLOURS[name], label=name)
            for place in map(int, np.flatnonzero(shares[:, k] >= _LEAST_WRITTEN)):
                share = float(shares[place, k])
                middle = float(starts[place, k]) + share / 2
                axes.text(middle, place, f"{share:.0%}", ha="center", va="center", color="white", size=8)
        names = [f"{name}  (n = {int(total)})" for name, total in zip(results, totals, strict=True)]
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of valid differences")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.legend(frameon=False, ncols=len(CATEGORIES), loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)


def draw_scatter(points: Sequence[System], found: Interval, path: Path, *, metric: str = "BLEU") -> None:
    """UVQ against a score of the texts, with their correlation and its interval (the paper's Figure 2).

    Args:
        points: Systems or users, at least two.
        found: Of ``uvq_report.correlation`` over the same points.
        path: ``.svg`` or ``.png``.
        metric: What the score is called.

    Raises:
        InputError: There are fewer than two points.
        ConfigError: Another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    if len(points) < 2:
        raise InputError(f"{len(points)} points show no relation", hint="give at least two systems or users")
    x, y = np.array([[point.uvq, point.score] for point in points]).T
    with plotting(path, width=4.2, height=3.4) as figure:
        axes = figure.subplots()
        if np.ptp(x) > 0:
            slope, start = np.polyfit(x, y, 1)
            ends = np.array([x.min(), x.max()])
            axes.plot(ends, start + slope * ends, color=GREY, linewidth=1.2, linestyle="--", zorder=1)
        axes.scatter(x, y, s=24, color=BLUE, alpha=0.8, linewidths=0, zorder=2)
        for point in points:
            axes.annotate(point.name, (point.uvq, point.score), xytext=(5, 4), textcoords="offset points", size=8)
        axes.grid(color="#E6E6E6", linewidth=0.7)
        axes.set_xlabel("UVQ (distinct valid differences a user)")
        axes.set_ylabel(metric)
        axes.set_title(f"r = {found.value:.2f}  [{found.low:.2f}, {found.high:.2f}]", loc="left")


RELATED = ("bleu", "meteor")
"""The scores that UVQ is correlated with, as in the paper's Figure 2."""
MIN_USERS = 10
"""Below it a correlation's interval is not meaningful."""


class _MeanOfKnown(Mean):
    """A mean over those users of whom it is known: rows of a user's number and 1, or of 0 and 0."""

    def score_totals(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """See ``SufficientStatistics``; a resample without a known user repeats the mean of all of them."""
        known = totals[:, 1]
        return np.divide(totals[:, 0], known, out=np.full(len(known), np.nan), where=known > 0)


_UVQ = _MeanOfKnown("uvq", greater_is_better=True, unit="differences/user")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MethodUvq:
    """What one method found of its users."""

    uvq: Uvq
    """By a judge where one was asked, else of the validated features."""
    validated: Uvq
    """Of the validated features."""
    mean: Interval | None
    """UVQ per user, resampled over users; None if it is known for no user."""
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


def method_uvq(found: Found, scores: Mapping[str, np.ndarray], draws: Resamples) -> MethodUvq:
    """What a method found, in numbers.

    Args:
        found: By the method.
        scores: By metric, float64 (n_users,) in the order of ``found.users``.
        draws: Resamples of the users.
    """
    known = np.array([user not in found.unknown for user in found.users], dtype=bool)
    counted = uvq([cells for cells, is_known in zip(found.units, known, strict=True) if is_known])
    scores = {name: own[known] for name, own in scores.items()}
    features = [one for own in found.features.values() for one in own]
    dropped = Counter(one.reason or "rejected" for one in features if not one.valid)
    asked = [one for cell, one in (found.judged or {}).items() if any(f.valid for f in found.features[cell])]
    return MethodUvq(
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


def judging(found: Mapping[ConditionId, MethodUvq]) -> dict[ConditionId, Usage]:
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
        if metric.name in RELATED and metric.name in stats and isinstance(metric, SufficientStatistics):
            totals = np.zeros((len(places), stats[metric.name].shape[1]))
            np.add.at(totals, owners, stats[metric.name][kept])
            found[metric.name] = metric.score_totals(totals, counts)
    return found


def _related(counts: np.ndarray, scores: np.ndarray, draws: Resamples) -> Interval | None:
    defined = len(counts) >= MIN_USERS and np.ptp(counts) > 0 and np.ptp(scores) > 0
    return correlation(counts, scores, draws) if defined else None


UvqByMethod = Mapping[ConditionId, MethodUvq]
"""By method; only methods that compare users."""

_HEAD = ("run", "users", "comparisons", "UVQ", "frequent", "weighted", "claimed", "rejected", "conflicts", *CATEGORIES)
_CATEGORIES = "categories.svg"
_LEGEND = (
    "UVQ: distinct valid differences of the 35 in the taxonomy that recur over a user's comparisons, the mean over "
    "users with its bootstrap interval; frequent: of these, those in three comparisons or more; weighted: the mean of "
    "the released script's score; rejected: claims that validation dropped; conflicts: attributes lost because both "
    "directions were claimed. The categories are shares of the valid differences."
)


def to_dict(found: UvqByMethod) -> dict[str, Any]:
    """Plain data for a result file."""
    return {condition.plain_name: _record(one) for condition, one in found.items()}


def to_text(found: UvqByMethod) -> str:
    """A line a method, for a terminal."""
    named = {str(condition): one for condition, one in found.items()}
    width = max(map(len, named), default=0)
    return "\n".join(f"{name.ljust(width)}  {_sentence(one)}" for name, one in named.items()) + "\n"


def warnings(found: UvqByMethod) -> list[str]:
    """The paper's signs of a failing run, one sentence each."""
    return [f"warning: {name}: {sign}" for name, one in found.items() for sign in one.warnings]


def to_markdown(found: UvqByMethod, figures: Sequence[Path]) -> str:
    """A table with one row per method, its legend, and the figures."""
    rows = [_HEAD, ["---", *["---:"] * (len(_HEAD) - 1)], *(_row(str(name), one) for name, one in found.items())]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = [f"- {name}: {line}" for name, one in found.items() for line in _notes(one)]
    shown = [f"![{path.stem}]({path.name})" for path in figures]
    return "\n\n".join([table, _LEGEND, "\n".join(notes), *shown]) + "\n"


def draw_if_possible(found: UvqByMethod, folder: Path) -> list[Path]:
    """``categories.svg``, and for every correlation ``uvq-METRIC-METHOD.svg``; none where matplotlib is missing.

    Those of an earlier call go.
    """
    for old in (folder / _CATEGORIES, *folder.glob("uvq-*.svg")):
        old.unlink(missing_ok=True)
    try:
        return list(_drawn(found, folder)) if found else []
    except MissingDependencyError:
        return []


def _drawn(found: UvqByMethod, folder: Path) -> Iterator[Path]:
    path = folder / _CATEGORIES
    draw_categories({str(name): one.uvq for name, one in found.items()}, path)
    yield path
    for name, one in found.items():
        for metric, related in one.related.items():
            path = folder / f"uvq-{metric}-{file_name(name.plain_name)}.svg"
            points = [System("", *pair) for pair in zip(one.uvq.per_user, one.scores[metric], strict=True)]
            draw_scatter(points, related, path, metric=f"{metric} of a user's texts")
            yield path


def _record(one: MethodUvq) -> dict[str, Any]:
    judged = {"comparisons": one.judged, "unread": one.unread, "units": one.uvq.n_units, "rejected": one.uvq.n_rejected}
    return {
        "uvq": None if one.mean is None else one.mean._asdict(),
        "users": one.users,
        "unknown_users": one.unknown,
        "comparisons": one.comparisons,
        "frequent": float(one.uvq.frequent.mean()) if one.users else None,
        "weighted": float(one.uvq.scores.mean()) if one.users else None,
        "by_category": one.uvq.by_category,
        "distribution": dict(one.uvq.distribution),
        "claimed": one.validated.n_units,
        "rejected": dict(one.reasons),
        "conflict_drop_rate": one.uvq.conflict_drop_rate,
        "judge": None if one.judged is None else judged,
        "correlation_over_users": {metric: of._asdict() for metric, of in one.related.items()},
        "warnings": one.warnings,
    }


def _sentence(one: MethodUvq) -> str:
    lost = f"{one.validated.n_rejected} of {one.validated.n_units} claims rejected"
    said = f"UVQ {_mean_report(one)} over {one.users} users, {one.comparisons} comparisons; {lost}"
    return said if one.judged is None else f"{said}; counted by the judge"


def _mean_report(one: MethodUvq) -> str:
    if one.mean is None:
        return "not known"
    value, low, high = one.mean
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _row(name: str, one: MethodUvq) -> list[str]:
    counts = [str(one.users), str(one.comparisons), _mean_report(one)]
    means = [f"{own.mean():.2f}" if one.users else "-" for own in (one.uvq.frequent, one.uvq.scores)]
    lost = [str(one.validated.n_units), f"{one.validated.rejection_rate:.0%}", f"{one.uvq.conflict_drop_rate:.0%}"]
    total = max(1, sum(one.uvq.distribution.values()))
    return [name, *counts, *means, *lost, *(f"{one.uvq.distribution[category] / total:.0%}" for category in CATEGORIES)]


def _notes(one: MethodUvq) -> Iterator[str]:
    if one.judged is not None:
        counts = f"{one.uvq.n_rejected} of {one.uvq.n_units} units not valid, {one.unread} answers unread"
        yield f"judged, {one.judged} comparisons: {counts}"
    if one.reasons:
        yield "rejected as " + ", ".join(f"{reason} ({count})" for reason, count in one.reasons.items())
    if one.related:
        said = ", ".join(f"{metric} {r:.2f} [{low:.2f}, {high:.2f}]" for metric, (r, low, high) in one.related.items())
        yield f"correlation of UVQ over users (Pearson's r) with {said}"
    if missing := [metric for metric in one.scores if metric not in one.related]:
        why = f"fewer than {MIN_USERS} users" if one.users < MIN_USERS else "one of the two is the same everywhere"
        yield f"no correlation with {' and '.join(missing)}: {why}"
