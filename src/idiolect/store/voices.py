"""Whether enough different users stand behind a sum: they are counted no further than that takes."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables
from idiolect.types import UserId

_reviews, _vectors, _items = tables.reviews.c, tables.vectors.c, tables.items.c

_summed = sa.exists().where(_vectors.review == _reviews.seq, _vectors.encoder == sa.bindparam("by"))
_enough = sa.bindparam("enough", type_=sa.Integer)
_VOICES = (
    sa.select(_reviews.user)
    .distinct()
    .where(_reviews.user != sa.bindparam("of"), _reviews.user.not_in(sa.select(tables.not_peers.c.user)), _summed)
    .limit(_enough)
)
_ON_ITEM = _VOICES.where(_reviews.item == sa.bindparam("on"))
_IN_CATEGORY = _VOICES.join_from(tables.reviews, tables.items, _items.id == _reviews.item).where(
    _items.category == sa.bindparam("about")
)
_IN_NONE = _VOICES.outerjoin_from(tables.reviews, tables.items, _items.id == _reviews.item).where(
    sa.func.coalesce(_items.category, "") == ""
)


def _everybody() -> sa.Select:
    """Users from the index one by one, each by its first review: who wrote thousands costs no more than others."""
    user = sa.select(sa.func.min(_reviews.user).label("user")).cte("voice", recursive=True)
    following = sa.select(sa.func.min(_reviews.user)).where(_reviews.user > user.c.user).scalar_subquery()
    user = user.union_all(sa.select(following).where(user.c.user.is_not(None)))
    embedded = sa.select(_reviews.seq).where(_reviews.user == user.c.user, _summed).exists()
    apart = user.c.user.in_(sa.select(tables.not_peers.c.user))
    return sa.select(user.c.user).where(user.c.user != sa.bindparam("of"), ~apart, embedded).limit(_enough)


_IN_CORPUS = _everybody()


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
    query = _IN_CORPUS if crowd is None else _IN_CATEGORY if crowd else _IN_NONE
    return _are_enough(connection, query, {"by": key, "of": exclude, "enough": at_least, "about": crowd}, at_least)


def _are_enough(connection: sa.Connection, query: sa.Select, given: dict[str, object], at_least: int) -> bool:
    return len(connection.execute(query, given).all()) == at_least
