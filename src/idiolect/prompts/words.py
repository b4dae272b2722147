"""Token ids word by word, for tokenizers that work word by word themselves.

Byte-level BPE (GPT-2, Qwen, Llama 3 and their kin) cuts a text by a regular expression before it looks anything up, and
each of the expressions below begins a new piece at a space between a printable ASCII character and an ASCII letter,
whatever stands around it. So the ids of a text are the ids of its parts between such spaces, and few words of a review
are new.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]

_CUT = re.compile(r" (?<=[!-~] )(?=[A-Za-z])")
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = frozenset({_ENDINGS + r"\p{N}" + _REST, _ENDINGS + r"\p{N}{1,3}" + _REST})
"""Of Qwen 2 and later, and of Llama 3; GPT-2's is built into the byte-level step."""


class Words:
    """Ids of texts by way of their words, each tokenized once.

    Args:
        tokenize: Ids of several texts, without special tokens.
        max_words: Of so many the ids are kept.
    """

    def __init__(self, tokenize: Tokenize, *, max_words: int = 65_536) -> None:
        self._tokenize, self._max_words = tokenize, max_words
        self._known: dict[str, Sequence[int]] = {}

    def ids(self, text: str) -> list[int]:
        """The ids of a text."""
        first, *others = _CUT.split(text)
        words = [first, *[f" {word}" for word in others]]
        new = list(set(words).difference(self._known))
        if new:
            if len(self._known) > self._max_words:  # the frequent ones are back within a few texts
                self._known.clear()
                new = list(set(words))
            self._known.update(zip(new, self._tokenize(new), strict=True))
        return list(chain.from_iterable(map(self._known.__getitem__, words)))


def works_by_words(tokenizer: Any) -> bool:
    """Whether a tokenizer surely gives a text the ids of its words; True only of kinds that are known to.

    Args:
        tokenizer: A Hugging Face tokenizer.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.pre_tokenizer is None:
        return False
    plain = type(backend.model).__name__ == "BPE" and backend.model.dropout is None
    normalizer = None if backend.normalizer is None else type(backend.normalizer).__name__
    tokens = tokenizer.added_tokens_decoder.values()
    whole = not any(token.lstrip or token.rstrip or re.search(r"\s", token.content) for token in tokens)
    return plain and normalizer in (None, "NFC") and whole and _cuts_by_pattern(backend.pre_tokenizer)


def _cuts_by_pattern(pre_tokenizer: Any) -> bool:
    state = json.loads(pre_tokenizer.__getstate__())
    *before, last = state.get("pretokenizers", [state])
    if last["type"] != "ByteLevel":
        return False
    if not before:
        return bool(last["use_regex"])
    (split, *more) = before
    known = split["type"] == "Split" and split["pattern"].get("Regex") in PATTERNS
    return known and split["behavior"] == "Isolated" and not split["invert"] and not more
