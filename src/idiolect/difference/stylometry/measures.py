"""The 51 measures of style: texts to numbers.

``measure`` counts patterns per text and per sentence, in polars or, for a few short texts, in ``direct``, and divides
them by words or sentences. ``table`` writes the measures for the docs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from idiolect.difference.stylometry import direct
from idiolect.difference.stylometry.patterns import (
    BREAK,
    CASED,
    ENDS,
    ENTITIES,
    IN_SENTENCES,
    LETTER,
    LONG_WORD,
    LOWER,
    NO_SENTENCE,
    SENTENCE,
    WORD,
)
from idiolect.difference.stylometry.prose import prose
from idiolect.errors import InputError

Category = Literal["Writing", "Emotion", "Semantics", "Structure", "Pragmatics"]
"""The five categories of expression (DRP, taxonomy of UVQ)."""

Unit = Literal[
    "per 100 words",
    "% of words",
    "letters per word",
    "% of sentences",
    "words per sentence",
    "per sentence",
    "words",
    "per text",
    "% of texts",
    "% of long words",
    "Guiraud's R",
    "% different of 50 words",
    "% repeated of 20 long words",
    "-1 to 1",
]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number about the style of a text, independent of its topic.

    ``more`` and ``less`` complete the sentence "Compared with others, this user ...".
    """

    name: str
    category: Category
    unit: Unit
    more: str
    """Phrase for users with higher values."""
    less: str
    """Phrase for users with lower values."""
    attribute: str | None = None
    """The attribute of the taxonomy that it measures, such as "writing/vocabulary"; None if there is none."""


def split(text: pl.Expr) -> pl.Expr:
    """Each text as a list of sentences; a line break ends one too."""
    for pattern, by in ENDS:
        text = text.str.replace_all(pattern, by)
    return text.str.split("\n")


def per_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Counts over the sentences of each text; headings and list items are not sentences.

    Args:
        frame: ``row`` (number of the text) and ``text``.

    Returns:
        ``row`` and counts, for texts with sentences, in any order.
    """
    sentences = (
        frame.lazy()
        .select("row", split(pl.col("text")).alias("sentence"))
        .explode("sentence", empty_as_null=True, keep_nulls=True)
        .with_columns(pl.col("sentence").str.strip_chars())
        .filter(pl.col("sentence").str.contains(LETTER), ~pl.col("sentence").str.contains(NO_SENTENCE))
        .with_columns(
            pl.col("sentence").str.count_matches(WORD).cast(pl.Float64).alias("length"),
            *(pl.col("sentence").str.contains(pattern).alias(name) for name, pattern in SENTENCE.items()),
        )
    )
    return sentences.group_by("row", maintain_order=True).agg(*_summaries()).collect()


def _summaries() -> list[pl.Expr]:
    """Numbers of matching sentences, and comparisons of the first and the last sentence."""
    length, last = pl.col("length"), pl.col("length").last()
    opinion = pl.col("opinion").cast(pl.Int8)
    # Relative to the other sentences, because some users write only short ones; and a verdict is no sign-off.
    last_is_short = (pl.len() >= 3) & (2 * last * (pl.len() - 1) <= length.sum() - last) & (opinion.last() == 0)
    return [
        pl.len().alias("sentences"),
        *(pl.col(name).sum() for name in IN_SENTENCES),
        (pl.col("imperatives") & ~pl.col("subjects")).sum(),
        pl.col("length").sum().alias("sentence_length"),
        (length * length).sum().alias("squares"),
        (last_is_short | pl.col("parting").last()).alias("sign_offs"),
        (opinion.first() - opinion.last()).alias("verdict_first"),
    ]


def plain(texts: Sequence[str]) -> list[str]:
    """The prose of each text (``prose``), with plain quotation marks and line breaks."""
    text = (
        pl.Series("text", texts, dtype=pl.String)
        .to_frame()
        .select(pl.col("text").str.replace_many(ENTITIES).str.replace_all(BREAK, "\n"))
    )
    return [prose(one) for one in text["text"].to_list()]


def count(texts: Sequence[str]) -> pl.DataFrame:
    """float64 counts, one row per text, in order; 0 if a text has no word."""
    frame = pl.DataFrame({"text": pl.Series(plain(texts), dtype=pl.String)}).with_row_index("row")
    frame = frame.with_columns(pl.col("text").str.to_lowercase().str.replace_all(r"\s+", " ").alias("lower"))
    counted = frame.select("row", *_counted()).join(per_text(frame), on="row", how="left", maintain_order="left")
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
    """Counts derived from others, named after their measures."""
    # Counts are unsigned; differences of them are not.
    col = {name: pl.col(name).cast(pl.Float64) for name in ("words", "praise", "blame", "british", "american")}
    negated = pl.col("negated_praise").cast(pl.Float64) - pl.col("negated_blame").cast(pl.Float64)
    has_words = pl.col("words") > 0
    return [
        col["words"].alias("length"),
        (pl.col("inner_marks") + pl.col("subordinators")).alias("joints"),
        pl.col("letters").alias("word_length"),
        (col["british"] - col["american"]).alias("british_spelling"),
        (col["praise"] - col["blame"] - 2 * negated).alias("tone"),
        (col["praise"] + col["blame"]).alias("judging_words"),
        (col["words"] - pl.col("function_words")).clip(0).alias("information"),
        (pl.col("digits") + pl.col("number_words")).alias("numbers"),
        # A title in quotation marks quotes nobody.
        (pl.col("quotations").cast(pl.Float64) - pl.col("quoted_titles")).clip(0).alias("quotations"),
        (pl.col("paragraph_breaks") + 1).mul(has_words).alias("paragraphs"),
        (pl.col("sign_offs").cast(pl.Float64) * 100).alias("sign_offs"),
    ]


MEASURES: tuple[Measure, ...] = (
    Measure(
        "sentence_length", "Writing", "words per sentence",
        "strings clauses into long sentences", "writes short, clipped sentences", "writing/sentence-complexity",
    ),
    Measure(
        "joints", "Writing", "per sentence",
        "joins many clauses in a sentence", "puts one thought in a sentence", "writing/sentence-complexity",
    ),
    Measure(
        "sentence_variety", "Writing", "words",
        "mixes long sentences with short ones", "keeps sentences to one length", "writing/sentence-complexity",
    ),
    Measure(
        "word_length", "Writing", "letters per word",
        "chooses long words", "chooses short words", "writing/vocabulary",
    ),
    Measure(
        "latinate_words", "Writing", "per 100 words",
        "uses rare and elevated words", "uses plain everyday words", "writing/vocabulary",
    ),
    Measure(
        "word_variety", "Writing", "Guiraud's R",
        "draws on a wide vocabulary", "makes do with few different words", "writing/vocabulary",
    ),
    Measure(
        "repetition", "Writing", "% of long words",
        "keeps returning to a few words", "hardly uses a word twice", "writing/vocabulary",
    ),
    Measure(
        "exclamations", "Writing", "% of sentences",
        "ends sentences with exclamation marks", "never exclaims", "writing/exclamations",
    ),
    Measure(
        "contractions", "Writing", "per 100 words",
        "writes casually, with contractions", "writes formally, without contractions", "writing/conversational-tone",
    ),
    Measure(
        "casual_words", "Writing", "per 100 words",
        "uses the words of everyday speech", "keeps clear of everyday speech", "writing/conversational-tone",
    ),
    Measure("capitals", "Writing", "per 100 words", "puts words in capitals", "never puts words in capitals"),
    Measure("ellipses", "Writing", "per 100 words", "trails off in dots", "finishes every sentence"),
    Measure("stacked_marks", "Writing", "per 100 words", "stacks !! and ??", "never stacks marks"),
    Measure(
        "lowercase_starts", "Writing", "% of sentences",
        "starts sentences in lower case", "starts sentences with a capital",
    ),
    Measure("british_spelling", "Writing", "per 100 words", "spells the British way", "spells the American way"),
    Measure("asides", "Writing", "per 100 words", "adds asides in brackets and dashes", "makes no asides"),
    Measure("tone", "Emotion", "per 100 words", "speaks more warmly", "finds more fault", "emotion/tone"),
    Measure(
        "judging_words", "Emotion", "per 100 words",
        "uses many words of praise and blame", "keeps to neutral words", "emotion/intensity",
    ),
    Measure(
        "intensifiers", "Emotion", "per 100 words",
        "piles on strong adverbs", "leaves adjectives bare", "emotion/intensity",
    ),
    Measure(
        "superlatives", "Emotion", "per 100 words",
        "speaks in superlatives", "avoids superlatives", "emotion/intensity",
    ),
    Measure(
        "own_feelings", "Emotion", "per 100 words",
        "tells what they felt", "keeps their own feelings out",
    ),
    Measure(
        "hedges", "Emotion", "per 100 words",
        "hedges every claim", "states opinions flatly", "emotion/politeness",
    ),
    Measure(
        "courtesies", "Emotion", "per 100 words",
        "is courteous and thankful", "does without courtesies", "emotion/politeness",
    ),
    Measure("negations", "Emotion", "per 100 words", "says what things are not", "puts things positively"),
    Measure("length", "Semantics", "words", "writes at length", "writes briefly"),
    Measure(
        "information", "Semantics", "% of words",
        "packs much into few words", "takes many small words to say it", "semantics/info-density",
    ),
    Measure(
        "numbers", "Semantics", "per 100 words",
        "gives numbers and exact details", "stays general", "semantics/specificity",
    ),
    Measure(
        "names", "Semantics", "per 100 words",
        "names people, places and works", "names hardly anything", "semantics/specificity",
    ),
    Measure(
        "causes", "Semantics", "per 100 words",
        "gives reasons, because and so", "asserts without reasons", "semantics/causal-reasoning",
    ),
    Measure(
        "comparisons", "Semantics", "per 100 words",
        "compares with other things of the kind", "makes no comparisons", "semantics/comparative-contrast",
    ),
    Measure(
        "contrasts", "Semantics", "per 100 words",
        "sets one side against the other", "sees one side", "semantics/comparative-contrast",
    ),
    Measure(
        "story_words", "Semantics", "per 100 words",
        "tells when and where it happened", "tells no story", "semantics/narrative-episodic",
    ),
    Measure(
        "past_tense", "Semantics", "per 100 words",
        "writes of what happened", "writes of what is so", "semantics/narrative-episodic",
    ),
    Measure(
        "depth_words", "Semantics", "per 100 words",
        "asks what it is really about", "stays on the surface", "semantics/thematic-depth",
    ),
    Measure(
        "analysis_words", "Semantics", "per 100 words",
        "takes the matter apart", "does not analyse", "semantics/analytical-reasoning",
    ),
    Measure(
        "summing_up", "Semantics", "per 100 words",
        "draws things together", "does not sum up", "semantics/synthesis-integration",
    ),
    Measure(
        "paragraphs", "Structure", "per text",
        "breaks the text into paragraphs", "writes one block", "structure/paragraphs",
    ),
    Measure(
        "list_lines", "Structure", "per text",
        "lists points for and against", "makes no lists", "structure/headings-lists",
    ),
    Measure(
        "headings", "Structure", "per text",
        "puts headings over parts", "uses no headings", "structure/sectioning",
    ),
    Measure(
        "labels", "Structure", "% of sentences",
        "labels what comes next", "does not announce what comes", "structure/sectioning",
    ),
    Measure(
        "signposts", "Structure", "per 100 words",
        "signposts with first, then, finally", "moves on without signposts", "structure/transitions",
    ),
    Measure(
        "examples", "Structure", "per 100 words",
        "backs points with examples and facts", "leaves points unsupported", "structure/argumentation",
    ),
    Measure(
        "verdict_first", "Structure", "-1 to 1",
        "opens with the verdict", "saves the verdict for the end",
    ),
    Measure("sign_offs", "Structure", "% of texts", "closes with a parting line", "just stops"),
    Measure(
        "quotations", "Pragmatics", "per 100 words",
        "quotes what others said", "quotes nobody", "pragmatics/quotes",
    ),
    Measure(
        "questions", "Pragmatics", "% of sentences",
        "asks rhetorical questions", "asks no questions", "pragmatics/rhetorical-questions",
    ),
    Measure(
        "reader_address", "Pragmatics", "per 100 words",
        "speaks to the reader as you", "does not address the reader", "pragmatics/reader-address",
    ),
    Measure(
        "imperatives", "Pragmatics", "% of sentences",
        "tells the reader what to do", "gives no orders", "pragmatics/imperatives",
    ),
    Measure(
        "disclosures", "Pragmatics", "per 100 words",
        "discloses personal ties and how it was paid", "discloses nothing", "pragmatics/disclosure",
    ),
    Measure("first_person", "Pragmatics", "per 100 words", "speaks of themselves", "stays out of the text"),
    Measure(
        "recommendations", "Pragmatics", "per 100 words",
        "says outright whether to get it", "leaves the choice to the reader",
    ),
)  # fmt: skip
"""In the order of the columns of ``measure``."""

NAMES: tuple[str, ...] = tuple(measure.name for measure in MEASURES)
N_MEASURES = len(MEASURES)


_CHUNK = 1 << 15
"""Texts per polars frame."""

_PER: Mapping[Unit, tuple[float, str]] = {
    "per 100 words": (100.0, "words"),
    "% of words": (100.0, "words"),
    "letters per word": (1.0, "words"),
    "% of sentences": (100.0, "sentences"),
    "words per sentence": (1.0, "sentences"),
    "per sentence": (1.0, "sentences"),
}
"""Factor and denominator; counts in other units are unchanged."""


def measure(texts: Sequence[str]) -> np.ndarray:
    """Every measure of every text.

    All values are finite; a text without a letter or digit has 0 everywhere. A value depends on its text only.

    Args:
        texts: English texts, unchanged: line breaks, capitals and punctuation count.

    Returns:
        float64 (len(texts), n_measures), columns in the order of ``MEASURES``.

    Raises:
        InputError: ``texts`` is a single string.
    """
    if isinstance(texts, str):
        raise InputError("measure takes a list of texts, not one text", hint="put the text into a list")
    if direct.takes(texts):
        found = [direct.count(text) for text in texts]
        return _measured({name: np.array([one[name] for one in found], float) for name in (found[0] if found else ())})
    return _in_polars(texts)


def _in_polars(texts: Sequence[str]) -> np.ndarray:
    values = np.zeros((len(texts), N_MEASURES))
    for start in range(0, len(texts), _CHUNK):
        chunk = count(texts[start : start + _CHUNK])
        values[start : start + len(chunk)] = _measured({name: chunk[name].to_numpy() for name in chunk.columns})
    return values


def _measured(counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """The measures of texts, from float64 (n,) for every count.

    Every quotient is NumPy's: polars multiplies by the reciprocal of a column with one value, so that the last bit of
    a text's measures would depend on the other texts.
    """
    if not counts:
        return np.zeros((0, N_MEASURES))
    counts = {**counts, **_quotients(counts)}
    columns = []
    for of in MEASURES:
        factor, denominator = _PER.get(of.unit, (1.0, ""))
        value = counts[of.name] * factor
        columns.append(value / np.maximum(counts[denominator], 1.0) if denominator else value)
    # A rate per word has no meaning without words.
    return np.where((counts["words"] > 0)[:, None], np.stack(columns, axis=1), 0.0)


def _quotients(of: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Measures that are no counts."""
    sentences = of["sentences"]
    # The variance of whole numbers, without rounding before the root.
    spread = sentences * of["squares"] - of["sentence_length"] * of["sentence_length"]
    return {
        "sentence_variety": np.sqrt(spread) / np.maximum(sentences, 1.0),
        "word_variety": of["distinct"] / np.sqrt(np.maximum(of["words"], 1.0)),
        "repetition": 100 * (of["long_words"] - of["distinct_long_words"]) / np.maximum(of["long_words"], 1.0),
    }


HEAD = "| measure | category | unit | more: this user ... | less: this user ... | UVQ's attribute |"


def table() -> str:
    """Every measure as a row of a Markdown table."""
    return "\n".join((HEAD, "|---|---|---|---|---|---|", *map(_row, MEASURES)))


def _row(of: Measure) -> str:
    cells = (f"`{of.name}`", of.category, of.unit, of.more, of.less, f"`{of.attribute}`" if of.attribute else "")
    return f"| {' | '.join(cells)} |"
