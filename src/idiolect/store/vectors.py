"""Vectors in the database, keyed by review and encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from idiolect.errors import InputError, NotFoundError
from idiolect.registry import suggest
from idiolect.store import schema as tables
from idiolect.store.engine import ANY_OF, insert_rows, key_chunks
from idiolect.store.sums import change_sums, to_float16
from idiolect.types import ReviewId

_BATCH = 8192

_reviews, _vectors, _encoders = tables.reviews.c, tables.vectors.c, tables.encoders.c

_ENCODER = sa.select(_encoders.key, _encoders.dim, _encoders.n_vectors).where(_encoders.name == sa.bindparam("name"))
_COUNT = (
    sa.update(tables.encoders)
    .where(_encoders.key == sa.bindparam("of"))
    .values(n_vectors=_encoders.n_vectors + sa.bindparam("more"))
)
_VECTORS = (
    sa.select(_reviews.id, _vectors.vector)
    .join(tables.vectors, _vectors.review == _reviews.seq)
    .where(_vectors.encoder == sa.bindparam("by"), _reviews.id.in_(ANY_OF))
)
_PLACES = (
    sa.select(_reviews.id, _reviews.seq, _reviews.item, _vectors.review.is_not(None), tables.opted_out.c.user.is_(None))
    .outerjoin(tables.vectors, sa.and_(_vectors.review == _reviews.seq, _vectors.encoder == sa.bindparam("by")))
    .outerjoin(tables.opted_out, tables.opted_out.c.user == _reviews.user)
    .where(_reviews.id.in_(ANY_OF))
)


class EncoderRow(NamedTuple):
    """An encoder that has vectors in the store, or had."""

    key: int
    dim: int


def find_encoder(connection: sa.Connection, name: str) -> EncoderRow:
    """The encoder called ``name``.

    Raises:
        NotFoundError: No vector of it is stored.
    """
    row = connection.execute(_ENCODER, {"name": name}).first()
    if row is None or not row.n_vectors:
        stored = connection.scalars(sa.select(_encoders.name).where(_encoders.n_vectors > 0)).all()
        hint = suggest(name, stored) if stored else "run `idiolect embed` first"
        raise NotFoundError(f"the store has no vectors of encoder {name!r}", hint=hint)
    return EncoderRow(row.key, row.dim)


def add_vectors(connection: sa.Connection, ids: Sequence[ReviewId], vectors: np.ndarray, encoder: str) -> int:
    """Store the vectors that are new and add them to their items' sums, unless their user opted out.

    Args:
        connection: An open write transaction.
        ids: Reviews of the store.
        vectors: Any float (n, dim) within [-1, 1], row k for ``ids[k]``.
        encoder: Name of the encoder.

    Returns:
        The number of new ones.

    Raises:
        InputError: The vectors are invalid, or not of the encoder's dimension.
        NotFoundError: A review is not in the store.
    """
    halves = to_float16(vectors, n=len(ids))
    key = _register(connection, encoder, halves.shape[1])
    places = _places(connection, ids, key)
    new: dict[int, int] = {}
    for row, review in enumerate(ids):
        if not places[review].stored:
            new.setdefault(places[review].seq, row)
    if new:
        rows = np.fromiter(new.values(), dtype=np.int64, count=len(new))
        _insert(connection, key, list(new), halves, rows)
        connection.execute(_COUNT, {"of": key, "more": len(new)})
        summed = np.array([row for row in rows if places[ids[row]].peer], dtype=np.int64)
        change_sums(connection, key, [places[ids[row]].item for row in summed], halves[summed], sign=1)
    return len(new)


def read_vectors(connection: sa.Connection, ids: Sequence[ReviewId], encoder: str) -> np.ndarray:
    """float16 (n, dim), row k for ``ids[k]``.

    Raises:
        NotFoundError: A review has no vector of this encoder.
    """
    key, dim = find_encoder(connection, encoder)
    blobs: dict[str, bytes] = {}
    for some in key_chunks(ids, by=key):
        blobs.update((row[0], row[1]) for row in connection.execute(_VECTORS, some))
    missing = [review for review in ids if review not in blobs]
    if missing:
        message = f"{len(missing)} reviews have no vector of {encoder!r}, the first is {missing[0]!r}"
        raise NotFoundError(message, hint="run `idiolect embed` first")
    return np.frombuffer(b"".join(blobs[review] for review in ids), dtype="<f2").reshape(len(ids), dim)


def vector_batches(connection: sa.Connection, encoder: EncoderRow) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every vector of an encoder in table order: int64 (b,) of ``seq`` and float16 (b, dim)."""
    query = sa.select(_vectors.review, _vectors.vector).where(_vectors.encoder == encoder.key).order_by(_vectors.review)
    result = connection.execution_options(stream_results=True).execute(query)
    for rows in result.partitions(_BATCH):
        seqs, blobs = zip(*rows, strict=True)
        yield np.array(seqs, dtype=np.int64), np.frombuffer(b"".join(blobs), dtype="<f2").reshape(-1, encoder.dim)


class _Place(NamedTuple):
    seq: int
    item: str
    stored: bool
    peer: bool


def _register(connection: sa.Connection, name: str, dim: int) -> int:
    row = connection.execute(_ENCODER, {"name": name}).first()
    if row is None:
        connection.execute(sa.insert(tables.encoders), {"name": name, "dim": dim})
        return connection.execute(_ENCODER, {"name": name}).one().key
    if row.dim != dim and row.n_vectors:
        raise InputError(f"vectors of encoder {name!r} have {row.dim} numbers, not {dim}", hint="use the same encoder")
    if row.dim != dim:  # all users with vectors of it were forgotten
        connection.execute(sa.update(tables.encoders).where(_encoders.key == row.key).values(dim=dim))
    return row.key


def _places(connection: sa.Connection, ids: Sequence[ReviewId], key: int) -> dict[str, _Place]:
    places: dict[str, _Place] = {}
    for some in key_chunks(ids, by=key):
        places.update((row[0], _Place(*row[1:])) for row in connection.execute(_PLACES, some).all())
    unknown = [review for review in ids if review not in places]
    if unknown:
        message = f"{len(unknown)} reviews are not in the store, the first is {unknown[0]!r}"
        raise NotFoundError(message, hint="add reviews before their vectors")
    return places


def _insert(connection: sa.Connection, key: int, seqs: list[int], halves: np.ndarray, rows: np.ndarray) -> None:
    for start in range(0, len(seqs), _BATCH):
        some = zip(seqs[start : start + _BATCH], rows[start : start + _BATCH].tolist(), strict=True)
        values = [(seq, key, halves[row].tobytes()) for seq, row in some]
        insert_rows(connection, tables.vectors, ("review", "encoder", "vector"), values)
