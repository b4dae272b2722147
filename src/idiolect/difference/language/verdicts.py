"""What a validator model said about numbered features, laid over the checks that cost no call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

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
_OBJECT = re.compile(r"\{[^{}]*\}")
_KEEP = frozenset({"keep", "kept", "valid", "yes"})
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

    The last verdict about a feature counts; numbers out of range are passed over. Never raises on any text.
    """
    read = _from_json(text) or [
        Verdict(int(number) - 1, word.lower() in _KEEP, reason.strip()) for number, word, reason in _LINE.findall(text)
    ]
    known = {verdict.feature: verdict for verdict in read if 0 <= verdict.feature < n}
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
    objects = []
    for match in _OBJECT.finditer(text):
        try:
            objects.append(json.loads(match[0]))
        except ValueError:
            continue
    return [
        Verdict(value["claim"] - 1, value["keep"], str(value.get("reason", "")))
        for value in objects
        if type(value.get("claim")) is int and isinstance(value.get("keep"), bool)
    ]


def _reason(said: str) -> Reason:
    for words, reason in _REASONS:
        if re.search(words, said, re.IGNORECASE):
            return reason
    return "rejected"
