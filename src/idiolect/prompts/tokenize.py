"""Prompts to token ids: segment by segment through the model's own chat template, slot positions known exactly.

The chat template is rendered once per sequence of roles around sentinels; what it puts between them is tokenized with
its control tokens, what users wrote is tokenized without any (control tokens in it are broken up first). No id or
string is ever searched for in the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from idiolect.errors import ConfigError, InputError
from idiolect.prompts.chat import closing, frames, merge_system
from idiolect.prompts.control import ControlTokens
from idiolect.prompts.words import Words, works_by_words
from idiolect.types import Message, Prompt, Role, Segment, Slot


class _Part(NamedTuple):
    """A segment of a turn, or the ids of what the chat template puts between two turns."""

    content: Segment | np.ndarray
    entry: int | None = None


class _Frames(NamedTuple):
    """The chat template's part of a prompt, which alone has control tokens."""

    ids: list[np.ndarray]
    merged: bool
    """It wants no system turn."""
    opening: str


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
    opening: str = ""
    """What the chat template writes right before the answer; it may open or close the model's thinking."""


class PromptTokenizer:
    """Encodes prompts for one model.

    Args:
        tokenizer: A Hugging Face tokenizer (of any model, with or without a chat template).
        max_tokens: Budget of a prompt; history entries that do not fit are dropped, last first.
        history_tokens: No entry is kept that would make the prompt longer than this; None: ``max_tokens``.
        stops: Ids that end a text by the model's own settings, beside the tokenizer's and the chat template's.
        template_arguments: See ``chat.frames``.

    Raises:
        ConfigError: The tokenizer has no end-of-sequence token.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        max_tokens: int,
        history_tokens: int | None = None,
        stops: Sequence[int] = (),
        template_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        if tokenizer.eos_token_id is None:
            raise ConfigError("the tokenizer has no end-of-sequence token", hint="set tokenizer.eos_token")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.history_tokens = min(max_tokens, history_tokens or max_tokens)
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self.template_arguments = dict(template_arguments or {})
        self._stops = tuple(stops)
        self._backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        self._control = ControlTokens(tokenizer)
        self._words = Words(self._tokenize) if works_by_words(tokenizer) else None
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
        layout = self._layout(prompt.messages)
        limit = self._entries_that_fit(layout)
        ids: list[np.ndarray] = []
        positions: list[int] = []
        rows: list[int] = []
        slots: list[Slot] = []
        kept: dict[int, None] = {}
        length = row = 0
        for content, entry in layout:
            if entry is None or entry < limit:
                if isinstance(content, Slot):
                    positions.append(length)
                    rows.append(row)
                    slots.append(content)
                ids.append(self._ids_of(content))
                length += len(ids[-1])
                if entry is not None:
                    kept[entry] = None
            row += isinstance(content, Slot)
        return EncodedPrompt(
            ids=np.concatenate(ids),
            slot_positions=np.array(positions, dtype=np.int64),
            slots=tuple(slots),
            slot_rows=np.array(rows, dtype=np.int64),
            kept_entries=tuple(kept),
            opening=self._frames(tuple(message.role for message in prompt.messages)).opening,
        )

    def encode_reference(self, text: str) -> np.ndarray:
        """int32 (n,): the ids of what the model should write, end-of-turn token included."""
        return np.append(self._ids(text), np.int32(self.end_id))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, up to the first token that ends it.

        Control tokens within it are shown: they part thoughts from the answer, or tell that something went wrong.
        """
        written = [id for id in list(ids)[: self.length(ids)] if id not in self._unseen]
        hidden = not any(self._control.is_control(id) for id in written)
        return self.tokenizer.decode(written, skip_special_tokens=hidden).strip()

    def length(self, ids: Sequence[int]) -> int:
        """How many of the generated ids stand before the first token that ends the text."""
        return next((k for k, token in enumerate(ids) if token in self.stop_ids), len(ids))

    @cached_property
    def end_id(self) -> int:
        """The token that ends a turn; in some families (Gemma, Phi) it is not the end-of-sequence token.

        It is the one that the chat template closes an answer with. Where the template has none (GLM), it is the
        tokenizer's, if that ends a text by the model's own settings, and else the first that does.
        """
        found = self._control.first_in(closing(self.tokenizer, self.template_arguments))
        if found is not None and found not in self._between_channels:
            return found
        known = [id for id in self._stops if id not in self._between_channels]
        return self.tokenizer.eos_token_id if not known or self.tokenizer.eos_token_id in known else known[0]

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """Every token after which nothing more is to be written: of template, tokenizer and the model's settings."""
        found = dict.fromkeys((self.end_id, self.tokenizer.eos_token_id, *self._stops))
        return tuple(id for id in found if id not in self._between_channels)

    @cached_property
    def _between_channels(self) -> frozenset[int]:
        """What ends a message and not the turn: in harmony (gpt-oss) the answer follows after it."""
        tokens = [self._control.known(token) for token in ("<|channel|>", "<|message|>", "<|return|>", "<|end|>")]
        return frozenset() if None in tokens else frozenset((tokens[-1] or 0,))

    @cached_property
    def _unseen(self) -> frozenset[int]:
        """Control tokens that say nothing of a text."""
        tokenizer = self.tokenizer
        return frozenset((tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id)) - {None}

    def _layout(self, messages: tuple[Message, ...]) -> list[_Part]:
        around, merged, _ = self._frames(tuple(message.role for message in messages))
        turns = merge_system(messages) if merged else messages
        layout = [_Part(around[0])]
        for turn, frame in zip(turns, around[1:], strict=True):
            layout.extend(_Part(segment, block.entry) for block in turn.blocks for segment in block.segments)
            layout.append(_Part(frame))
        return layout

    def _entries_that_fit(self, layout: Sequence[_Part]) -> int:
        """Entries 0 .. n-1 fit the budget together with everything that is never dropped."""
        entries: dict[int, list[_Part]] = {}
        total = 0
        for part in layout:
            if part.entry is None:
                total += len(self._ids_of(part.content))
            else:
                entries.setdefault(part.entry, []).append(part)
        if total > self.max_tokens:
            raise InputError(
                f"a prompt without history takes {total} tokens, the budget is {self.max_tokens}",
                hint="raise backbone.max_prompt_tokens or lower prompt.description_chars",
            )
        fitting = 0
        for entry in sorted(entries):  # what stands behind the first that does not fit is not even tokenized
            total += sum(len(self._ids_of(part.content)) for part in entries[entry])
            if total > self.history_tokens:
                break
            fitting = entry + 1
        return fitting

    def _ids_of(self, content: Segment | np.ndarray) -> np.ndarray:
        if isinstance(content, str):
            return self._ids(content)
        return self._slot if isinstance(content, Slot) else content

    def _text_ids(self, text: str) -> np.ndarray:
        """Ids of text that may come from anybody: control tokens in it lose their meaning."""
        plain = self._control.broken_up(text)
        ids = self._words.ids(plain) if self._words else self._tokenize([plain])[0]
        return np.array(self._control.removed(ids), dtype=np.int32)

    def _encode_frames(self, roles: tuple[Role, ...]) -> _Frames:
        texts, merged = frames(self.tokenizer, roles, self.template_arguments)
        return _Frames([np.array(ids, dtype=np.int32) for ids in self._tokenize(texts)], merged, texts[-1])

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        backend = self._backend
        if backend is not None and backend.truncation is None and backend.padding is None:
            # A third less time than through the wrapper, which also counts characters.
            return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]
        return self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
