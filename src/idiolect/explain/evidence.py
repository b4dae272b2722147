"""What a difference rests on, item by item: the user's value, and how many others lie above and below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from idiolect.difference.stylometry import NAMES, Measure
from idiolect.difference.stylometry.equal_lengths import COMPARED, PLACES
from idiolect.difference.stylometry.known import known_measures, known_windows
from idiolect.errors import ConfigError
from idiolect.explain.card import ExplainConfig, gather, measurable
from idiolect.registry import suggest
from idiolect.store.base import ReviewReader
from idiolect.types import Item, Review, UserId

MOST_PEERS_SHOWN = 3
"""Texts of others per item, where they may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemEvidence:
    """One item: the user's text and value against the others'. Others are numbers, unless texts were asked for."""

    review: Review
    """The user's own."""
    item: Item
    own: float
    """In the measure's unit."""
    others: float
    """Mean of the others' values."""
    above: int
    """Others with a higher value than the user."""
    below: int
    equal: int
    texts: tuple[str, ...] = ()
    """Others' texts, without names, nearest to their mean first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A measure on every item that the user shares with others."""

    measure: Measure
    items: tuple[ItemEvidence, ...]
    """Oldest review first."""
    histogram: tuple[int, ...] = ()
    """Others' values over all items, in equal bins from ``edges[0]`` to ``edges[-1]``."""
    edges: tuple[float, ...] = ()


def evidence(
    reader: ReviewReader,
    user: UserId,
    measure: str,
    config: ExplainConfig | None = None,
    *,
    texts: bool = False,
) -> Evidence:
    """What a measured difference rests on.

    Args:
        reader: The visible reviews.
        user: Whose difference.
        measure: Name of a measure.
        config: None: the defaults.
        texts: Whether others' texts are returned.

    Raises:
        ConfigError: There is no such measure.
        NotFoundError: The user has no review.
    """
    if measure not in NAMES:
        raise ConfigError(f"unknown measure {measure!r}", hint=suggest(measure, NAMES))
    config, place = config or ExplainConfig(), NAMES.index(measure)
    compared = measurable(gather(reader, user, config), config)
    value_of = _values(compared.texts, place)
    items = reader.items([review.item for review in compared.own])
    found, values = [], []
    for review, of_item in zip(compared.own, compared.peers, strict=True):
        own = value_of[review.text]
        peers = [peer for peer in of_item if not np.isnan(value_of[peer.text])]
        if np.isnan(own) or len({peer.user for peer in peers}) < config.min_peers:
            continue  # too short to be compared on this measure, or too few others who are not
        others = np.array([value_of[peer.text] for peer in peers])
        values.append(others)
        found.append(
            ItemEvidence(
                review=review,
                item=items.get(review.item) or Item(id=review.item),
                own=own,
                others=float(others.mean()),
                above=int((others > own).sum()),
                below=int((others < own).sum()),
                equal=int((others == own).sum()),
                texts=_typical(peers, others) if texts else (),
            )
        )
    histogram, edges = _histogram(values, [one.own for one in found])
    return Evidence(measure=COMPARED[place], items=tuple(found), histogram=histogram, edges=edges)


def _values(texts: Sequence[str], place: int) -> dict[str, float]:
    """The value of each text on one measure, as cards compare it; NaN if the text is too short."""
    column = known_windows(texts)[:, PLACES.index(place)] if place in PLACES else known_measures(texts)[:, place]
    return dict(zip(texts, column.tolist(), strict=True))


def _typical(peers: Sequence[Review], values: np.ndarray) -> tuple[str, ...]:
    """The texts whose value is nearest to the mean."""
    order = np.argsort(np.abs(values - values.mean()), kind="stable")[:MOST_PEERS_SHOWN]
    return tuple(peers[int(place)].text for place in order)


def _histogram(others: Sequence[np.ndarray], own: Sequence[float]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Of all others' values; the range holds the user's values, too."""
    if not others:
        return (), ()
    values = np.concatenate(others)
    low, high = min(values.min(), min(own)), max(values.max(), max(own))
    if low == high:
        return (len(values),), (float(low), float(high) + 1)
    counts, edges = np.histogram(values, bins=24, range=(low, high))
    return tuple(map(int, counts)), tuple(map(float, edges))
