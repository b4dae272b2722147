"""Pipelined batches of samples: overlap local work with pending requests."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

from idiolect.llm.base import LLM
from idiolect.llm.cache import StreamingLLM
from idiolect.llm.openai import LOOK_UP_SECONDS
from idiolect.methods.roles import Role

P = TypeVar("P")
S = TypeVar("S")
R = TypeVar("R")

_BATCHES = 12
_GIVE_WAY_SECONDS = 0.001


def run_pipelined(
    prepare: Callable[[Sequence[S]], list[P]],
    work: Callable[[Sequence[P]], list[R]],
    samples: Sequence[S],
    batches: int,
    *,
    models: Collection[StreamingLLM] = (),
) -> list[R]:
    """Apply ``work`` to what ``prepare`` returns for the samples, batch by batch.

    Batches are prepared one after another in this thread, so that only this thread reads the store. Each prepared batch
    is worked on in a thread of its own. The first error, or Ctrl-C, ends all batches.

    Args:
        prepare: Returns one value per sample.
        work: Returns one result per value, independent of the other values of the batch.
        samples: The samples.
        batches: Number of batches; 1: no threads.
        models: Models that ``work`` calls; their requests are cancelled on an early end.

    Returns:
        The results in the order of the samples.
    """
    if batches < 2 or len(samples) < 2 * batches:
        return work(prepare(samples))
    bounds = [len(samples) * k // batches for k in range(batches + 1)]
    working: list[Future[list[R]]] = []
    idents: set[int] = set()

    def worked(group: Sequence[P]) -> list[R]:
        idents.add(threading.get_ident())
        return work(group)

    with _giving_way(), ThreadPoolExecutor(batches) as threads:
        try:
            for start, stop in pairwise(bounds):
                working.append(threads.submit(worked, prepare(samples[start:stop])))
            _wait(working)
            return [result for one in working for result in one.result()]
        except BaseException:
            _end(working, models, idents)
            raise


def _wait(working: Sequence[Future[list[R]]]) -> None:
    """Return when all batches are done, or raise the first error.

    It waits in short steps, because Ctrl-C just before a wait is otherwise noticed late.
    """
    while True:
        done, going_on = wait(working, timeout=LOOK_UP_SECONDS, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
        if not going_on:
            return


def _end(working: Sequence[Future[list[R]]], models: Collection[StreamingLLM], idents: Collection[int]) -> None:
    """Interrupt all batches, also those that reach their next stage, and return when none is running."""
    for one in working:
        one.cancel()
    while True:
        for model in models:
            model.interrupt(idents)
        if not wait(working, timeout=_GIVE_WAY_SECONDS * 20).not_done:
            return


@contextmanager
def _giving_way() -> Iterator[None]:
    """Shorten the thread switch interval: else the thread that sends and receives waits 5 ms for each computing one.

    The interval is global to the process: two overlapping calls may leave the short one, which is harmless.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, _GIVE_WAY_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def batches_for(roles: Iterable[Role | None]) -> int:
    """Number of batches: one if a model is in this process, because it can do one thing at a time."""
    asked = [role for role in roles if role is not None]
    return _BATCHES if asked and len(streaming(asked)) == len(asked) else 1


def streaming(roles: Iterable[Role | None]) -> list[StreamingLLM]:
    """The models of these roles that take concurrent requests."""
    models = (_uncached(role.llm) for role in roles if role is not None)
    return [model for model in models if isinstance(model, StreamingLLM)]


def _uncached(llm: LLM) -> LLM:
    """The model behind an answer cache."""
    return getattr(llm, "llm", llm)
