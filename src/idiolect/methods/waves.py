"""Groups of samples side by side: while an endpoint answers one, another is compared, checked and asked about."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

from idiolect.llm.base import LLM
from idiolect.llm.streaming import StreamingLLM
from idiolect.methods.roles import Role

P = TypeVar("P")
S = TypeVar("S")
R = TypeVar("R")

_WAVES = 12
_GIVE_WAY_SECONDS = 0.001


def in_waves(
    prepare: Callable[[Sequence[S]], list[P]], work: Callable[[Sequence[P]], list[R]], samples: Sequence[S], waves: int
) -> list[R]:
    """``work`` on what ``prepare`` makes of the samples, in groups; the results in the samples' order.

    Groups are prepared one after another in this thread, and each is worked on in a thread of its own as soon as it is
    ready: whatever reads the store never leaves this thread.

    Args:
        prepare: One value a sample.
        work: One result a value, whatever other values it is done with.
        samples: What is worked on.
        waves: How many groups; 1: all samples in one, in this thread.
    """
    if waves < 2 or len(samples) < 2 * waves:
        return work(prepare(samples))
    bounds = [len(samples) * k // waves for k in range(waves + 1)]
    groups = (prepare(samples[start:stop]) for start, stop in pairwise(bounds))
    with _giving_way(), ThreadPoolExecutor(waves) as threads:
        return [result for results in threads.map(work, groups) for result in results]


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
    models = [role.llm for role in roles if role is not None]
    return _WAVES if models and all(isinstance(_asked(llm), StreamingLLM) for llm in models) else 1


def _asked(llm: LLM) -> LLM:
    """What stands behind a record of answers."""
    return getattr(llm, "llm", llm)
