"""Language models that hand over every answer as it arrives, so that it is recorded before anything else happens."""

from __future__ import annotations

import asyncio
from collections import deque
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
        """One answer a prompt in the order of arrival; each item holds all that arrived since the last, never none.

        An answer counts as under way until the item after its own is asked for, so a reader that records every item
        loses at most what is under way. Close a stream that is not read to its end.
        """
        ...


class Handover:
    """Passes answers from tasks of an event loop to a reader in another thread, and holds each task until its is taken.

    Args:
        loop: Where the tasks run.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: SimpleQueue[Answer | None] = SimpleQueue()
        self._held: deque[asyncio.Future[None]] = deque()  # as many as were not taken, in the order of arrival

    async def give(self, answer: Answer) -> None:
        """Return when the reader is done with the answer; for a task of the loop."""
        held = self._loop.create_future()
        self._held.append(held)
        self._arrived.put(answer)
        await held

    def end(self) -> None:
        """Nothing more will be given; from any thread."""
        self._arrived.put(None)

    def groups(self) -> Iterator[list[Answer]]:
        """What was given, in groups of what is there at once; one is taken when the next is asked for."""
        ended = False
        while not ended:
            group = [self._arrived.get()]
            while not self._arrived.empty():
                group.append(self._arrived.get())
            ended = group[-1] is None
            if answers := [answer for answer in group if answer is not None]:
                yield answers
                self._loop.call_soon_threadsafe(self._let_go, len(answers))

    def _let_go(self, n: int) -> None:
        for held in [self._held.popleft() for _ in range(n)]:
            if not held.done():
                held.set_result(None)
