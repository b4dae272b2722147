"""What the store refused, found again in the files: the line for the list, and what was no conflict at all."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from idiolect.corpus.readers import ItemFile, ReviewFile
from idiolect.corpus.record_file import Located, OnReject, RecordFile
from idiolect.errors import NotFoundError
from idiolect.store.base import AddReport
from idiolect.store.sql import SqlStore
from idiolect.types import Item, ItemId, Review, ReviewId

T = TypeVar("T", Review, Item)

_CHUNK = 1000


def settle(
    store: SqlStore,
    stored: AddReport,
    reviews: ReviewFile,
    items: ItemFile | None,
    *,
    listed: OnReject,
    item_listed: OnReject,
) -> AddReport:
    """List every refused row with its line, and count as known what differs from the stored review in its place only.

    The files are read once more, and only where something was refused. A row without an ``order`` of its own has its
    place instead, so that a row that stands twice, or elsewhere than at first, is not the same to the store.

    Returns:
        ``stored`` with what is left of its refused rows.
    """
    if not stored.refused:
        return stored
    lost_items: list[tuple[ItemId, str]] = []
    if items is not None:
        reasons = dict(stored.refused_items)
        lost_items = [_told(found, reasons, item_listed) for found in _conflicts(items, reasons, store.items)]
    lost: list[tuple[ReviewId, str]] = []
    reasons, moved = dict(stored.refused_reviews), 0
    for found, kept in _with_kept(reviews, reasons, lambda ids: _known_reviews(store, ids)):
        if kept == found.record:
            continue
        if kept is not None and reviews.counts_order and replace(found.record, order=kept.order) == kept:
            moved += 1
        else:
            lost.append(_told(found, reasons, listed))
    known = stored.reviews_known + moved
    return replace(stored, refused_items=tuple(lost_items), refused_reviews=tuple(lost), reviews_known=known)


def _conflicts(
    file: ItemFile, ids: Container[str], lookup: Callable[..., dict[ItemId, Item]]
) -> Iterator[Located[Item]]:
    return (found for found, kept in _with_kept(file, ids, lookup) if found.record != kept)


def _with_kept(
    file: RecordFile[T], ids: Container[str], lookup: Callable[[list[Any]], Mapping[Any, T]]
) -> Iterator[tuple[Located[T], T | None]]:
    """The records that have one of ``ids``, each with what the store has under its id."""
    read = islice(file.located(), file.summary.accepted)
    suspects = (found for found in read if found.record.id in ids)
    while chunk := list(islice(suspects, _CHUNK)):
        kept = lookup([found.record.id for found in chunk])
        yield from ((found, kept.get(found.record.id)) for found in chunk)


def _known_reviews(store: SqlStore, ids: Iterable[ReviewId]) -> dict[ReviewId, Review]:
    """Those of ``ids`` that are stored: nearly always all, and a store answers for all or for none."""
    wanted = list(dict.fromkeys(ids))
    try:
        return dict(zip(wanted, store.reviews(wanted), strict=True))
    except NotFoundError:
        if len(wanted) <= 1:
            return {}
        half = len(wanted) // 2
        return _known_reviews(store, wanted[:half]) | _known_reviews(store, wanted[half:])


def _told(found: Located[Any], reasons: Mapping[Any, str], listed: OnReject) -> tuple[Any, str]:
    """The id and why it was refused, once it is on the list."""
    reason = reasons[found.record.id]
    listed(found.rejected(f"refused by the store: {reason}"))
    return found.record.id, reason
