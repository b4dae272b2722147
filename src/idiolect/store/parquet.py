"""A whole store as a folder of Parquet files, and back: for other tools, for archives, for another database.

``items.parquet`` and ``reviews.parquet`` have the columns of ``corpus.frame``; each encoder's vectors are a file of
review_id and ``vector``, float16 little-endian as fixed-size binary; ``not_peers.parquet`` lists users; ``store.json``
says what belongs to what.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from idiolect.corpus.frame import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.store import tables
from idiolect.store.base import AddReport
from idiolect.store.files import whole_folder
from idiolect.store.rows import ITEM, REVIEW, to_item, to_review
from idiolect.store.sql import SqlStore
from idiolect.types import ReviewId, UserId

FORMAT = 1
HEAD = "store.json"
_BATCH = 8192
_ITEMS = pa.schema([(name, pa.string()) for name in ITEM_SCHEMA])
_REVIEWS = pa.schema(
    [
        (name, {"rating": pa.float64(), "timestamp": pa.int64(), "order": pa.int64()}.get(name, pa.string()))
        for name in REVIEW_SCHEMA
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an ``import_store`` did."""

    added: AddReport
    vectors: int
    """New ones."""
    equal: bool
    """Whether the store now holds what was exported and nothing else."""


def export_store(store: SqlStore, folder: str | Path) -> dict[str, Any]:
    """Write everything as of one commit; the folder appears whole or not at all, an export of that name is replaced.

    Returns:
        What stands in ``store.json``: format, fingerprint, counts and the encoders.

    Raises:
        InputError: ``folder`` exists and is no export.
    """
    with store.reading() as connection, whole_folder(Path(folder), mark=HEAD, what="an export") as new:
        meta = connection.execute(sa.select(tables.meta)).one()
        _write(new / "items.parquet", _ITEMS, _stream(connection, sa.select(*ITEM).order_by(tables.items.c.seq)))
        _write(
            new / "reviews.parquet", _REVIEWS, _stream(connection, sa.select(*REVIEW).order_by(tables.reviews.c.seq))
        )
        users = sa.select(tables.not_peers.c.user).order_by(tables.not_peers.c.user)
        _write(new / "not_peers.parquet", pa.schema([("user", pa.string())]), _stream(connection, users))
        encoders, encoder = [], tables.encoders.c
        known = sa.select(encoder.key, encoder.name, encoder.dim).where(encoder.n_vectors > 0).order_by(encoder.key)
        for key, name, dim in connection.execute(known).all():
            encoders.append({"name": name, "dim": dim, "file": f"vectors-{len(encoders)}.parquet"})
            schema = pa.schema([("review_id", pa.string()), ("vector", pa.binary(2 * dim))])
            _write(new / encoders[-1]["file"], schema, _stream(connection, _vectors(key)))
        head = {"format": FORMAT, "fingerprint": meta.digest, "items": meta.n_items, "reviews": meta.n_reviews}
        head |= {"names": meta.names, "encoders": encoders}
        (new / HEAD).write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")
    return head


def import_store(folder: str | Path, store: SqlStore) -> ImportReport:
    """Add an export to a store, empty or not; a second time changes nothing, and goes on where the first was cut off.

    Items and reviews come in one transaction, vectors in one for every 8192. A review of which the store has another
    version is refused, and its vectors with it.

    Raises:
        NotFoundError: There is no export in ``folder``.
        ArtifactError: It is damaged, or of a later version.
        ConfigError: The store knows users by other names.
    """
    folder = Path(folder)
    head = read_head(folder)
    if store.take_names(names := str(head.get("names", ""))) != names:
        raise ConfigError("the export names users otherwise than the store does", hint="import it into a new store")
    try:
        items = (to_item(row) for row in _read(folder / "items.parquet", _ITEMS))
        reviews = (to_review(row) for row in _read(folder / "reviews.parquet", _REVIEWS))
        added = store.add(items, reviews)
        for (user,) in _read(folder / "not_peers.parquet"):
            store.set_peer(UserId(user), False)
        others = {id for id, _ in added.refused_reviews}
        vectors = sum(_add_vectors(folder / e["file"], store, e["name"], e["dim"], others) for e in head["encoders"])
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(
            f"the export in {str(folder)!r} is damaged: {error}", hint="export the store again"
        ) from error
    return ImportReport(added=added, vectors=vectors, equal=store.fingerprint() == head["fingerprint"])


def _vectors(key: int) -> sa.Select:
    vector, review = tables.vectors.c, tables.reviews.c
    joined = sa.select(review.id, vector.vector).join(tables.vectors, vector.review == review.seq)
    return joined.where(vector.encoder == key).order_by(review.seq)


def _stream(connection: sa.Connection, query: sa.Select) -> Iterator[Iterable[sa.Row[Any]]]:
    return connection.execution_options(stream_results=True).execute(query).partitions(_BATCH)


def _write(path: Path, schema: pa.Schema, parts: Iterable[Iterable[sa.Row[Any]]]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in parts:
            columns = zip(*rows, strict=True)
            writer.write_batch(pa.record_batch(list(map(pa.array, columns, schema.types)), schema=schema))


def read_head(folder: Path) -> dict[str, Any]:
    """What ``store.json`` of an export says, once every file of it has a head and an end.

    Raises:
        NotFoundError: There is no export in ``folder``.
        ArtifactError: It is damaged, or of a later version.
    """
    path = folder / HEAD
    if not path.is_file():
        raise NotFoundError(f"there is no export in {str(folder)!r}", hint="make one with `idiolect export`")
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
        version = int(head["format"])
        [(str(e["name"]), int(e["dim"]), str(e["file"])) for e in head["encoders"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="export the store again") from error
    if version != FORMAT:
        raise ArtifactError(f"{str(folder)!r} has format {version}, not {FORMAT}", hint="upgrade idiolect")
    try:
        for name in ("items.parquet", "reviews.parquet", "not_peers.parquet", *(e["file"] for e in head["encoders"])):
            pq.read_metadata(folder / name)
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(
            f"the export in {str(folder)!r} is damaged: {error}", hint="export the store again"
        ) from error
    return head


def _read(path: Path, schema: pa.Schema | None = None) -> Iterator[tuple[Any, ...]]:
    with pq.ParquetFile(path) as file:
        if schema is not None and not file.schema_arrow.equals(schema):
            raise pa.ArrowInvalid(f"{path.name} has columns {', '.join(file.schema_arrow.names)}")
        for batch in file.iter_batches(_BATCH):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _add_vectors(path: Path, store: SqlStore, encoder: str, dim: int, others: Collection[ReviewId]) -> int:
    """Add the vectors of a file but those of ``others``: under these ids the store has other reviews."""
    new = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH):
            ids, blobs = (column.to_pylist() for column in batch.columns)
            vectors = np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(ids), dim)
            own = [place for place, id in enumerate(ids) if id not in others]
            new += store.add_vectors([ReviewId(ids[place]) for place in own], vectors[own], encoder=encoder)
    return new
