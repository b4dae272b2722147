"""A record of every answer of a language model, so that none is asked for twice; erasing a review erases its answers.

Answers lie in one SQLite file under the key of their question, beside the ids of the reviews the question was made
from. What is put is on the disk when ``put`` returns; any number of threads and processes may share a file.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import NamedTuple

from idiolect.corpus.atomic import is_sqlite, untouched
from idiolect.errors import ArtifactError
from idiolect.llm.base import Completion
from idiolect.llm.failure import Failure
from idiolect.types import ReviewId

_BUSY_SECONDS = 30
_VERSION = 1
_APPLICATION = 0x49444C43  # "IDLC": tells a cache from any other SQLite file
_PRAGMAS = ("foreign_keys = ON", "secure_delete = ON", "synchronous = FULL", "temp_store = MEMORY")
_TABLES = (
    "CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, answer TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS entry_reviews (review TEXT NOT NULL, entry INTEGER NOT NULL"
    " REFERENCES entries ON DELETE CASCADE, PRIMARY KEY (review, entry)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS entry_reviews_by_entry ON entry_reviews (entry)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
_FIELDS = tuple(field.name for field in fields(Completion))
# Lists are one JSON value: SQLite bounds the parameters of a statement, and its driver lets other threads run between
# statements, so that one a row would make a writer wait for each of them each time.
_GIVEN = "(SELECT value FROM json_each(?))"
_PUT = (
    "INSERT INTO entries (key, answer) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]')"
    " FROM json_each(?) WHERE true ON CONFLICT (key) DO NOTHING"
)
_LINK = (
    "INSERT INTO entry_reviews SELECT review.value, entries.id"
    " FROM json_each(?) AS given JOIN entries ON entries.key = json_extract(given.value, '$[0]'),"
    " json_each(given.value, '$[1]') AS review WHERE true ON CONFLICT DO NOTHING"
)


class Record(NamedTuple):
    """An answer on its way into the cache."""

    key: str
    completion: Completion
    reviews: frozenset[ReviewId]
    """Every review that the question was made from, directly or through earlier answers."""


class Cache:
    """Answers on disk.

    Args:
        path: A file made by this class, or of a new one.

    Raises:
        ArtifactError: The file is something else, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.scrubbed = True
        """Whether no byte of an erased answer is left in the file, as far as this object erased any."""
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise ArtifactError(f"cannot open the cache {str(path)!r}: {error}") from error
        try:
            _prepare(self._connection, self.path)
        except sqlite3.Error as error:
            self._connection.close()
            raise ArtifactError(
                f"{str(path)!r} cannot be opened as a cache: {error}", hint="name a new file"
            ) from error
        except ArtifactError:
            self._connection.close()
            raise

    def get(self, keys: Iterable[str]) -> dict[str, Completion]:
        """The recorded answers among ``keys``, marked as cached."""
        given = json.dumps(list(keys))
        with self._lock:
            rows = self._connection.execute(
                f"SELECT key, answer FROM entries WHERE key IN {_GIVEN}", (given,)
            ).fetchall()
        return {key: _load(answer) for key, answer in rows}

    def put(self, records: Sequence[Record]) -> dict[str, Completion]:
        """Record answers, durably and all or none; an answer that is there already stays.

        Returns:
            The answers now recorded under the keys that were taken, by another process for instance.
        """
        entries = json.dumps([(record.key, _dump(record.completion)) for record in records])
        with self._writing() as connection:
            found = connection.execute(_PUT, (entries,))
            _link(connection, [(record.key, record.reviews) for record in records])
        taken = found.rowcount < len(records)
        return self.get(record.key for record in records) if taken else {}

    def link(self, made_from: Iterable[tuple[str, frozenset[ReviewId]]]) -> None:
        """Add reviews to recorded answers: the same question can be made from other reviews with the same text."""
        wanted = {key: reviews for key, reviews in made_from if reviews}
        query = "SELECT key, review FROM entries JOIN entry_reviews ON entry = id WHERE key IN"
        with self._lock:
            known = set(self._connection.execute(f"{query} {_GIVEN}", (json.dumps(list(wanted)),)))
        missing = [(key, reviews) for key, reviews in wanted.items() if any((key, r) not in known for r in reviews)]
        if missing:
            with self._writing() as connection:
                _link(connection, missing)

    def forget_reviews(self, ids: Iterable[ReviewId]) -> int:
        """Erase every answer made from any of these reviews; the file is rewritten without their bytes.

        Answers to questions that are under way are not known yet: forget when no run is. ``scrubbed`` says whether the
        file could be rewritten; a second call does so where another process prevented it.

        Returns:
            How many answers were erased.
        """
        made_from = f"SELECT entry FROM entry_reviews WHERE review IN {_GIVEN}"
        with self._writing() as connection:
            erased = connection.execute(f"DELETE FROM entries WHERE id IN ({made_from})", (json.dumps(list(ids)),))
        self.scrubbed = self._scrub()
        return erased.rowcount

    def _scrub(self) -> bool:
        """Rewrite the file without the bytes of erased answers.

        Overwriting what is deleted is not enough: SQLite leaves copies of rows that it moved between pages.

        Returns:
            Whether it is done; another process that uses the file can prevent that, and a full disk.
        """
        with self._lock:
            try:
                for statement in ("PRAGMA temp_store = FILE", "VACUUM"):
                    self._connection.execute(statement)
                busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error:
                return False
            finally:
                self._connection.execute("PRAGMA temp_store = MEMORY")
        return not busy

    def __len__(self) -> int:
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._connection.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed whole or not at all; writers of all processes queue at its beginning."""
        try:
            with self._lock, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as error:
            raise ArtifactError(f"the cache {str(self.path)!r} cannot be written: {error}") from error


def is_cache(path: Path) -> bool:
    """Whether a file is a record of answers; only SQLite opens it, for another process may be using it."""
    if not is_sqlite(path):
        return False
    try:
        with closing(sqlite3.connect(untouched(path), uri=True)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
        if not application:  # what makes a new file a cache may still be in its log
            with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
                application = connection.execute("PRAGMA application_id").fetchone()[0]
    except sqlite3.Error:
        return False
    return application == _APPLICATION


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    occupied = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application, version = (connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("application_id", "user_version"))
    if occupied and application != _APPLICATION:
        raise ArtifactError(f"{str(path)!r} is a database, but not a cache", hint="name a new file")
    if occupied and version != _VERSION:
        raise ArtifactError(f"the cache {str(path)!r} has version {version}, not {_VERSION}", hint="name a new file")
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if not occupied:
        _log_ahead(connection)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES:
                connection.execute(statement)


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait for a process that is doing the same, so this does."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _link(connection: sqlite3.Connection, made_from: Sequence[tuple[str, frozenset[ReviewId]]]) -> None:
    connection.execute(_LINK, (json.dumps([(key, sorted(reviews)) for key, reviews in made_from]),))


def _dump(completion: Completion) -> str:
    failure = None if completion.failure is None else asdict(completion.failure)
    # ``asdict`` of the whole would copy every field deeply, which takes longer than writing it.
    return json.dumps({name: getattr(completion, name) for name in _FIELDS} | {"failure": failure})


def _load(answer: str) -> Completion:
    kept = json.loads(answer)
    failure = kept["failure"]
    kept |= {"kept_entries": tuple(kept["kept_entries"]), "failure": Failure(**failure) if failure else None}
    return Completion(**{**kept, "cached": True})
