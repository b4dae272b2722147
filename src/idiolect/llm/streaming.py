"""Replies that are read while they are generated: a listener gets the text so far and may end it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from idiolect.errors import ConfigError
from idiolect.llm.base import LLM, Completion, SamplingParams, Schema, Wrapped
from idiolect.llm.thinking import Tag, settled
from idiolect.types import Prompt

Listener = Callable[[str], bool]
"""Called with the settled text of a reply so far; returns whether to go on. Each text begins with the one before."""

_OFTEN = 256
"""A reply of this many tokens is decoded at every second one, of twice as many at every third, so that long replies do
not cost the square of their length."""


@runtime_checkable
class TextStreamer(Protocol):
    """A language model whose replies can be read while they are generated."""

    def stream_text(self, prompt: Prompt, params: SamplingParams, listener: Listener) -> Completion:
        """The completion of one prompt, the same as ``generate`` returns unless the listener ends it.

        Args:
            prompt: What to continue.
            params: Sampling of tokens.
            listener: Called in the thread that generates.
        """
        ...


class Listened(Wrapped):
    """A language model with a listener: it receives replies to single prompts.

    Args:
        llm: The model. If it cannot stream, the listener is called once, with the whole text.
        listener: Receives the replies.
    """

    def __init__(self, llm: LLM, listener: Listener) -> None:
        super().__init__(llm)
        self._listener = listener

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``.

        Raises:
            ConfigError: There are several prompts.
        """
        if len(prompts) != 1:
            raise ConfigError("a listener receives one reply at a time", hint="generate one text")
        if isinstance(self.llm, TextStreamer) and schema is None:
            return [self.llm.stream_text(prompts[0], params, self._listener)]
        found = self.llm.generate(prompts, params, schema=schema)
        self._listener(found[0].text)
        return found


class TokenListener:
    """Turns the ids of a growing reply into settled text for a listener.

    Args:
        tokenizer: Whether it changes spaces when more words follow is read from it.
        decode: Text of ids, as the whole reply is decoded.
        listener: Receives the text.
        always: See ``thinking.part``.
        tags: See ``thinking.part``.
    """

    def __init__(
        self,
        tokenizer: Any,
        decode: Callable[[Sequence[int]], str],
        listener: Listener,
        *,
        always: bool = False,
        tags: Sequence[Tag] = (),
    ) -> None:
        self._decode, self._listener, self._always, self._tags = decode, listener, always, tags
        self._said = ""
        self._cleans = bool(getattr(tokenizer, "clean_up_tokenization_spaces", False))

    def __call__(self, ids: Sequence[int]) -> bool:
        """Whether to go on after these ids of the reply, the first ones included."""
        if len(ids) % (1 + len(ids) // _OFTEN):
            return True
        text = self._decode(ids).rstrip("\ufffd")  # a character may be divided between tokens
        if self._cleans:
            text = text[: max(text.rfind(" "), text.rfind("\n"), 0)]
        text = settled(text, always=self._always, tags=self._tags)
        if text.startswith(self._said):  # else a tag came, of which the next tokens tell whether it counts
            self._said = text
        return self._listener(self._said)
