"""The tables of a store, in SQL that SQLite and PostgreSQL share.

``seq`` is the order of arrival and the key inside the database; ``id`` is the key outside it. An item may be known by
its id alone (a review file without an item file), so reviews name items without a foreign key.
"""

from __future__ import annotations

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

SCHEMA_VERSION = 4
"""Raised with every entry of ``migrations.MIGRATIONS``."""

# SQLite numbers rows by itself only where the type is spelled INTEGER.
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
    Column("names", Text, nullable=False, server_default="", doc="What the key of users' pseudonyms is known by."),
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

not_peers = Table(
    "not_peers",
    metadata,
    Column("user", Text, primary_key=True, doc="Nobody is compared with their reviews; no sum holds their vectors."),
)

outputs = Table(
    "outputs",
    metadata,
    Column("path", Text, primary_key=True, doc="Absolute path of a file or folder that was made from the store."),
    Column("kind", Text, nullable=False, doc="What wrote it."),
)

V1 = frozenset({"meta", "items", "reviews", "encoders", "vectors", "item_sums"})
"""Tables that a store of any version has: by them it is known."""
