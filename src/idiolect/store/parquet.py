"""Export a whole store to a folder of Parquet files, and import it: for other tools, archives or databases.

``items.parquet`` and ``reviews.parquet`` have the columns of ``data.kcore``; each encoder's vectors are a file of
review_id and ``vector``, float16 little-endian as fixed-size binary; ``not_peers.parquet`` lists the users who opted
out; ``store.json`` describes the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from idiolect.data.kcore import ITEM_SCHEMA, REVIEW_SCHEMA
from idiolect.data.output_files import atomic_write, real_path
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.store import schema as tables
from idiolect.store.base import AddReport
from idiolect.store.metadata import erasures, flag_digest
from idiolect.store.schema import ITEM, REVIEW, item_row, review_row, to_item, to_review
from idiolect.store.snapshot_files import check_replaced, held, remove_abandoned, whole_folder
from idiolect.store.sql import SqlStore
from idiolect.types import ReviewId, UserId

FORMAT = 1
HEAD = "store.json"
DERIVED = "differences.json"
"""Marks a folder of differences, and names the export that they are of."""
_TABLES = ("items.parquet", "reviews.parquet", "not_peers.parquet")
_PARTS = re.compile(r"store\.json|(items|reviews|not_peers|vectors-\d+)\.parquet")
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
    """Counts of an ``import_store``."""

    added: AddReport
    vectors: int
    """New ones."""
    equal: bool
    """Whether the store now holds what was exported and nothing else."""


def export_store(store: SqlStore, folder: str | Path) -> dict[str, Any]:
    """Write everything as of one commit; the folder is replaced atomically.

    Returns:
        The contents of ``store.json``: format, fingerprint, counts and encoders.

    Raises:
        InputError: ``folder`` exists and is no export.
        ArtifactError: A user was erased while the export was written.
        OSError: It cannot be written, for instance because the disk is full.
    """
    with store.reading() as connection:
        since = erasures(connection)
    placing = {"mark": HEAD, "what": "an export", "parts": _PARTS, "placing": lambda: store.unerased(since)}
    with whole_folder(Path(folder), **placing) as new, store.reading() as connection:
        meta = connection.execute(sa.select(tables.meta)).one()
        _write(new / "items.parquet", _ITEMS, _stream(connection, sa.select(*ITEM).order_by(tables.items.c.seq)))
        _write(
            new / "reviews.parquet", _REVIEWS, _stream(connection, sa.select(*REVIEW).order_by(tables.reviews.c.seq))
        )
        users = sa.select(tables.opted_out.c.user).order_by(tables.opted_out.c.user)
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


def check_export(folder: Path) -> Path:
    """The resolved folder for an export.

    Raises:
        InputError: It holds anything but an earlier export.
    """
    return check_replaced(folder, mark=HEAD, what="an export", parts=_PARTS)


def import_store(folder: str | Path, store: SqlStore) -> ImportReport:
    """Add an export to a store, empty or not. It is idempotent, and continues an interrupted import.

    Items and reviews are one transaction, vectors one per 8192. A review that the store has with other content is
    refused with its vectors.

    Raises:
        NotFoundError: There is no export in ``folder``.
        ArtifactError: It is damaged, or of a later version.
        ConfigError: The store knows users by other names.
    """
    folder = Path(folder)
    head = read_head(folder)
    if store.set_id_scheme(names := str(head.get("names", ""))) != names:
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
    """The contents of ``store.json``, after a check that every file is complete.

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
        files = [(str(e["name"]), int(e["dim"]), str(e["file"]))[2] for e in head["encoders"]]
        if foreign := [name for name in files if Path(name).name != name]:
            raise ValueError(f"{foreign[0]!r} is no name of a file in it")
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {error}", hint="export the store again") from error
    if version != FORMAT:
        raise ArtifactError(f"{str(folder)!r} has format {version}, not {FORMAT}", hint="upgrade idiolect")
    try:
        for name in (*_TABLES, *(e["file"] for e in head["encoders"])):
            pq.read_metadata(folder / name)
    except (OSError, pa.ArrowException) as error:
        raise ArtifactError(
            f"the export in {str(folder)!r} is damaged: {error}", hint="export the store again"
        ) from error
    return head


def _read(path: Path, schema: pa.Schema | None = None) -> Iterator[tuple[Any, ...]]:
    with pq.ParquetFile(path) as file:
        if schema is not None and not _plain(file.schema_arrow).equals(_plain(schema)):
            found = ", ".join(f"{field.name} ({field.type})" for field in file.schema_arrow)
            raise pa.ArrowInvalid(f"{path.name} has columns {found}")
        for batch in file.iter_batches(_BATCH):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema with one type for all string types, because other tools write another one than they read."""
    return pa.schema([(field.name, pa.string() if _is_text(field.type) else field.type) for field in schema])


def _is_text(type: pa.DataType) -> bool:
    if pa.types.is_dictionary(type):
        return _is_text(type.value_type)
    return pa.types.is_string(type) or pa.types.is_large_string(type) or pa.types.is_string_view(type)


def is_export(folder: Path) -> bool:
    """Whether a folder is an export, by the names of its files."""
    return all((folder / name).is_file() for name in (HEAD, *_TABLES))


def export_files(folder: Path) -> list[Path]:
    """The files that make up an export.

    Raises:
        NotFoundError: There is no export in ``folder``.
        ArtifactError: It is damaged, or of a later version.
    """
    return [folder / name for name in (*_TABLES, *(e["file"] for e in read_head(folder)["encoders"]), HEAD)]


def erase_from_export(folder: Path, users: Collection[str], reviews: Collection[str]) -> int:
    """Remove users from an export: reviews, vectors, opt-outs, and texts of items that no other user wrote about.

    The result is an export of the store without them, with updated counts and fingerprint in ``store.json``. An
    interrupted call can be repeated.

    Args:
        folder: The export.
        users: Ids of users.
        reviews: Ids of reviews, of any user.

    Returns:
        The number of removed rows.

    Raises:
        ArtifactError: The export is damaged, or of a later version.
        pyarrow.ArrowException: One of its tables is damaged.
    """
    with held(folder):
        return _erase_from_export(folder, users, reviews)


def record_derived(folder: Path, made: Path) -> None:
    """Note in an export that a folder of differences is made of it, so that an erasure finds it."""
    with held(folder):
        head = read_head(folder)
        known = head.get("derived", [])
        if str(made) not in known:
            _write_head(folder, {**head, "derived": [*known, str(made)]})


def _remove_derived(folder: Path, head: dict[str, Any]) -> int:
    """Remove the folders of differences that are made of an export; return their number.

    A folder is removed only if its own record names this export: what an export says is not trusted.
    """
    gone = 0
    for made in map(Path, map(str, head.get("derived", []))):
        try:
            mine = json.loads((made / DERIVED).read_text(encoding="utf-8"))["export"] == str(real_path(folder))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if mine:
            kinds = ("*.parquet", "*.arrow", "*.parquet.*.partial", "*.arrow.*.partial")  # of a killed run, too
            parts = [path for kind in kinds for path in (*made.glob(kind), *made.glob(f"scatter/{kind}"))]
            for path in [*parts, made / DERIVED]:
                path.unlink(missing_ok=True)
            for path in (made / "scatter", made):
                with suppress(OSError):  # it holds something else, which stays
                    path.rmdir()
            gone += 1
    return gone


def _write_head(folder: Path, head: dict[str, Any]) -> None:
    text = json.dumps(head, indent=1) + "\n"
    atomic_write(folder / HEAD, lambda part: part.write_text(text, encoding="utf-8"))


def _erase_from_export(folder: Path, users: Collection[str], reviews: Collection[str]) -> int:
    head, (item_file, review_file, flag_file) = read_head(folder), (folder / name for name in _TABLES)
    gone, touched, others = set(reviews), set(), set()
    for review, user, item in _columns(review_file, "review_id", "user", "item"):
        theirs = user in users or review in reviews
        (touched if theirs else others).add(item)
        if theirs:
            gone.add(review)
    alone = touched - others
    alone -= {item for item, *texts in _columns(item_file, "item", "title", "description") if not any(texts)}
    count = sum(_without(folder / encoder["file"], "review_id", gone) for encoder in head["encoders"])
    count += _without(item_file, "item", alone) + _without(flag_file, "user", users)
    count += _without(review_file, "review_id", gone)  # last but one, because a repeated call needs it
    if gone:
        count += _remove_derived(folder, head)
    n_items, n_reviews = (pq.read_metadata(path).num_rows for path in (item_file, review_file))
    if count or (n_items, n_reviews) != (head.get("items"), head.get("reviews")):
        head |= {"fingerprint": _fingerprint(folder), "items": n_items, "reviews": n_reviews}
        _write_head(folder, {name: value for name, value in head.items() if name != "derived"})
    return count


def _columns(path: Path, *names: str) -> Iterator[tuple[Any, ...]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, columns=list(names)):
            yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def _without(path: Path, column: str, values: Collection[str]) -> int:
    """Rewrite a table without the rows that have one of these values; return their number."""
    count = sum(value in values for (value,) in _columns(path, column))

    def keep(part: Path) -> None:
        with pq.ParquetFile(path) as file, pq.ParquetWriter(part, file.schema_arrow, compression="zstd") as writer:
            for batch in file.iter_batches(_BATCH):
                writer.write_batch(batch.filter(pa.array([v not in values for v in batch.column(column).to_pylist()])))

    if count:
        atomic_write(path, keep)
    return count


def _fingerprint(folder: Path) -> str:
    """The fingerprint of a store that holds only this export."""
    items, reviews, flags = (folder / name for name in _TABLES)
    digests = [item_row(to_item(row))[-1] for row in _read(items, _ITEMS)]
    digests += [review_row(to_review(row))[-1] for row in _read(reviews, _REVIEWS)]
    total = sum(map(int.from_bytes, digests)) + sum(flag_digest(UserId(user)) for (user,) in _read(flags))
    return f"{total % 2**128:032x}"


def _add_vectors(path: Path, store: SqlStore, encoder: str, dim: int, others: Collection[ReviewId]) -> int:
    """Add the vectors of a file, except those of ``others``, under whose ids the store has other reviews."""
    new = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH):
            ids, blobs = (column.to_pylist() for column in batch.columns)
            vectors = np.frombuffer(b"".join(blobs), dtype="<f2").reshape(len(ids), dim)
            own = [place for place, id in enumerate(ids) if id not in others]
            new += store.add_vectors([ReviewId(ids[place]) for place in own], vectors[own], encoder=encoder)
    return new


def export_folder(store: str, folder: Path) -> dict[str, Any]:
    """Write a store as Parquet files and record the folder, so that an erasure finds it.

    Unfinished folders of killed exports are removed first.

    Returns:
        Format, fingerprint, numbers of items and reviews, and the encoders.

    Raises:
        NotFoundError: There is no store.
        InputError: ``folder`` exists and is no export.
        ArtifactError: A user was erased while the export was written.
        OSError: The folder cannot be written, for instance because the disk is full.
    """
    folder = check_export(folder)
    with SqlStore(store, create=False) as database:
        remove_abandoned(database.outputs())
        database.record_output(folder, "export")
        return export_store(database, folder)


def import_folder(folder: Path, store: str) -> ImportReport:
    """Read an export into a store, which is made if there is none.

    Raises:
        NotFoundError: There is no export in ``folder``.
        ArtifactError: It is damaged, or of a later version.
    """
    read_head(folder)  # before a store is created
    with SqlStore(store) as database:
        return import_store(folder, database)
