"""Any OpenAI-compatible chat endpoint as a language model: concurrent requests, results in the order of the prompts.

Requests run in an event loop in a thread of its own, so that the synchronous interface also works inside a running
loop.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Collection, Coroutine, Sequence
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import numpy as np

from idiolect.errors import ConfigError
from idiolect.llm.base import Capability, Completion, EndpointError, Failure, SamplingParams, Schema, reason_and_remedy
from idiolect.llm.cache import Answer, DispatchClosedError, Receive, ResultDispatcher
from idiolect.llm.endpoint import Endpoint, OpenAIConfig, Question, denied
from idiolect.llm.registry import BackboneConfig
from idiolect.progress import Progress
from idiolect.types import Prompt

T = TypeVar("T")
LOOK_UP_SECONDS = 0.5
"""Seconds between the checks for signals of a waiting thread."""


class LoopThread:
    """Runs coroutines in a daemon thread until it is closed."""

    def __init__(self, name: str) -> None:
        self.events = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.events.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start ``work``; called from any other thread.

        Raises:
            RuntimeError: The call comes from the loop's own thread, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("the receiver of answers must not call the model")
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


class OpenAILLM:
    """A model behind an endpoint. Threads may share one; its limits hold for all of them together.

    Args:
        config: The endpoint and the model.
        rng: Jitter of retries; no result depends on it.
        progress: Show a bar while answers arrive.

    Raises:
        MissingDependencyError: The official client is not installed.
    """

    def __init__(self, config: OpenAIConfig, *, rng: np.random.Generator | None = None, progress: bool = False) -> None:
        self.config, self.progress = config, progress
        self.name = f"{config.model}@{config.revision}".removesuffix("@")
        self.identity = config.identity()
        self.price = config.price
        able: dict[Capability, bool] = {"schema": config.schemas, "seed": "seed" not in config.request.omit}
        self.supports: frozenset[Capability] = frozenset(what for what, yes in able.items() if yes)
        self._endpoint = Endpoint(config, rng or np.random.default_rng())
        self._loop = LoopThread(f"idiolect {config.model}")
        self._runs: dict[Future[None], int] = {}
        self._closer = weakref.finalize(self, _close, self._loop, self._endpoint)

    @classmethod
    def load(cls, config: BackboneConfig, *, progress: bool = False) -> OpenAILLM:
        """The model of the settings' endpoint; no request is sent yet. See ``registry.Backend``.

        Raises:
            ConfigError: The settings name no endpoint.
            MissingDependencyError: The official client is not installed.
        """
        if config.endpoint is None:
            raise ConfigError("the backend openai needs an endpoint", hint="set endpoint.model and endpoint.base_url")
        return cls(config.endpoint, progress=progress)

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """See ``LLM.generate``. A prompt without an answer has a ``Completion.failure``.

        Raises:
            EndpointError: The endpoint refused every prompt, for a reason that applies to any request.
        """
        answers: list[Answer] = []
        self.stream(prompts, params, answers.extend, schema=schema)
        return [answer.completion for answer in sorted(answers, key=lambda answer: answer.place)]

    def stream(
        self, prompts: Sequence[Prompt], params: SamplingParams, receive: Receive, *, schema: Schema | None = None
    ) -> None:
        """See ``StreamingLLM.stream`` and ``generate``."""
        if any(prompt.virtual_tokens for prompt in prompts):
            raise ConfigError(f"{self.name}: an endpoint takes no soft prompts", hint="use the backend 'transformers'")
        failures: list[Failure | None] = []
        with Progress(len(prompts), "ask", "prompt", shown=self.progress, keep=False) as bar:

            def received(answers: list[Answer]) -> None:
                receive(answers)
                failures.extend(answer.completion.failure for answer in answers)
                bar.update(len(answers))

            self._dispatch(prompts, Question(params, schema), ResultDispatcher(received))
        self._refuse_if_denied(failures)

    def interrupt(self, threads: Collection[int]) -> None:
        """See ``StreamingLLM.interrupt``."""
        for run, thread in list(self._runs.items()):
            if thread in threads:
                run.cancel()

    def _dispatch(self, prompts: Sequence[Prompt], question: Question, dispatcher: ResultDispatcher) -> None:
        """Return, or raise, when all answers were received or the receiver is closed."""
        run: Future[None] | None = None
        try:
            run = self._loop.submit(self._run(prompts, question, dispatcher))
            self._runs[run] = threading.get_ident()
            while wait([run], timeout=LOOK_UP_SECONDS).not_done:
                pass  # Ctrl-C just before a thread begins to wait is handled late
            run.result()
        finally:
            # If the interrupt comes before there is a run to cancel, the first answer that is not received ends the
            # run.
            dispatcher.close()
            if run is not None:
                run.cancel()
                self._runs.pop(run, None)
        if dispatcher.fault is not None:
            raise dispatcher.fault

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """Not supported by chat endpoints.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.name}: a chat endpoint gives no likelihoods", hint="use the backend 'transformers'")

    def close(self) -> None:
        """Cancel requests in flight, close connections and end the thread; the model cannot be used afterwards."""
        self._closer()

    def __enter__(self) -> OpenAILLM:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _run(self, prompts: Sequence[Prompt], question: Question, dispatcher: ResultDispatcher) -> None:
        waiting = iter(enumerate(prompts))
        refusals: list[Failure] = []  # after the first one, further requests would be refused as well

        async def work() -> None:
            for place, prompt in waiting:
                if refusals:
                    await dispatcher.give(Answer(place, denied(refusals[0])))
                    continue
                async with self._endpoint.complete(prompt, question) as completion:
                    if completion.failure and completion.failure.kind == "denied":
                        refusals.append(completion.failure)
                    await dispatcher.give(Answer(place, completion))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.config.limits.concurrency, len(prompts))):
                    group.create_task(work())
        except ExceptionGroup as errors:
            first = errors.exceptions[0]
            if not isinstance(first, DispatchClosedError):
                raise first from None

    def _refuse_if_denied(self, failures: Sequence[Failure | None]) -> None:
        if failures and failures[0] and all(one and one.kind == "denied" for one in failures):
            failure = failures[0]
            _, hint = reason_and_remedy(failure)
            if not hint.startswith("set "):
                hint = f"{hint}; the key is read from {self.config.api_key_env}"
            raise EndpointError(
                f"{self.config.base_url} refuses {self.name}: {failure.message or failure.kind}", hint=hint
            )


def _close(loop: LoopThread, endpoint: Endpoint) -> None:
    loop.close(endpoint.close())
