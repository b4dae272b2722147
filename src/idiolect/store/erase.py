"""Removing a user: reviews, vectors, their part of every sum and what was noted of them, in one transaction."""

from __future__ import annotations

import sqlalchemy as sa

from idiolect.store import tables
from idiolect.store.base import ErasureReceipt
from idiolect.store.flags import set_peer
from idiolect.store.ingest import adjust_totals
from idiolect.store.scrub import note_erasure
from idiolect.types import UserId

_reviews, _vectors, _encoders = tables.reviews.c, tables.vectors.c, tables.encoders.c


def erase(connection: sa.Connection, user: UserId) -> ErasureReceipt:
    """Take a user out of every table; a second time there is nothing left to take out."""
    set_peer(connection, user, False)  # which takes them out of the sums
    vectors = _erase_vectors(connection, user)
    set_peer(connection, user, True)  # with nothing left to put back
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
        reviews=len(rows), vectors=vectors, items_touched=len({row.item for row in rows}), scrubbed=False
    )


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
