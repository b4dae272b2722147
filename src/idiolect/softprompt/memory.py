"""Fewer rows at once when memory runs out: the work is split, never lost, and its sums stay the same.

``accelerate.find_executable_batch_size`` and the Trainer's ``auto_find_batch_size`` start the whole function again with
a smaller batch; the Trainer then keeps its accumulation, so that the effective batch and the losses change. Here the
rows of a batch are computed in parts, and only the part that failed is computed again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from idiolect.errors import ConfigError

T = TypeVar("T")

_log = logging.getLogger(__name__)

_SAYINGS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory", "not enough memory")
"""In messages of CUDA, ROCm, XPU and MPS (whose error is a ``RuntimeError``), cuBLAS, and the CPU's allocator.
``accelerate.utils.memory.should_reduce_batch_size`` knows fewer of them."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device or the host has no memory left for an allocation."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in _SAYINGS)


class BatchLimit:
    """How many rows of a batch are computed at once: all, until memory runs out; from then on half as many.

    Args:
        what: Names the work in messages.
        hint: Remedy if not even one row fits.
        halves: Whether fewer rows are tried at all; not where several processes must compute equally often.

    Example:
        >>> limit = BatchLimit("likelihoods", hint="use shorter prompts")
        >>> limit.run(4, lambda rows: rows.stop - rows.start)
        [4]
    """

    def __init__(self, what: str, *, hint: str, halves: bool = True) -> None:
        self.rows: int | None = None
        """The most rows that are tried; None: memory has not run out."""
        self._what, self._hint, self._halves = what, hint, halves

    def run(self, n: int, compute: Callable[[slice], T]) -> list[T]:
        """``compute`` for consecutive parts of ``n`` rows, halved as often as needed; results in order.

        Args:
            n: Rows of the batch.
            compute: Called with the rows of a part. After a failure it is called again with fewer of them, so it must
                leave nothing behind before it is done.

        Raises:
            ConfigError: Not even one row fits, or fewer rows must not be tried.
        """
        done: list[T] = []
        start = 0
        while start < n:
            rows = slice(start, min(n, start + (self.rows or n)))
            try:
                done.append(compute(rows))
                start = rows.stop
                continue
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                if rows.stop - rows.start == 1 or not self._halves:
                    many = "even one row" if self._halves else f"{rows.stop - rows.start} rows on this process"
                    raise ConfigError(f"no memory for {self._what} of {many}", hint=self._hint) from error
            # Outside the handler, whose traceback keeps the tensors of the failed part alive.
            self._halve(rows.stop - rows.start)
        return done

    def _halve(self, failed: int) -> None:
        from accelerate.utils.memory import clear_device_cache

        clear_device_cache(garbage_collection=True)
        self.rows = failed // 2
        _log.warning("no memory for %s of %d rows at once: %d from now on", self._what, failed, self.rows)
