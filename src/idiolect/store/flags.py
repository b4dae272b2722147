"""What is noted beside the reviews: who is nobody's peer, how users are named, what was written from the store."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import sqlalchemy as sa

from idiolect.store import tables
from idiolect.store.ingest import adjust_totals
from idiolect.store.item_sums import change_sums
from idiolect.types import UserId

_reviews, _vectors = tables.reviews.c, tables.vectors.c
_flagged = tables.not_peers.c.user
_OWN = (
    sa.select(_vectors.encoder, _reviews.item, _vectors.vector)
    .join(tables.vectors, _vectors.review == _reviews.seq)
    .where(_reviews.user == sa.bindparam("of"))
)


def set_peer(connection: sa.Connection, user: UserId, peer: bool) -> bool:
    """Put the user's vectors into the item sums or take them out; the digest of the store tells both states apart.

    Returns:
        Whether that was a change.
    """
    now = connection.execute(sa.select(_flagged).where(_flagged == user)).first() is None
    if now == peer:
        return False
    _change_own_sums(connection, user, sign=1 if peer else -1)
    if peer:
        connection.execute(sa.delete(tables.not_peers).where(_flagged == user))
    else:
        connection.execute(sa.insert(tables.not_peers).values(user=user))
    adjust_totals(connection, digest=-flag_digest(user) if peer else flag_digest(user))
    return True


def flag_digest(user: UserId) -> int:
    """What a user who is nobody's peer adds to the digest of the store."""
    return int.from_bytes(blake2b(user.encode(), digest_size=16, person=b"not a peer").digest())


def record_output(connection: sa.Connection, path: Path, kind: str) -> None:
    """Note a file or folder by its absolute path; a second time changes its kind."""
    kept = as_text(path.resolve())
    where = tables.outputs.c.path == kept
    if not connection.execute(sa.update(tables.outputs).where(where).values(kind=kind)).rowcount:
        connection.execute(sa.insert(tables.outputs).values(path=kept, kind=kind))


def as_text(path: Path) -> str:
    """An absolute path as UTF-8 text; one that is not UTF-8 as a URI of its bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.as_uri()
    return str(path)


def as_path(text: str) -> Path:
    """The path that ``as_text`` turned into text."""
    scheme = "file://"
    return Path(os.fsdecode(unquote_to_bytes(text.removeprefix(scheme)))) if text.startswith(scheme) else Path(text)


def take_names(connection: sa.Connection, names: str) -> str:
    """Note how users are named, unless a review is stored already; how they are named then."""
    meta = connection.execute(sa.select(tables.meta)).one()
    if meta.n_reviews or meta.names == names:
        return meta.names
    connection.execute(sa.update(tables.meta).values(names=names))
    return names


def _change_own_sums(connection: sa.Connection, user: UserId, *, sign: int) -> None:
    rows = connection.execute(_OWN, {"of": user}).all()
    for key in {row.encoder for row in rows}:
        part = [row for row in rows if row.encoder == key]
        vectors = np.frombuffer(b"".join(row.vector for row in part), dtype="<f2").reshape(len(part), -1)
        change_sums(connection, key, [row.item for row in part], vectors, sign=sign)
