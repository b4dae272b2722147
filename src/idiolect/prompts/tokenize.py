"""Prompts to token ids: block by block through the model's own chat template, slot positions known exactly.

The chat template is rendered once per sequence of roles around sentinels; what it puts between them is tokenized with
its control tokens, what users wrote is tokenized without any (control tokens in it are broken up first). No id or
string is ever searched for in the result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from idiolect.errors import ConfigError, InputError
from idiolect.types import Block, Message, Prompt, Role, Slot


class _BlockIds(NamedTuple):
    ids: np.ndarray
    """int32 (n,), the pad id where a slot is."""
    slot_offsets: np.ndarray
    """int64 (n_slots,) into ``ids``."""
    slots: tuple[Slot, ...]


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
        self.eos_id: int = tokenizer.eos_token_id
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        # Per instance, so that a tokenizer and its cache die together.
        self._block = lru_cache(maxsize=65_536)(self._encode_block)
        self._frames = lru_cache(maxsize=64)(self._encode_frames)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Token ids of a prompt with as many history entries as fit.

        Raises:
            InputError: Even without history the prompt is longer than ``max_tokens``.
        """
        frames, merged = self._frames(tuple(m.role for m in prompt.messages))
        turns = _merge_system(prompt.messages) if merged else prompt.messages
        blocks = [[(block, self._block(block)) for block in turn.blocks] for turn in turns]
        limit = self._entries_that_fit(frames, [pair for turn in blocks for pair in turn])
        ids: list[np.ndarray] = [frames[0]]
        positions: list[np.ndarray] = []
        kept: dict[int, None] = {}
        rows: list[int] = []
        slots: list[Slot] = []
        length, row = len(frames[0]), 0
        for turn, frame in zip(blocks, frames[1:], strict=True):
            for block, encoded in turn:
                if block.entry is None or block.entry < limit:
                    ids.append(encoded.ids)
                    positions.append(encoded.slot_offsets + length)
                    slots.extend(encoded.slots)
                    rows.extend(range(row, row + len(encoded.slots)))
                    length += len(encoded.ids)
                    if block.entry is not None:
                        kept[block.entry] = None
                row += len(encoded.slots)
            ids.append(frame)
            length += len(frame)
        return EncodedPrompt(
            ids=np.concatenate(ids),
            slot_positions=np.concatenate([np.zeros(0, np.int64), *positions]),
            slots=tuple(slots),
            slot_rows=np.array(rows, dtype=np.int64),
            kept_entries=tuple(kept),
        )

    def encode_reference(self, text: str) -> np.ndarray:
        """int32 (n,): the ids of what the model should write, end-of-sequence included."""
        return np.append(self._text_ids(text), np.int32(self.eos_id))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, up to the first end-of-sequence token."""
        return self.tokenizer.decode(_until(list(ids), self.eos_id), skip_special_tokens=True).strip()

    def _entries_that_fit(self, frames: Sequence[np.ndarray], blocks: Sequence[tuple[Block, _BlockIds]]) -> int:
        """Entries 0 .. n-1 fit the budget together with everything that is never dropped."""
        fixed = sum(map(len, frames)) + sum(len(e.ids) for b, e in blocks if b.entry is None)
        if fixed > self.max_tokens:
            raise InputError(
                f"a prompt without history takes {fixed} tokens, the budget is {self.max_tokens}",
                hint="raise max_prompt_tokens or lower description_chars",
            )
        costs: dict[int, int] = {}
        for block, encoded in blocks:
            if block.entry is not None:
                costs[block.entry] = costs.get(block.entry, 0) + len(encoded.ids)
        fitting, total = 0, fixed
        for entry in sorted(costs):
            total += costs[entry]
            if total > self.max_tokens:
                break
            fitting = entry + 1
        return fitting

    def _encode_block(self, block: Block) -> _BlockIds:
        parts: list[np.ndarray] = []
        offsets: list[int] = []
        length = 0
        for segment in block.segments:
            if isinstance(segment, Slot):
                offsets.append(length)
                part = np.array([self.pad_id], dtype=np.int32)
            else:
                part = self._text_ids(segment)
            parts.append(part)
            length += len(part)
        ids = np.concatenate([np.zeros(0, np.int32), *parts])
        slots = tuple(s for s in block.segments if isinstance(s, Slot))
        return _BlockIds(ids, np.array(offsets, dtype=np.int64), slots)

    def _text_ids(self, text: str) -> np.ndarray:
        """Ids of text that may come from anybody: control tokens in it lose their meaning."""
        plain = self._control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text) if self._control else text
        return np.asarray(self.tokenizer(plain, add_special_tokens=False)["input_ids"], dtype=np.int32)

    @cached_property
    def _control(self) -> re.Pattern[str] | None:
        tokens = {str(token) for token in self.tokenizer.added_tokens_decoder.values()} | set(
            self.tokenizer.all_special_tokens
        )
        ordered = sorted((t for t in tokens if t), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def _encode_frames(self, roles: tuple[Role, ...]) -> tuple[list[np.ndarray], bool]:
        """What the chat template puts before, between and after the turns; whether it wants no system turn."""
        try:
            pieces, merged = self._frame_texts(roles), False
        except Exception as error:  # templates raise whatever their author chose, most often for a system turn
            if roles[:2] != ("system", "user"):
                raise ConfigError(f"the chat template refuses the roles {roles}: {error}") from error
            pieces, merged = self._frame_texts(roles[1:]), True
        ids = [self.tokenizer(piece, add_special_tokens=False)["input_ids"] if piece else [] for piece in pieces]
        return [np.asarray(part, dtype=np.int32) for part in ids], merged

    def _frame_texts(self, roles: tuple[Role, ...]) -> list[str]:
        marks = [f"\ue000{k}\ue001" for k in range(len(roles))]
        if self.tokenizer.chat_template is None:
            return [self.tokenizer.bos_token or "", *["\n\n"] * len(roles)]
        chat = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        pieces = re.split("|".join(marks), text)
        if len(pieces) != len(roles) + 1:
            raise ConfigError("the chat template repeats or omits a turn", hint="use another tokenizer's chat template")
        return pieces


def _merge_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The system turn's blocks in front of the user's, for templates that know no system role."""
    system, user, *rest = messages
    return (Message("user", (*system.blocks, Block(("\n\n",)), *user.blocks)), *rest)


def _until(ids: list[int], stop: int) -> list[int]:
    return ids[: ids.index(stop)] if stop in ids else ids
