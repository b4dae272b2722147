"""Language models that hand over every answer as it arrives, so that it is recorded before anything else happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from idiolect.llm.base import LLM, Completion, SamplingParams, Schema
from idiolect.types import Prompt


class Answer(NamedTuple):
    """A completion and the place of its prompt among those asked."""

    place: int
    completion: Completion


Receive = Callable[[list[Answer]], None]
"""Takes all answers that arrived since it was last called, never none. It is called in another thread, one call at a
time, and asks nothing of the model that calls it."""


@runtime_checkable
class StreamingLLM(LLM, Protocol):
    """A language model whose answers can be had one by one."""

    def stream(
        self, prompts: Sequence[Prompt], params: SamplingParams, receive: Receive, *, schema: Schema | None = None
    ) -> None:
        """Ask, and hand over one answer a prompt in the order of arrival; returns when all are handed over.

        An answer counts as under way until ``receive`` returns, so one that records loses at most what is under way.
        What ``receive`` raises ends the asking and is raised here; it is not called again.
        """
        ...

    def interrupt(self, threads: Collection[int]) -> None:
        """End what these threads (by ``threading.get_ident``) wait for: ``stream`` raises ``CancelledError`` there."""
        ...


class NotReceivedError(Exception):
    """What an answer is met with when nobody receives any more."""


class Handover:
    """Passes on what tasks of an event loop give, all that is there at once, and holds each task until it is received.

    It is received in the loop's own thread: handing it to another and waiting for word from there would take longer
    than recording it does. While it is received, nothing else happens in the loop.

    Args:
        receive: See ``Receive``.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._arrived: list[tuple[Answer, asyncio.Future[None]]] = []
        self._receiving = threading.Lock()
        self._open = True
        self.fault: BaseException | None = None
        """What ``receive`` raised, after which it is not called again."""

    async def give(self, answer: Answer) -> None:
        """Return when the answer is received; for a task of the loop.

        Raises:
            NotReceivedError: Nobody receives any more.
        """
        loop = asyncio.get_running_loop()
        held = loop.create_future()
        if not self._arrived:
            loop.call_soon(self._pass_on)
        self._arrived.append((answer, held))
        await held

    def close(self) -> None:
        """Nothing is passed on when this has returned; from any other thread."""
        with self._receiving:
            self._open = False

    def _pass_on(self) -> None:
        arrived, self._arrived = self._arrived, []
        received = self._received([answer for answer, _ in arrived])
        for held in (held for _, held in arrived if not held.done()):
            held.set_result(None) if received else held.set_exception(NotReceivedError())

    def _received(self, answers: list[Answer]) -> bool:
        """Whether somebody took them. No exception gets out, for that would end the loop, or leave the tasks held."""
        with self._receiving:
            if self._open:
                try:
                    self._receive(answers)
                except BaseException as error:
                    self.fault, self._open = error, False
            return self._open
