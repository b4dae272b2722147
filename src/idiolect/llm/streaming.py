"""Language models that hand over every answer as it arrives, so that it is recorded before anything else happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import NamedTuple, Protocol, runtime_checkable

from idiolect.llm.base import LLM, Completion, SamplingParams, Schema
from idiolect.types import Prompt


class Answer(NamedTuple):
    """A completion and the place of its prompt among those asked."""

    place: int
    completion: Completion


@runtime_checkable
class StreamingLLM(LLM, Protocol):
    """A language model whose answers can be had one by one."""

    def stream(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> Iterator[list[Answer]]:
        """One answer a prompt in the order of arrival; each item holds all that arrived since the last, never none."""
        ...


def drain(arrived: SimpleQueue[Answer | None]) -> Iterator[list[Answer]]:
    """What is put into a queue, in groups of what is there at once, until None is put."""
    ended = False
    while not ended:
        group = [arrived.get()]
        while not arrived.empty():
            group.append(arrived.get())
        ended = group[-1] is None
        if answers := [answer for answer in group if answer is not None]:
            yield answers
