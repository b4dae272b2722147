"""Control tokens: what a model obeys, and what nobody's text may smuggle in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_MARKUP = re.compile(r"[<>|\[\]{}]")


class ControlTokens:
    """The tokens of a tokenizer that mean something to its model.

    Words that somebody added to the vocabulary are none: they may stand in anybody's text.

    Args:
        tokenizer: A Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        added = tokenizer.added_tokens_decoder.items()
        found = {token.content: id for id, token in added if token.special or _MARKUP.search(token.content)}
        found |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
        self._by_text: dict[str, int] = {token: id for token, id in found.items() if token}
        longest_first = sorted(self._by_text, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        # What a tokenizer does not know is an honest part of a text.
        self._ids = frozenset(id for id in self._by_text.values() if id != tokenizer.unk_token_id)

    def first_in(self, text: str) -> int | None:
        """The id of the first control token in what a chat template wrote."""
        found = self._pattern.search(text)
        return self._by_text[found[0]] if found else None

    def known(self, token: str) -> int | None:
        """The id of a control token by its text."""
        return self._by_text.get(token)

    def is_control(self, id: int) -> bool:
        """Whether an id is a control token's."""
        return id in self._ids

    def broken_up(self, text: str) -> str:
        """The text with a space inside every control token, so that it reads the same and means nothing."""
        return self._pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def removed(self, ids: Sequence[int]) -> Sequence[int]:
        """Ids without control tokens: a normaliser may make one of what was none (NFKC, full-width brackets)."""
        return ids if self._ids.isdisjoint(ids) else [id for id in ids if id not in self._ids]
