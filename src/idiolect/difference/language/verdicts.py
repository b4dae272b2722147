"""What a validator model said about numbered features, laid over the checks that cost no call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from idiolect.difference.language import lenient
from idiolect.difference.language.feature import Feature, Reason

VERDICTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["verdicts"],
    "properties": {
        "verdicts": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["claim", "keep", "reason"],
                "properties": {
                    "claim": {"type": "integer", "description": "number of the claim, from 1"},
                    "keep": {"type": "boolean"},
                    "reason": {"type": "string"},
                },
            },
        }
    },
}
"""JSON schema of a validation. Do not change it."""

_LINE = re.compile(
    r"^[^\w\n]*(?:claim|feature)?[ #]*(\d{1,4})[ .):*_-]*(?:\[[^\]\n]*\][ :*_-]*)?"
    r"(keep|kept|valid|yes|drop|dropped|remove|removed|reject|rejected|invalid|no)\b[ *_.,:;–—-]*([^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_KEEP = frozenset({"keep", "kept", "valid", "yes", "true"})
_DROP = frozenset({"drop", "dropped", "remove", "removed", "reject", "rejected", "invalid", "no", "false"})
_CLAIMS = ("claim", "feature", "number", "id")
_WORDS = ("keep", "verdict", "decision", "valid")
_EVERY = re.compile(
    r"\W*(?:(keep)|(drop|reject|remove))\s+(?:all|every|each)\b[^.!?\n]*\W*"
    r"|\W*all\s+(?:the\s+|\d+\s+)?(?:claims?\s+)?(?:are\s+)?(?:(kept|keep|valid)|(dropped|drop|invalid))\W*",
    re.IGNORECASE,
)
"""One verdict on all claims."""
_REASONS: tuple[tuple[str, Reason], ...] = (
    (r"compar", "no_comparison"),
    (r"atomic|several|two properties", "not_atomic"),
    (r"unclear|not clear|vague", "unclear"),
    (r"content|opinion", "content_bias"),
    (r"categor", "uncategorized"),
    (r"consisten|contradict", "inconsistent"),
)


class Verdict(NamedTuple):
    """Keep or drop one feature."""

    feature: int
    """Place of the feature in the list that was shown, from 0."""
    keep: bool
    reason: str


def parse_verdicts(text: str, n: int) -> list[Verdict]:
    """The verdicts in a validator's answer about ``n`` features, numbered from 1: JSON, or one line each.

    The last verdict about a feature counts; numbers out of range are passed over. No verdict at all about a feature or
    more is an answer that could not be read. Never raises on any text.
    """
    lines = ((number, word, reason) for number, word, reason in _LINE.findall(text))
    read = _from_json(text) or [
        Verdict(int(number) - 1, word.lower() in _KEEP, lenient.whole(reason.strip())) for number, word, reason in lines
    ]
    known = {verdict.feature: verdict for verdict in read or _on_all(text, n) if 0 <= verdict.feature < n}
    return [known[place] for place in sorted(known)]


def apply_verdicts(features: Sequence[Feature], verdicts: Iterable[Verdict]) -> list[Feature]:
    """The features, those dropped that the validator drops; what was dropped before stays so, with its own reason.

    A feature without a verdict stays as it is: silence is no objection.
    """
    result = list(features)
    for verdict in verdicts:
        feature = result[verdict.feature]
        if feature.valid and not verdict.keep:
            feature = replace(feature, status="dropped", reason=_reason(verdict.reason))
        result[verdict.feature] = replace(feature, detail=verdict.reason)
    return result


def _from_json(text: str) -> list[Verdict]:
    values = lenient.read_values(text)
    listed = [_verdict(value) for _, value in lenient.objects(values, *_CLAIMS)]
    numbered = [
        Verdict(int(key) - 1, keep, "")
        for value in values
        for key, said in (value.items() if isinstance(value, dict) else ())
        if key.isascii() and key.isdigit() and len(key) < 5 and (keep := _truth(said)) is not None
    ]
    return [one for one in listed if one] or numbered


def _verdict(value: dict[str, Any]) -> Verdict | None:
    fields = {lenient.plain_key(key): said for key, said in value.items()}
    number = next((said for name in _CLAIMS if (said := _number(fields.get(name))) is not None), None)
    keep = next((kept for name in _WORDS if (kept := _truth(fields.get(name))) is not None), None)
    if number is None or keep is None:
        return None
    return Verdict(number - 1, keep, lenient.whole(str(fields.get("reason") or "")))


def _number(said: Any) -> int | None:
    if isinstance(said, str) and (
        found := re.fullmatch(r"\W*(?:claim|feature)?\W*([0-9]{1,4})\W*", said, re.IGNORECASE)
    ):
        return int(found[1])
    return said if type(said) is int else None


def _truth(said: Any) -> bool | None:
    if isinstance(said, bool):
        return said
    word = said.strip().lower() if isinstance(said, str) else ""
    return True if word in _KEEP else False if word in _DROP else None


def _on_all(text: str, n: int) -> list[Verdict]:
    said = _EVERY.fullmatch(text.strip()) if len(text) < 500 else None
    return [Verdict(place, bool(said[1] or said[3]), "") for place in range(n)] if said else []


def _reason(said: str) -> Reason:
    for words, reason in _REASONS:
        if re.search(words, said, re.IGNORECASE):
            return reason
    return "rejected"
