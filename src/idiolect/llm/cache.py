"""A cache of language models' answers on disk: ``Cache`` is the file, ``CachedLLM`` a model with a cache.

Answers are stored in one SQLite file by the key of their prompt, with the ids of the reviews that the prompt was made
from, so that erasing a review erases its answers. Answers are on disk when ``put`` returns; threads and processes may
share a file. An endpoint's answer is recorded before its connection sends another request, so a killed process loses at
most the requests in flight.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from idiolect.errors import ArtifactError, ConfigError
from idiolect.llm.base import LLM, Completion, Failure, SamplingParams, Schema, Wrapped
from idiolect.sqlite import is_sqlite, untouched
from idiolect.types import Prompt, ReviewId


class Answer(NamedTuple):
    """A completion and the index of its prompt."""

    place: int
    completion: Completion


Receive = Callable[[list[Answer]], None]
"""Receives all answers that arrived since its last call, at least one. It is called from another thread, one call at a
time, and must not call the model."""


@runtime_checkable
class StreamingLLM(LLM, Protocol):
    """A language model that returns answers as they arrive."""

    def stream(
        self, prompts: Sequence[Prompt], params: SamplingParams, receive: Receive, *, schema: Schema | None = None
    ) -> None:
        """Pass one answer per prompt to ``receive``, in the order of arrival; return after the last one.

        A request is in flight until ``receive`` returns. An exception of ``receive`` cancels the rest and is raised
        here.
        """
        ...

    def interrupt(self, threads: Collection[int]) -> None:
        """Cancel the calls of these threads (``threading.get_ident``): ``stream`` raises ``CancelledError`` there."""
        ...


class DispatchClosedError(Exception):
    """The dispatcher is closed and receives no more answers."""


class ResultDispatcher:
    """Passes results of an event loop's tasks to ``receive`` in batches; a task waits until its result is received.

    ``receive`` runs in the loop's thread and blocks the loop, because a round trip to another thread takes longer than
    recording the answers.

    Args:
        receive: See ``Receive``.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._arrived: list[tuple[Answer, asyncio.Future[None]]] = []
        self._receiving = threading.Lock()
        self._open = True
        self.fault: BaseException | None = None
        """The exception of ``receive``, after which it is not called again."""

    async def give(self, answer: Answer) -> None:
        """Wait until the answer is received; called by a task of the loop.

        Raises:
            DispatchClosedError: The dispatcher is closed.
        """
        loop = asyncio.get_running_loop()
        held = loop.create_future()
        if not self._arrived:
            loop.call_soon(self._pass_on)
        self._arrived.append((answer, held))
        await held

    def close(self) -> None:
        """Stop passing on results; may be called from any other thread."""
        with self._receiving:
            self._open = False

    def _pass_on(self) -> None:
        arrived, self._arrived = self._arrived, []
        received = self._received([answer for answer, _ in arrived])
        for held in (held for _, held in arrived if not held.done()):
            held.set_result(None) if received else held.set_exception(DispatchClosedError())

    def _received(self, answers: list[Answer]) -> bool:
        """Whether the results were received. Exceptions are kept: raised here, they would end the loop."""
        with self._receiving:
            if self._open:
                try:
                    self._receive(answers)
                except BaseException as error:
                    self.fault, self._open = error, False
            return self._open


# Part of every key: raise it when replies are parsed differently, so that old answers are not reused.
# 2: a broken-off text that had no or an unknown reason for its end used to be recorded as an answer.
FORMAT = 2


def cache_keys(
    identity: str, prompts: Sequence[Prompt], params: SamplingParams, schema: Schema | None = None
) -> list[str]:
    """The cache keys of prompts, 64 hexadecimal digits each.

    Args:
        identity: Endpoint, model and revision, and every setting that changes the request or the parsing of a reply.
        prompts: Messages, virtual tokens and soft prompt embeddings are part of a key, sources are not.
        params: Every parameter; the seed is the index of a replicate.
        schema: As it is sent, because the order of properties affects answers.
    """
    asked_with = json.dumps([FORMAT, identity, params.model_dump(), schema]).removesuffix("]")
    return [_key(asked_with, prompt) for prompt in prompts]


def _key(asked_with: str, prompt: Prompt) -> str:
    turns = [[message.role, [[block.entry, block.segments] for block in message.blocks]] for message in prompt.messages]
    digest = hashlib.blake2b(f"{asked_with}, {json.dumps(turns)}]".encode(), digest_size=32)
    if prompt.soft is not None:
        digest.update(repr(prompt.soft.shape).encode())
        digest.update(np.ascontiguousarray(prompt.soft, dtype="<f4").tobytes())
    return digest.hexdigest()


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
# Lists are passed as one JSON value: SQLite limits the parameters of a statement, and its driver releases the GIL per
# statement, so that one statement per row would make a writer wait for other threads each time.
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
    """An answer to be recorded."""

    key: str
    completion: Completion
    reviews: frozenset[ReviewId]
    """Every review that the prompt was made from, directly or through earlier answers."""


class Cache:
    """Answers on disk.

    Args:
        path: An existing cache, or a new file.

    Raises:
        ArtifactError: The file is something else, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.vacuumed = True
        """Whether the bytes of all answers erased by this object are gone from the file."""
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
        """The recorded answers among ``keys``, with ``cached`` set."""
        given = json.dumps(list(keys))
        with self._lock:
            rows = self._connection.execute(
                f"SELECT key, answer FROM entries WHERE key IN {_GIVEN}", (given,)
            ).fetchall()
        return {key: _load(answer) for key, answer in rows}

    def put(self, records: Sequence[Record]) -> dict[str, Completion]:
        """Record answers in one durable transaction; existing answers stay.

        Returns:
            The answers that were already recorded under these keys, for instance by another process.
        """
        entries = json.dumps([(record.key, _dump(record.completion)) for record in records])
        with self._writing() as connection:
            found = connection.execute(_PUT, (entries,))
            _link(connection, [(record.key, record.reviews) for record in records])
        taken = found.rowcount < len(records)
        return self.get(record.key for record in records) if taken else {}

    def link(self, made_from: Iterable[tuple[str, frozenset[ReviewId]]]) -> None:
        """Add reviews to recorded answers: other reviews with the same text give the same prompt."""
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

        Answers of requests in flight are not included, so no run should be active. ``vacuumed`` says whether the file
        could be rewritten; if another process prevented it, call this again.

        Returns:
            How many answers were erased.
        """
        made_from = f"SELECT entry FROM entry_reviews WHERE review IN {_GIVEN}"
        with self._writing() as connection:
            erased = connection.execute(f"DELETE FROM entries WHERE id IN ({made_from})", (json.dumps(list(ids)),))
        self.vacuumed = self._secure_vacuum()
        return erased.rowcount

    def _secure_vacuum(self) -> bool:
        """Rewrite the file without the bytes of erased answers.

        Overwriting deleted rows is not enough, because SQLite leaves copies of rows that it moved between pages.

        Returns:
            Whether it was rewritten; another process that uses the file, or a full disk, can prevent it.
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
        """Close the file; further calls do nothing."""
        self._connection.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; writers of all processes wait for their turn at its beginning."""
        try:
            with self._lock, self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as error:
            raise ArtifactError(f"the cache {str(self.path)!r} cannot be written: {error}") from error


def is_cache(path: Path) -> bool:
    """Whether a file is an answer cache. It is opened by SQLite only, because another process may be using it."""
    if not is_sqlite(path):
        return False
    try:
        with closing(sqlite3.connect(untouched(path), uri=True)) as connection:
            application = connection.execute("PRAGMA application_id").fetchone()[0]
        if not application:  # the header of a new cache may still be in the write-ahead log
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
    """Switch to write-ahead logging, waiting for other processes that do the same, which SQLite does not."""
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
    # ``asdict`` would copy every field deeply, which takes longer than writing the answer.
    return json.dumps({name: getattr(completion, name) for name in _FIELDS} | {"failure": failure})


def _load(answer: str) -> Completion:
    kept = json.loads(answer)
    failure = kept["failure"]
    kept |= {"kept_entries": tuple(kept["kept_entries"]), "failure": Failure(**failure) if failure else None}
    return Completion(**{**kept, "cached": True})


# Models that answer whole batches get this many prompts at once, which is then the most that a crash can lose.
_CHUNK = 64


class CachedLLM(Wrapped):
    """A language model with an answer cache.

    Equal prompts of one call are sent once; for independent draws use ``SamplingParams.replicate``.

    Args:
        llm: The model. Its ``identity`` (else its name) must differ from that of any model or setting with other
            answers.
        cache: Stores the answers.
    """

    def __init__(self, llm: LLM, cache: Cache) -> None:
        super().__init__(llm)
        self.cache = cache
        self.identity = str(getattr(llm, "identity", llm.name))

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``. Failures are not recorded, except unfinished thinking, which more tokens may finish.

        Raises:
            ConfigError: A schema for a model that takes none.
        """
        if schema is not None and "schema" not in self.supports:
            raise ConfigError(f"{self.name} does not support schemas", hint="use another backend")
        keys = cache_keys(self.identity, prompts, params, schema)
        made_from = _made_from(keys, prompts)
        answers = self.cache.get(made_from)
        self.cache.link((key, made_from[key]) for key in answers)
        places = {key: place for place, key in reversed(list(enumerate(keys))) if key not in answers}
        asked = sorted(places.values())

        def record(group: list[Answer]) -> None:
            named = {keys[asked[answer.place]]: answer.completion for answer in group}
            answers.update(named | self._record(named, made_from))

        self._ask([prompts[place] for place in asked], params, schema, record)
        return [
            answers[key] if places.get(key) == place else replace(answers[key], cached=True)
            for place, key in enumerate(keys)
        ]

    def _ask(self, prompts: Sequence[Prompt], params: SamplingParams, schema: Schema | None, receive: Receive) -> None:
        if isinstance(self.llm, StreamingLLM) and prompts:
            return self.llm.stream(prompts, params, receive, schema=schema)
        for start in range(0, len(prompts), _CHUNK):
            completions = self.llm.generate(prompts[start : start + _CHUNK], params, schema=schema)
            receive([Answer(start + k, completion) for k, completion in enumerate(completions)])

    def _record(
        self, named: Mapping[str, Completion], made_from: Mapping[str, frozenset[ReviewId]]
    ) -> dict[str, Completion]:
        """Record what is worth keeping; return the answers that other processes recorded first, by key."""
        kept = [Record(key, completion, made_from[key]) for key, completion in named.items() if _final(completion)]
        return self.cache.put(kept) if kept else {}


def _made_from(keys: Sequence[str], prompts: Sequence[Prompt]) -> dict[str, frozenset[ReviewId]]:
    """Each distinct key with the reviews of all its prompts."""
    made_from: dict[str, frozenset[ReviewId]] = {}
    for key, prompt in zip(keys, prompts, strict=True):
        made_from[key] = made_from.get(key, frozenset()).union(prompt.sources)
    return made_from


def _final(completion: Completion) -> bool:
    """Whether the answer was received and paid for, so that it is recorded."""
    return completion.failure is None or completion.failure.kind == "unfinished_thinking"
