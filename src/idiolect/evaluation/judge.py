"""A language model as the judge of UVQ: what it is asked about the differences of one comparison, and what it answers.

Source: the DRP authors' analysis script (METHODS 1.5): one call a comparison over the validated text, greedily, at most
2048 new tokens and 12 units. The words of the prompt are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from idiolect.difference.language import lenient
from idiolect.difference.language.taxonomy import CATEGORIES, CONTROLLED, Key, by_pair, by_path
from idiolect.evaluation.uvq import Unit
from idiolect.evaluation.uvq_rules import category_of
from idiolect.llm.base import SamplingParams, Schema
from idiolect.llm.failure import Failure
from idiolect.llm.usage import Usage
from idiolect.prompts.files import TEMPLATES, load
from idiolect.types import Block, Message, Prompt, ReviewId

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
