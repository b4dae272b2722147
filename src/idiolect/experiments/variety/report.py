"""What was found to differ, for a result file, a report, a terminal, and as figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from idiolect.difference.language.taxonomy import CATEGORIES
from idiolect.errors import MissingDependencyError
from idiolect.evaluation.uvq_figures import System, draw_categories, draw_scatter
from idiolect.experiments.results import file_name
from idiolect.experiments.variety.count import LEAST_USERS, Variety

Varieties = Mapping[str, Variety]
"""By method; without those that compare nobody."""

_HEAD = ("run", "users", "comparisons", "UVQ", "frequent", "weighted", "claimed", "rejected", "conflicts", *CATEGORIES)
_CATEGORIES = "categories.svg"
_LEGEND = (
    "UVQ: distinct valid differences of the 35 in the taxonomy that recur over a user's comparisons, the mean over "
    "users with its bootstrap interval; frequent: of these, those in three comparisons or more; weighted: the mean of "
    "the released script's score; rejected: claims that validation dropped; conflicts: attributes lost because both "
    "directions were claimed. The categories are shares of the valid differences."
)


def to_dict(found: Varieties) -> dict[str, Any]:
    """Plain data for a result file."""
    return {name: _record(one) for name, one in found.items()}


def to_text(found: Varieties) -> str:
    """A line a method, for a terminal."""
    width = max(map(len, found), default=0)
    return "\n".join(f"{name.ljust(width)}  {_sentence(one)}" for name, one in found.items()) + "\n"


def warnings(found: Varieties) -> list[str]:
    """The paper's signs of a failing run, one sentence each."""
    return [f"warning: {name}: {sign}" for name, one in found.items() for sign in one.warnings]


def to_markdown(found: Varieties, figures: Sequence[Path]) -> str:
    """A table with a row a method, what it means, and the figures that were drawn."""
    rows = [_HEAD, ["---", *["---:"] * (len(_HEAD) - 1)], *(_row(name, one) for name, one in found.items())]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    beside = [f"- {name}: {line}" for name, one in found.items() for line in _beside(one)]
    shown = [f"![{path.stem}]({path.name})" for path in figures]
    return "\n\n".join([table, _LEGEND, "\n".join(beside), *shown]) + "\n"


def draw_if_possible(found: Varieties, folder: Path) -> list[Path]:
    """``categories.svg``, and for every correlation ``uvq-METRIC-METHOD.svg``; none where matplotlib is missing.

    Those of an earlier call go.
    """
    for old in (folder / _CATEGORIES, *folder.glob("uvq-*.svg")):
        old.unlink(missing_ok=True)
    try:
        return list(_drawn(found, folder)) if found else []
    except MissingDependencyError:
        return []


def _drawn(found: Varieties, folder: Path) -> Iterator[Path]:
    path = folder / _CATEGORIES
    draw_categories({name: one.uvq for name, one in found.items()}, path)
    yield path
    for name, one in found.items():
        for metric, related in one.related.items():
            path = folder / f"uvq-{metric}-{file_name(name)}.svg"
            points = [System("", *pair) for pair in zip(one.uvq.per_user, one.scores[metric], strict=True)]
            draw_scatter(points, related, path, metric=f"{metric} of a user's texts")
            yield path


def _record(one: Variety) -> dict[str, Any]:
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


def _sentence(one: Variety) -> str:
    lost = f"{one.validated.n_rejected} of {one.validated.n_units} claims rejected"
    said = f"UVQ {_mean(one)} over {one.users} users, {one.comparisons} comparisons; {lost}"
    return said if one.judged is None else f"{said}; counted by the judge"


def _mean(one: Variety) -> str:
    if one.mean is None:
        return "not known"
    value, low, high = one.mean
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _row(name: str, one: Variety) -> list[str]:
    counts = [str(one.users), str(one.comparisons), _mean(one)]
    means = [f"{own.mean():.2f}" if one.users else "-" for own in (one.uvq.frequent, one.uvq.scores)]
    lost = [str(one.validated.n_units), f"{one.validated.rejection_rate:.0%}", f"{one.uvq.conflict_drop_rate:.0%}"]
    total = max(1, sum(one.uvq.distribution.values()))
    return [name, *counts, *means, *lost, *(f"{one.uvq.distribution[category] / total:.0%}" for category in CATEGORIES)]


def _beside(one: Variety) -> Iterator[str]:
    if one.judged is not None:
        told = f"{one.uvq.n_rejected} of {one.uvq.n_units} units not valid, {one.unread} answers unread"
        yield f"judged, {one.judged} comparisons: {told}"
    if one.reasons:
        yield "rejected as " + ", ".join(f"{reason} ({count})" for reason, count in one.reasons.items())
    if one.related:
        said = ", ".join(f"{metric} {r:.2f} [{low:.2f}, {high:.2f}]" for metric, (r, low, high) in one.related.items())
        yield f"correlation of UVQ over users (Pearson's r) with {said}"
    if missing := [metric for metric in one.scores if metric not in one.related]:
        why = f"fewer than {LEAST_USERS} users" if one.users < LEAST_USERS else "one of the two is the same everywhere"
        yield f"no correlation with {' and '.join(missing)}: {why}"
