"""Open a language model: in this process, or a copy in every worker of a Ray cluster, each with a share of a call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from idiolect.engine import LOCAL, Engine, RayEngine, RayWorkers
from idiolect.llm.base import LLM, Capability, Completion, SamplingParams, Schema, TokenLikelihood, TokenNats
from idiolect.llm.cache import Cache, CachedLLM
from idiolect.llm.registry import ENDPOINTS, BackboneConfig, backend_of, load_llm, require_packages
from idiolect.llm.shared import by_length
from idiolect.types import Prompt

R = TypeVar("R")

_LARGEST = 64
"""Batches of the backbone's size that a worker is given at once: less overhead per prompt, and vLLM fills itself."""
_TURNS = 4
"""Tasks per worker, so that those that end early can take more."""


class _About(NamedTuple):
    """What is the same of every worker's model."""

    name: str
    identity: str
    supports: frozenset[Capability]
    gives_tokens: bool


Task = Callable[[LLM], Any]
"""What a worker does with its model."""


class WorkersLLM:
    """A model whose calls are shared over the workers of a cluster, which hold a copy each.

    Texts and likelihoods are those of one process, up to the rounding of batches that are padded differently. Order is
    kept. One call at a time.

    Args:
        workers: Actors made with ``worker_model``.
        batch: Prompts that a model computes together.
    """

    def __init__(self, workers: RayWorkers, batch: int) -> None:
        self._workers, self._batch, self._lock = workers, batch, threading.Lock()
        self._about: _About = next(iter(workers.map([_about])))

    @property
    def gives_tokens(self) -> bool:
        """Whether the model is a ``TokenLikelihood``."""
        return self._about.gives_tokens

    @property
    def name(self) -> str:
        """That of the model."""
        return self._about.name

    @property
    def identity(self) -> str:
        """For the cache of answers."""
        return self._about.identity

    @property
    def supports(self) -> frozenset[Capability]:
        """Those of the model."""
        return self._about.supports

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``."""
        more = {} if schema is None else {"schema": schema}
        return self._shared(prompts, lambda own: partial(_generate, [prompts[i] for i in own], params, more))

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """See ``LLM.negative_log_likelihood``."""
        pairs = list(zip(prompts, references, strict=True))

        def task(own: Sequence[int]) -> Task:
            return partial(_likelihoods, [pairs[i] for i in own])

        return np.array(self._shared(prompts, task), dtype=np.float64)

    def _shared(self, prompts: Sequence[Prompt], task: Callable[[Sequence[int]], Callable[[LLM], list[R]]]) -> list[R]:
        """The results of the tasks of the prompts' batches, in the order of the prompts."""
        order = by_length(prompts)
        batches = -(-len(order) // self._batch)
        size = self._batch * min(_LARGEST, max(1, batches // (_TURNS * self._workers.count)))
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        results: list[R | None] = [None] * len(order)
        with self._lock:
            for own, found in zip(groups, self._workers.map(task(own) for own in groups), strict=True):
                for place, result in zip(own, found, strict=True):
                    results[place] = result
        return results  # type: ignore[return-value]


class WorkersTokenLLM(WorkersLLM):
    """The same of a model that gives the likelihood of every token."""

    def token_nats(self, prompts: Sequence[Prompt], references: Sequence[str]) -> list[TokenNats]:
        """See ``TokenLikelihood.token_nats``."""
        pairs = list(zip(prompts, references, strict=True))
        return self._shared(prompts, lambda own: partial(_token_nats, [pairs[i] for i in own]))


@contextmanager
def open_llm(
    config: BackboneConfig, *, cache: Path | None = None, engine: Engine = LOCAL, progress: bool = False
) -> Iterator[LLM]:
    """The language model that the settings name, as a context manager that closes its resources.

    Args:
        config: The model and how it runs.
        cache: File of recorded answers, created if absent; None: no answer is recorded or reused.
        engine: Where it runs. A model behind an endpoint is asked by this process in any case.
        progress: Show progress bars.

    Raises:
        ArtifactError: The file is no cache.
        EngineError: A batch was lost with its worker several times.
        IdiolectError: See ``load_llm``.
    """
    with ExitStack() as stack:
        record = None if cache is None else stack.enter_context(Cache(cache))
        if isinstance(engine, RayEngine) and backend_of(config) not in ENDPOINTS:
            llm: LLM = stack.enter_context(_open_workers(config, engine))
        else:
            llm = load_llm(config, progress=progress)
            if isinstance(llm, AbstractContextManager):
                stack.enter_context(llm)
        yield llm if record is None else CachedLLM(llm, record)


@contextmanager
def _open_workers(config: BackboneConfig, engine: RayEngine) -> Iterator[WorkersLLM]:
    """The model in every worker, one per GPU, or per processor if there is none."""
    require_packages(backend_of(config))
    workers = engine.start(partial(worker_model, config), gpu=config.device != "cpu")
    try:
        found = WorkersLLM(workers, config.batch_size)
        yield WorkersTokenLLM(workers, config.batch_size) if found.gives_tokens else found
    finally:
        workers.close()


def worker_model(config: BackboneConfig) -> Callable[[Task], Any]:
    """What a worker does: load the model, then tasks with it."""
    llm = load_llm(config)
    return lambda task: task(llm)


def _about(llm: LLM) -> _About:
    identity = str(getattr(llm, "identity", llm.name))
    return _About(llm.name, identity, llm.supports, isinstance(llm, TokenLikelihood))


def _generate(prompts: list[Prompt], params: SamplingParams, more: dict[str, Any], llm: LLM) -> list[Completion]:
    return llm.generate(prompts, params, **more)


def _likelihoods(pairs: list[tuple[Prompt, str]], llm: LLM) -> list[float]:
    return llm.negative_log_likelihood([prompt for prompt, _ in pairs], [text for _, text in pairs]).tolist()


def _token_nats(pairs: list[tuple[Prompt, str]], llm: Any) -> list[TokenNats]:
    return llm.token_nats([prompt for prompt, _ in pairs], [text for _, text in pairs])
