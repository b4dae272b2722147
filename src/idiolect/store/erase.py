"""Removing a user: reviews, vectors and their part of every sum, in one transaction."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables
from idiolect.store.base import ErasureReceipt
from idiolect.store.ingest import adjust_totals
from idiolect.store.item_sums import change_sums
from idiolect.types import UserId

_reviews, _vectors = tables.reviews.c, tables.vectors.c


def erase(connection: sa.Connection, user: UserId) -> ErasureReceipt:
    """Take a user out of every table; a second time there is nothing left to take out."""
    columns = (_reviews.item, _reviews.timestamp, _reviews.digest)
    rows = connection.execute(sa.select(*columns).where(_reviews.user == user)).all()
    vectors = _erase_vectors(connection, user)
    connection.execute(sa.delete(tables.reviews).where(_reviews.user == user))
    adjust_totals(
        connection,
        digest=-sum(int.from_bytes(row.digest) for row in rows),
        reviews=-len(rows),
        dated=-sum(row.timestamp is not None for row in rows),
    )
    return ErasureReceipt(reviews=len(rows), vectors=vectors, items_touched=len({row.item for row in rows}))


def _erase_vectors(connection: sa.Connection, user: UserId) -> int:
    own = sa.select(_vectors.encoder, _reviews.item, _vectors.vector)
    own = own.join(tables.vectors, _vectors.review == _reviews.seq).where(_reviews.user == user)
    rows = connection.execute(own).all()
    for key in {row.encoder for row in rows}:
        part = [row for row in rows if row.encoder == key]
        vectors = np.frombuffer(b"".join(row.vector for row in part), dtype="<f2").reshape(len(part), -1)
        change_sums(connection, key, [row.item for row in part], vectors, sign=-1)
    seqs = sa.select(_reviews.seq).where(_reviews.user == user)
    connection.execute(sa.delete(tables.vectors).where(_vectors.review.in_(seqs)))
    return len(rows)
