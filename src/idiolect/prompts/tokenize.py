"""Prompts to token ids: segment by segment through the model's own chat template, slot positions known exactly.

The chat template is rendered once per sequence of roles around sentinels; what it puts between them is tokenized with
its control tokens, what users wrote is tokenized without any (control tokens in it are broken up first). No id or
string is ever searched for in the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from idiolect.errors import ConfigError, InputError
from idiolect.prompts.chat import closing, frames, merge_system
from idiolect.prompts.control import ControlTokens
from idiolect.types import Block, Message, Prompt, Role, Slot


class _Piece(NamedTuple):
    """A block, or what the chat template puts between two turns."""

    parts: tuple[np.ndarray, ...]
    """int32 ids, segment by segment; the pad id where a slot is."""
    size: int
    """Tokens in ``parts``."""
    slots: tuple[Slot, ...] = ()
    slot_offsets: tuple[int, ...] = ()
    entry: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """A prompt as a model takes it, after what did not fit was dropped."""

    ids: np.ndarray
    """int32 (n,): token ids; the pad id at slot positions."""
    slot_positions: np.ndarray
    """int64 (n_slots,): where the kept slots are in ``ids``."""
    slots: tuple[Slot, ...]
    """The kept slots, in text order."""
    slot_rows: np.ndarray
    """int64 (n_slots,): the kept slots' indices among all slots of the prompt (rows of ``Prompt.soft``)."""
    kept_entries: tuple[int, ...]
    """The history entries that fitted."""


class PromptTokenizer:
    """Encodes prompts for one model.

    Args:
        tokenizer: A Hugging Face tokenizer (of any model, with or without a chat template).
        max_tokens: Budget of a prompt; history entries that do not fit are dropped, last first.

    Raises:
        ConfigError: The tokenizer has no end-of-sequence token.
    """

    def __init__(self, tokenizer: Any, *, max_tokens: int) -> None:
        if tokenizer.eos_token_id is None:
            raise ConfigError("the tokenizer has no end-of-sequence token", hint="set tokenizer.eos_token")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self._control = ControlTokens(tokenizer)
        self._slot = np.array([self.pad_id], dtype=np.int32)
        # Per instance, so that a tokenizer and its cache die together; by text, so that a review is tokenized once
        # whatever place it takes in however many histories.
        self._ids = lru_cache(maxsize=65_536)(self._text_ids)
        self._frames = lru_cache(maxsize=64)(self._encode_frames)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Token ids of a prompt with as many history entries as fit.

        Raises:
            InputError: Even without history the prompt is longer than ``max_tokens``.
        """
        pieces = self._pieces(prompt.messages)
        limit = self._entries_that_fit(pieces)
        parts: list[np.ndarray] = []
        positions: list[int] = []
        rows: list[int] = []
        slots: list[Slot] = []
        kept: dict[int, None] = {}
        length = row = 0
        for piece in pieces:
            if piece.entry is None or piece.entry < limit:
                parts.extend(piece.parts)
                positions.extend(length + offset for offset in piece.slot_offsets)
                rows.extend(range(row, row + len(piece.slots)))
                slots.extend(piece.slots)
                length += piece.size
                if piece.entry is not None:
                    kept[piece.entry] = None
            row += len(piece.slots)
        return EncodedPrompt(
            ids=np.concatenate(parts),
            slot_positions=np.array(positions, dtype=np.int64),
            slots=tuple(slots),
            slot_rows=np.array(rows, dtype=np.int64),
            kept_entries=tuple(kept),
        )

    def encode_reference(self, text: str) -> np.ndarray:
        """int32 (n,): the ids of what the model should write, end-of-turn token included."""
        return np.append(self._ids(text), np.int32(self.end_id))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, up to the first token that ends it."""
        return self.tokenizer.decode(list(ids)[: self.length(ids)], skip_special_tokens=True).strip()

    def length(self, ids: Sequence[int]) -> int:
        """How many of the generated ids stand before the first token that ends the text."""
        return next((k for k, token in enumerate(ids) if token in self.stop_ids), len(ids))

    @cached_property
    def end_id(self) -> int:
        """The token that ends a turn; in some families (Gemma, Phi) it is not the end-of-sequence token."""
        found = self._control.first_in(closing(self.tokenizer))
        return self.tokenizer.eos_token_id if found is None else found

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Every token after which nothing more is to be written."""
        return tuple(dict.fromkeys((self.end_id, self.tokenizer.eos_token_id)))

    def _pieces(self, messages: tuple[Message, ...]) -> list[_Piece]:
        around, merged = self._frames(tuple(message.role for message in messages))
        turns = merge_system(messages) if merged else messages
        pieces = [around[0]]
        for turn, frame in zip(turns, around[1:], strict=True):
            pieces.extend(self._encode_block(block) for block in turn.blocks)
            pieces.append(frame)
        return pieces

    def _entries_that_fit(self, pieces: Sequence[_Piece]) -> int:
        """Entries 0 .. n-1 fit the budget together with everything that is never dropped."""
        costs: dict[int, int] = {}
        total = 0
        for piece in pieces:
            if piece.entry is None:
                total += piece.size
            else:
                costs[piece.entry] = costs.get(piece.entry, 0) + piece.size
        if total > self.max_tokens:
            raise InputError(
                f"a prompt without history takes {total} tokens, the budget is {self.max_tokens}",
                hint="raise max_prompt_tokens or lower description_chars",
            )
        fitting = 0
        for entry in sorted(costs):
            total += costs[entry]
            if total > self.max_tokens:
                break
            fitting = entry + 1
        return fitting

    def _encode_block(self, block: Block) -> _Piece:
        parts = tuple(self._slot if isinstance(s, Slot) else self._ids(s) for s in block.segments)
        slots: list[Slot] = []
        offsets: list[int] = []
        size = 0
        for segment, part in zip(block.segments, parts, strict=True):
            if isinstance(segment, Slot):
                slots.append(segment)
                offsets.append(size)
            size += len(part)
        return _Piece(parts, size, tuple(slots), tuple(offsets), block.entry)

    def _text_ids(self, text: str) -> np.ndarray:
        """Ids of text that may come from anybody: control tokens in it lose their meaning."""
        plain = self._control.broken_up(text)
        return self._control.removed(self._tokenize(plain))

    def _encode_frames(self, roles: tuple[Role, ...]) -> tuple[list[_Piece], bool]:
        """The chat template's part of a prompt, which alone has control tokens; whether it wants no system turn."""
        texts, merged = frames(self.tokenizer, roles)
        ids = [self._tokenize(text) for text in texts]
        return [_Piece((part,), len(part)) for part in ids], merged

    def _tokenize(self, text: str) -> np.ndarray:
        return np.asarray(self.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=np.int32)
