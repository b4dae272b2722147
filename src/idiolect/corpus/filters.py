"""The first narrowing: reviews that could be written about by somebody, each judged alone."""

from __future__ import annotations

import polars as pl

from idiolect.corpus.rules import SplitConfig


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
