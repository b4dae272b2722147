"""Store metadata: opt-outs, id scheme, output paths, erasures; and the secure vacuum after an erasure.

``secure_delete`` overwrites deleted rows, but not the copies that SQLite leaves in a page when it moves rows to another
page to balance its trees. Only rewriting the file removes those.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Self
from urllib.parse import unquote_to_bytes

import numpy as np
import sqlalchemy as sa

from idiolect.errors import ArtifactError, NotFoundError
from idiolect.store import schema as tables
from idiolect.store.base import Correction
from idiolect.store.engine import check_writable, checkpoint, is_read_only, open_engine, plain_cursor, writing
from idiolect.store.insertion import adjust_totals
from idiolect.store.sums import change_sums
from idiolect.types import UserId

_reviews, _vectors = tables.reviews.c, tables.vectors.c
_flagged = tables.opted_out.c.user
_OWN = (
    sa.select(_vectors.encoder, _reviews.item, _vectors.vector)
    .join(tables.vectors, _vectors.review == _reviews.seq)
    .where(_reviews.user == sa.bindparam("of"))
)


def set_peer(connection: sa.Connection, user: UserId, peer: bool) -> bool:
    """Add the user's vectors to the item sums or remove them; the digest of the store differs between the states.

    Returns:
        Whether that was a change.
    """
    now = connection.execute(sa.select(_flagged).where(_flagged == user)).first() is None
    if now == peer:
        return False
    _change_own_sums(connection, user, sign=1 if peer else -1)
    if peer:
        connection.execute(sa.delete(tables.opted_out).where(_flagged == user))
    else:
        connection.execute(sa.insert(tables.opted_out).values(user=user))
    adjust_totals(connection, digest=-flag_digest(user) if peer else flag_digest(user))
    return True


def flag_digest(user: UserId) -> int:
    """The share of an opted-out user in the digest of the store."""
    return int.from_bytes(blake2b(user.encode(), digest_size=16, person=b"not a peer").digest())


def record_output(connection: sa.Connection, path: Path, kind: str) -> None:
    """Record a file or folder by its absolute path; a repeated call changes its kind."""
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


def set_id_scheme(connection: sa.Connection, names: str) -> str:
    """Set the id scheme if no review is stored yet; return the scheme in use."""
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


_READERS_MS = 5_000
"""Milliseconds to wait for readers of other processes before the rewrite is left pending."""

_state = tables.meta.c.unscrubbed


def secure_vacuum(engine: sa.Engine) -> bool:
    """Rewrite the database without deleted rows, and empty its log.

    It takes the time and, temporarily, the space of a copy. Other processes may read and write meanwhile; they are
    waited for up to a limit. On PostgreSQL the tables are rewritten; its archived log and its backups are not reached.

    Returns:
        Whether it is done. If another process holds the file, erased bytes may still be in it, and ``is_vacuumed`` is
        false until a later call succeeds.

    Raises:
        ArtifactError: There is no space for the copy; call it again later.
    """
    with engine.connect() as connection:
        before = _erasures(connection)
    if engine.dialect.name == "sqlite":
        done = _vacuum_sqlite(engine)
    else:
        _vacuum_tables(engine)
        done = True
    if done and before % 2:
        with writing(engine) as connection:  # unless another process erased a user in the meantime
            connection.execute(sa.update(tables.meta).where(_state == before).values(unscrubbed=before - 1))
    return done


def is_vacuumed(connection: sa.Connection) -> bool:
    """Whether every erasure so far was followed by a ``secure_vacuum``."""
    return _erasures(connection) % 2 == 0


def erasures(connection: sa.Connection) -> int:
    """The number of erasures; what was read before one is out of date."""
    return _erasures(connection) // 2


def note_erasure(connection: sa.Connection) -> None:
    """Count an erasure; its bytes stay in the file until the next ``secure_vacuum``."""
    connection.execute(sa.update(tables.meta).values(unscrubbed=(_erasures(connection) // 2 + 1) * 2 + 1))


def _erasures(connection: sa.Connection) -> int:
    return connection.execute(sa.select(_state)).scalar_one()


def _vacuum_sqlite(engine: sa.Engine) -> bool:
    with plain_cursor(engine) as cursor:
        if not cursor.execute("PRAGMA database_list").fetchone()[2]:
            return True  # in memory
        patience = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        try:
            cursor.execute("PRAGMA temp_store = FILE")  # the copy may be larger than memory
            cursor.execute("VACUUM")
            cursor.execute(f"PRAGMA busy_timeout = {_READERS_MS}")  # writers wait for as long as this waits for readers
            busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise ArtifactError(
                    f"the user is erased, but {engine.url.database!r} cannot be rewritten without old bytes: {error}",
                    hint="make room on the disk and run the same command again",
                ) from error
            return False
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {patience}")
            cursor.execute("PRAGMA temp_store = MEMORY")
    return not busy


def _vacuum_tables(engine: sa.Engine) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for name in tables.metadata.tables:
            connection.exec_driver_sql(f"VACUUM (FULL) {name}")


_log = logging.getLogger(__name__)
_user = tables.reviews.c.user


def _wrote(connection: sa.Connection, user: UserId) -> bool:
    return connection.execute(sa.select(_user).where(_user == user).limit(1)).first() is not None


_DROP_CORRECTION = sa.delete(tables.corrections).where(
    tables.corrections.c.user == sa.bindparam("of"), tables.corrections.c.difference == sa.bindparam("about")
)


class StoreBase:
    """Metadata of an open store; arguments and errors are those of ``SqlStore``."""

    def __init__(self, where: str | Path, *, create: bool = True, checkpoints: bool = True) -> None:
        self._engine = open_engine(where, create=create, checkpoints=checkpoints)

    @property
    def label(self) -> str:
        """Name of the file or database, without the folder or server that it is on."""
        return Path(self._engine.url.database or "").name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; using the store again opens new ones."""
        self._engine.dispose()

    def checkpoint(self) -> None:
        """Copy SQLite's log into the file while others write; for a store that was opened without ``checkpoints``."""
        checkpoint(self._engine)

    def erasures(self) -> int:
        """The number of erasures; what was read before the last one may hold an erased user."""
        with self.reading() as connection:
            return erasures(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection whose reads all see the same commit."""
        with self._engine.connect() as connection:
            if connection.dialect.name != "sqlite":  # where one transaction always sees one commit
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def set_peer(self, user: UserId, peer: bool) -> bool:
        """Set whether others may be compared with a user (the default), with texts and vectors.

        The user may still be written for, with their own history. Snapshots and splits made before are out of date.

        Returns:
            Whether that was a change.
        """
        with writing(self._engine) as connection:
            return set_peer(connection, user, peer)

    def correct(self, user: UserId, correction: Correction) -> None:
        """Store a user's correction of a difference; it replaces an earlier one.

        Raises:
            NotFoundError: There is no review by the user, for instance because they were forgotten meanwhile.
        """
        row = {"of": user, "about": correction.difference}
        with writing(self._engine) as connection:
            if not _wrote(connection, user):
                raise NotFoundError("the store knows no such user", hint="ids are case-sensitive")
            connection.execute(_DROP_CORRECTION, row)
            values = {"user": user, "difference": correction.difference, "text": correction.text}
            connection.execute(sa.insert(tables.corrections).values(**values))

    def undo_correction(self, user: UserId, difference: str) -> bool:
        """Remove the correction of a difference.

        Returns:
            Whether there was one.
        """
        with writing(self._engine) as connection:
            return bool(connection.execute(_DROP_CORRECTION, {"of": user, "about": difference}).rowcount)

    def corrections(self, user: UserId) -> list[Correction]:
        """What the user corrected or muted, by difference."""
        column = tables.corrections.c
        query = sa.select(column.difference, column.text).where(column.user == user).order_by(column.difference)
        with self.reading() as connection:
            return [Correction(difference=row.difference, text=row.text) for row in connection.execute(query)]

    def wrote(self, user: UserId) -> bool:
        """Whether there is a review by this user."""
        with self.reading() as connection:
            return _wrote(connection, user)

    def opted_out(self) -> list[UserId]:
        """The users who opted out of comparison, sorted."""
        with self.reading() as connection:
            return sorted(connection.scalars(sa.select(tables.opted_out.c.user)))

    def check_writable(self) -> None:
        """Raise ``ArtifactError`` if the store is read-only, before anything is written for it elsewhere."""
        check_writable(self._engine)

    def record_output(self, path: Path, kind: str) -> None:
        """Record that a file or folder was made from this store, so that an erasure finds it."""
        if self.outputs().get(path.resolve()) == kind:
            return
        if is_read_only(self._engine):
            _log.warning(
                "the store is read-only, so %r is not recorded: name it with outputs= to erase a user from it",
                str(path),
            )
            return
        with writing(self._engine) as connection:
            record_output(connection, path, kind)

    def drop_outputs(self, paths: Iterable[Path]) -> None:
        """Remove the records of these files and folders, which no longer exist."""
        known = self.outputs()
        wanted = [{"of": as_text(path.resolve())} for path in paths if path.resolve() in known]
        if wanted:
            with writing(self._engine) as connection:
                connection.execute(sa.delete(tables.outputs).where(tables.outputs.c.path == sa.bindparam("of")), wanted)

    def outputs(self) -> dict[Path, str]:
        """Every recorded file or folder, and its kind."""
        with self.reading() as connection:
            return {as_path(row.path): row.kind for row in connection.execute(sa.select(tables.outputs))}

    @contextmanager
    def unerased(self, since: int) -> Iterator[None]:
        """Block erasures while an output that was read from the store is moved into place.

        Args:
            since: Number of erasures (``secure_vacuum.erasures``) when it was read.

        Raises:
            ArtifactError: A user was erased since then.
        """
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(writing(self._engine))
            except ArtifactError:  # it cannot be written here, or not now
                connection = stack.enter_context(self.reading())
            if erasures(connection) != since:
                raise ArtifactError(
                    "a user was erased from the store while it was read; nothing was written",
                    hint="run the same command again",
                )
            yield

    def names(self) -> str:
        """The id scheme: empty for plain ids, else the check value of the pseudonyms' key."""
        with self.reading() as connection:
            return connection.execute(sa.select(tables.meta.c.names)).scalar_one()

    def set_id_scheme(self, names: str) -> str:
        """Set the id scheme if no review is stored yet.

        Returns:
            The scheme in use (see ``names``).
        """
        with writing(self._engine) as connection:
            return set_id_scheme(connection, names)
