"""Whether enough different users stand behind a sum: they are counted no further than that takes."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables
from idiolect.types import UserId

_reviews, _vectors, _items = tables.reviews.c, tables.vectors.c, tables.items.c

_summed = sa.exists().where(_vectors.review == _reviews.seq, _vectors.encoder == sa.bindparam("by"))
_VOICES = (
    sa.select(_reviews.user)
    .distinct()
    .where(_reviews.user != sa.bindparam("of"), _reviews.user.not_in(sa.select(tables.not_peers.c.user)), _summed)
    .limit(sa.bindparam("enough", type_=sa.Integer))
)
_ON_ITEM = _VOICES.where(_reviews.item == sa.bindparam("on"))
_ABOUT = _VOICES.join_from(tables.reviews, tables.items, _items.id == _reviews.item).where(
    _items.category == sa.bindparam("about")
)
_uncategorised = sa.func.coalesce(_items.category, "") == ""
_ABOUT_OTHERS = _VOICES.outerjoin_from(tables.reviews, tables.items, _items.id == _reviews.item).where(_uncategorised)


def enough_on_items(
    connection: sa.Connection, key: int, items: list[str], counts: np.ndarray, *, exclude: UserId, at_least: int
) -> np.ndarray:
    """Bool (n,): whether ``at_least`` others' vectors are summed for each item.

    Args:
        connection: An open transaction.
        key: Of the encoder.
        items: Whose sums.
        counts: int (n,): how many of the others' reviews each holds; where these are too few no row is read.
        exclude: Who is not counted.
        at_least: Different users it takes.
    """
    enough = counts >= at_least
    if at_least > 1:  # else a review is all it takes
        given = {"by": key, "of": exclude, "enough": at_least}
        for row in np.flatnonzero(enough).tolist():
            enough[row] = _are_enough(connection, _ON_ITEM, {**given, "on": items[row]}, at_least)
    return enough


def enough_in_crowd(
    connection: sa.Connection, key: int, crowd: str | None, count: int, *, exclude: UserId, at_least: int
) -> bool:
    """The same for all who wrote about items of a category; None: all who wrote."""
    if count < at_least or at_least <= 1:
        return count >= at_least
    query = _VOICES if crowd is None else _ABOUT if crowd else _ABOUT_OTHERS
    return _are_enough(connection, query, {"by": key, "of": exclude, "enough": at_least, "about": crowd}, at_least)


def _are_enough(connection: sa.Connection, query: sa.Select, given: dict[str, object], at_least: int) -> bool:
    return len(connection.execute(query, given).all()) == at_least
