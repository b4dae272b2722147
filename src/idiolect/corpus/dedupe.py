"""One review an item and one a text for each user: the newest.

The rule is sequential - newest first, a review is dropped when a *kept* review of the user has its item or its text -
so dropping one can save another, and two passes of ``unique`` would not do.
"""

from __future__ import annotations

import polars as pl


def identity(reviews: pl.DataFrame) -> pl.DataFrame:
    """What ``newest_unique`` needs to know of ``reviews``, as integers.

    Returns:
        Row k for row k, with the columns

        - ``place`` (UInt32): the row's index in ``reviews``;
        - ``user``, ``item`` (UInt32): codes;
        - ``pair`` (Int64): equal for two reviews exactly when user and item are;
        - ``saying`` (Int64): equal for two reviews exactly when user and text are;
        - ``rival`` (Boolean): another review has the pair or the saying; once false, false in any subset.
    """
    rows = pl.DataFrame({"user": _codes(reviews["user"]), "item": _codes(reviews["item"])}).with_row_index("place")
    user = pl.col("user").cast(pl.Int64) * 2**32
    rows = rows.with_columns(pair=user + pl.col("item"))
    rows = rows.with_columns(saying=_sayings(rows.with_columns(user=user, text=reviews["text"])))
    return rows.with_columns(rival=pl.col("pair").is_duplicated() | pl.col("saying").is_duplicated())


def newest_unique(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are kept, in no particular order.

    Each round keeps the rivals that come first both in their pair and in their saying (nothing that could displace
    them is left) and drops what these displace. Rounds are as many as the longest chain of reviews that repeat now
    the item, now the text of the next.

    Args:
        rows: Table of ``identity``, newest first.
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


def _codes(values: pl.Series) -> pl.Series:
    """UInt32: the values numbered by first appearance."""
    frame = values.to_frame("value")
    codes = frame.unique(maintain_order=True).with_row_index("code")
    return frame.join(codes, on="value", how="left", maintain_order="left")["code"]


def _sayings(rows: pl.DataFrame) -> pl.Series:
    """32 bits of a text's hash tell most of a user's texts apart; only those that are left alike are compared."""
    rows = rows.select("place", "user", "text", saying=pl.col("user") + (pl.col("text").hash() % 2**32).cast(pl.Int64))
    alike = rows.filter(pl.col("saying").is_duplicated())
    # Negative, so that a compared saying never equals a hashed one.
    compared = alike.select("place", compared=-1 - pl.col("place").cast(pl.Int64).min().over("user", "text"))
    rows = rows.join(compared, on="place", how="left", maintain_order="left")
    return rows.select(pl.coalesce("compared", "saying")).to_series()
