"""A language model that needs no weights: for tests, dry runs and examples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from idiolect.llm.base import Capability, Completion, SamplingParams, Schema
from idiolect.llm.registry import BackboneConfig
from idiolect.llm.streaming import Listener
from idiolect.types import Prompt

Reply = Callable[[Prompt], str]


def echo(prompt: Prompt) -> str:
    """The first line of the best past review in the prompt, or the item's title."""
    lines = prompt.messages[-1].text.splitlines()
    past = [line.removeprefix("Text: ") for line in lines if line.startswith("Text: ")]
    return past[0] if past else "".join(lines[:1]).removeprefix("Item: ")


class FakeLLM:
    """Answers deterministically and records every prompt.

    Args:
        reply: Computes the answer to a prompt.
        max_entries: History entries that "fit"; later ones are reported as dropped.
    """

    supports: frozenset[Capability] = frozenset({"soft", "likelihood", "seed"})
    name = "fake"

    def __init__(self, reply: Reply = echo, *, max_entries: int = 1_000) -> None:
        self._reply = reply
        self._max_entries = max_entries
        self.seen: list[Prompt] = []

    @classmethod
    def load(cls, config: BackboneConfig, *, progress: bool = False) -> FakeLLM:
        """The fake model, whatever the settings. See ``registry.Backend``."""
        del config, progress
        return cls()

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``; words count as tokens, and ``reply`` must follow the schema."""
        self.seen.extend(prompts)
        return [self._complete(prompt, params) for prompt in prompts]

    def stream_text(self, prompt: Prompt, params: SamplingParams, listener: Listener) -> Completion:
        """See ``TextStreamer.stream_text``; word by word."""
        self.seen.append(prompt)
        whole = self._complete(prompt, params)
        words = whole.text.split(" ")
        for size in range(1, len(words) + 1):
            said = " ".join(words[:size])
            if not listener(said) and size < len(words):
                return replace(whole, text=said, completion_tokens=size, truncated=True)
        return whole

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """Nats of a unigram model over the prompt's words."""
        return np.array([_unigram_nats(p, r) for p, r in zip(prompts, references, strict=True)])

    def _complete(self, prompt: Prompt, params: SamplingParams) -> Completion:
        answer = self._reply(prompt)
        whole = answer.split(" ") if answer else []
        words = whole[: params.max_new_tokens]
        entries = {b.entry for m in prompt.messages for b in m.blocks if b.entry is not None}
        return Completion(
            text=" ".join(words),
            prompt_tokens=sum(len(message.text.split()) for message in prompt.messages),
            completion_tokens=len(words),
            kept_entries=tuple(sorted(entry for entry in entries if entry < self._max_entries)),
            truncated=len(words) < len(whole),
        )


def fingerprint(prompt: Prompt) -> str:
    """A digest of text, virtual tokens and soft vectors: equal prompts, equal digests."""
    digest = hashlib.blake2b(digest_size=16)
    for message in prompt.messages:
        digest.update(f"{message.role}\x00{message.text}\x00".encode())
    digest.update(repr(prompt.virtual_tokens).encode())
    if prompt.soft is not None:
        digest.update(np.ascontiguousarray(prompt.soft, dtype=np.float32).tobytes())
    return digest.hexdigest()


def _unigram_nats(prompt: Prompt, reference: str) -> float:
    shown = " ".join(message.text for message in prompt.messages).lower().split()
    wanted = reference.lower().split()
    vocabulary = len(set(shown) | set(wanted)) + 1
    counts = {word: shown.count(word) for word in set(wanted)}
    return float(-sum(np.log((counts[word] + 1) / (len(shown) + vocabulary)) for word in wanted))
