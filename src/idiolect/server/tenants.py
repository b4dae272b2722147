"""Tenants: one store each, with what the server keeps of it."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from idiolect.data.values import clean_id
from idiolect.difference.concept_erasure import MeasureErasure, fit_erasure
from idiolect.encoders import Encoder, load_encoder
from idiolect.errors import ArtifactError
from idiolect.explain.brief import BriefClaim
from idiolect.explain.people_map import PeopleMap, people_map
from idiolect.pipeline.adapters import read_record
from idiolect.server.keys import check_tenant
from idiolect.server.names import ShownMap, anonymous
from idiolect.server.parts import part_of
from idiolect.server.peer_privacy import read_secret
from idiolect.server.settings import ServerConfig
from idiolect.server.units import Units
from idiolect.store.base import AddReport
from idiolect.store.embedding import embed_missing
from idiolect.store.privacy import check_names
from idiolect.store.sql import SqlStore
from idiolect.types import Item, Review, ReviewId, UserId

_COMMITS = 64
"""Commits after which the log of a SQLite store is copied: about a thousand pages, SQLite's own limit."""
Made = TypeVar("Made")


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
        self.store = SqlStore(where, checkpoints=False)
        check_names(self.store, None)
        self._write, self._adding = threading.Lock(), threading.Condition()
        self._checkpoints = _Checkpoints(self.store)
        self._queue, self._busy = list[_Waiting](), False
        self._map, self._anonymous = _Cached[PeopleMap](), _Cached[ShownMap]()
        self._units = _Cached[Units]()
        self._claims = _Cached[dict[UserId, tuple[BriefClaim, ...]]]()
        self._erasures = defaultdict[str | None, _Cached[MeasureErasure | None]](_Cached)

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

    def claims(
        self, users: Sequence[UserId], min_peers: int, make: Callable[[], dict[UserId, tuple[BriefClaim, ...]]]
    ) -> dict[UserId, tuple[BriefClaim, ...]]:
        """What is claimed of several users; kept as ``people`` is, for the latest of such questions."""
        asked = sha256("\0".join(users).encode(errors="surrogatepass")).hexdigest()
        return self._claims.get(self._state(min_peers, asked), make)

    def concept_erasure(self, encoder: str | None) -> MeasureErasure | None:
        """What takes measures out of vectors of an encoder; fitted anew when the store has grown by a fifth.

        Args:
            encoder: Its name; None: no vectors are read.
        """
        growth = round(4 * math.log2(self.store.counts().reviews + 1))
        state = " ".join((str(growth), *self._state().split()[1:]))
        return self._erasures[encoder].get(state, lambda: fit_erasure(self.store, encoder))

    def forgot(self) -> None:
        """Drop what is kept in memory of all users, because one was erased or opted out."""
        self._claims.drop()
        self._map.drop()
        self._anonymous.drop()
        self._units.drop()
        self._erasures.clear()

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
