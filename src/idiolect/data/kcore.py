"""Items and reviews as polars tables, and how they are narrowed: eligible reviews, newest duplicates, k-core.

Time order: timestamps decide and ``order`` breaks ties. Reviews without a timestamp come before all dated ones, sorted
by ``order``. Remaining ties keep the table's order, also if the newest come first: timestamps are often whole days, and
the authors' program sorts them stably both ways, so that of two reviews of one day the earlier in the table counts as
the newer.

Duplicates: newest first, a review is dropped if a *kept* review of the user has its item or its text. The rule is
sequential: dropping one review can save another, so two passes of ``unique`` would not do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl

from idiolect.data.buckets import Buckets
from idiolect.data.split_config import SplitConfig
from idiolect.types import Item, Review

T = TypeVar("T")

REVIEW_SCHEMA = pl.Schema(
    {
        "review_id": pl.String(),
        "user": pl.String(),
        "item": pl.String(),
        "rating": pl.Float64(),
        "title": pl.String(),
        "text": pl.String(),
        "timestamp": pl.Int64(),
        "order": pl.Int64(),
    }
)
"""Columns of a table of reviews; ``rating`` and ``timestamp`` (seconds) may be null."""

ITEM_SCHEMA = pl.Schema(
    {"item": pl.String(), "title": pl.String(), "description": pl.String(), "category": pl.String()}
)
"""Columns of a table of items."""

_CHUNK_ROWS = 65_536


def review_frame(reviews: Iterable[Review]) -> pl.DataFrame:
    """``reviews`` as a table of ``REVIEW_SCHEMA``, row k for the k-th review."""
    return _frame(
        reviews, REVIEW_SCHEMA, attrgetter("id", "user", "item", "rating", "title", "text", "timestamp", "order")
    )


def item_frame(items: Iterable[Item]) -> pl.DataFrame:
    """``items`` as a table of ``ITEM_SCHEMA``, row k for the k-th item."""
    return _frame(items, ITEM_SCHEMA, attrgetter("id", "title", "description", "category"))


def _frame(values: Iterable[T], schema: pl.Schema, cells: Callable[[T], tuple[Any, ...]]) -> pl.DataFrame:
    """Built chunk by chunk, so that the values need not all be in memory as objects."""
    stream = iter(values)
    chunks = [schema.to_frame()]
    while chunk := list(islice(stream, _CHUNK_ROWS)):
        columns = zip(*map(cells, chunk), strict=True)
        chunks.append(pl.DataFrame(dict(zip(schema, columns, strict=True)), schema=schema))
    return pl.concat(chunks, rechunk=True)


def oldest_first(reviews: pl.DataFrame) -> pl.DataFrame:
    """``reviews`` in time order: as ``Moment`` compares.

    Args:
        reviews: Table with the Int64 columns ``timestamp`` (seconds, may be null) and ``order``.
    """
    return reviews[by_time(reviews)]


def by_time(reviews: pl.DataFrame, *, within: np.ndarray | None = None) -> np.ndarray:
    """int64 (n,): the rows in the order of ``oldest_first``; with ``within`` (integers), group by group."""
    keys = (reviews["order"].to_numpy(), _clock(reviews), _dated(reviews))
    return np.lexsort(keys if within is None else (*keys, within))


def newest(reviews: pl.DataFrame) -> np.ndarray:
    """int64 (n,): the rows from the newest on, ties as in ``oldest_first``."""
    # ~ is a minus sign that cannot overflow.
    return np.lexsort((reviews["order"], ~_clock(reviews), ~_dated(reviews)))


def _dated(reviews: pl.DataFrame) -> np.ndarray:
    """Whether the time is known: bool (n,)."""
    return reviews["timestamp"].is_not_null().to_numpy()


def _clock(reviews: pl.DataFrame) -> np.ndarray:
    """int64 (n,): what decides among the dated reviews, and among the others."""
    return reviews["timestamp"].fill_null(reviews["order"]).to_numpy()


_USER_BITS = 2**32
"""Codes of items and texts are below this, so that ``user * _USER_BITS + code`` is the pair's own number."""


class Rows(NamedTuple):
    """The integers the rules work on: ``place`` (UInt32: the review's index), ``user`` and ``item`` (Int32: codes)."""

    plain: pl.DataFrame
    """Reviews that no other review of their user shares item or text with."""
    rivals: pl.DataFrame
    """The others, with the columns ``pair`` (Int64: equal for two reviews exactly when user and item are) and
    ``saying`` (Int64: exactly when user and text are)."""

    @property
    def height(self) -> int:
        """The number of reviews."""
        return self.plain.height + self.rivals.height


def numbered(users: pl.Series, items: pl.Series) -> pl.DataFrame:
    """The columns ``place``, ``user`` and ``item``, row k for review k.

    Args:
        users: Int32: a code per review.
        items: Int32: a code per review.
    """
    return pl.DataFrame({"user": users, "item": items}).with_row_index("place")


def with_texts(rows: pl.DataFrame, hashes: pl.Series, texts: Callable[[pl.Series], pl.Series]) -> Rows:
    """``rows``, and which of them repeat an item or a text.

    Args:
        rows: Table of ``numbered``, in any order.
        hashes: Integers below 2**32, one per row: equal if the texts are.
        texts: The texts (or digests of them) at some values of ``place``. Only texts of one user with equal hashes
            are asked for.
    """
    sayings, pairs = keyed(rows["user"], hashes), keyed(rows["user"], rows["item"])
    equal = repeated(sayings).arg_true()
    rival = repeated(pairs)
    compared = pl.Series([], dtype=pl.Int64)
    if len(equal):
        repeats = {"user": rows["user"].gather(equal), "text": texts(rows["place"].gather(equal))}
        # Negative, so that no compared saying equals a hashed one.
        first = -1 - pl.col("k").min().over("user", "text")
        compared = pl.DataFrame({**repeats, "k": equal.cast(pl.Int64)}).select(first).to_series()
        rival = rival.scatter(equal.filter(compared.is_duplicated()), True)
    at = rival.arg_true()
    said = sayings.scatter(equal, compared).gather(at) if len(equal) else sayings.gather(at)
    return Rows(rows.filter(~rival), rows[at].with_columns(pair=pairs.gather(at), saying=said))


def rivals_newest_first(rows: Rows, times: pl.DataFrame) -> Rows:
    """``rows`` as ``newest_unique`` wants them.

    Args:
        rows: From ``with_texts``.
        times: ``timestamp`` and ``order``, by ``place``.
    """
    return Rows(rows.plain, rows.rivals[newest(times[rows.rivals["place"]])])


def newest_unique(rows: Rows) -> pl.DataFrame:
    """``place``, ``user`` and ``item`` of the reviews that are kept, in no particular order.

    Args:
        rows: Rivals newest first.
    """
    return pl.concat([rows.plain, _undisplaced(rows.rivals).select(rows.plain.columns)])


def _undisplaced(undecided: pl.DataFrame) -> pl.DataFrame:
    """The rivals that are kept.

    Each round keeps the rivals that come first both in their pair and in their saying (nothing that could displace
    them is left) and drops what these displace. Rounds are as many as the longest chain of reviews that repeat now
    the item, now the text of the next.
    """
    kept = [undecided.clear()]
    while undecided.height:
        first = undecided.filter(pl.col("pair").is_first_distinct() & pl.col("saying").is_first_distinct())
        kept.append(first)
        undecided = undecided.filter(
            ~pl.col("pair").is_in(first["pair"].implode()), ~pl.col("saying").is_in(first["saying"].implode())
        )
    return pl.concat(kept)


def keyed(users: pl.Series, codes: pl.Series) -> pl.Series:
    """Int64: equal for two rows exactly when user and code are; codes are below 2**32."""
    return users.cast(pl.Int64) * _USER_BITS + codes.cast(pl.Int64)


def repeated(values: pl.Series) -> pl.Series:
    """Boolean: whether another value is equal. As ``is_duplicated``, which needs several times the memory."""
    ordered = np.sort(values.to_numpy())
    twice = pl.Series(ordered[1:][ordered[1:] == ordered[:-1]], dtype=values.dtype)
    del ordered
    return values.is_in(twice.unique().implode())


def eligible(reviews: pl.DataFrame, items: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """The reviews with enough text and everything ``config`` requires, in table order.

    As in the authors' program a rating or timestamp of 0 counts as missing, and lengths are those of the text as it
    was written.

    Args:
        reviews: Table of ``REVIEW_SCHEMA``.
        items: Table of ``ITEM_SCHEMA``.
        config: The filters.
    """
    kept = reviews.filter(_fit_for_use(config))
    if _needs_items(config):
        known = items.filter(_described(config)).select("item").unique()
        kept = kept.join(known, on="item", how="semi", maintain_order="left")
    return kept


def _fit_for_use(config: SplitConfig) -> pl.Expr:
    wanted = [pl.col("text").str.len_chars() >= config.min_text_chars]
    if config.require_title:
        wanted.append(pl.col("title") != "")
    if config.require_rating:
        wanted.append(pl.col("rating").fill_null(0) != 0)
    if config.require_timestamp:
        wanted.append(pl.col("timestamp").fill_null(0) != 0)
    return pl.all_horizontal(wanted)


def _needs_items(config: SplitConfig) -> bool:
    bounds = (config.min_description_chars, config.max_description_chars)
    return config.require_item_title or any(bound is not None for bound in bounds)


def _described(config: SplitConfig) -> pl.Expr:
    length = pl.col("description").str.len_chars()
    wanted = [pl.lit(True)]
    if config.require_item_title:
        wanted.append(pl.col("title") != "")
    if config.min_description_chars is not None:
        wanted.append(length >= config.min_description_chars)
    if config.max_description_chars is not None:
        wanted.append(length <= config.max_description_chars)
    return pl.all_horizontal(wanted)


class RowBuckets:
    """Rows in buckets of users.

    Args:
        n: Number of buckets.
        folder: Where they are; None: in memory.
    """

    def __init__(self, n: int, folder: Path | None) -> None:
        self.n = n
        self._plain, self._rivals = (Buckets(folder, name) for name in ("plain", "rivals"))

    def __getitem__(self, bucket: int) -> Rows:
        return Rows(self._plain[bucket], self._rivals[bucket])

    def __setitem__(self, bucket: int, rows: Rows) -> None:
        self._plain[bucket], self._rivals[bucket] = rows

    def pop(self, bucket: int) -> Rows:
        """The rows, which are then given back."""
        rows = self[bucket]
        for kind in (self._plain, self._rivals):
            kind.drop(bucket)
        return rows


class Core(NamedTuple):
    """What the rounds left."""

    rounds: tuple[int, ...]
    """Rows left after each round; the last round removed nothing."""
    items: int
    """Items left."""


def k_core(rows: RowBuckets, n_items: int, config: SplitConfig) -> Core:
    """Narrow ``rows`` to the largest part in which items and users support each other.

    Both thresholds are applied at once in each round (the authors' order). An item is supported by the users of *all*
    its reviews, a user by those of their reviews that ``newest_unique`` keeps.

    Args:
        rows: Rivals newest first; repeated items and texts are still there afterwards.
        n_items: Codes of items are below it.
        config: ``min_item_users``, ``min_user_reviews``, ``max_user_reviews``.
    """
    fans, height = np.zeros(n_items, dtype=np.int64), 0
    for bucket in range(rows.n):
        some = rows[bucket]
        fans += _fans(some, n_items)
        height += some.height
    rounds = [height]
    while len(rounds) == 1 or rounds[-1] != rounds[-2]:
        popular, fans, height = fans >= config.min_item_users, np.zeros_like(fans), 0
        for bucket in range(rows.n):
            before = rows[bucket]
            left = _supported(before, popular, config)
            if left.height != before.height:
                rows[bucket] = left
            height += left.height
            fans += _fans(left, n_items)
        rounds.append(height)
    return Core(tuple(rounds[1:]), int(np.count_nonzero(fans)))


def joined(rows: Rows) -> pl.DataFrame:
    """``place``, ``user`` and ``item`` of all rows, by place."""
    whole = pl.concat([rows.plain, rows.rivals.select(rows.plain.columns)])
    return whole[np.argsort(whole["place"].to_numpy(), kind="stable")]


def _fans(rows: Rows, n_items: int) -> np.ndarray:
    """int64 (n_items,): how many of these users reviewed each item."""
    # A pair of user and item stays or goes as a whole, so one review may speak for it.
    pairs = rows.rivals.filter(pl.col("pair").is_first_distinct())
    return _counts(rows.plain["item"], pairs["item"], n=n_items)


def _supported(rows: Rows, popular: np.ndarray, config: SplitConfig) -> Rows:
    """The rows of popular items (bool, by code) by users with enough reviews."""
    plain, rivals = rows
    # Users of whom nothing is kept there may have the highest codes.
    own = _counts(plain["user"], _undisplaced(rivals)["user"], n=n_codes(rivals["user"]))
    active = own >= config.min_user_reviews
    if config.max_user_reviews is not None:
        active &= own <= config.max_user_reviews
    return Rows(
        *(some.filter(popular[some["item"].to_numpy()] & active[some["user"].to_numpy()]) for some in (plain, rivals))
    )


def _counts(*codes: pl.Series, n: int = 0) -> np.ndarray:
    """int64: how often each code occurs, for at least ``n`` codes."""
    n = max([n, *map(n_codes, codes)])
    total = np.zeros(n, dtype=np.int64)
    for some in codes:
        total += np.bincount(some.to_numpy(), minlength=n)
    return total


def n_codes(codes: pl.Series) -> int:
    """The least number that all codes are below."""
    return int(codes.to_numpy().max(initial=-1)) + 1
