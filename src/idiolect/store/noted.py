"""A store's connections, and what is noted in it: who is no peer, how users are named, what was written from it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from idiolect.errors import ArtifactError
from idiolect.store import tables
from idiolect.store.engine import is_read_only, open_engine, writing
from idiolect.store.flags import as_path, as_text, record_output, set_peer, take_names
from idiolect.store.scrub import erasures
from idiolect.types import UserId

_log = logging.getLogger(__name__)
_user = tables.reviews.c.user


class Noted:
    """A database that is known to be a store; arguments and errors as of ``SqlStore``."""

    def __init__(self, where: str | Path, *, create: bool = True) -> None:
        self._engine = open_engine(where, create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give all connections back; the store can still be used and then opens new ones."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection whose reads all see the same commit."""
        with self._engine.connect() as connection:
            if connection.dialect.name != "sqlite":  # where one transaction always sees one commit
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def set_peer(self, user: UserId, peer: bool) -> bool:
        """Let others be compared with a user (the default), or not: neither their texts nor their vectors are used.

        The user may still be written for, with their own history. Snapshots and splits made before are out of date.

        Returns:
            Whether that was a change.
        """
        with writing(self._engine) as connection:
            return set_peer(connection, user, peer)

    def wrote(self, user: UserId) -> bool:
        """Whether there is a review by this user."""
        with self.reading() as connection:
            return connection.execute(sa.select(_user).where(_user == user).limit(1)).first() is not None

    def not_peers(self) -> list[UserId]:
        """The users with whom nobody is compared, sorted."""
        with self.reading() as connection:
            return sorted(connection.scalars(sa.select(tables.not_peers.c.user)))

    def record_output(self, path: Path, kind: str) -> None:
        """Note that a file or folder was made from this store, so that an erasure finds it; known ones cost a read."""
        if self.outputs().get(path.resolve()) == kind:
            return
        if is_read_only(self._engine):
            _log.warning(
                "the store is only read, so it does not note %r: name it with --outputs to erase a user from it",
                str(path),
            )
            return
        with writing(self._engine) as connection:
            record_output(connection, path, kind)

    def drop_outputs(self, paths: Iterable[Path]) -> None:
        """No longer note these files and folders: they are not there, and were not moved."""
        known = self.outputs()
        wanted = [{"of": as_text(path.resolve())} for path in paths if path.resolve() in known]
        if wanted:
            with writing(self._engine) as connection:
                connection.execute(sa.delete(tables.outputs).where(tables.outputs.c.path == sa.bindparam("of")), wanted)

    def outputs(self) -> dict[Path, str]:
        """Every recorded file or folder, and what it is."""
        with self.reading() as connection:
            return {as_path(row.path): row.kind for row in connection.execute(sa.select(tables.outputs))}

    @contextmanager
    def unerased(self, since: int) -> Iterator[None]:
        """Holds erasures back while what was read from the store is put into its place.

        Args:
            since: Number of erasures (``scrub.erasures``) when it was read.

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
        """How users are named: empty for their own ids, else by what the key of their pseudonyms is known."""
        with self.reading() as connection:
            return connection.execute(sa.select(tables.meta.c.names)).scalar_one()

    def take_names(self, names: str) -> str:
        """Settle how users are named, where no review is stored yet.

        Returns:
            How they are named now (see ``names``).
        """
        with writing(self._engine) as connection:
            return take_names(connection, names)
