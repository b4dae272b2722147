"""The interface of language models: a list of prompts in, completions in the same order out.

Also sampling parameters, usage and prices, remedies for failures, and the default length of prompts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from pydantic import Field

from idiolect.config import Config
from idiolect.errors import ArtifactError, IdiolectError
from idiolect.prompts.tasks import DEFAULT
from idiolect.types import Failure, Prompt

_REMEDIES = {
    "rate_limited": "lower the request rate (endpoint.limits), or wait longer (endpoint.retry.deadline_s)",
    "connection": "check endpoint.base_url, and that a server is running there",
    "timeout": "try again, or raise endpoint.retry.timeout_s",
    "malformed": "check endpoint.base_url: the server there is no chat endpoint",
    "context_too_long": "set endpoint.request.max_prompt_chars, or a smaller context.k",
    "unfinished_thinking": "raise sampling.max_new_tokens",
    "wrong_field": "turn the server's reasoning parser off, or the model's thinking on",
    "oversized": "check that the server keeps to the token limit, or raise endpoint.limits.max_reply_bytes",
    "refused": "see what the endpoint says of the request",
    "denied": "check endpoint.base_url, endpoint.model and the key",
}


def reason_and_remedy(failure: Failure) -> tuple[str, str]:
    """Why there is no answer, in one line, and what to do about it.

    Example:
        >>> reason_and_remedy(Failure(kind="timeout", message="no reply in time"))
        ('timeout: no reply in time', 'try again, or raise endpoint.retry.timeout_s')
    """
    return str(failure), failure.hint or _REMEDIES.get(failure.kind, "try again later")


def one_line(text: str, limit: int = 300) -> str:
    """``text`` without line breaks, cut at ``limit`` characters."""
    line = " ".join(text[: 20 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


class EndpointError(IdiolectError):
    """An endpoint refuses every request: wrong key, unknown model, no credit."""

    exit_code = 7


Capability = Literal["soft", "likelihood", "schema", "seed"]
Schema = Mapping[str, Any]
"""A JSON schema that an answer must conform to."""

# Replicates of neighbouring seeds must not meet: a prime above any number of draws.
_REPLICATE_STRIDE = 1_000_003


class SamplingParams(Config):
    """Sampling of tokens. The defaults are the DEP paper's (appendix C.2.3)."""

    temperature: float = Field(default=0.8, ge=0)
    """0 is greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Tokens are drawn among the likeliest that together have this probability."""
    max_new_tokens: int = Field(default=512, gt=0)
    """Longest text that is written, thinking included."""
    seed: int = 0
    """Seed of the sampling alone; no global generator is seeded. It is part of the cache key, so it is also the index
    of a repeated draw if a backend takes no seed."""

    def replicate(self, k: int) -> SamplingParams:
        """The parameters of the ``k``-th independent draw for the same prompt; the 0-th has these."""
        return self.model_copy(update={"seed": self.seed + k * _REPLICATE_STRIDE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One answer and its usage."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    kept_entries: tuple[int, ...] = ()
    """History entries that fitted the budget."""
    seconds: float = 0.0
    """Wall time of the batch divided by its size; for an endpoint, of the prompt itself, pauses and retries
    included."""
    thinking: str = ""
    """The thinking of a reasoning model before its answer; never part of ``text``."""
    thinking_tokens: int = 0
    """How many of the completion's tokens are thinking."""
    parted: bool = False
    """Thinking was found and removed from ``text``; the text is not searched for it again."""
    truncated: bool = False
    """The answer was cut off at ``max_new_tokens``."""
    cut_prompt: bool = False
    """The endpoint counts far fewer prompt tokens than were sent: most likely it cut the prompt."""
    failure: Failure | None = None
    """Why there is no answer; ``text`` is then empty."""
    requests: int = 1
    """Number of requests, retries included."""
    cost: float = 0.0
    """In the currency of the endpoint's price."""
    cached: bool = False
    """Read from the answer cache; counts are those of the original call."""


class LLM(Protocol):
    """A model that continues prompts."""

    @property
    def name(self) -> str:
        """Model and revision, for records."""
        ...

    @property
    def supports(self) -> frozenset[Capability]:
        """Supported features; checked when a method is built."""
        ...

    def generate(
        self, prompts: Sequence[Prompt], params: SamplingParams, *, schema: Schema | None = None
    ) -> list[Completion]:
        """One completion per prompt, in order.

        Args:
            prompts: What to continue.
            params: Sampling of tokens.
            schema: Schema of every answer; only if ``supports`` has ``schema``.
        """
        ...

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """float64 (n,): nats of each whole reference given its prompt (end-of-turn token included)."""
        ...


class Wrapped:
    """A model around another one: what a subclass does not change is that of the other one."""

    def __init__(self, llm: LLM) -> None:
        self.llm = llm

    @property
    def name(self) -> str:
        """Of the model."""
        return self.llm.name

    @property
    def supports(self) -> frozenset[Capability]:
        """Those of the model."""
        return self.llm.supports

    def negative_log_likelihood(self, prompts: Sequence[Prompt], references: Sequence[str]) -> np.ndarray:
        """See ``LLM.negative_log_likelihood``."""
        return self.llm.negative_log_likelihood(prompts, references)


class TokenNats(NamedTuple):
    """The likelihood of one reference, token by token."""

    nats: np.ndarray
    """float64 (n,): negative log-likelihood of each token, the end-of-turn token last."""
    spans: np.ndarray | None
    """int64 (n, 2): begin and end of each token in characters of the reference; None: not known."""


@runtime_checkable
class TokenLikelihood(Protocol):
    """A model that gives the likelihood of every token: one in this process."""

    def token_nats(self, prompts: Sequence[Prompt], references: Sequence[str]) -> list[TokenNats]:
        """The nats of every token of each reference given its prompt."""
        ...


class Price(Config):
    """Price of an endpoint, in any currency."""

    prompt: float = Field(default=0.0, ge=0)
    """Per million prompt tokens."""
    completion: float = Field(default=0.0, ge=0)
    """Per million completion tokens, thinking included."""

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of one call."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


def price_of(llm: object) -> Price | None:
    """The price of a language model, also one behind a cache; None if it is unknown."""
    price = getattr(getattr(llm, "llm", llm), "price", None)
    return price if isinstance(price, Price) and price != Price() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Usage summed over completions. A cached answer counts with the usage of its original call."""

    calls: int = 0
    """Completions asked for."""
    cached: int = 0
    """Calls that were answered without a request."""
    failed: int = 0
    truncated: int = 0
    """Answers that were cut off at the token limit."""
    cut_prompts: int = 0
    """Answers to prompts that the endpoint seems to have cut."""
    unreadable: int = 0
    """Answers that could not be parsed; counted by the stage that parses them."""
    retries: int = 0
    """Requests beyond the first of each call."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Thinking included."""
    thinking_tokens: int = 0
    seconds: float = 0.0
    """Sum of ``Completion.seconds``; for an endpoint these are latencies, which overlap."""
    cost: float = 0.0
    """Cost of the answers, cached ones included, in the currency of ``Price``."""
    spent: float = 0.0
    """The part of ``cost`` that this run paid."""

    @classmethod
    def of(cls, completions: Iterable[Completion]) -> Usage:
        """The sum over ``completions``."""
        return cls.total(cls._one(completion) for completion in completions)

    @classmethod
    def total(cls, parts: Iterable[Usage]) -> Usage:
        """The sum over ``parts``."""
        columns = zip(*map(_values, parts), strict=True)
        return cls(**dict(zip(_NAMES, map(sum, columns), strict=False)))  # no parts, no columns

    @classmethod
    def _one(cls, completion: Completion) -> Usage:
        return cls(
            calls=1,
            cached=int(completion.cached),
            failed=int(completion.failure is not None),
            truncated=int(completion.truncated and completion.failure is None),
            cut_prompts=int(completion.cut_prompt),
            retries=max(0, completion.requests - 1),
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            thinking_tokens=completion.thinking_tokens,
            seconds=completion.seconds,
            cost=completion.cost,
            spent=0.0 if completion.cached else completion.cost,
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage.total((self, other))


_NAMES = tuple(field.name for field in fields(Usage))
_values = attrgetter(*_NAMES)

CUT_PROMPT = "set endpoint.request.max_prompt_chars, or raise the server's context (num_ctx of Ollama)"
"""The remedy for an endpoint that cuts prompts."""


def remarks(took: Mapping[str, Usage]) -> Iterator[str]:
    """Notes on incomplete answers, one sentence each.

    Args:
        took: Usage by stage.

    Example:
        >>> list(remarks({"write": Usage(calls=3, truncated=1)}))
        ['1 of 3 texts were cut off at the token limit: raise sampling.max_new_tokens']
    """
    for stage, one in took.items():
        if one.truncated:
            what = "texts" if stage == "write" else f"answers of the stage {stage}"
            cut = f"{one.truncated} of {one.calls} {what} were cut off at the token limit"
            yield f"{cut}: raise sampling.max_new_tokens"
        if one.unreadable:
            answers = one.calls - one.failed
            said = f"unreadable: {one.unreadable} of {answers} answers of the stage {stage}"
            failed = ": the stage failed, and the texts were written without it"
            yield said + (failed if one.unreadable == answers and stage != "judge" else "")
        if one.cut_prompts:
            yield (
                f"the endpoint seems to have cut {one.cut_prompts} of {one.calls} prompts of the stage {stage}: it "
                f"counts far fewer tokens than were sent: {CUT_PROMPT}"
            )


_USUAL = 2048
"""Source: DEP paper, appendix C.2.3."""
_ANSWER = 256
"""Tokens of a model's context that are reserved for its answer."""


class Budget(NamedTuple):
    """Lengths in tokens."""

    prompt: int
    """Longest prompt, in tokens."""
    history: int
    """Longest prompt with history entries; further entries are dropped."""


def budget(asked: int | None, where: Path, positions: int | None) -> Budget:
    """The configured budget, or one that fits the model.

    A model that was pretrained on short documents writes garbage after longer prompts, even if it has more positions.
    For a model of ``pretrain``, history is therefore limited to the length of its documents.

    Args:
        asked: ``BackboneConfig.max_prompt_tokens``.
        where: The model's folder, if it is one.
        positions: How many tokens the model has positions for; None: unknown.

    Raises:
        ArtifactError: The record that ``pretrain`` left in the folder cannot be read.
    """
    if asked is not None:
        return Budget(asked, asked)
    most = _USUAL if positions is None else min(_USUAL, positions - min(_ANSWER, positions // 2))
    return Budget(most, min(most, _learnt(where) or most))


def _learnt(where: Path) -> int | None:
    """The longest prompt that a model of ``pretrain`` was trained on."""
    return _of_recipe(where, lambda recipe: int(recipe["max_tokens"]) - int(recipe["reference_tokens"]))


def pretrained_task(where: Path) -> str | None:
    """The task of the prompts that a model of ``pretrain`` was trained on; None for any other model.

    Args:
        where: The model's folder.

    Raises:
        ArtifactError: The record that ``pretrain`` left in the folder cannot be read.
    """
    return _of_recipe(where, lambda recipe: str(recipe["documents"].get("task", DEFAULT)))  # once, all were reviews


T = TypeVar("T")


def _of_recipe(where: Path, read: Callable[[dict[str, Any]], T]) -> T | None:
    path = where / "pretrain.json"
    if not path.is_file():
        return None
    try:
        return read(json.loads(path.read_text(encoding="utf-8"))["recipe"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{str(path)!r} is no record of pretrain", hint="restore it") from error
