"""The JSON form of features: the schema for backends that can enforce one, and a reader for what others return."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from idiolect.difference.language.feature import Quote
from idiolect.difference.language.taxonomy import ATTRIBUTES, CATEGORIES, KEYS

OTHER = "other"
"""Attribute or category of a difference that the taxonomy has no place for."""

_QUOTE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text", "side", "peer"],
    "properties": {
        "text": {"type": "string", "description": "words copied from the review, unchanged"},
        "side": {"type": "string", "enum": ["target", "peer"]},
        "peer": {"type": ["integer", "null"], "description": "number of the other review, from 1; null for the user's"},
    },
}
_FEATURE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "definition", "description", "category", "attribute", "direction", "quotes"],
    "properties": {
        "name": {"type": "string"},
        "definition": {"type": "string"},
        "description": {"type": "string", "description": "how the user differs from the others: more or less of what"},
        "category": {"type": "string", "enum": [*CATEGORIES, OTHER]},
        "attribute": {"type": "string", "enum": [*ATTRIBUTES, OTHER]},
        "direction": {"type": "string", "enum": [*sorted({key.direction for key in KEYS}), OTHER]},
        "quotes": {"type": "array", "items": _QUOTE},
    },
}
FEATURES_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["features"],
    "properties": {"features": {"type": "array", "items": _FEATURE}},
}
"""JSON schema of an extraction; every property is required, as strict structured outputs ask. Do not change it."""

_LIST = re.compile(r"\"features\"\s*:\s*\[|\[(?=\s*\{)")
_DECODER = json.JSONDecoder()


def read_objects(text: str) -> list[dict[str, Any]]:
    """The objects of the list of features in ``text``: a bare list, or one under ``features``, with anything around it.

    A list that breaks off, or has a damaged object in it, gives the objects that are whole. Text without such a list
    gives none.
    """
    start = _LIST.search(text)
    if start is None:
        return []
    return list(_objects(text, start.end()))


def _objects(text: str, place: int) -> Iterator[dict[str, Any]]:
    while (place := text.find("{", place)) >= 0:
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            continue
        place = end
        if isinstance(value, dict) and ("name" in value or "description" in value):
            yield value


def text_of(value: dict[str, Any], name: str) -> str:
    """A field as one line of text; empty where it is missing or of another type."""
    content = value.get(name)
    return " ".join(content.split()) if isinstance(content, str) else ""


def quotes_of(value: dict[str, Any]) -> list[Quote]:
    """The quotes of a feature's object; texts alone are credited to the user."""
    listed = value.get("quotes")
    return [quote for one in (listed if isinstance(listed, list) else [listed]) if (quote := _quote(one))]


def _quote(value: Any) -> Quote | None:
    if isinstance(value, str):
        return Quote(text=value) if value.strip() else None
    if not isinstance(value, dict) or not (text := text_of(value, "text")):
        return None
    if text_of(value, "side").lower() != "peer":
        return Quote(text=text)
    number = value.get("peer")
    return Quote(text=text, side="peer", peer=number - 1 if type(number) is int and number > 0 else None)
