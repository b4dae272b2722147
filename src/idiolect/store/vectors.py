"""Vectors in the database, keyed by review and encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress, repeat
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from idiolect.errors import InputError, NotFoundError
from idiolect.registry import suggest
from idiolect.store import schema as tables
from idiolect.store.engine import ANY_OF, insert_rows, look_up
from idiolect.store.sums import blobs, change_sums, to_float16
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
    seqs, items, rows, summed = _new_rows(ids, _places(connection, ids, key))
    if seqs:
        new = halves if len(rows) == len(ids) else halves[rows]
        _insert(connection, key, seqs, new)
        connection.execute(_COUNT, {"of": key, "more": len(seqs)})
        if not all(summed):
            items, new = list(compress(items, summed)), new[np.flatnonzero(summed)]
        change_sums(connection, key, items, new, sign=1)
    return len(seqs)


def _new_rows(
    ids: Sequence[ReviewId], places: Mapping[str, tuple[Any, ...]]
) -> tuple[list[int], list[str], list[int], list[bool]]:
    """Of the vectors to store, one for each review: key and item of the review, row, and whether it is summed."""
    found = [places[review] for review in ids]
    rows = list(range(len(found)))
    if len(places) < len(ids) or any(place[3] for place in found):
        new: dict[int, int] = {}
        for row, place in enumerate(found):
            if not place[3]:
                new.setdefault(place[1], row)
        rows = list(new.values())
        found = [found[row] for row in rows]
    return [place[1] for place in found], [place[2] for place in found], rows, [place[4] for place in found]


def read_vectors(connection: sa.Connection, ids: Sequence[ReviewId], encoder: str) -> np.ndarray:
    """float16 (n, dim), row k for ``ids[k]``.

    Raises:
        NotFoundError: A review has no vector of this encoder.
    """
    key, dim = find_encoder(connection, encoder)
    found = dict(look_up(connection, _VECTORS, ids, by=key))
    missing = [review for review in ids if review not in found]
    if missing:
        message = f"{len(missing)} reviews have no vector of {encoder!r}, the first is {missing[0]!r}"
        raise NotFoundError(message, hint="run `idiolect embed` first")
    return np.frombuffer(b"".join(found[review] for review in ids), dtype="<f2").reshape(len(ids), dim)


def vector_batches(connection: sa.Connection, encoder: EncoderRow) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every vector of an encoder in table order: int64 (b,) of ``seq`` and float16 (b, dim)."""
    query = sa.select(_vectors.review, _vectors.vector).where(_vectors.encoder == encoder.key).order_by(_vectors.review)
    result = connection.execution_options(stream_results=True).execute(query)
    for rows in result.partitions(_BATCH):
        seqs, blobs = zip(*rows, strict=True)
        yield np.array(seqs, dtype=np.int64), np.frombuffer(b"".join(blobs), dtype="<f2").reshape(-1, encoder.dim)


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


def _places(connection: sa.Connection, ids: Sequence[ReviewId], key: int) -> dict[str, tuple[Any, ...]]:
    """The columns of ``_PLACES`` by id."""
    places = {row[0]: row for row in look_up(connection, _PLACES, ids, by=key)}
    unknown = [review for review in ids if review not in places] if len(places) < len(ids) else []
    if unknown:
        message = f"{len(unknown)} reviews are not in the store, the first is {unknown[0]!r}"
        raise NotFoundError(message, hint="add reviews before their vectors")
    return places


def _insert(connection: sa.Connection, key: int, seqs: list[int], halves: np.ndarray) -> None:
    for start in range(0, len(seqs), _BATCH):
        part = slice(start, start + _BATCH)
        values = list(zip(seqs[part], repeat(key), blobs(halves[part]), strict=False))
        insert_rows(connection, tables.vectors, ("review", "encoder", "vector"), values)
