"""Texts to sentences."""

from __future__ import annotations

import polars as pl

from idiolect.difference.stylometry.patterns import HEADING, LETTER, LIST_LINE, SENTENCE, WORD

_ABBREVIATION = r"(?i)(?-u:\b)(mr|mrs|ms|dr|st|vs|jr|sr|vol|feat|e\.g|i\.e|a\.m|p\.m|approx)\.(\s)"
_END = r"([.!?…]+['\")\]*]*)\s+"
_GLUED = r"(\p{Ll}[.!?]+)(\p{Lu})"
"""No blank after the end mark, as is common where line breaks were lost."""


def split(text: pl.Expr) -> pl.Expr:
    """Each text as the list of its sentences; a line break ends one too."""
    ended = text.str.replace_all(_ABBREVIATION, "$1$2").str.replace_all(_END, "$1\n").str.replace_all(_GLUED, "$1\n$2")
    return ended.str.split("\n")


def per_text(frame: pl.DataFrame) -> pl.DataFrame:
    """What the sentences of each text show, for the texts that have any; headings and points of a list are none.

    Args:
        frame: ``row`` (a number a text) and ``text``.

    Returns:
        ``row`` and counts over the row's sentences, in no order.
    """
    sentences = (
        frame.lazy()
        .select("row", split(pl.col("text")).alias("sentence"))
        .explode("sentence", empty_as_null=True, keep_nulls=True)
        .with_columns(pl.col("sentence").str.strip_chars())
        .filter(pl.col("sentence").str.contains(LETTER), ~pl.col("sentence").str.contains(f"{LIST_LINE}|{HEADING}"))
        .with_columns(
            pl.col("sentence").str.count_matches(WORD).cast(pl.Float64).alias("length"),
            *(pl.col("sentence").str.contains(pattern).alias(name) for name, pattern in SENTENCE.items()),
        )
    )
    return sentences.group_by("row", maintain_order=True).agg(*_summaries()).collect()


def _summaries() -> list[pl.Expr]:
    """Numbers of sentences that show something, and how the first and the last stand out."""
    length, last = pl.col("length"), pl.col("length").last()
    opinion = pl.col("opinion").cast(pl.Int8)
    # Half as long as the rest, for who writes short sentences parts in no shorter ones; and a verdict is no parting.
    last_is_short = (pl.len() >= 3) & (2 * last * (pl.len() - 1) <= length.sum() - last) & (opinion.last() == 0)
    return [
        pl.len().alias("sentences"),
        *(pl.col(name).sum() for name in ("exclamations", "questions", "lowercase_starts", "labels", "imperatives")),
        pl.col("length").sum().alias("sentence_length"),
        pl.col("length").std(ddof=0).alias("sentence_variety"),
        (last_is_short | pl.col("parting").last()).alias("sign_offs"),
        (opinion.first() - opinion.last()).alias("verdict_first"),
    ]
