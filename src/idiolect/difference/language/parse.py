"""What an extractor wrote, as records: JSON where it is JSON, else the papers' blocks. Never raises on any text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from idiolect.difference.language.blocks import Block, read_blocks
from idiolect.difference.language.clauses import quotations, redact
from idiolect.difference.language.feature import Feature, Quote
from idiolect.difference.language.mapping import map_feature
from idiolect.difference.language.schema import quotes_of, read_objects, says_no_difference, text_of
from idiolect.difference.language.taxonomy import CATEGORIES, Category, Key, by_pair, by_path


def parse(text: str, *, comparison: str = "", truncated: bool = False) -> list[Feature]:
    """The features in an extractor's answer, in its order.

    A block that cannot be a feature (no name, no description, or the last one of an answer that was cut off) is there
    too, dropped with ``format_error``, so that everything is accounted for. Prose gives no features.

    Args:
        text: The answer, without the reasoning before it.
        comparison: Id of the comparison that was asked about.
        truncated: The answer ended because its token budget did.
    """
    objects = [_from_object(value, comparison) for value in read_objects(text)]
    if any(map(is_read, objects)):
        return objects
    blocks = read_blocks(text)
    return [
        _from_block(block, comparison, broken=truncated and block is blocks[-1] and not block.closed)
        for block in blocks
    ] or objects


def is_read(feature: Feature) -> bool:
    """Whether a feature could be read, whatever was made of it since."""
    return feature.reason != "format_error"


def unreadable(text: str, features: Sequence[Feature]) -> bool:
    """Whether an answer could not be read, which says nothing of whether there are differences.

    Args:
        text: The answer, without the reasoning before it.
        features: What ``parse`` made of it.

    Example:
        >>> unreadable('{"features": []}', []), unreadable("Certainly!", [])
        (False, True)
    """
    return not any(map(is_read, features)) and not says_no_difference(text)


def _from_block(block: Block, comparison: str, *, broken: bool) -> Feature:
    feature = Feature(
        name=block.name,
        definition=block.definition,
        description=redact(block.description),
        quotes=_with_quotations(block.quotes, block.description),
        comparison=comparison,
    )
    return _checked(feature, None, broken=broken)


def _from_object(value: dict[str, Any], comparison: str) -> Feature:
    description = text_of(value, "description")
    feature = Feature(
        name=text_of(value, "name"),
        definition=text_of(value, "definition"),
        description=redact(description),
        category=_category(text_of(value, "category")),
        quotes=_with_quotations(quotes_of(value), description),
        comparison=comparison,
    )
    stated = by_pair(text_of(value, "attribute"), text_of(value, "direction")) or by_path(text_of(value, "dup_key"))
    return _checked(feature, stated, broken=False)


def _checked(feature: Feature, stated: Key | None, *, broken: bool) -> Feature:
    """With its place in the taxonomy, where it has exactly one; dropped where it is no feature."""
    if broken or not (feature.name and feature.description):
        return replace(feature, status="dropped", reason="format_error")
    claimed = [stated] if stated else [claim.key for claim in map_feature(feature.name, feature.description)]
    if len(claimed) != 1:
        return feature
    key = claimed[0]
    category = feature.category if stated and feature.category else key.category
    return replace(
        feature, category=category, attribute=key.attribute, direction=key.direction, stated=stated is not None
    )


def _with_quotations(quotes: Sequence[Quote], description: str) -> tuple[Quote, ...]:
    """The given quotes and those inside the description: what stands in quotation marks is credited to somebody."""
    inside = [Quote(text=text, side="target" if own else "peer") for text, own in quotations(description)]
    return tuple(dict.fromkeys([*quotes, *inside]))


def _category(word: str) -> Category | None:
    return next((name for name in CATEGORIES if name.lower() == word.strip().lower().split("/")[0]), None)
