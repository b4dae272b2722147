"""API keys with scopes, bound to tenants; and one store per tenant.

A key is ``idl_<id>_<secret>``. Only a SHA-256 digest of the secret is stored: the secret has 256 random bits, so no
salt and no slow hash is needed.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Generic, Literal, TypeVar, get_args

from sqlalchemy.exc import SQLAlchemyError

from idiolect.api.store import Store
from idiolect.data.records import clean_id
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import ArtifactError, ConfigError, NotFoundError
from idiolect.explain.people_map import PeopleMap, people_map
from idiolect.pipeline.adapters import read_record
from idiolect.server.names import ShownMap, anonymous
from idiolect.server.parts import part_of
from idiolect.server.peer_privacy import read_secret
from idiolect.server.settings import DEFAULT_TENANT, ServerConfig
from idiolect.server.units import Units
from idiolect.store.base import AddReport
from idiolect.store.embedding import embed_missing
from idiolect.store.privacy import check_names
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review, ReviewId, UserId

Scope = Literal["read", "write", "erase", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_KEY = re.compile(r"idl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_DAY = 86_400
MOST_DAYS, MOST_GRACE_DAYS = 36_500, 365
_COMMITS = 64
"""Commits after which the log of a SQLite store is copied: about a thousand pages, SQLite's own limit."""
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret."""

    id: str
    tenant: str
    scopes: frozenset[Scope]
    created: int
    """Seconds since 1970, as all times of keys."""
    expires: int | None = None
    note: str = ""

    def record(self) -> dict[str, object]:
        """As plain data."""
        return {
            "id": self.id,
            "tenant": self.tenant,
            "scopes": sorted(self.scopes),
            "created": self.created,
            "expires": self.expires,
            "note": self.note,
        }


class ApiKeys:
    """The keys of a server in an SQLite file that only its owner may read.

    Args:
        path: The file.
        master: A key of the tenant ``default`` with all scopes that is not in the file; empty: there is none.
        create: Create the file if it is absent; otherwise there are no keys then.

    Raises:
        ArtifactError: The file is another's or damaged.
    """

    def __init__(self, path: Path, *, master: str = "", create: bool = True) -> None:
        absent = not path.exists()
        if absent and create:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        where = path if create or not absent else ":memory:"
        self._lock, self._path = threading.Lock(), path
        self._master = _digest(master) if master else b""
        with self._errors():
            self._database = sqlite3.connect(where, check_same_thread=False, isolation_level=None, timeout=30)
            try:
                self._prepare()
            except sqlite3.Error:
                self._database.close()
                raise

    def _prepare(self) -> None:
        tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if tables - {"keys"}:
            raise sqlite3.DatabaseError("it holds something else")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA secure_delete = ON")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, digest BLOB NOT NULL, "
            "scopes TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, note TEXT NOT NULL)"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """One line for what the database says."""
        try:
            yield
        except sqlite3.Error as error:
            raise ArtifactError(
                f"{str(self._path)!r} cannot be used as the file of API keys: {error}", hint="name another --data"
            ) from error

    def _run(self, query: str, parameters: Sequence[object] = ()) -> list[tuple]:
        with self._lock, self._errors():
            return self._database.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(
        self, tenant: str, scopes: Collection[Scope] = SCOPES, *, days: float | None = None, note: str = ""
    ) -> tuple[ApiKey, str]:
        """Make a key.

        Args:
            tenant: Lower-case letters, digits and dashes.
            scopes: What the key may do.
            days: Days until it expires; None: never.
            note: A note for readers.

        Returns:
            The key, and the text that a client sends, which cannot be shown again.

        Raises:
            ConfigError: The tenant's name or a scope is invalid, or ``days`` is no number above 0 and at most 36,500.
        """
        check_tenant(tenant)
        if not scopes or set(scopes) - set(SCOPES):
            raise ConfigError(f"scopes are {', '.join(SCOPES)}, not {', '.join(scopes)!r}", hint="name at least one")
        now, secret = int(time.time()), secrets.token_urlsafe(32)
        expires = None if days is None else now + _seconds(days, "days", least=1 / _DAY, most=MOST_DAYS)
        key = ApiKey(
            id=secrets.token_hex(6), tenant=tenant, scopes=frozenset(scopes), created=now, expires=expires, note=note
        )
        row = (key.id, tenant, _digest(secret), json.dumps(sorted(scopes)), now, expires, note)
        self._run("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return key, f"idl_{key.id}_{secret}"

    def rotate(self, id: str, *, tenant: str | None = None, grace_days: float = 0) -> tuple[ApiKey, str]:
        """Make a key with the same tenant and scopes; the old one expires after ``grace_days``.

        Raises:
            ConfigError: ``grace_days`` is no number from 0 to 365.
            NotFoundError: There is no such key (of this tenant).
        """
        grace = _seconds(grace_days, "grace_days", least=0, most=MOST_GRACE_DAYS)
        old = self._get(id, tenant)
        made = self.add(old.tenant, old.scopes, note=old.note)
        until = int(time.time()) + grace
        self._run("UPDATE keys SET expires = min(coalesce(expires, ?1), ?1) WHERE id = ?2", (until, id))
        return made

    def revoke(self, id: str, *, tenant: str | None = None) -> None:
        """Delete a key.

        Raises:
            NotFoundError: There is no such key (of this tenant).
        """
        self._get(id, tenant)
        self._run("DELETE FROM keys WHERE id = ?", (id,))

    def list(self, tenant: str | None = None) -> list[ApiKey]:
        """All keys, or a tenant's, the oldest first."""
        rows = self._run(f"SELECT {_COLUMNS} FROM keys ORDER BY created, id")
        return [key for key in map(_key, rows) if tenant in (None, key.tenant)]

    def find(self, sent: str) -> ApiKey | None:
        """The valid key that a client sent; None if there is none."""
        if self._master and hmac.compare_digest(_digest(sent), self._master):
            return ApiKey(id="environment", tenant=DEFAULT_TENANT, scopes=frozenset(SCOPES), created=0)
        if (parts := _KEY.fullmatch(sent)) is None:
            return None
        found = self._run(f"SELECT {_COLUMNS}, digest FROM keys WHERE id = ?", (parts[1],))
        if not found or not hmac.compare_digest(found[0][-1], _digest(parts[2])):
            return None
        key = _key(found[0])
        return None if key.expires is not None and key.expires <= time.time() else key

    def _get(self, id: str, tenant: str | None) -> ApiKey:
        for key in self.list(tenant):
            if key.id == id:
                return key
        raise NotFoundError("there is no such key", hint="list the keys")


_COLUMNS = "id, tenant, scopes, created, expires, note"


def _key(row: tuple) -> ApiKey:
    id, tenant, scopes, created, expires, note = row[:6]
    return ApiKey(
        id=id, tenant=tenant, scopes=frozenset(json.loads(scopes)), created=created, expires=expires, note=note
    )


def _seconds(days: float, name: str, *, least: float, most: float) -> int:
    if not least <= days <= most:  # nor is nan
        raise ConfigError(f"{name} is {days:g}", hint=f"give a number from {least:g} to {most:g}")
    return int(days * _DAY)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()


def check_tenant(name: str) -> None:
    """Check a tenant's name, which must not lead out of the folder of stores.

    Raises:
        ConfigError: It is invalid.
    """
    if not _TENANT.fullmatch(name):
        raise ConfigError(f"{name[:80]!r} is no name of a tenant", hint="lower-case letters, digits and dashes")


class _Cached(Generic[Made]):
    """What was last made from a store; made anew when the store has changed, in a tenth of the time at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[str, Made, float, float] | None = None

    def get(self, key: str, make: Callable[[], Made]) -> Made:
        with self._lock:
            if self._last is not None:
                of, found, seconds, at = self._last
                if of == key or (of.split()[1:] == key.split()[1:] and time.monotonic() - at < 10 * seconds):
                    return found
            started = time.monotonic()
            found = make()
            ended = time.monotonic()
            self._last = (key, found, ended - started, ended)
            return found

    def drop(self) -> None:
        with self._lock:
            self._last = None


class _Checkpoints:
    """Copies the log of a SQLite store into its file in a thread of its own.

    In a commit it would take as long as a hundred commits, and everybody who writes would wait for it.

    Args:
        store: Opened without ``checkpoints``.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store, self._lock, self._commits = store, threading.Lock(), 0
        self._thread = ThreadPoolExecutor(1, "checkpoints")

    def committed(self) -> None:
        """Count a commit; every so many, the log is copied."""
        self._commits += 1
        if self._commits >= _COMMITS:
            self._commits = 0
            with suppress(RuntimeError):  # the store was closed, and is used once more
                self._thread.submit(self._copy)

    def _copy(self) -> None:
        with self._lock, suppress(sqlite3.Error, SQLAlchemyError, ArtifactError):  # the next one copies more
            self._store.checkpoint()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block none runs."""
        with self._lock:
            yield

    def close(self) -> None:
        """Wait for the one that runs."""
        self._thread.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Waiting:
    """A thread's request to add reviews, and its result."""

    items: Sequence[Item]
    reviews: Sequence[Review]
    undated: frozenset[ReviewId]
    report: AddReport | None = None
    error: Exception | None = None
    done: bool = False


class Tenant:
    """One tenant's store, kept open; threads share it.

    Args:
        name: Name of the tenant.
        where: Path or URL of the store, created if absent.
        encoders: Encode new reviews.

    Raises:
        ConfigError: The store has pseudonyms, whose key a server does not have.
    """

    def __init__(self, name: str, where: str, encoders: Sequence[Encoder]) -> None:
        if "://" not in where:
            Path(where).parent.mkdir(parents=True, exist_ok=True)
        self.name, self.where, self.encoders = name, where, encoders
        self.front, self.store = Store(where), SqlStore(where, checkpoints=False)
        check_names(self.store, None)
        self._write, self._adding = threading.Lock(), threading.Condition()
        self._checkpoints = _Checkpoints(self.store)
        self._queue, self._busy = list[_Waiting](), False
        self._map, self._anonymous = _Cached[PeopleMap](), _Cached[ShownMap]()
        self._units = _Cached[Units]()

    def add(self, items: Sequence[Item], reviews: Sequence[Review], undated: Collection[ReviewId]) -> AddReport:
        """Store items and reviews with their vectors in one transaction, together with those of other threads.

        The first thread encodes and commits everything that waits, because a dozen texts take no longer than one.

        Args:
            items: Any number.
            reviews: Any number.
            undated: Reviews without a given time, which keep the time of the same review in the store.
        """
        mine = _Waiting(items, reviews, frozenset(undated))
        with self._adding:
            self._queue.append(mine)
            while self._busy and not mine.done:
                self._adding.wait()
            waiting = [] if mine.done else self._queue
            if waiting:
                self._queue, self._busy = [], True
        if waiting:
            try:
                with self._write:
                    self._store(waiting)
                self._checkpoints.committed()
            finally:
                with self._adding:
                    self._busy = False
                    for one in waiting:
                        one.done = True
                    self._adding.notify_all()
        if mine.error is not None:
            raise mine.error
        if mine.report is None:
            raise RuntimeError("the thread that stores reviews was interrupted")
        return mine.report

    def _store(self, waiting: Sequence[_Waiting]) -> None:
        try:
            texts = [review.text for one in waiting for review in one.reviews]
            vectors = {encoder.name: encoder.encode(texts) for encoder in self.encoders} if texts else {}
            # A repeated request has another time, if the client gave none.
            undated = sorted({id for one in waiting for id in one.undated})
            times = {review.id: review.timestamp for review in self.store.reviews_if_known(undated)}
            batches = []
            for one in waiting:
                reviews = [
                    replace(review, timestamp=times.setdefault(review.id, review.timestamp))
                    if review.id in one.undated
                    else review
                    for review in one.reviews
                ]
                batches.append((one.items, reviews))
            reports = self.store.add_many(batches, vectors)
            for one, (_, reviews), report in zip(waiting, batches, reports, strict=True):
                one.report = self._settled(reviews, one.undated, report)
        except Exception as error:
            for one in waiting:
                one.error = error

    def _settled(self, reviews: Sequence[Review], undated: Collection[ReviewId], report: AddReport) -> AddReport:
        """The report, without refusals of reviews that another process added meanwhile with a time of its own."""
        late = {id for id, _ in report.refused_reviews} & set(undated)
        if not late:
            return report
        times = {review.id: review.timestamp for review in self.store.reviews_if_known(sorted(late))}
        again = [replace(one, timestamp=times[one.id]) for one in reviews if one.id in late and one.id in times]
        second = self.store.add([], again)
        kept = [one for one in report.refused_reviews if one[0] not in late]
        return replace(
            report,
            reviews_known=report.reviews_known + second.reviews_known,
            refused_reviews=(*kept, *second.refused_reviews),
        )

    @contextmanager
    def writing(self) -> Iterator[SqlStore]:
        """The store, for one writer of this process at a time; waiting here is fairer than at the database's lock."""
        with self._write:
            yield self.store

    @contextmanager
    def erasing(self) -> Iterator[SqlStore]:
        """The same, without a checkpoint meanwhile, which would keep the file from being rewritten."""
        with self._write, self._checkpoints.paused():
            yield self.store

    def user(self, name: str) -> UserId | None:
        """The stored id of a user; None if there is no review by the user."""
        return next((id for id in _ids(name) if self.store.wrote(id)), None)

    def profile(self, name: str) -> list[Review]:
        """All reviews of a user, oldest first; the user is named as for ``user``."""
        return next(filter(None, map(self.store.profile, _ids(name))), [])

    def people(self, min_peers: int) -> PeopleMap:
        """All users in difference space; made anew when the store has changed, in a tenth of the time at most.

        Raises:
            NotFoundError: The store has no vectors of the style encoder.
        """
        return self._map.get(self._state(min_peers), lambda: people_map(self.store, min_peers=min_peers))

    def shown_people(self, min_peers: int, secret: bytes | None) -> ShownMap:
        """The same with pseudonyms made from ``secret``; None: with names."""
        people = self.people(min_peers)
        if secret is None:
            return ShownMap(people, people.users)
        return self._anonymous.get(str(id(people)), lambda: anonymous(people, secret))

    def _state(self, *settings: object) -> str:
        """What makes something of all users out of date: a change of the store, first, or at once one of the rest."""
        hidden = sha256("\0".join(self.store.opted_out()).encode(errors="surrogatepass")).hexdigest()
        return " ".join(map(str, (self.store.fingerprint(), self.store.erasures(), hidden, *settings)))

    def units(self, adapter: Path) -> Units:
        """What the units of an adapter do with the store's reviews; kept as ``people`` is.

        Raises:
            ConfigError: The adapter has no units.
            NotFoundError: There are too few reviews with vectors.
        """
        state = self._state(sha256(str(adapter).encode()).hexdigest())
        return self._units.get(state, lambda: self._units_of(adapter))

    def _units_of(self, adapter: Path) -> Units:
        with part_of("adapter"):
            read_record(adapter)  # what is not found later is reviews with vectors
        with part_of("adapter", (ArtifactError,)):
            return Units.of(self.store, adapter)

    def forgot(self) -> None:
        """Drop what is kept in memory of all users, because one was erased or opted out."""
        self._map.drop()
        self._anonymous.drop()
        self._units.drop()

    def embed(self) -> int:
        """Compute the missing vectors of ingested reviews; return their number."""
        with self._write:
            return sum(embed_missing(self.store, encoder).embedded for encoder in self.encoders)

    def close(self) -> None:
        """Close the store."""
        self._checkpoints.close()
        self.store.close()


def _ids(name: str) -> list[UserId]:
    return [UserId(one) for one in dict.fromkeys((name, clean_id(name)))]


class Tenants:
    """The tenants' stores, each opened when it is first used.

    Args:
        config: Location of the stores.
        encoders: Names of the encoders whose vectors every review has.
    """

    def __init__(self, config: ServerConfig, encoders: Sequence[str]) -> None:
        self._config, self._lock = config, threading.Lock()
        self._open: dict[str, Tenant] = {}
        self.encoders = tuple(map(load_encoder, encoders))

    @cached_property
    def secret(self) -> bytes:
        """What pseudonyms are made from; made at the first call, and kept in ``data``."""
        with part_of("keys"):
            return read_secret(self._config.data / "names.key")

    def opened(self, name: str) -> Tenant | None:
        """The tenant, if its store is open."""
        return self._open.get(name)

    def get(self, name: str) -> Tenant:
        """The tenant called ``name``; its store is created if absent.

        Raises:
            ConfigError: The name is invalid.
        """
        check_tenant(name)
        with self._lock:
            if name not in self._open:
                tenant = Tenant(name, self._config.store_of(name), self.encoders)
                tenant.embed()
                self._open[name] = tenant
            return self._open[name]

    def close(self) -> None:
        """Close all stores."""
        with self._lock:
            for tenant in self._open.values():
                tenant.close()
            self._open.clear()
