"""Ingest against ``executemany`` of the same rows into the same tables, in turn, several times.

    python benchmarks/bench_ingest.py [--reviews 100000] [--dim 384] [--repeats 3]

Three stages, each with a baseline that uses the sqlite3 module alone on an empty store of ours: its tables, indexes,
constraints and PRAGMAs, one transaction, and rows that are ready, so that nothing is checked, looked up or computed.

- ``file``: ``ingest_files`` of JSON lines; baseline: ``json.loads`` of every line, then ``executemany``.
- ``reviews``: ``SqlStore.add`` of ``Review`` values: check, digest, look up what is known, insert, totals. Baseline:
  ``executemany``.
- ``vectors``: ``SqlStore.add_vectors`` in blocks: check, look up the reviews, sum per item and category, insert.
  Baseline: ``executemany`` of the vectors and of the finished sums.

Prints one JSON object. ``ratio`` divides the medians of processor time, ``ratio_of_least`` the least ones (target: at
most 2), ``spread`` is the range over turns.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from bench_difference import in_turn, median, ratios
from bench_store import BLOCK, ENCODER, reviews, vectors

from idiolect.store.engine import plain_cursor
from idiolect.store.ingestion import ingest_files
from idiolect.store.schema import REVIEW_COLUMNS, review_row
from idiolect.store.sql import SqlStore
from idiolect.types import Review, ReviewId

Blocks = Sequence[tuple[list[ReviewId], np.ndarray]]


def pragmas(path: Path) -> list[str]:
    """The statements that give a plain connection the settings of a store's."""
    names = ("foreign_keys", "secure_delete", "synchronous", "cache_size", "temp_store")
    with SqlStore(path) as store, plain_cursor(store._engine) as cursor:
        return [f"PRAGMA {name} = {cursor.execute(f'PRAGMA {name}').fetchone()[0]}" for name in names]


def execute_many(path: Path, tables: Iterable[tuple[str, Sequence[str], Iterable[Sequence[object]]]]) -> None:
    """Insert rows into an existing store with sqlite3 alone, in one transaction."""
    statements = pragmas(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("BEGIN IMMEDIATE")
        for table, columns, rows in tables:
            names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
        connection.execute("COMMIT")


class Stages:
    """The three stages and their baselines; every call works on a store of its own.

    Args:
        known: The reviews.
        blocks: Their vectors.
        folder: For files.
    """

    def __init__(self, known: list[Review], blocks: Blocks, folder: Path) -> None:
        self._known, self._blocks, self._folder = known, blocks, folder
        self._columns, self._rows = REVIEW_COLUMNS, [review_row(review) for review in known]
        self._file = folder / "reviews.jsonl"
        self._file.write_text("".join(map(_line, known)), encoding="utf-8")
        self._numbers = count()
        filled = folder / "filled.db"
        with SqlStore(filled) as store:
            store.add([], known)
            for ids, block in blocks:
                store.add_vectors(ids, block, encoder=ENCODER)
        with closing(sqlite3.connect(filled)) as connection:
            read = ("encoders", "vectors", "item_sums", "category_sums")
            self._tables = [(name, *_read(connection, name)) for name in read]

    def calls(self) -> dict[str, Callable[[], object]]:
        """By name; those called ``plain ...`` are the baselines."""
        return {
            "file": lambda: ingest_files(self._file, store=str(self._path())),
            "plain file": self._plain_file,
            "reviews": self._add,
            "plain reviews": lambda: execute_many(self._path(), [self._reviews()]),
        }

    def vector_calls(self) -> dict[str, Callable[[], object]]:
        """The same; each needs a store with the reviews, which is made before its time is taken."""
        return {"vectors": self._add_vectors, "plain vectors": lambda: execute_many(self.ready, self._tables)}

    def with_reviews(self) -> None:
        """Make the store that the next of ``vector_calls`` uses."""
        self.ready = self._path()
        execute_many(self.ready, [self._reviews()])

    def _path(self) -> Path:
        for path in self._folder.glob("store-*"):
            path.unlink()
        return self._folder / f"store-{next(self._numbers)}.db"

    def _reviews(self) -> tuple[str, Sequence[str], Iterable[Sequence[object]]]:
        return "reviews", self._columns, self._rows

    def _plain_file(self) -> None:
        with self._file.open(encoding="utf-8") as lines:
            read = [json.loads(line) for line in lines]
        assert len(read) == len(self._rows)
        execute_many(self._path(), [self._reviews()])

    def _add(self) -> None:
        with SqlStore(self._path()) as store:
            store.add([], self._known)

    def _add_vectors(self) -> None:
        with SqlStore(self.ready) as store:
            for ids, block in self._blocks:
                store.add_vectors(ids, block, encoder=ENCODER)


def _line(review: Review) -> str:
    row = {"user_id": review.user, "item_id": review.item, "review_id": review.id, "text": review.text}
    return json.dumps({**row, "rating": 4.0, "title": "as it says", "timestamp": review.timestamp}) + "\n"


def _read(connection: sqlite3.Connection, table: str) -> tuple[list[str], list[tuple[object, ...]]]:
    found = connection.execute(f"SELECT * FROM {table}")
    return [column[0] for column in found.description], found.fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    # As seconds since 1970, the order of the made-up reviews is no moment that a file may hold.
    known = [replace(review, timestamp=10**9 + (review.timestamp or 0)) for review in reviews(args.reviews)]
    blocks = list(vectors(args.reviews, args.dim))
    with tempfile.TemporaryDirectory() as folder:
        stages = Stages(known, blocks, Path(folder))
        seconds = in_turn(args.repeats, stages.calls())
        seconds |= in_turn(args.repeats, stages.vector_calls(), before=stages.with_reviews)
    found = {
        name: {
            "processor_seconds": round(median(own), 2),
            "plain_seconds": round(median(seconds[f"plain {name}"]), 2),
            **ratios(own, seconds[f"plain {name}"]),
        }
        for name, own in seconds.items()
        if not name.startswith("plain ")
    }
    print(json.dumps({"reviews": args.reviews, "dim": args.dim, "block": BLOCK, **found}, indent=2))


if __name__ == "__main__":
    main()
