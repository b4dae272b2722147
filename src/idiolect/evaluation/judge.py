"""A language model as the judge of UVQ: what it is asked about the differences of one comparison, and what it answers.

Source: the DRP authors' analysis script (METHODS 1.5): one call a comparison over the validated text, greedily, at most
2048 new tokens and 12 units. The words of the prompt are ours.

What a method claimed of every user, comparison by comparison, read from its outputs.

A language model as the judge of what a run's methods found: who is asked, about what, made from which reviews.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from idiolect.difference.claims import lenient_json as lenient
from idiolect.difference.claims.feature import Feature
from idiolect.difference.claims.stylometric import POOLED
from idiolect.difference.claims.taxonomy import CATEGORIES, CONTROLLED, Key, by_pair, by_path
from idiolect.evaluation.uvq import Unit, category_of, units_of
from idiolect.llm.base import Failure, SamplingParams, Schema, Usage
from idiolect.pipeline import results
from idiolect.prompts.rendering import TEMPLATES, load
from idiolect.store.base import ReviewReader
from idiolect.types import Block, ComparedReview, ConditionId, Message, Prompt, ReviewId, UserId

MOST_UNITS = 12
"""Units of one comparison that are read, as in the script."""
REASONS = ("no_comparison", "not_atomic", "unclear", "format_error", "uncategorized", "content_bias", "inconsistent")
PARAMS = SamplingParams(temperature=0, max_new_tokens=2048)
"""As in the script."""

_FIELDS = ("feature_name", "difference", "category", "is_valid", "invalid_reason", "dup_key", "evidence_span")
_UNIT: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": list(_FIELDS),
    "properties": {
        **{name: {"type": "string"} for name in _FIELDS},
        "category": {"type": "string", "enum": [*CATEGORIES, "other"]},
        "is_valid": {"type": "boolean"},
        "dup_key": {"type": "string", "enum": [*(key.path for key in CONTROLLED), "other"]},
    },
}
_SUMMARY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["valid_count_dedup", "by_category"],
    "properties": {
        "valid_count_dedup": {"type": "integer"},
        "by_category": {
            "type": "object",
            "additionalProperties": False,
            "required": list(CATEGORIES),
            "properties": {name: {"type": "integer"} for name in CATEGORIES},
        },
    },
}
JUDGE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["units", "summary"],
    "properties": {"units": {"type": "array", "items": _UNIT}, "summary": _SUMMARY},
}
"""JSON schema of an answer, for backends that can enforce one. Do not change it."""

_YES, _NO = ("true", "yes", "valid", "1"), ("false", "no", "invalid", "0")


class Answer(Protocol):
    """What a judge answered in the end, its thinking apart."""

    @property
    def text(self) -> str:
        """Empty where there is a failure."""
        ...

    @property
    def failure(self) -> Failure | None:
        """Why there is no answer."""
        ...

    @property
    def usage(self) -> Usage:
        """What all attempts took."""
        ...


class Judge(Protocol):
    """Who is asked: ``idiolect.methods.roles.Role`` is one, which asks on where thinking did not end."""

    def ask(self, prompts: Sequence[Prompt], *, schema: Schema | None = None) -> Sequence[Answer]:
        """One answer a prompt, in order, held to the schema where the model can be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What was claimed of one comparison."""

    claims: tuple[str, ...]
    """The differences, one text each, or all of them as one text."""
    sources: tuple[ReviewId, ...] = ()
    """The reviews that were compared: what the erasure of a recorded answer follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a judge said of one comparison."""

    units: tuple[Unit, ...]
    failed: bool = False
    """There was no answer, or it could not be read; not the same as an answer without units."""
    usage: Usage = field(default_factory=Usage)
    """What it took; nothing where the same claims were judged before."""


def judge_prompt(claims: Sequence[str], *, sources: Sequence[ReviewId] = (), templates: Path | None = None) -> Prompt:
    """What the judge is asked about one comparison.

    Args:
        claims: The differences that were claimed, one text each, or all of them as one text.
        sources: The reviews that were compared.
        templates: Folder of template folders, to use your own words; None: the shipped ones.

    Raises:
        ConfigError: A template uses a name it is not given.
    """
    files = load("judge", templates or TEMPLATES, 0)
    keys = {name: [key.path for key in CONTROLLED if key.category == name] for name in CATEGORIES}
    shared = {"most": MOST_UNITS, "reasons": REASONS, "keys": keys}
    rows = [
        Block(files.segments("entry", {"claim": claim, "number": number}))
        for number, claim in enumerate(claims, start=1)
    ]
    system, head, tail = (Block(files.segments(part, shared)) for part in ("system", "head", "tail"))
    return Prompt((Message("system", (system,)), Message("user", (head, *rows, tail))), sources=tuple(sources))


def judge(who: Judge, comparisons: Sequence[Claimed], *, templates: Path | None = None) -> list[Judged]:
    """Have every comparison's claims judged; one without claims is not asked about and has no units.

    The same claims are asked about once, for all the comparisons that made them.

    Args:
        who: The judge; the script's is greedy (``PARAMS``).
        comparisons: What was claimed of each.
        templates: As of ``judge_prompt``.

    Returns:
        One each, in order.
    """
    sources: dict[tuple[str, ...], dict[ReviewId, None]] = {}
    for one in comparisons:
        if one.claims:
            sources.setdefault(one.claims, {}).update(dict.fromkeys(one.sources))
    prompts = [judge_prompt(claims, sources=tuple(of), templates=templates) for claims, of in sources.items()]
    answers = who.ask(prompts, schema=JUDGE_SCHEMA) if prompts else []
    judged: dict[tuple[str, ...], Judged] = {(): Judged(units=())}
    judged |= {claims: _judged(answer) for claims, answer in zip(sources, answers, strict=True)}
    paid = {one.claims: place for place, one in reversed(list(enumerate(comparisons)))}
    return [
        judged[one.claims] if paid[one.claims] == place else replace(judged[one.claims], usage=Usage())
        for place, one in enumerate(comparisons)
    ]


def _judged(answer: Answer) -> Judged:
    if answer.failure:
        return Judged(units=(), failed=True, usage=answer.usage)
    found = read_judgement(answer.text)
    return replace(found, usage=replace(answer.usage, unreadable=int(found.failed)))


def read_judgement(text: str) -> Judged:
    """The units in a judge's answer; never raises on any text.

    The object may stand between other words or in a code block, and may break off: units that are whole count. Only the
    first twelve do, a key that was used before is a ``duplicate``, and a unit that does not say whether it is valid is
    a ``format_error``.
    """
    units, seen = [], set[str]()
    values = lenient.read_values(text)
    for _, value in lenient.objects(values, "dup_key", "feature_name", "difference"):
        if len(units) == MOST_UNITS:
            break
        unit = _unit(value)
        if unit.valid and unit.path in seen and by_path(unit.path):
            unit = replace(unit, valid=False, reason="duplicate")
        seen |= {unit.path} if unit.valid else set()
        units.append(unit)
    return Judged(units=tuple(units), failed=not units and not lenient.says_none(values, "units"))


def _unit(value: dict[str, Any]) -> Unit:
    written = _word(value, "dup_key")
    key = _key(written)
    category = _word(value, "category") or (key.category if key else "")
    valid = _truth(value.get("is_valid"))
    reason = _word(value, "invalid_reason")
    return Unit(
        category=category_of(category) or category,
        path=key.path if key else written,
        valid=bool(valid),
        reason="" if valid else reason or ("format_error" if valid is None else "rejected"),
    )


def _key(written: str) -> Key | None:
    """The controlled key of a path, whether or not the category and blanks are as they should be."""
    path = written.lower().replace(" ", "").strip("/")
    attribute, _, direction = path.rpartition("/")
    key = by_path(path) or (by_pair(attribute, direction) if attribute else None)
    return key if key is not None and key.controlled else None


def _word(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return lenient.whole(found.strip()) if isinstance(found, str) else ""


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _YES else False if word in _NO else None
    return bool(value) if isinstance(value, bool | int) else None


Cell = tuple[UserId, str]
"""A user and one of the user's comparisons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The differences of one method's users, and what a judge made of them."""

    users: tuple[UserId, ...]
    """In the order of the samples."""
    features: Mapping[Cell, tuple[Feature, ...]]
    """Of every comparison that claims something, whatever became of it; without what was measured over all of them."""
    listed: Mapping[UserId, tuple[ComparedReview, ...]]
    """The reviews that were compared."""
    judged: Mapping[Cell, Judged] | None = None
    """None: nobody was asked."""
    unheard: frozenset[UserId] = frozenset()
    """Users of whom the extractor said nothing that could be read: what differs is not known, which is not 0."""

    @property
    def validated(self) -> list[list[list[Unit]]]:
        """For each user the comparisons, for each of these the features as units: valid unless dropped."""
        return self._by_user({cell: units_of(own) for cell, own in self.features.items()})

    @property
    def units(self) -> list[list[list[Unit]]]:
        """The same by the judge's word, where there is one."""
        if self.judged is None:
            return self.validated
        return self._by_user({cell: list(one.units) for cell, one in self.judged.items()})

    @property
    def unknown(self) -> frozenset[UserId]:
        """Users of whom no number is known: nothing was heard of them, or the judge's answers could all not be read."""
        asked: dict[UserId, list[bool]] = {}
        for cell, one in (self.judged or {}).items():
            if any(feature.valid for feature in self.features[cell]):
                asked.setdefault(cell[0], []).append(one.failed)
        return self.unheard | {user for user, failed in asked.items() if all(failed)}

    def _by_user(self, units: Mapping[Cell, list[Unit]]) -> list[list[list[Unit]]]:
        found: dict[UserId, list[list[Unit]]] = {user: [] for user in self.users}
        for (user, _), own in units.items():
            found[user].append(own)
        return list(found.values())


def found_in(runs: Mapping[ConditionId, Sequence[Mapping[str, Any]]]) -> dict[ConditionId, Found]:
    """What every method that compared anything has found.

    Args:
        runs: By condition, its outputs sample by sample (see ``results.sample_row``); controls do not count.
    """
    return {
        condition: found_by(rows)
        for condition, rows in runs.items()
        if condition.control is None and any(row.get("compared") for row in rows)
    }


def found_by(rows: Sequence[Mapping[str, Any]]) -> Found:
    """What one method has found. A comparison that serves several samples of a user counts once, as in the first.

    Raises:
        ArtifactError: The rows are not what this version writes.
    """
    features: dict[Cell, tuple[Feature, ...]] = {}
    listed: dict[UserId, tuple[ComparedReview, ...]] = {}
    heard: dict[UserId, bool] = {}
    for row in rows:
        user, own = row["user"], dict[str, list[Feature]]()
        for feature in results.features(row):
            if feature.comparison != POOLED:
                own.setdefault(feature.comparison, []).append(feature)
        for comparison, claimed in own.items():
            features.setdefault((user, comparison), tuple(claimed))
        heard[user] = heard.get(user, False) or _was_heard(row)
        listed[user] = (*listed.get(user, ()), *_compared(row))
    unheard = frozenset(user for user, known in heard.items() if not known)
    return Found(users=tuple(listed), features=features, listed=listed, unheard=unheard)


def _was_heard(row: Mapping[str, Any]) -> bool:
    """Whether the extractor was not asked, or some answer of it could be read."""
    calls, failed, unreadable = extractor_counts(row)
    return calls == 0 or failed + unreadable < calls


def extractor_counts(row: Mapping[str, Any]) -> tuple[int, int, int]:
    """Calls of the extractor for a sample, those that failed, and answers that could not be read; 0 where none is told.

    Args:
        row: As it was made, or as it was read back, from whatever file.
    """
    usage = row.get("usage")
    took = usage.get("extract") if isinstance(usage, Mapping) else None
    counts = asdict(took) if isinstance(took, Usage) else took if isinstance(took, Mapping) else {}
    calls, failed, unreadable = (counts.get(name) for name in ("calls", "failed", "unreadable"))
    return _whole(calls), _whole(failed), _whole(unreadable)


def _whole(count: Any) -> int:
    return count if isinstance(count, int) and count > 0 else 0


def _compared(row: Mapping[str, Any]) -> list[ComparedReview]:
    found = row.get("compared") or ()
    return [ComparedReview(review=one["review"], others=tuple(one["others"])) for one in found]


_NOBODY = UserId("")


def judge_found(
    who: Judge, found: Mapping[ConditionId, Found], reader: ReviewReader, *, templates: Path | None = None
) -> dict[ConditionId, Found]:
    """What was found, with the judge's word on every comparison: one call for each with something valid.

    Args:
        who: The judge.
        found: By method.
        reader: Shows the reviews that were compared.
        templates: Folder of template folders; None: the shipped ones.
    """
    sources = _Sources(reader)
    return {name: _judged_judging(who, one, sources, templates) for name, one in found.items()}


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
            "compared": [asdict(one) for one in found.listed[user]],  # by which an erasure finds a line
            "claims": _claims(found.features[user, comparison]),
            "failed": one.failed,
            "units": [asdict(unit) for unit in one.units],
        }


def _judged_judging(who: Judge, found: Found, sources: _Sources, templates: Path | None) -> Found:
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

    def of(self, cell: Cell, listed: Sequence[ComparedReview]) -> tuple[ReviewId, ...]:
        """Every such review's id."""
        user, comparison = cell
        own = self._own(user).get(comparison)
        wanted = {other for one in listed if one.review == comparison for other in one.others}
        others = [] if own is None else [one.id for one in self._item(own.item) if one.id in wanted]
        return (ReviewId(comparison), *others)
