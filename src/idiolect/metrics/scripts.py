"""Which tokens a text is scored by, and how a table says so.

The papers' tokenizers are made for English: rouge_score's knows only ``[a-z0-9]`` and scores every text in another
script 0, also against itself. The reference of each sample decides which tokenizer is used (``words.kind_of``), so that
all methods are scored with the same tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from idiolect.words import is_blank, kind_of

WITH_TOKENS = frozenset({"rouge1", "rougeL", "meteor", "bleu"})
"""Metrics whose tokens depend on the script of each reference."""


def blank(texts: Sequence[str]) -> np.ndarray:
    """Bool (n,): texts without any visible character, and so without tokens."""
    return np.fromiter(map(is_blank, texts), dtype=bool, count=len(texts))


def note_of(references: Iterable[str]) -> str:
    """A note on references that are not in Latin script; empty if all are."""
    kinds = [kind_of(reference) for reference in references]
    spaced, unspaced = kinds.count("spaced"), kinds.count("chinese") + kinds.count("unspaced")
    if not spaced + unspaced:
        return ""
    return (
        f"{spaced + unspaced} of {len(kinds)} references are not in Latin script: rouge, meteor and bleu compare words "
        f"by Unicode's classes ({spaced}) or, in scripts without blanks between words, characters ({unspaced})"
    )


def label(usual: str, other: str, kinds: Iterable[str]) -> str:
    """The tokenizer's name for a signature: the usual one, the other one, or both if samples needed both.

    Args:
        usual: For Latin script.
        other: For other scripts.
        kinds: Kinds of the texts so far.
    """
    met = set(kinds)
    return "+".join([usual] * (not met or "latin" in met) + [other] * bool(met - {"latin"}))
