"""Groups of samples side by side: while an endpoint answers one, another is compared, checked and asked about."""

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
from idiolect.methods.stages import Role

P = TypeVar("P")
S = TypeVar("S")
R = TypeVar("R")

_WAVES = 12
_GIVE_WAY_SECONDS = 0.001


def in_waves(
    prepare: Callable[[Sequence[S]], list[P]],
    work: Callable[[Sequence[P]], list[R]],
    samples: Sequence[S],
    waves: int,
    *,
    models: Collection[StreamingLLM] = (),
) -> list[R]:
    """``work`` on what ``prepare`` makes of the samples, in groups; the results in the samples' order.

    Groups are prepared one after another in this thread, and each is worked on in a thread of its own as soon as it is
    ready: whatever reads the store never leaves this thread. The first error, or Ctrl-C, ends all groups.

    Args:
        prepare: One value a sample.
        work: One result a value, whatever other values it is done with.
        samples: What is worked on.
        waves: How many groups; 1: all samples in one, in this thread.
        models: Whom ``work`` asks, so that nothing more is asked when it ends early.
    """
    if waves < 2 or len(samples) < 2 * waves:
        return work(prepare(samples))
    bounds = [len(samples) * k // waves for k in range(waves + 1)]
    working: list[Future[list[R]]] = []
    idents: set[int] = set()

    def worked(group: Sequence[P]) -> list[R]:
        idents.add(threading.get_ident())
        return work(group)

    with _giving_way(), ThreadPoolExecutor(waves) as threads:
        try:
            for start, stop in pairwise(bounds):
                working.append(threads.submit(worked, prepare(samples[start:stop])))
            _wait(working)
            return [result for one in working for result in one.result()]
        except BaseException:
            _end(working, models, idents)
            raise


def _wait(working: Sequence[Future[list[R]]]) -> None:
    """Return when all groups are done, or raise what the first of them raises.

    It looks up now and then: Ctrl-C is noticed late where it comes just before a thread begins to wait.
    """
    while True:
        done, going_on = wait(working, timeout=LOOK_UP_SECONDS, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
        if not going_on:
            return


def _end(working: Sequence[Future[list[R]]], models: Collection[StreamingLLM], idents: Collection[int]) -> None:
    """Return when no group is worked on any more; one that goes on to its next stage is interrupted there."""
    for one in working:
        one.cancel()
    while True:
        for model in models:
            model.interrupt(idents)
        if not wait(working, timeout=_GIVE_WAY_SECONDS * 20).not_done:
            return


@contextmanager
def _giving_way() -> Iterator[None]:
    """Threads that compute give way sooner: else the one that sends and receives waits 5 ms behind each of them.

    The interval is the process's: whoever ends last of two at once may leave the short one, which harms nothing.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, _GIVE_WAY_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def waves_for(roles: Iterable[Role | None]) -> int:
    """How many waves pay: one where a model is in this process, for it can do one thing at a time."""
    asked = [role for role in roles if role is not None]
    return _WAVES if asked and len(streaming(asked)) == len(asked) else 1


def streaming(roles: Iterable[Role | None]) -> list[StreamingLLM]:
    """The models of these roles that can be asked many things at once."""
    models = (_asked(role.llm) for role in roles if role is not None)
    return [model for model in models if isinstance(model, StreamingLLM)]


def _asked(llm: LLM) -> LLM:
    """What stands behind a record of answers."""
    return getattr(llm, "llm", llm)
