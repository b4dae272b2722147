"""Prompts to token ids, through the model's own chat template, with the exact positions of virtual tokens.

The chat template is rendered once per sequence of roles, around sentinels. What it puts between the turns is tokenized
with its control tokens, and the segments of the turns without any (``ControlTokens.escape``), so that no text of a user
can open or end a turn. Nothing is searched for in the result. If the token budget is too small, whole history entries
are dropped, last first, with their virtual tokens. Ids are int32, positions int64.

Byte-level BPE (GPT-2, Qwen, Llama 3) splits a text by a regular expression before it merges, and each expression in
``PATTERNS`` starts a new piece at a space between a printable ASCII character and an ASCII letter. So the ids of a text
are those of its parts between such spaces, which ``WordTokenCache`` keeps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from idiolect.errors import ConfigError, InputError
from idiolect.types import Block, Message, Prompt, Role, Segment, VirtualToken


class ChatTemplateParts(NamedTuple):
    """What a chat template writes around the turns."""

    texts: list[str]
    """Before, between and after the turns; the last one opens the answer."""
    merged: bool
    """The template has no system turn: its text is put in front of the user's."""


def chat_template_parts(
    tokenizer: Any, roles: Sequence[Role], arguments: Mapping[str, Any] | None = None
) -> ChatTemplateParts:
    """The parts for a chat of these roles, with the answer's turn opened.

    Args:
        tokenizer: A Hugging Face tokenizer; without a chat template, turns are paragraphs.
        roles: Of the turns.
        arguments: Further arguments of the template, for instance ``{"enable_thinking": False}``.

    Raises:
        ConfigError: The template refuses the roles, with and without a system turn.
    """
    variants = [(list(roles), False)]
    if tuple(roles[:2]) == ("system", "user"):
        variants.append((list(roles[1:]), True))
    refusals: list[Exception] = []
    for variant, merged in variants:
        try:
            return ChatTemplateParts(_texts(tokenizer, variant, arguments, open_answer=True), merged)
        except Exception as error:  # templates raise anything, most often because of a system turn
            refusals.append(error)
    raise ConfigError(
        f"the chat template refuses the roles {', '.join(roles)}: {refusals[-1]}",
        hint="use another tokenizer's chat template",
    ) from refusals[-1]


def closing(tokenizer: Any, arguments: Mapping[str, Any] | None = None) -> str:
    """What the template writes after an answer; empty if it has no such turn."""
    try:
        return _texts(tokenizer, ["user", "assistant"], arguments, open_answer=False)[-1]
    except Exception:  # as above
        return ""


def merge_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Messages with the system turn's blocks in front of the user's, for templates without system turn."""
    system, user, *rest = messages
    return (Message("user", (*system.blocks, Block(("\n\n",)), *user.blocks)), *rest)


def _texts(
    tokenizer: Any, roles: Sequence[Role], arguments: Mapping[str, Any] | None, *, open_answer: bool
) -> list[str]:
    if tokenizer.chat_template is None:
        return [tokenizer.bos_token or "", *["\n\n"] * len(roles)]
    # Private-use characters, which no template writes itself.
    marks = [f"\ue000{k}\ue001" for k in range(len(roles))]
    chat = [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
    given = dict(arguments or {})
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=open_answer, **given)
    texts = re.split("|".join(marks), text)
    if len(texts) != len(roles) + 1:
        raise ValueError("it repeats or omits a turn")
    return texts


_MARKUP = re.compile(r"[<>|\[\]{}]")


class ControlTokens:
    """The tokens of a tokenizer that control its model. Ordinary words that were added to the vocabulary do not count.

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
        # The unknown token can come from any text.
        self._ids = frozenset(id for id in self._by_text.values() if id != tokenizer.unk_token_id)

    def first_in(self, text: str) -> int | None:
        """The id of the first control token in a text of a chat template; None if there is none."""
        found = self._pattern.search(text)
        return self._by_text[found[0]] if found else None

    def known(self, token: str) -> int | None:
        """The id of a control token by its text."""
        return self._by_text.get(token)

    def is_control(self, id: int) -> bool:
        """Whether an id is a control token's."""
        return id in self._ids

    def escape(self, text: str) -> str:
        """The text with a space inside every control token: it reads the same and controls nothing."""
        return self._pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def remove(self, ids: Sequence[int]) -> Sequence[int]:
        """Ids without control tokens, which a normalizer may create (NFKC, full-width brackets)."""
        return ids if self._ids.isdisjoint(ids) else [id for id in ids if id not in self._ids]


Tokenize = Callable[[Sequence[str]], Sequence[Sequence[int]]]

_CUT = re.compile(r" (?<=[!-~] )(?=[A-Za-z])")
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = frozenset({_ENDINGS + r"\p{N}" + _REST, _ENDINGS + r"\p{N}{1,3}" + _REST})
"""Of Qwen 2 and later, and of Llama 3. GPT-2's is part of the byte-level step."""


class WordTokenCache:
    """Tokenizes texts word by word and keeps the ids of each word.

    Args:
        tokenize: Ids of several texts, without special tokens.
        max_words: The cache is emptied when it holds more.
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
            if len(self._known) > self._max_words:
                self._known.clear()
                new = list(set(words))
            self._known.update(zip(new, self._tokenize(new), strict=True))
        return list(chain.from_iterable(map(self._known.__getitem__, words)))


def tokenizes_by_words(tokenizer: Any) -> bool:
    """Whether a text's ids are known to be those of its words; False if in doubt.

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


class _Part(NamedTuple):
    """A segment of a turn, or the ids of a part of the chat template."""

    content: Segment | np.ndarray
    entry: int | None = None


class _EncodedParts(NamedTuple):
    """``ChatTemplateParts`` as ids."""

    ids: list[np.ndarray]
    merged: bool
    """See ``ChatTemplateParts``."""
    opening: str


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompt:
    """A prompt as token ids, without the history entries that did not fit."""

    ids: np.ndarray
    """int32 (n,): token ids; the pad id at virtual token positions."""
    virtual_token_positions: np.ndarray
    """int64 (n_virtual_tokens,): where the kept virtual tokens are in ``ids``."""
    virtual_tokens: tuple[VirtualToken, ...]
    """The kept virtual tokens, in text order."""
    virtual_token_indices: np.ndarray
    """int64 (n_virtual_tokens,): their indices among all virtual tokens of the prompt (rows of ``Prompt.soft``)."""
    kept_entries: tuple[int, ...]
    """The history entries that fitted."""
    opening: str = ""
    """What the chat template writes directly before the answer; it may open or close the model's thinking."""


class PromptTokenizer:
    """Encodes prompts for one model.

    Args:
        tokenizer: A Hugging Face tokenizer, with or without a chat template.
        max_tokens: Budget of a prompt; history entries that do not fit are dropped, last first.
        history_tokens: No entry is kept that would make the prompt longer than this; None: ``max_tokens``.
        stops: Further ids that end a text, from the model's own settings.
        template_arguments: See ``chat_template_parts``.

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
        self._word_cache = WordTokenCache(self._tokenize) if tokenizes_by_words(tokenizer) else None
        self._virtual_token = np.array([self.pad_id], dtype=np.int32)
        # Per instance, so that the cache is freed with the tokenizer; by text, so that a review is tokenized once
        # however many histories contain it.
        self._ids = lru_cache(maxsize=65_536)(self._text_ids)
        self._template_parts = lru_cache(maxsize=64)(self._encode_parts)

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
        virtual_tokens: list[VirtualToken] = []
        kept: dict[int, None] = {}
        length = row = 0
        for content, entry in layout:
            if entry is None or entry < limit:
                if isinstance(content, VirtualToken):
                    positions.append(length)
                    rows.append(row)
                    virtual_tokens.append(content)
                ids.append(self._ids_of(content))
                length += len(ids[-1])
                if entry is not None:
                    kept[entry] = None
            row += isinstance(content, VirtualToken)
        return EncodedPrompt(
            ids=np.concatenate(ids),
            virtual_token_positions=np.array(positions, dtype=np.int64),
            virtual_tokens=tuple(virtual_tokens),
            virtual_token_indices=np.array(rows, dtype=np.int64),
            kept_entries=tuple(kept),
            opening=self._template_parts(tuple(message.role for message in prompt.messages)).opening,
        )

    def encode_reference(self, text: str) -> np.ndarray:
        """int32 (n,): the ids of the target text, end-of-turn token included."""
        return np.append(self._ids(text), np.int32(self.end_id))

    def reference_spans(self, text: str) -> np.ndarray | None:
        """int64 (n, 2): begin and end, in characters of the text, of each token of ``encode_reference``.

        The end-of-turn token is empty, at the end of the text.

        Returns:
            None if the tokenizer has no offsets, or the text holds control tokens, which are encoded differently.
        """
        if not self.tokenizer.is_fast:
            return None
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        if not np.array_equal(found["input_ids"], self._ids(text)):
            return None
        return np.array([*found["offset_mapping"], (len(text), len(text))], dtype=np.int64).reshape(-1, 2)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids, up to the first token that ends it.

        Control tokens inside it are kept, because they separate thoughts from the answer or reveal a fault.
        """
        written = [id for id in list(ids)[: self.length(ids)] if id not in self._unseen]
        hidden = not any(self._control.is_control(id) for id in written)
        return self.tokenizer.decode(written, skip_special_tokens=hidden).strip()

    def length(self, ids: Sequence[int]) -> int:
        """Number of generated ids before the first token that ends the text."""
        return next((k for k, token in enumerate(ids) if token in self.stop_ids), len(ids))

    @cached_property
    def end_id(self) -> int:
        """The token that ends a turn; in some families (Gemma, Phi) it is not the end-of-sequence token.

        The one with which the chat template closes an answer. If it has none (GLM): the tokenizer's end-of-sequence
        token if the model's settings have it too, else the first of those settings.
        """
        found = self._control.first_in(closing(self.tokenizer, self.template_arguments))
        if found is not None and found not in self._between_channels:
            return found
        known = [id for id in self._stops if id not in self._between_channels]
        return self.tokenizer.eos_token_id if not known or self.tokenizer.eos_token_id in known else known[0]

    @cached_property
    def stop_ids(self) -> tuple[int, ...]:
        """All tokens that end a text: of the chat template, the tokenizer and the model's settings."""
        found = dict.fromkeys((self.end_id, self.tokenizer.eos_token_id, *self._stops))
        return tuple(id for id in found if id not in self._between_channels)

    @cached_property
    def _between_channels(self) -> frozenset[int]:
        """Tokens that end a message but not the turn: in harmony (gpt-oss) the answer follows."""
        tokens = [self._control.known(token) for token in ("<|channel|>", "<|message|>", "<|return|>", "<|end|>")]
        return frozenset() if None in tokens else frozenset((tokens[-1] or 0,))

    @cached_property
    def _unseen(self) -> frozenset[int]:
        """Control tokens that are never part of an answer."""
        tokenizer = self.tokenizer
        return frozenset((tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id)) - {None}

    def _layout(self, messages: tuple[Message, ...]) -> list[_Part]:
        around, merged, _ = self._template_parts(tuple(message.role for message in messages))
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
        for entry in sorted(entries):  # entries after the first that does not fit are not tokenized
            total += sum(len(self._ids_of(part.content)) for part in entries[entry])
            if total > self.history_tokens:
                break
            fitting = entry + 1
        return fitting

    def _ids_of(self, content: Segment | np.ndarray) -> np.ndarray:
        if isinstance(content, str):
            return self._ids(content)
        return self._virtual_token if isinstance(content, VirtualToken) else content

    def _text_ids(self, text: str) -> np.ndarray:
        """Ids of untrusted text, without control tokens."""
        plain = self._control.escape(text)
        ids = self._word_cache.ids(plain) if self._word_cache else self._tokenize([plain])[0]
        return np.array(self._control.remove(ids), dtype=np.int32)

    def _encode_parts(self, roles: tuple[Role, ...]) -> _EncodedParts:
        texts, merged = chat_template_parts(self.tokenizer, roles, self.template_arguments)
        return _EncodedParts([np.array(ids, dtype=np.int32) for ids in self._tokenize(texts)], merged, texts[-1])

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        backend = self._backend
        if backend is not None and backend.truncation is None and backend.padding is None:
            # Takes two thirds of the wrapper's time, which also computes character offsets.
            return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]
        return self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
