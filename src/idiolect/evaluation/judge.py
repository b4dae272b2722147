"""A language model as the judge of UVQ, and the claims of a run's methods, read from its outputs.

Source: the DRP authors' analysis script: one call per comparison over the validated text, greedy, at most 2048 new
tokens and 12 units. The wording of the prompt is ours.
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
"""Most units per comparison, as in the script."""
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
    """A judge's final answer, without thinking."""

    @property
    def text(self) -> str:
        """Empty if there is a failure."""
        ...

    @property
    def failure(self) -> Failure | None:
        """The failure, if there is no answer."""
        ...

    @property
    def usage(self) -> Usage:
        """Usage of all attempts."""
        ...


class Judge(Protocol):
    """The judge: for instance an ``idiolect.methods.roles.Role``, which repeats calls with unfinished thinking."""

    def ask(self, prompts: Sequence[Prompt], *, schema: Schema | None = None) -> Sequence[Answer]:
        """One answer per prompt, in order; the schema is enforced if the model supports it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The claims of one comparison."""

    claims: tuple[str, ...]
    """The differences, one text each, or all of them as one text."""
    sources: tuple[ReviewId, ...] = ()
    """The compared reviews, by which an erasure finds recorded answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A judge's answer on one comparison."""

    units: tuple[Unit, ...]
    failed: bool = False
    """There was no answer, or it could not be parsed; different from an answer without units."""
    usage: Usage = field(default_factory=Usage)
    """Its usage; zero if the same claims were judged before."""


def judge_prompt(claims: Sequence[str], *, sources: Sequence[ReviewId] = (), templates: Path | None = None) -> Prompt:
    """The judge's prompt for one comparison.

    Args:
        claims: The claimed differences, one text each, or all as one text.
        sources: The compared reviews.
        templates: Folder of template folders, for your own wording; None: the shipped ones.

    Raises:
        ConfigError: A template uses an unknown name.
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
    """Judge the claims of every comparison; one without claims needs no call and has no units.

    Equal claims are judged once.

    Args:
        who: The judge; the script's is greedy (``PARAMS``).
        comparisons: The claims of each.
        templates: See ``judge_prompt``.

    Returns:
        One per comparison, in order.
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

    The JSON object may be in a code block or between other text, and may be cut off: complete units count. Only the
    first twelve count, a repeated key is a ``duplicate``, and a unit that does not say whether it is valid is a
    ``format_error``.
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
    """The controlled key of a path, even if category or blanks are wrong."""
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
    """The differences of one method's users, and their judgements."""

    users: tuple[UserId, ...]
    """In the order of the samples."""
    features: Mapping[Cell, tuple[Feature, ...]]
    """Features of every comparison with claims, dropped ones included; without those measured over all comparisons."""
    listed: Mapping[UserId, tuple[ComparedReview, ...]]
    """The compared reviews."""
    judged: Mapping[Cell, Judged] | None = None
    """None: there is no judge."""
    unread: frozenset[UserId] = frozenset()
    """Users for whom no answer of the extractor could be parsed: their differences are unknown, which is not 0."""

    @property
    def validated(self) -> list[list[list[Unit]]]:
        """Per user and comparison the features as units: valid unless dropped."""
        return self._by_user({cell: units_of(own) for cell, own in self.features.items()})

    @property
    def units(self) -> list[list[list[Unit]]]:
        """The same by the judge's answer, if there is one."""
        if self.judged is None:
            return self.validated
        return self._by_user({cell: list(one.units) for cell, one in self.judged.items()})

    @property
    def unknown(self) -> frozenset[UserId]:
        """Users without a known number: no answer of the extractor, or none of the judge, could be parsed."""
        asked: dict[UserId, list[bool]] = {}
        for cell, one in (self.judged or {}).items():
            if any(feature.valid for feature in self.features[cell]):
                asked.setdefault(cell[0], []).append(one.failed)
        return self.unread | {user for user, failed in asked.items() if all(failed)}

    def _by_user(self, units: Mapping[Cell, list[Unit]]) -> list[list[list[Unit]]]:
        found: dict[UserId, list[list[Unit]]] = {user: [] for user in self.users}
        for (user, _), own in units.items():
            found[user].append(own)
        return list(found.values())


def found_in(runs: Mapping[ConditionId, Sequence[Mapping[str, Any]]]) -> dict[ConditionId, Found]:
    """The differences that each method found.

    Args:
        runs: Outputs by condition, one per sample (see ``results.sample_row``); controls do not count.
    """
    return {
        condition: found_by(rows)
        for condition, rows in runs.items()
        if condition.control is None and any(row.get("compared") for row in rows)
    }


def found_by(rows: Sequence[Mapping[str, Any]]) -> Found:
    """The differences that one method found. A comparison in several samples of a user counts once, as in the first.

    Raises:
        ArtifactError: The rows are not of this version's format.
    """
    features: dict[Cell, tuple[Feature, ...]] = {}
    listed: dict[UserId, tuple[ComparedReview, ...]] = {}
    read: dict[UserId, bool] = {}
    for row in rows:
        user, own = row["user"], dict[str, list[Feature]]()
        for feature in results.features(row):
            if feature.comparison != POOLED:
                own.setdefault(feature.comparison, []).append(feature)
        for comparison, claimed in own.items():
            features.setdefault((user, comparison), tuple(claimed))
        read[user] = read.get(user, False) or _was_read(row)
        listed[user] = (*listed.get(user, ()), *_compared(row))
    unread = frozenset(user for user, known in read.items() if not known)
    return Found(users=tuple(listed), features=features, listed=listed, unread=unread)


def _was_read(row: Mapping[str, Any]) -> bool:
    """Whether some answer of the extractor could be parsed, or none was needed."""
    calls, failed, unreadable = extractor_counts(row)
    return calls == 0 or failed + unreadable < calls


def extractor_counts(row: Mapping[str, Any]) -> tuple[int, int, int]:
    """Calls of the extractor for a sample, failed calls, and answers that could not be parsed; 0 if unknown.

    Args:
        row: An output, perhaps from a file that is not trusted.
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
    """The evaluation results with the judge's answers: one call per comparison with valid claims.

    Args:
        who: The judge.
        found: By method.
        reader: Reads the compared reviews.
        templates: Folder of template folders; None: the shipped ones.
    """
    sources = _Sources(reader)
    return {name: _judged_judging(who, one, sources, templates) for name, one in found.items()}


def write_judged(found: Found, path: Path) -> None:
    """Write the judge's answers for a method, one line per comparison; no file without a judge."""
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
            "compared": [asdict(one) for one in found.listed[user]],  # by these an erasure finds a line
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
    """A valid claim as the validator reads it; without quotes, so without words of other users."""
    return tuple(f"[{feature.name}] {feature.description}" for feature in features if feature.valid)


class _Sources:
    """The reviews of a comparison: the user's own, and the listed reviews of the same item by others.

    Args:
        reader: The visible reviews.
    """

    def __init__(self, reader: ReviewReader) -> None:
        self._own = lru_cache(maxsize=64)(lambda user: {str(one.id): one for one in reader.profile(user)})
        self._item = lru_cache(maxsize=4096)(lambda item: reader.reviews_of(item, exclude=_NOBODY))

    def of(self, cell: Cell, listed: Sequence[ComparedReview]) -> tuple[ReviewId, ...]:
        """The ids of these reviews."""
        user, comparison = cell
        own = self._own(user).get(comparison)
        wanted = {other for one in listed if one.review == comparison for other in one.others}
        others = [] if own is None else [one.id for one in self._item(own.item) if one.id in wanted]
        return (ReviewId(comparison), *others)
