"""The tables of a store in SQL that SQLite and PostgreSQL share, their rows, and migrations.

``seq`` is the order of arrival and the internal key; ``id`` is the external key. An item may be known by its id only (a
review file without an item file), so reviews refer to items without a foreign key. Each migration and its version
number are one transaction.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b
from numbers import Real
from typing import Any, NamedTuple, TypeVar

import numpy as np
import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from idiolect.types import Item, ItemId, Review, ReviewId, UserId

SCHEMA_VERSION = 5
"""Incremented with every entry of ``MIGRATIONS``."""

# SQLite numbers rows by itself only if the type is spelled INTEGER.
_Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("version", Integer, nullable=False),
    Column("digest", String(32), nullable=False, doc="Sum of all row digests mod 2**128, in hex."),
    Column("n_items", BigInteger, nullable=False),
    Column("n_reviews", BigInteger, nullable=False),
    Column("n_dated", BigInteger, nullable=False, doc="Number of reviews with a timestamp."),
    Column(
        "unscrubbed",
        Integer,
        nullable=False,
        server_default="0",
        doc="Twice the erasures, plus 1 if bytes may be left.",
    ),
    Column("names", Text, nullable=False, server_default="", doc="Check value of the key of the users' pseudonyms."),
)

items = Table(
    "items",
    metadata,
    Column("seq", _Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index("items_by_category", "category", "id"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("seq", _Key, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("user", Text, nullable=False),
    Column("item", Text, nullable=False),
    Column("rating", Double),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("timestamp", BigInteger),
    Column("order", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Index("reviews_by_user", "user", "item"),
    Index("reviews_by_item", "item"),
)

encoders = Table(
    "encoders",
    metadata,
    Column("key", _Key, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("dim", Integer, nullable=False),
    Column("n_vectors", BigInteger, nullable=False, server_default="0", doc="A total, as those in meta."),
)

vectors = Table(
    "vectors",
    metadata,
    Column("review", _Key, ForeignKey("reviews.seq", ondelete="CASCADE"), primary_key=True),
    Column("encoder", _Key, ForeignKey("encoders.key"), primary_key=True),
    Column("vector", LargeBinary, nullable=False, doc="float16 (dim,), little-endian."),
)

item_sums = Table(
    "item_sums",
    metadata,
    Column("item", Text, primary_key=True),
    Column("encoder", _Key, ForeignKey("encoders.key"), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("sum", LargeBinary, nullable=False, doc="float64 (dim,), little-endian."),
)

category_sums = Table(
    "category_sums",
    metadata,
    Column("category", Text, primary_key=True, doc="Empty for items without a category, or without a record."),
    Column("encoder", _Key, ForeignKey("encoders.key"), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("sum", LargeBinary, nullable=False, doc="float64 (dim,), little-endian."),
)

opted_out = Table(
    "not_peers",
    metadata,
    Column("user", Text, primary_key=True, doc="Opted-out users: not compared with, and in no sum."),
)

corrections = Table(
    "corrections",
    metadata,
    Column("user", Text, primary_key=True, doc="The user who made the correction."),
    Column("difference", Text, primary_key=True, doc="Name of a measure, or an attribute of the taxonomy."),
    Column("text", Text, nullable=False, doc="The user's own statement; empty: the difference is muted."),
)

outputs = Table(
    "outputs",
    metadata,
    Column("path", Text, primary_key=True, doc="Absolute path of a file or folder that was made from the store."),
    Column("kind", Text, nullable=False, doc="What wrote it."),
)

V1 = frozenset({"meta", "items", "reviews", "encoders", "vectors", "item_sums"})
"""Tables that a store of any version has, by which it is recognized."""


Row = tuple[Any, ...]
"""The values of ``ITEM_COLUMNS`` or ``REVIEW_COLUMNS``."""

ITEM_COLUMNS = ("id", "title", "description", "category", "digest")
REVIEW_COLUMNS = ("id", "user", "item", "rating", "title", "text", "timestamp", "order", "digest")

ITEM = (items.c.id, items.c.title, items.c.description, items.c.category)
REVIEW = tuple(reviews.c[name] for name in ("id", "user", "item", "rating", "title", "text", "timestamp", "order"))

_INT64 = 2**63
_NOT_NUMBERS = (bool, np.bool_, np.timedelta64)
"""Types that Python or NumPy count as numbers, but that are not valid as rating, time or order."""

T = TypeVar("T", Item, Review)


class Refused(Exception):
    """This row cannot be stored; the message says why."""


class Refusal(NamedTuple):
    """A row that cannot be stored."""

    id: Any
    reason: str


def item_row(item: Item) -> Row:
    """The row of ``items`` that holds ``item``.

    Raises:
        Refused: No database can store it.
    """
    texts = _plain(_item_texts(item), _ITEM_TEXTS)
    return (*texts, _digest(b"item", texts))


def review_row(review: Review) -> Row:
    """The row of ``reviews`` that holds ``review``.

    Raises:
        Refused: No database can store it, or its rating is not a number.
    """
    id, user, item, title, text = texts = _plain(_review_texts(review), _REVIEW_TEXTS)
    if not (user and item):
        raise Refused("it names no user or no item")
    rating = _rating(review.rating)
    timestamp = None if review.timestamp is None else _whole(review.timestamp, "timestamp")
    order = _whole(review.order, "order")
    digest = _digest(b"review", texts, rating, timestamp, order)
    return id, user, item, rating, title, text, timestamp, order, digest


def has_digest(review: Review, digest: bytes) -> bool:
    """Whether a digest is a review's, also with a rating of -0.0, which an earlier version distinguished from 0.0."""
    id, user, item, rating, title, text, timestamp, order, own = review_row(review)
    if digest == own or rating != 0:
        return digest == own
    return digest == _digest(b"review", (id, user, item, title, text), -0.0, timestamp, order)


def tried(values: Iterable[T], to_row: Callable[[T], Row]) -> Iterable[Row | Refusal]:
    """The row of every value, or its id and the reason why it is refused.

    Sequences are converted at once, before a transaction is open; other iterables lazily.
    """
    rows = _tried(values, to_row)
    return list(rows) if isinstance(values, Sequence) else rows


def _tried(values: Iterable[T], to_row: Callable[[T], Row]) -> Iterator[Row | Refusal]:
    for value in values:
        try:
            yield to_row(value)
        except Refused as reason:
            yield Refusal(value.id, str(reason))


def refusal(review: Review) -> str:
    """The reason why a review cannot be stored; empty if it can."""
    try:
        review_row(review)
    except Refused as reason:
        return str(reason)
    return ""


def to_item(row: Sequence[Any]) -> Item:
    """An ``Item`` from the columns ``ITEM``."""
    return Item(id=ItemId(row[0]), title=row[1], description=row[2], category=row[3])


def to_review(row: Sequence[Any]) -> Review:
    """A ``Review`` from the columns ``REVIEW``."""
    return Review(
        id=ReviewId(row[0]),
        user=UserId(row[1]),
        item=ItemId(row[2]),
        rating=row[3],
        title=row[4],
        text=row[5],
        timestamp=row[6],
        order=row[7],
    )


def by_time(review: Review) -> tuple[int, int, str]:
    """The sort key of every list of reviews: time order, ties by id so that arrival does not matter."""
    moment = review.moment
    return moment.timestamp, moment.order, review.id


_ITEM_TEXTS = ("id", "title", "description", "category")
_REVIEW_TEXTS = ("id", "user", "item", "title", "text")
_item_texts, _review_texts = operator.attrgetter(*_ITEM_TEXTS), operator.attrgetter(*_REVIEW_TEXTS)


def _plain(texts: tuple[Any, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Texts as plain strings; NumPy's strings are converted."""
    if set(map(type, texts)) == {str}:
        return texts
    for name, text in zip(names, texts, strict=True):
        if not isinstance(text, str):
            raise Refused(f"its {name} is a {type(text).__name__}, not a string")
    return tuple(map(str, texts))


def _rating(value: object) -> float | None:
    """A finite number of any type, as a float; -0.0 is 0.0, as SQLite keeps it."""
    if value is None:
        return None
    if type(value) is float and math.isfinite(value):  # nearly always, and asking an abstract class is slow
        return value + 0.0
    if not isinstance(value, Real | Decimal) or isinstance(value, _NOT_NUMBERS):
        raise Refused(f"its rating is a {type(value).__name__}, not a number")
    try:
        rating = float(value)
    except (OverflowError, ValueError) as error:  # too large for a float; a signalling NaN
        raise Refused("its rating is not a finite number") from error
    if not math.isfinite(rating):
        raise Refused(f"its rating is {rating}")
    return rating + 0.0


def _whole(value: object, what: str) -> int:
    """A whole number of any type, as an int. ``in range`` is not used, because for other types it counts to 2**64."""
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    if isinstance(value, _NOT_NUMBERS):
        raise Refused(f"its {what} is a {type(value).__name__}, not a whole number")
    try:
        if isinstance(value, float | np.floating | Decimal) and abs(value) <= _INT64 and value == int(value):
            whole = int(value)  # pandas turns whole numbers into floats where some are missing
        else:
            whole = operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ArithmeticError) as error:
        raise Refused(f"its {what} is a {type(value).__name__}, not a whole number") from error
    if not -_INT64 <= whole < _INT64:
        raise Refused("its timestamp or order does not fit 64 bits")
    return whole


_HASHES = {kind: blake2b(digest_size=16, person=kind) for kind in (b"item", b"review")}
"""Copied for every row, which takes half as long as making one."""
_LENGTHS = {n: ",".join(["%d"] * n) for n in (len(_ITEM_TEXTS), len(_REVIEW_TEXTS))}


def _digest(kind: bytes, texts: tuple[str, ...], *numbers: float | int | None) -> bytes:
    if not texts[0]:
        raise Refused("it has no id")
    # With the lengths, different rows give different bytes.
    head = f"{_LENGTHS[len(texts)] % tuple(map(len, texts))}|{numbers!r}|"
    try:
        content = (head + "".join(texts)).encode()
    except UnicodeEncodeError as error:
        raise Refused("it holds half of a surrogate pair") from error
    if b"\0" in content:
        raise Refused("it holds a NUL character")
    found = _HASHES[kind].copy()
    found.update(content)
    return found.digest()


Migration = Callable[[sa.Connection], None]


def _privacy_and_outputs(connection: sa.Connection) -> None:
    """2: opted-out users, outputs, unfinished erasures, vectors per encoder."""
    connection.exec_driver_sql("ALTER TABLE meta ADD COLUMN unscrubbed INTEGER NOT NULL DEFAULT 0")
    connection.exec_driver_sql("ALTER TABLE encoders ADD COLUMN n_vectors BIGINT NOT NULL DEFAULT 0")
    connection.exec_driver_sql(
        "UPDATE encoders SET n_vectors = (SELECT count(*) FROM vectors WHERE vectors.encoder = encoders.key)"
    )
    connection.exec_driver_sql('CREATE TABLE not_peers ("user" TEXT NOT NULL PRIMARY KEY)')
    connection.exec_driver_sql("CREATE TABLE outputs (path TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL)")


def _names(connection: sa.Connection) -> None:
    """3: the id scheme."""
    connection.exec_driver_sql("ALTER TABLE meta ADD COLUMN names TEXT NOT NULL DEFAULT ''")


def _category_sums(connection: sa.Connection) -> None:
    """4: a sum per category, from the item sums."""
    blob, key = ("BLOB", "INTEGER") if connection.dialect.name == "sqlite" else ("BYTEA", "BIGINT")
    connection.exec_driver_sql("CREATE INDEX items_by_category ON items (category, id)")
    connection.exec_driver_sql(
        f"CREATE TABLE category_sums (category TEXT NOT NULL, encoder {key} NOT NULL, count BIGINT NOT NULL, "
        f'sum {blob} NOT NULL, PRIMARY KEY (category, encoder), FOREIGN KEY(encoder) REFERENCES encoders ("key"))'
    )
    found: dict[tuple[str, int], tuple[int, np.ndarray]] = {}
    for category, encoder, count, blob in connection.exec_driver_sql(
        "SELECT coalesce(items.category, ''), item_sums.encoder, item_sums.count, item_sums.sum "
        "FROM item_sums LEFT JOIN items ON items.id = item_sums.item"
    ):
        before, total = found.get((category, encoder), (0, 0.0))
        found[category, encoder] = before + count, total + np.frombuffer(blob, "<f8")
    insert = sa.text("INSERT INTO category_sums VALUES (:category, :encoder, :count, :sum)")
    for (category, encoder), (count, total) in found.items():
        row = {"category": category, "encoder": encoder, "count": count, "sum": total.tobytes()}
        connection.execute(insert, row)


def _corrections(connection: sa.Connection) -> None:
    """5: what users corrected or muted."""
    connection.exec_driver_sql(
        'CREATE TABLE corrections ("user" TEXT NOT NULL, difference TEXT NOT NULL, text TEXT NOT NULL, '
        'PRIMARY KEY ("user", difference))'
    )


MIGRATIONS: tuple[Migration, ...] = (_privacy_and_outputs, _names, _category_sums, _corrections)
"""Entry k leads from version k + 1 to k + 2. Each has its own SQL, because the tables above change later."""


def read_version(connection: sa.Connection) -> int:
    """The schema version of a store."""
    return connection.execute(sa.select(meta.c.version)).scalar_one()


def migrate(connection: sa.Connection) -> int:
    """Run the missing migrations.

    Args:
        connection: An open write transaction on a store of version 1 or later; another process may have been first.

    Returns:
        The version it found.
    """
    found = read_version(connection)
    for version, step in enumerate(MIGRATIONS[found - 1 :], start=found + 1):
        step(connection)
        connection.execute(sa.update(meta).values(version=version))
    return found
