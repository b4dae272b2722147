"""Likelihood by class of token: which words of a text a method makes more likely.

A gain in function words and punctuation is a gain in style; one in names of the item is not about the user. The nats of
the classes of a text add up to its negative log-likelihood. Function words are a list of English words, so texts that
are not in English are left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from idiolect.difference.stylometry.english import are_english
from idiolect.difference.stylometry.lexicons import is_function_word
from idiolect.errors import ConfigError
from idiolect.evaluation.render import to_dict, to_markdown
from idiolect.evaluation.report import ScoreTable
from idiolect.llm.base import LLM, TokenLikelihood, TokenNats
from idiolect.llm.shared import SharedLLM
from idiolect.metrics.base import Mean
from idiolect.types import ConditionId, Item, ItemId, Sample

NAMES, FUNCTION, CONTENT, MARKS, END = (
    "names of the item",
    "function words",
    "content words",
    "punctuation and numbers",
    "end of text",
)
CLASSES = (NAMES, FUNCTION, CONTENT, MARKS, END)
KEY = "nats_by_class"
"""The field of a line of outputs: nats and number of tokens of each class; null for a text that is left out."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def columns(classes: Sequence[str]) -> list[Mean]:
    """Nats per review of these classes, as columns of a table."""
    return [Mean(name, greater_is_better=False, unit="nats/review") for name in classes]


def token_model(llm: LLM) -> TokenLikelihood:
    """The model, if it gives the likelihood of every token.

    Raises:
        ConfigError: It does not.
    """
    model = getattr(llm, "llm", llm)
    if isinstance(llm, SharedLLM):
        model = llm if isinstance(llm.inside, TokenLikelihood) else llm.inside
    if not isinstance(model, TokenLikelihood):
        raise ConfigError(
            f"token_classes needs the likelihood of every token, which {llm.name} does not give",
            hint="use backbone.backend=transformers, or token_classes=false",
        )
    return model


class TokenClasses:
    """Sums nats over the classes of tokens, for the samples of one evaluation.

    Args:
        samples: With references.
        items: Their items, as far as known.
    """

    def __init__(self, samples: Sequence[Sample], items: Mapping[ItemId, Item]) -> None:
        texts = [sample.reference or "" for sample in samples]
        self._texts, self._english = texts, are_english(texts, [sample.user for sample in samples])
        self._names = [_words(items[sample.item].title) if sample.item in items else set() for sample in samples]

    def sums(self, found: Sequence[TokenNats]) -> list[dict[str, list[float]] | None]:
        """Nats and number of tokens of each class, per sample.

        Args:
            found: Of the samples' references, in order.

        Returns:
            None for a text that is not in English, or whose tokens have no known place in it.
        """
        rows: list[dict[str, list[float]] | None] = []
        for text, names, english, one in zip(self._texts, self._names, self._english.tolist(), found, strict=True):
            if one.spans is None or not english:
                rows.append(None)
                continue
            of = classify(text, one.spans, names)
            rows.append(
                {name: [float(one.nats[of == k].sum()), int((of == k).sum())] for k, name in enumerate(CLASSES)}
            )
        return rows


def _words(text: str) -> set[str]:
    return {lower for word in _WORD.findall(text) if not is_function_word(lower := word.lower())}


def classify(text: str, spans: np.ndarray, names: set[str]) -> np.ndarray:
    """int64 (n,): the class of each token, as an index into ``CLASSES``.

    A token belongs to the word that its first character other than a space is in.

    Args:
        text: The text.
        spans: int64 (n, 2): where the tokens are; an empty one is the end of the text.
        names: Words of the item's title, in lower case.

    Example:
        >>> spans = np.array([[0, 3], [3, 10], [10, 11], [11, 11]])
        >>> [CLASSES[k] for k in classify("The Chimay!", spans, {"chimay"})]
        ['function words', 'names of the item', 'punctuation and numbers', 'end of text']
    """
    of = np.full(len(text) + 1, CLASSES.index(MARKS))
    for word in _WORD.finditer(text):
        lower = word[0].lower().replace("’", "'")
        kind = NAMES if lower in names or lower.removesuffix("'s") in names else CONTENT
        if kind == CONTENT and is_function_word(lower):
            kind = FUNCTION
        of[word.start() : word.end()] = CLASSES.index(kind)
    found = np.full(len(spans), CLASSES.index(END))
    for k, (begin, end) in enumerate(spans.tolist()):
        if end > begin:
            shown = next((place for place in range(begin, end) if not text[place].isspace()), begin)
            found[k] = of[shown]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTables:
    """Nats per review by class of token."""

    methods: ScoreTable
    """Methods, tested against the baseline."""
    controls: Mapping[ConditionId, ScoreTable]
    """By method with controls: the controls, tested against it."""
    tokens: Mapping[str, float]
    """Tokens per review, by class."""
    n_left_out: int
    """Samples that are not in English, or without known places of tokens."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        tables = {"methods": self.methods} | {f"controls of {one}": table for one, table in self.controls.items()}
        return {
            "tables": {name: to_dict(table) for name, table in tables.items()},
            "tokens": dict(self.tokens),
            "left_out": self.n_left_out,
        }

    def to_markdown(self) -> str:
        """The tables, and how many tokens a review has of each class."""
        parts = [to_markdown(self.methods, signatures=False)]
        parts += [f"Controls of {one}:\n\n{to_markdown(t, signatures=False)}" for one, t in self.controls.items()]
        counts = ", ".join(f"{name} {count:.1f}" for name, count in self.tokens.items())
        left_out = f" {self.n_left_out} samples are left out, most because they are not in English."
        parts.append(
            f"Nats per review; the classes of a row add up to its likelihood. Tokens per review: {counts}. Names of "
            f"the item are the words of its title.{left_out if self.n_left_out else ''}\n"
        )
        return "\n".join(parts)


def known_places(runs: Mapping[ConditionId, Sequence[Mapping[str, Any]]]) -> np.ndarray | None:
    """int64: the samples whose classes are known in every condition; None if none was asked for."""
    if not runs or not all(KEY in row for rows in runs.values() for row in rows):
        return None
    n = len(next(iter(runs.values())))
    return np.array([k for k in range(n) if all(rows[k][KEY] is not None for rows in runs.values())], dtype=np.int64)


def statistics(rows: Sequence[Mapping[str, Any]], *, of: int = 0) -> dict[str, np.ndarray]:
    """By class, float64 (n,): nats (``of=0``) or tokens (``of=1``); NaN for a text that is left out."""
    found = {name: [(row[KEY] or {}).get(name, (np.nan, np.nan))[of] for row in rows] for name in CLASSES}
    return {name: np.array(values, dtype=np.float64) for name, values in found.items()}
