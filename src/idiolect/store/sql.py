"""The live store: an embedded SQLite file by default, PostgreSQL by URL."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import index
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
import sqlalchemy as sa

from idiolect.errors import NotFoundError
from idiolect.store import schema as tables
from idiolect.store.base import AddReport, ErasureReceipt, PeerSums
from idiolect.store.check import Finding, check_store
from idiolect.store.engine import ANY_OF, key_chunks, writing
from idiolect.store.frames import item_frame, missing_frame, review_frame, reviews_of
from idiolect.store.insertion import ingest, ingest_together
from idiolect.store.metadata import StoreBase, secure_vacuum
from idiolect.store.privacy import erase, items_alone, other_item_texts
from idiolect.store.schema import ITEM, REVIEW, Refusal, by_time, item_row, review_row, to_item, to_review, tried
from idiolect.store.sums import check_dated, read_peer_group_sums, read_peer_sums, read_peer_sums_before
from idiolect.store.vectors import add_vectors, find_encoder, read_vectors
from idiolect.types import Item, ItemId, Moment, Review, ReviewId, UserId

_log = logging.getLogger(__name__)

_items, _reviews = tables.items.c, tables.reviews.c
_PROFILE = sa.select(*REVIEW).where(_reviews.user == sa.bindparam("of"))
_PEERS = sa.select(*REVIEW).where(
    _reviews.item == sa.bindparam("on"),
    _reviews.user != sa.bindparam("of"),
    _reviews.user.not_in(sa.select(tables.opted_out.c.user)),
)
_EARLIER_PEERS = _PEERS.where(_reviews.timestamp < sa.bindparam("before"))
_REVIEWS = sa.select(*REVIEW).where(_reviews.id.in_(ANY_OF))
_REVIEW_IDS = sa.select(_reviews.id).where(_reviews.id.in_(ANY_OF))
_ITEMS = sa.select(*ITEM).where(_items.id.in_(ANY_OF))


class StoreCounts(NamedTuple):
    """Counts of a store."""

    items: int
    reviews: int
    dated: int
    """Reviews with a timestamp."""


class KnownItems(NamedTuple):
    """How many reviews are of items that have a record."""

    known: int
    reviews: int
    """All reviews that were counted."""
    unknown_item: str = ""
    """An item without a record, if there is one."""


class SqlStore(StoreBase):
    """Items, reviews, vectors and item sums in one database; a ``ReviewReader`` that can be changed.

    Writes are one transaction per call. Reads see the last commit. Threads may share a store; a process opens its own.

    Args:
        where: Path of a SQLite file, or a SQLAlchemy URL.
        create: Make the store if there is none yet.
        checkpoints: Whether a commit may copy SQLite's log into the file, which takes as long as a hundred commits;
            else ``checkpoint`` has to be called now and then.

    Raises:
        NotFoundError: There is no store and ``create`` is off.
        ArtifactError: It is not a store, or was made by a later version.
        ConfigError: The path is empty or names a database in memory, or the URL names an unknown database.

    Example:
        >>> with SqlStore("reviews.db") as store:
        ...     store.add([], [Review(id="r1", user="ann", item="tea", text="Too sweet for me.")])
    """

    def add(
        self, items: Iterable[Item], reviews: Iterable[Review], vectors: Mapping[str, np.ndarray] | None = None
    ) -> AddReport:
        """Store items and reviews, and their vectors if given, in one transaction; iterators are read chunk by chunk.

        A row that is stored with the same content counts as known. Another content under a stored id is refused, and so
        is a value of another type than ``Item`` and ``Review`` declare. NumPy's numbers and strings are accepted.

        Args:
            items: Any number.
            reviews: Any number; a sequence if there are vectors.
            vectors: By encoder, float (n, dim) within [-1, 1], row k for ``reviews[k]``; the row of a refused
                review is left out.

        Raises:
            InputError: Vectors are invalid (see ``add_vectors``); nothing is stored.
        """
        rows = tried(items, item_row), tried(reviews, review_row)
        with writing(self._engine) as connection:
            report = ingest(connection, *rows)
            if vectors and isinstance(reviews, Sequence):
                refused = {id for id, _ in report.refused_reviews}
                kept = [row for row, review in enumerate(reviews) if review.id not in refused]
                _add_vectors_of(connection, [reviews[row].id for row in kept], vectors, kept)
            return report

    def add_many(
        self, batches: Sequence[tuple[Sequence[Item], Sequence[Review]]], vectors: Mapping[str, np.ndarray]
    ) -> list[AddReport]:
        """Store several batches in one transaction with as many SQL statements as one; each has its own report.

        Args:
            batches: Items and reviews.
            vectors: By encoder, float (n, dim), a row for each review of all batches.
        """
        rows = [(list(tried(items, item_row)), list(tried(reviews, review_row))) for items, reviews in batches]
        ids = [review.id for _, reviews in batches for review in reviews]
        with writing(self._engine) as connection:
            found = ingest_together(connection, rows)
            outcomes = [outcome for _, some in found for outcome in some]
            kept = [row for row, outcome in enumerate(outcomes) if not isinstance(outcome, Refusal)]
            _add_vectors_of(connection, [ids[row] for row in kept], vectors, kept)
            return [report for report, _ in found]

    def add_vectors(self, ids: Sequence[ReviewId], vectors: np.ndarray, *, encoder: str) -> int:
        """Store vectors as float16 and add them to the item sums, in one transaction.

        Args:
            ids: Reviews of the store.
            vectors: Any float (n, dim) within [-1, 1], row k for ``ids[k]``.
            encoder: Name of the encoder that made them.

        Returns:
            The number of new ones; a review that has a vector of this encoder keeps it.

        Raises:
            InputError: A component is no number within [-1, 1], or the dimension is not the encoder's.
            NotFoundError: A review is not in the store.
        """
        if not len(ids):
            return 0
        with writing(self._engine) as connection:
            return add_vectors(connection, ids, vectors, encoder)

    def forget(self, user: UserId, *, vacuum: bool = True) -> ErasureReceipt:
        """Remove a user's reviews, vectors and own items, and rewrite the file without their bytes.

        Args:
            user: The user; an unknown one is no error.
            vacuum: Whether to ``secure_vacuum`` now; for several users, only with the last one.
        """
        with writing(self._engine) as connection:
            receipt = erase(connection, user)
        return replace(receipt, vacuumed=vacuum and self.secure_vacuum())

    def items_alone(self, user: UserId) -> list[Item]:
        """The items with a record that only this user wrote about; an erasure removes them too."""
        with self.reading() as connection:
            return items_alone(connection, user)

    def other_item_texts(self, user: UserId) -> Iterator[str]:
        """Titles and descriptions of all other items, in no order."""
        with self.reading() as connection:
            yield from other_item_texts(connection, user)

    def secure_vacuum(self) -> bool:
        """Rewrite the file without the bytes of erased rows; takes the time and space of a copy.

        Returns:
            Whether it is done; another process that reads the store can prevent it.
        """
        done = secure_vacuum(self._engine)
        if not done:
            _log.warning(
                "another process uses the store: bytes of what was erased may be left until the next secure vacuum"
            )
        return done

    def profile(self, user: UserId, *, before: Moment | None = None) -> list[Review]:
        """All of the user's reviews, oldest first, strictly before ``before``; empty for an unknown user."""
        found = self._sorted(_PROFILE, of=user)
        return [review for review in found if before is None or review.moment < before]

    def reviews_of(self, item: ItemId, *, exclude: UserId, before: int | None = None) -> list[Review]:
        """All reviews of ``item`` by others than ``exclude``, oldest first, with timestamp < ``before``.

        Raises:
            ConfigError: ``before`` is given and the corpus has no timestamps.
        """
        if before is None:
            return self._sorted(_PEERS, on=item, of=exclude)
        check_dated(self.counts().dated)
        return self._sorted(_EARLIER_PEERS, on=item, of=exclude, before=index(before))

    def items(self, ids: Sequence[ItemId]) -> dict[ItemId, Item]:
        """The known items among ``ids``."""
        found = (to_item(row) for row in self._rows(_ITEMS, ids))
        return {item.id: item for item in found}

    def reviews(self, ids: Sequence[ReviewId]) -> list[Review]:
        """The reviews of these ids, in their order.

        Raises:
            NotFoundError: One is not in the store.
        """
        found = {row[0]: to_review(row) for row in self._rows(_REVIEWS, ids)}
        _check_found(ids, found)
        return [found[review] for review in ids]

    def reviews_if_known(self, ids: Sequence[ReviewId]) -> list[Review]:
        """The stored reviews among these ids, in any order."""
        return [to_review(row) for row in self._rows(_REVIEWS, ids)]

    def vectors(self, ids: Sequence[ReviewId], *, encoder: str) -> np.ndarray:
        """float16 (n, dim), row k for ``ids[k]``.

        Raises:
            NotFoundError: A review has no vector of this encoder.
        """
        with self.reading() as connection:
            return read_vectors(connection, ids, encoder)

    def peer_sums(
        self, items: Sequence[ItemId], *, exclude: UserId, encoder: str, before: int | None = None, at_least: int = 1
    ) -> PeerSums:
        """Sums and counts of the others' vectors, row k for ``items[k]``: the item sum minus the user's own part.

        With ``before`` the items' rows are read instead. Users are counted up to ``at_least`` only.

        Raises:
            NotFoundError: No vector of this encoder was ever stored.
            ConfigError: ``before`` is given and the corpus has no timestamps.
        """
        with self.reading() as connection:
            row = find_encoder(connection, encoder)
            if before is None:
                return read_peer_sums(connection, row, items, exclude, at_least)
            check_dated(connection.execute(sa.select(tables.meta.c.n_dated)).scalar_one())
            return read_peer_sums_before(connection, row, items, exclude, index(before), at_least)

    def peer_group_sums(
        self,
        groups: Sequence[str | None],
        *,
        exclude: UserId,
        encoder: str,
        before: int | None = None,
        at_least: int = 1,
    ) -> PeerSums:
        """Sums and counts of the others' vectors on all items of a category (None: on all items), one row per group.

        It reads the categories' sums and the user's own vectors; with ``before``, the rows of all these reviews.

        Raises:
            NotFoundError: No vector of this encoder was ever stored.
            ConfigError: ``before`` is given and the corpus has no timestamps.
        """
        with self.reading() as connection:
            row = find_encoder(connection, encoder)
            if before is not None:
                check_dated(connection.execute(sa.select(tables.meta.c.n_dated)).scalar_one())
            before = None if before is None else index(before)  # NumPy's integers cannot be bound
            return read_peer_group_sums(connection, row, groups, exclude, before, at_least)

    def review_frame(self, *columns: str) -> pl.DataFrame:
        """All reviews in table order, with these columns of ``data.REVIEW_SCHEMA``; none named: with all of them."""
        with self.reading() as connection:
            return review_frame(connection, *columns)

    def frame_of(self, by: Literal["user", "item"], keys: Sequence[str], *columns: str) -> pl.DataFrame:
        """The reviews by some users, or of some items, in table order; see ``reviews_of`` of this module."""
        with self.reading() as connection:
            return reviews_of(connection, by, keys, *columns)

    def item_frame(self) -> pl.DataFrame:
        """All items in table order, with the columns of ``data.ITEM_SCHEMA``."""
        with self.reading() as connection:
            return item_frame(connection)

    def missing_vectors(self, encoder: str, ids: Sequence[ReviewId] | None = None) -> pl.DataFrame:
        """Reviews that have no vector of ``encoder``: review_id, length (characters), in table order.

        Args:
            encoder: Name of an encoder, known to the store or not.
            ids: Only these, at a cost that depends on their number only; None: all.

        Raises:
            NotFoundError: One of ``ids`` is not in the store.
        """
        if ids is not None:
            _check_found(ids, {row[0] for row in self._rows(_REVIEW_IDS, ids)})
        with self.reading() as connection:
            return missing_frame(connection, encoder, ids).drop("seq")

    def check(self) -> list[Finding]:
        """Recompute everything that writes keep up to date, and compare; reads the whole store."""
        with self.reading() as connection:
            return check_store(connection)

    def alike(self, user: str) -> list[UserId]:
        """Other users whose ids look the same, sorted: they differ in case, blanks or Unicode form."""
        looks = looks_of(user)
        return [other for other in self.users() if other != user and looks_of(other) == looks]

    def users(self) -> list[UserId]:
        """Every user, sorted."""
        with self.reading() as connection:
            return sorted(connection.scalars(sa.select(_reviews.user).distinct()))

    def find_users(self, text: str = "", limit: int = 20, offset: int = 0) -> list[tuple[UserId, int]]:
        """Users whose id holds ``text`` in any case, with their number of reviews: exact first, then most reviews."""
        n = sa.func.count()
        query = sa.select(_reviews.user, n).group_by(_reviews.user)
        if text:
            query = query.where(_reviews.user.icontains(text, autoescape=True))
        query = query.order_by(_reviews.user != text, n.desc(), _reviews.user).limit(limit).offset(offset)
        with self.reading() as connection:
            return [(UserId(user), count) for user, count in connection.execute(query)]

    def find_items(self, text: str = "", limit: int = 20, offset: int = 0) -> list[Item]:
        """Items whose id or title holds ``text`` in any case, the exact id first, then by title."""
        query = sa.select(*ITEM)
        if text:
            holds = [column.icontains(text, autoescape=True) for column in (_items.id, _items.title)]
            query = query.where(sa.or_(*holds))
        query = query.order_by(_items.id != text, _items.title, _items.id).limit(limit).offset(offset)
        with self.reading() as connection:
            return list(map(to_item, connection.execute(query)))

    def peers(self) -> list[UserId]:
        """Every user with whom others may be compared, sorted."""
        return sorted(set(self.users()).difference(self.opted_out()))

    def encoders(self) -> dict[str, int]:
        """Name and dimension of every encoder that has vectors here."""
        with self.reading() as connection:
            encoder = tables.encoders.c
            rows = connection.execute(sa.select(encoder.name, encoder.dim).where(encoder.n_vectors > 0))
            return {row.name: row.dim for row in rows}

    def counts(self) -> StoreCounts:
        """Numbers of items and reviews; kept as totals, so it reads one row."""
        with self.reading() as connection:
            meta = tables.meta.c
            return StoreCounts(*connection.execute(sa.select(meta.n_items, meta.n_reviews, meta.n_dated)).one())

    def last_seq(self) -> int:
        """The internal key of the newest review."""
        with self.reading() as connection:
            return connection.execute(sa.select(sa.func.coalesce(sa.func.max(_reviews.seq), 0))).scalar_one()

    def known_items(self, *, after: int = 0) -> KnownItems:
        """How many of the reviews after a key (see ``last_seq``) are of items with a record."""
        joined = tables.reviews.outerjoin(tables.items, tables.items.c.id == _reviews.item)
        found = sa.select(sa.func.count(), sa.func.count(tables.items.c.id)).select_from(joined)
        lacking = sa.select(_reviews.item).select_from(joined).where(tables.items.c.id.is_(None), _reviews.seq > after)
        with self.reading() as connection:
            reviews, known = connection.execute(found.where(_reviews.seq > after)).one()
            example = connection.execute(lacking.limit(1)).scalar() if known < reviews else ""
        return KnownItems(known, reviews, example or "")

    def repeated_texts(self, *, after: int) -> int:
        """How many of the reviews after a key (see ``last_seq``) have user, item and text of one up to it."""
        earlier = tables.reviews.alias().c
        same = (earlier.user == _reviews.user) & (earlier.item == _reviews.item) & (earlier.text == _reviews.text)
        stored = sa.exists().where(earlier.seq <= after, same)
        with self.reading() as connection:
            query = sa.select(sa.func.count()).select_from(tables.reviews).where(_reviews.seq > after, stored)
            return connection.execute(query).scalar_one()

    def fingerprint(self) -> str:
        """Digest (32 hex digits) of all items and reviews, whatever the order of arrival; reads one row.

        It is the sum modulo 2**128 of a BLAKE2b digest per row, so every write keeps it up to date.
        """
        with self.reading() as connection:
            return connection.execute(sa.select(tables.meta.c.digest)).scalar_one()

    def _sorted(self, query: sa.Executable, **parameters: object) -> list[Review]:
        with self.reading() as connection:
            rows = connection.execute(query, parameters).all()
        return sorted(map(to_review, rows), key=by_time)

    def _rows(self, query: sa.Executable, ids: Sequence[str]) -> Iterator[sa.Row[Any]]:
        with self.reading() as connection:
            for some in key_chunks(ids):
                yield from connection.execute(query, some).all()


def _add_vectors_of(
    connection: sa.Connection, ids: Sequence[ReviewId], vectors: Mapping[str, np.ndarray], rows: Sequence[int]
) -> None:
    """Store some rows of vectors, those of the reviews ``ids``."""
    for encoder, found in vectors.items() if ids else ():
        add_vectors(connection, ids, found[list(rows)], encoder)


def looks_of(id: str) -> str:
    """A normalized id: equal for ids that differ in case, blanks, invisible characters or Unicode form."""
    if id.isascii():  # has no other forms and no invisible characters; fifty times faster
        return " ".join(id.lower().split())
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", id).casefold())
    return " ".join("".join(sign for sign in plain if unicodedata.category(sign) != "Cf").split())


def said_alike(users: Sequence[str]) -> str:
    """Users whose ids look the same, escaped for a message; empty if there are none."""
    if not users:
        return ""
    one = "a user whose id looks" if len(users) == 1 else f"{len(users)} users whose ids look"
    return f"{one} the same: {', '.join(map(ascii, users[:5]))}{', ...' if len(users) > 5 else ''}"


def _check_found(ids: Sequence[ReviewId], found: Container[str]) -> None:
    missing = [review for review in ids if review not in found]
    if missing:
        message = f"{len(missing)} reviews are not in the store, the first is {missing[0]!r}"
        raise NotFoundError(message, hint="add them first")
