"""Texts of the model in this process while they are generated: stop strings, pieces, and clients that go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace

import anyio

from idiolect.llm.streaming import Listener
from idiolect.server.personalization import Answer, AnswerError

Writes = Callable[[Listener | None], Answer]
"""Writes a text in the calling thread; a listener receives it meanwhile."""
Threads = Callable[[Callable[[], Answer]], Awaitable[Answer]]
"""Calls a function in a thread."""


def stopped(text: str, stops: Sequence[str]) -> str:
    """The text before the first stop string.

    Of stop strings that overlap the one that ends first counts, so that a text that is read in pieces ends where the
    whole one does.

    Example:
        >>> stopped("one two three", ["three", "wo t"])
        'one t'
    """
    ends = [(start + len(one), start) for one in stops if (start := text.find(one)) >= 0]
    return text[: min(ends)[1]] if ends else text


def _held(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end may be the beginning of a stop string."""
    sizes = (size for one in stops for size in range(len(one) - 1, 0, -1) if text.endswith(one[:size]))
    return max(sizes, default=0)


class Pieces:
    """The listener of one text: cuts it at stop strings and passes on what is new.

    Args:
        stops: Strings that end the text and are no part of it.
        take: Called with every piece, in the thread that generates; None: only stop strings count.
    """

    def __init__(self, stops: Sequence[str], take: Callable[[str], object] | None = None) -> None:
        self._stops, self._take, self._sent = stops, take, ""
        self.cancelled = False
        """Nobody waits for the text any more."""

    def __call__(self, text: str) -> bool:
        """See ``llm.streaming.Listener``."""
        if self.cancelled:
            return False
        shown = stopped(text, self._stops)
        ended = len(shown) < len(text)
        self._pass_on(shown if ended else shown[: len(shown) - _held(shown, self._stops)])
        return not ended

    def finish(self, answer: Answer) -> Answer:
        """The answer up to its stop string; what is left of it is passed on.

        Raises:
            AnswerError: What was passed on turned out to be no part of the answer.
        """
        text = stopped(answer.text, self._stops)
        if not text.startswith(self._sent):
            raise AnswerError("the reply turned out to be thinking: set reasoning_model, or turn the thinking off")
        self._pass_on(text)
        return replace(answer, text=text, truncated=answer.truncated and len(text) == len(answer.text))

    def _pass_on(self, text: str) -> None:
        if self._take is not None and len(text) > len(self._sent) and text.startswith(self._sent):
            self._take(text[len(self._sent) :])
            self._sent = text


async def whole(write: Writes, stops: Sequence[str], threads: Threads) -> Answer:
    """A text, up to its stop string. If nobody waits for it any more, the model stops.

    Raises:
        AnswerError: There is none.
    """
    pieces = Pieces(stops)
    writing = _begun(write, pieces, threads)
    try:
        return await asyncio.shield(writing)
    finally:
        await _end(writing, pieces)


async def spoken(write: Writes, stops: Sequence[str], threads: Threads) -> AsyncGenerator[str | Answer]:
    """The pieces of a text, then the answer. If the iterator is closed before, the model stops.

    Raises:
        AnswerError: There is none, or it fails on the way.
    """
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[str | None]()
    pieces = Pieces(stops, lambda piece: loop.call_soon_threadsafe(queue.put_nowait, piece))
    writing = _begun(write, pieces, threads)
    writing.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (piece := await queue.get()) is not None:
            yield piece
        yield await writing
    finally:
        await _end(writing, pieces)


def _begun(write: Writes, pieces: Pieces, threads: Threads) -> asyncio.Future[Answer]:
    return asyncio.ensure_future(threads(lambda: pieces.finish(write(pieces))))


async def _end(writing: asyncio.Future[Answer], pieces: Pieces) -> None:
    """Stop the model, if it still writes, and wait for its thread."""
    pieces.cancelled = True
    with anyio.CancelScope(shield=True):
        await asyncio.wait([writing])
    if not writing.cancelled():
        writing.exception()  # else asyncio warns of an error that nobody reads
