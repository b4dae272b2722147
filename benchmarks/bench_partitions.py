"""PostgreSQL's table of reviews as one table against partitions: adding, size, reads of one user and of one item.

    python benchmarks/bench_partitions.py URL [--reviews 300000] [--partitions 16] [--reads 500] [--repeats 3]

The store does not divide its tables. Here its table of reviews is replaced by one with the same columns and indexes,
divided by the hash of a column, and the store's own code works on it:

- ``id``: ids stay unique, which the store's additions rely on. The foreign key of vectors to ``seq`` has to go, because
  a unique constraint must contain the column that divides.
- ``user``: ids are no longer unique, so the store cannot add (no ``ON CONFLICT (id)``); filled from the whole table.

Reviews are those of ``bench_sizes.py``, without vectors. The tables of the database are made anew. Additions (by COPY)
take turns. Prints one JSON object: wall seconds of additions with ``ratio`` of the medians, ``ratio_of_least`` and
``spread`` (range over turns) against the whole table; bytes per review, with all indexes and that of the ids alone;
pages of 8 KiB that a read touches, on average, and the store's milliseconds for it, [median, 99th percentile].
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from statistics import mean, median
from typing import Any

import numpy as np
import sqlalchemy as sa
from bench_difference import in_turn, ratios
from bench_sizes import empty, reviews

from idiolect.store.engine import open_engine
from idiolect.store.sql import SqlStore
from idiolect.types import Review

SIZES = """
with parts as (select oid from pg_class where relname ~ '^(reviews|part[0-9]+)$' and relkind in ('r', 'p'))
select sum(pg_total_relation_size(oid)), (
    select sum(pg_relation_size(indexrelid)) from pg_index join parts on indrelid = parts.oid
    join pg_attribute on attrelid = indrelid and attnum = indkey[0] where indisunique and attname = 'id')
from parts"""


def execute(url: str, *statements: str) -> None:
    """Each statement, in one transaction."""
    engine = open_engine(url, create=False)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def divide(url: str, column: str, parts: int, *, unique: str) -> None:
    """Replace the table of reviews by one in partitions; its rows move."""
    execute(
        url,
        "ALTER TABLE vectors DROP CONSTRAINT IF EXISTS vectors_review_fkey",
        "ALTER SEQUENCE reviews_seq_seq OWNED BY NONE",
        f'CREATE TABLE divided (LIKE reviews INCLUDING DEFAULTS) PARTITION BY HASH ("{column}")',
        *(f"CREATE TABLE part{k} PARTITION OF divided FOR VALUES WITH (MODULUS {parts}, REMAINDER {k})"
          for k in range(parts)),
        "INSERT INTO divided SELECT * FROM reviews",
        "DROP TABLE reviews",
        "ALTER TABLE divided RENAME TO reviews",
        f"ALTER TABLE reviews ADD UNIQUE ({unique})",
        "CREATE INDEX ON reviews (seq)",
        'CREATE INDEX ON reviews ("user", item)',
        "CREATE INDEX ON reviews (item)",
    )  # fmt: skip


def remove(url: str) -> None:
    """Drop the tables of a store, and a sequence that was let go."""
    empty(url)
    made = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
    with made.begin() as connection:
        connection.exec_driver_sql("DROP SEQUENCE IF EXISTS reviews_seq_seq")
    made.dispose()


def prepare(url: str, parts: int) -> None:
    """An empty store; with partitions by id, if there are to be any."""
    remove(url)
    with SqlStore(url):
        pass
    if parts:
        divide(url, "id", parts, unique="id")


def add(url: str, made: list[Review]) -> float:
    """Seconds."""
    with SqlStore(url, create=False) as store:
        started = time.perf_counter()
        store.add([], made)
        return time.perf_counter() - started


def examine(url: str, made: list[Review], reads: int) -> dict[str, Any]:
    """Size and reads of a filled store."""
    engine = open_engine(url, create=False)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE reviews")
        whole, ids = connection.exec_driver_sql(SIZES).one()
        some = [made[k] for k in np.random.default_rng(2).integers(0, len(made), reads)]
        of_user_pages = [pages(connection, "user", one.user) for one in some]
        of_item_pages = [pages(connection, "item", one.item) for one in some]
    engine.dispose()
    with SqlStore(url, create=False) as store:
        of_user = [milliseconds(partial(store.profile, one.user)) for one in some]
        of_item = [milliseconds(partial(store.reviews_of, one.item, exclude=one.user)) for one in some]
    return {
        "bytes_per_review": round(int(whole) / len(made)),
        "of_the_index_of_ids": round(int(ids) / len(made)),
        "user_pages": round(mean(of_user_pages), 1),
        "item_pages": round(mean(of_item_pages), 1),
        "user_ms": [round(float(np.percentile(of_user, q)), 2) for q in (50, 99)],
        "item_ms": [round(float(np.percentile(of_item, q)), 2) for q in (50, 99)],
    }


def pages(connection: sa.Connection, column: str, key: str) -> int:
    """Pages of 8 KiB that a read touches."""
    query = sa.text(f'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM reviews WHERE "{column}" = :key')
    plan = connection.execute(query, {"key": key}).scalar_one()[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def milliseconds(call: Callable[[], Any]) -> float:
    """Wall time."""
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--reviews", type=int, default=300_000)
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--reads", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    made = reviews(args.reviews)
    layouts: dict[str, dict[str, Any]] = {}

    def filled(name: str, parts: int) -> float:
        prepare(args.url, parts)
        taken = add(args.url, made)
        if name not in layouts:
            layouts[name] = examine(args.url, made, args.reads)
            if not parts:
                divide(args.url, "user", args.partitions, unique='id, "user"')
                layouts["partitions by user"] = examine(args.url, made, args.reads)
        return taken

    calls = {"whole": 0, "partitions by id": args.partitions}
    made_calls = {name: partial(filled, name, parts) for name, parts in calls.items()}
    seconds = in_turn(args.repeats, made_calls, measure=lambda call: call())
    for name, own in seconds.items():
        layouts[name] |= {"add_seconds": round(median(own), 1), **ratios(own, seconds["whole"])}
    remove(args.url)
    found = {"reviews": args.reviews, "partitions": args.partitions, "repeats": args.repeats, **layouts}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
