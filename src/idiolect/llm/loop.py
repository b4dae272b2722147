"""An event loop in a thread of its own, so that a plain function can wait for many requests, inside a loop or not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
LOOK_UP_SECONDS = 0.5
"""How long a thread waits at most before it lets a signal be handled."""


class LoopThread:
    """Runs coroutines until it is closed; the thread does not keep the interpreter alive."""

    def __init__(self, name: str) -> None:
        self.events = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.events.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start ``work`` from any other thread.

        Raises:
            RuntimeError: It would be waited for in the thread that has to do it.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("what receives answers must not ask for others")
        return asyncio.run_coroutine_threadsafe(work, self.events)

    def close(self, last: Coroutine[Any, Any, object]) -> None:
        """Run ``last`` after cancelling everything else, then end the thread."""
        if self.events.is_closed():
            return last.close()
        self.submit(self._finish(last)).result()
        self.events.call_soon_threadsafe(self.events.stop)
        self._thread.join()
        self.events.close()

    async def _finish(self, last: Coroutine[Any, Any, object]) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await last
        await self.events.shutdown_asyncgens()
