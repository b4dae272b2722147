"""One review an item and one a text for each user: the newest.

The rule is sequential - newest first, a review is dropped when a *kept* review of the user has its item or its text -
so dropping one can save another, and two passes of ``unique`` would not do.
"""

from __future__ import annotations

import polars as pl

_USER_BITS = 2**32
"""Codes of items and texts are below this, so that ``user * _USER_BITS + code`` is the pair's own number."""


def numbered(reviews: pl.DataFrame) -> pl.DataFrame:
    """The integers the rules work on; texts and names stay where they are.

    Returns:
        Row k for row k, with the columns

        - ``place`` (UInt32): the row's index in ``reviews``;
        - ``user``, ``item`` (Int32): numbers by first appearance;
        - ``timestamp``, ``order``: as in ``reviews``;
        - ``pair`` (Int64): equal for two reviews exactly when user and item are.
    """
    rows = reviews.select("timestamp", "order", user=_codes(reviews["user"]), item=_codes(reviews["item"]))
    return rows.with_row_index("place").with_columns(pair=_within_user(pl.col("item")))


def with_texts(rows: pl.DataFrame, texts: pl.Series) -> pl.DataFrame:
    """``rows`` with what their texts say of repeats.

    Adds or replaces:
        saying (Int64): Equal for two reviews exactly when user and text are.
        rival (Boolean): Another review has the pair or the saying; once false, false in any subset.

    Args:
        rows: Table of ``numbered``, in any order.
        texts: String, one a row.
    """
    hashed = rows.select(_within_user(texts.hash() % _USER_BITS)).to_series()
    # 32 bits of the hash tell most of a user's texts apart; only those that are left alike are compared.
    alike = hashed.is_duplicated().arg_true()
    repeats = pl.DataFrame({"user": rows["user"][alike], "text": texts[alike], "k": alike.cast(pl.Int64)})
    # Negative, so that no compared saying equals a hashed one.
    compared = repeats.select(-1 - pl.col("k").min().over("user", "text")).to_series()
    rival = rows["pair"].is_duplicated().scatter(alike.filter(compared.is_duplicated()), True)
    return rows.with_columns(saying=hashed.scatter(alike, compared), rival=rival)


def newest_unique(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are kept, in no particular order.

    Each round keeps the rivals that come first both in their pair and in their saying (nothing that could displace
    them is left) and drops what these displace. Rounds are as many as the longest chain of reviews that repeat now
    the item, now the text of the next.

    Args:
        rows: Table of ``with_texts``, newest first.
    """
    kept = [rows.filter(~pl.col("rival"))]
    undecided = rows.filter("rival")
    while undecided.height:
        first = undecided.filter(pl.col("pair").is_first_distinct() & pl.col("saying").is_first_distinct())
        kept.append(first)
        undecided = undecided.filter(
            ~pl.col("pair").is_in(first["pair"].implode()), ~pl.col("saying").is_in(first["saying"].implode())
        )
    return pl.concat(kept)


def _codes(names: pl.Series) -> pl.Series:
    """Int32: ``names`` numbered by first appearance."""
    return pl.Series(names.to_arrow().dictionary_encode().indices)


def _within_user(code: pl.Expr | pl.Series) -> pl.Expr:
    return pl.col("user").cast(pl.Int64) * _USER_BITS + code.cast(pl.Int64)
