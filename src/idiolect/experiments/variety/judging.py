"""A language model as the judge of what a run's methods found: who is asked, about what, made from which reviews."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from idiolect.difference.language.feature import Feature
from idiolect.evaluation.judge import Claimed, Judge, Judged, judge
from idiolect.experiments import results
from idiolect.experiments.variety.found import COMPARED, Cell, Found
from idiolect.store.base import ReviewReader
from idiolect.types import ReviewId, UserId

_NOBODY = UserId("")


def judge_found(
    who: Judge, found: Mapping[str, Found], reader: ReviewReader, *, templates: Path | None = None
) -> dict[str, Found]:
    """What was found, with the judge's word on every comparison: one call for each with something valid.

    Args:
        who: The judge.
        found: By method.
        reader: Shows the reviews that were compared.
        templates: Folder of template folders; None: the shipped ones.
    """
    sources = _Sources(reader)
    return {name: _judged(who, one, sources, templates) for name, one in found.items()}


def write_judged(found: Found, path: Path) -> None:
    """Leave what the judge said of a method, a line a comparison; no file where nobody was asked."""
    if found.judged is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        results.write_lines(path, _lines(found, found.judged))


def _lines(found: Found, judged: Mapping[Cell, Judged]) -> Iterator[dict[str, Any]]:
    for (user, comparison), one in judged.items():
        yield {
            "user": user,
            "comparison": comparison,
            COMPARED: found.listed[user],  # by which an erasure finds a line
            "claims": _claims(found.features[user, comparison]),
            "failed": one.failed,
            "units": [asdict(unit) for unit in one.units],
        }


def _judged(who: Judge, found: Found, sources: _Sources, templates: Path | None) -> Found:
    asked = [
        Claimed(claims=_claims(features), sources=sources.of(cell, found.listed[cell[0]]))
        for cell, features in found.features.items()
    ]
    answers = judge(who, asked, templates=templates)
    return replace(found, judged=dict(zip(found.features, answers, strict=True)))


def _claims(features: Sequence[Feature]) -> tuple[str, ...]:
    """What validation let stand (METHODS 1.5), as V reads it; no quotes, so that nobody else's words are in it."""
    return tuple(f"[{feature.name}] {feature.description}" for feature in features if feature.valid)


class _Sources:
    """Which reviews a comparison was made from: the user's own, and the listed ones among others' of its item.

    Args:
        reader: What is visible.
    """

    def __init__(self, reader: ReviewReader) -> None:
        self._own = lru_cache(maxsize=64)(lambda user: {str(one.id): one for one in reader.profile(user)})
        self._item = lru_cache(maxsize=4096)(lambda item: reader.reviews_of(item, exclude=_NOBODY))

    def of(self, cell: Cell, listed: str) -> tuple[ReviewId, ...]:
        """Every such review's id. Ids may hold any character, so they are looked for in the list, which is not read."""
        user, comparison = cell
        own = self._own(user).get(comparison)
        others = [] if own is None else [one.id for one in self._item(own.item) if one.id in listed]
        return (ReviewId(comparison), *others)
