"""Any language model behind a cache: what was answered once is never asked again, also after a crash.

An endpoint's answer is on the disk before its place is free for another question: a process that is killed has lost at
most what was under way, one question a place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from idiolect.errors import ConfigError
from idiolect.llm.base import LLM, Capability, Completion, SamplingParams, Schema
from idiolect.llm.cache import Cache, Record
from idiolect.llm.cache_key import cache_keys
from idiolect.llm.streaming import Answer, Receive, StreamingLLM
from idiolect.types import Prompt, ReviewId

# Models that answer whole batches are given this many prompts at once, which is then the most a crash can cost.
_CHUNK = 64


class CachedLLM:
    """A language model that looks into its record first.

    Equal prompts of one call are asked once; for independent draws use ``SamplingParams.replicate``.

    Args:
        llm: What answers. Its ``identity`` (else its name) must tell it from any model or setting that would answer
            otherwise.
        cache: Where answers are kept.
    """

    def __init__(self, llm: LLM, cache: Cache) -> None:
        self.llm = llm
        self.cache = cache
        self.identity = str(getattr(llm, "identity", llm.name))

    @property
    def name(self) -> str:
        """Of the model."""
        return self.llm.name

    @property
    def supports(self) -> frozenset[Capability]:
        """What the model does."""
        return self.llm.supports

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``. Failures are not recorded, but for unfinished thinking, which more tokens may finish.

        Raises:
            ConfigError: A schema for a model that takes none.
        """
        if schema is not None and "schema" not in self.supports:
            raise ConfigError(f"{self.name} does not support schemas", hint="use another backend")
        keys = cache_keys(self.identity, prompts, params, schema)
        made_from = _made_from(keys, prompts)
        answers = self.cache.get(made_from)
        self.cache.link((key, made_from[key]) for key in answers)
        places = {key: place for place, key in reversed(list(enumerate(keys))) if key not in answers}
        asked = sorted(places.values())

        def record(group: list[Answer]) -> None:
            named = {keys[asked[answer.place]]: answer.completion for answer in group}
            answers.update(named | self._record(named, made_from))

        self._ask([prompts[place] for place in asked], params, schema, record)
        return [
            answers[key] if places.get(key) == place else replace(answers[key], cached=True)
            for place, key in enumerate(keys)
        ]

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """See ``LLM.negative_log_likelihood``; numbers are not recorded."""
        return self.llm.negative_log_likelihood(prompts, references)

    def _ask(self, prompts: Sequence[Prompt], params: SamplingParams, schema: Schema | None, receive: Receive) -> None:
        if isinstance(self.llm, StreamingLLM) and prompts:
            return self.llm.stream(prompts, params, receive, schema=schema)
        for start in range(0, len(prompts), _CHUNK):
            completions = self.llm.generate(prompts[start : start + _CHUNK], params, schema=schema)
            receive([Answer(start + k, completion) for k, completion in enumerate(completions)])

    def _record(
        self, named: Mapping[str, Completion], made_from: Mapping[str, frozenset[ReviewId]]
    ) -> dict[str, Completion]:
        """Put what is worth keeping on disk; the answers of others who were first, by key."""
        kept = [Record(key, completion, made_from[key]) for key, completion in named.items() if _final(completion)]
        return self.cache.put(kept) if kept else {}


def _made_from(keys: Sequence[str], prompts: Sequence[Prompt]) -> dict[str, frozenset[ReviewId]]:
    """Every distinct key with the reviews of all prompts that have it."""
    made_from: dict[str, frozenset[ReviewId]] = {}
    for key, prompt in zip(keys, prompts, strict=True):
        made_from[key] = made_from.get(key, frozenset()).union(prompt.sources)
    return made_from


def _final(completion: Completion) -> bool:
    """Whether asking again would be asking for an answer that was received and paid for."""
    return completion.failure is None or completion.failure.kind == "unfinished_thinking"
