"""Everything that is counted in a text, from which the measures follow."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from idiolect.difference.stylometry import sentences
from idiolect.difference.stylometry.patterns import CASED, LETTER, LONG_WORD, LOWER, WORD

_MARKS = {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "&quot;": '"', "&#34;": '"', "&#39;": "'", "&amp;": "&"}
_BREAK = r"(?i)<br\s*/?>|\r\n?"


def count(texts: Sequence[str]) -> pl.DataFrame:
    """Float64 counts, one row a text in their order; 0 where a text has no word."""
    text = pl.col("text").str.replace_many(_MARKS).str.replace_all(_BREAK, "\n")
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).with_row_index("row").with_columns(text)
    frame = frame.with_columns(pl.col("text").str.to_lowercase().str.replace_all(r"\s+", " ").alias("lower"))
    counted = frame.select("row", *_counted()).join(
        sentences.per_text(frame), on="row", how="left", maintain_order="left"
    )
    return counted.with_columns(*_derived()).select(pl.exclude("row").cast(pl.Float64).fill_null(0.0))


def _counted() -> list[pl.Expr]:
    words = pl.col("lower").str.extract_all(WORD)
    long_words = pl.col("lower").str.extract_all(LONG_WORD)
    return [
        words.list.len().alias("words"),
        words.list.n_unique().alias("distinct"),
        long_words.list.len().alias("long_words"),
        long_words.list.n_unique().alias("distinct_long_words"),
        pl.col("text").str.count_matches(LETTER).alias("letters"),
        pl.col("text").str.count_matches(r"[,;:]").alias("inner_marks"),
        *(pl.col("lower").str.count_matches(pattern).alias(name) for name, pattern in LOWER.items()),
        *(pl.col("text").str.count_matches(pattern).alias(name) for name, pattern in CASED.items()),
    ]


def _derived() -> list[pl.Expr]:
    """Counts that are made of others; each bears the name of the measure it is for."""
    # Counts are unsigned; differences of them are not.
    col = {name: pl.col(name).cast(pl.Float64) for name in ("words", "praise", "blame", "british", "american")}
    long_words = pl.col("long_words").cast(pl.Float64)
    negated = pl.col("negated_praise").cast(pl.Float64) - pl.col("negated_blame").cast(pl.Float64)
    has_words = pl.col("words") > 0
    return [
        col["words"].alias("length"),
        (pl.col("inner_marks") + pl.col("subordinators")).alias("joints"),
        pl.col("letters").alias("word_length"),
        (pl.col("distinct") / col["words"].clip(1).sqrt()).alias("word_variety"),
        (100 * (long_words - pl.col("distinct_long_words")) / long_words.clip(1)).alias("repetition"),
        (col["british"] - col["american"]).alias("british_spelling"),
        (col["praise"] - col["blame"] - 2 * negated).alias("tone"),
        (col["praise"] + col["blame"]).alias("judging_words"),
        (col["words"] - pl.col("function_words")).clip(0).alias("information"),
        (pl.col("digits") + pl.col("number_words")).alias("numbers"),
        (pl.col("paragraph_breaks") + 1).mul(has_words).alias("paragraphs"),
        (pl.col("sign_offs").cast(pl.Float64) * 100).alias("sign_offs"),
    ]
