"""Removing a user: reviews, vectors, their part of every sum, items of theirs alone, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from idiolect.store import tables
from idiolect.store.base import ErasureReceipt
from idiolect.store.flags import set_peer
from idiolect.store.ingest import adjust_totals
from idiolect.store.rows import ITEM, to_item
from idiolect.store.scrub import note_erasure
from idiolect.types import Item, UserId

_BATCH = 1000
_items, _reviews, _vectors, _encoders = tables.items.c, tables.reviews.c, tables.vectors.c, tables.encoders.c


def erase(connection: sa.Connection, user: UserId) -> ErasureReceipt:
    """Take a user out of every table; a second time there is nothing left to take out."""
    set_peer(connection, user, False)  # which takes them out of the sums
    vectors = _erase_vectors(connection, user)
    set_peer(connection, user, True)  # with nothing left to put back
    items_removed, items_shared = _erase_items(connection, user)
    columns = (_reviews.item, _reviews.timestamp, _reviews.digest)
    rows = connection.execute(sa.select(*columns).where(_reviews.user == user)).all()
    connection.execute(sa.delete(tables.reviews).where(_reviews.user == user))
    adjust_totals(
        connection,
        digest=-sum(int.from_bytes(row.digest) for row in rows),
        reviews=-len(rows),
        dated=-sum(row.timestamp is not None for row in rows),
    )
    note_erasure(connection)
    return ErasureReceipt(
        reviews=len(rows),
        vectors=vectors,
        items_touched=len({row.item for row in rows}),
        items_removed=items_removed,
        items_shared=items_shared,
        scrubbed=False,
    )


def items_alone(connection: sa.Connection, user: UserId) -> list[Item]:
    """The records with texts of items that this user and nobody else wrote about: they may be the user's own."""
    return [to_item(row) for row in connection.execute(sa.select(*ITEM).where(_written_about(user), _alone(user)))]


def other_item_texts(connection: sa.Connection, user: UserId) -> Iterator[str]:
    """Titles and descriptions of all items but those that only this user wrote about."""
    query = sa.select(_items.title, _items.description).where(~(_written_about(user) & _alone(user)))
    for row in connection.execution_options(stream_results=True).execute(query).yield_per(_BATCH):
        yield from row


def _written_about(user: UserId) -> sa.ColumnElement[bool]:
    """Items with texts; a record without can hold nobody's."""
    return (_items.title + _items.description != "") & _items.id.in_(
        sa.select(_reviews.item).where(_reviews.user == user)
    )


def _alone(user: UserId) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(_reviews.item == _items.id, _reviews.user != user)


def _erase_items(connection: sa.Connection, user: UserId) -> tuple[int, int]:
    """Take out the records with texts of items that only this user wrote about; nothing else refers to them.

    Returns:
        How many, and how many stay because others wrote about them too.
    """
    counted = sa.select(sa.func.count()).select_from(tables.items).where(_written_about(user))
    touched = connection.execute(counted).scalar_one()
    alone = sa.select(_items.seq, _items.digest).where(_written_about(user), _alone(user))
    rows = connection.execute(alone).all()
    if rows:
        gone = sa.delete(tables.items).where(_items.seq == sa.bindparam("of"))
        connection.execute(gone, [{"of": row.seq} for row in rows])
    adjust_totals(connection, digest=-sum(int.from_bytes(row.digest) for row in rows), items=-len(rows))
    return len(rows), touched - len(rows)


def _erase_vectors(connection: sa.Connection, user: UserId) -> int:
    """Take out the vectors; an encoder is left with the number of the others', and without any it is not known."""
    of_user = _vectors.review.in_(sa.select(_reviews.seq).where(_reviews.user == user))
    counts = sa.select(_vectors.encoder, sa.func.count().label("n")).where(of_user).group_by(_vectors.encoder)
    found = connection.execute(counts).all()
    connection.execute(sa.delete(tables.vectors).where(of_user))
    for encoder, n in found:
        left = sa.update(tables.encoders).where(_encoders.key == encoder)
        connection.execute(left.values(n_vectors=_encoders.n_vectors - n))
    return sum(n for _, n in found)
