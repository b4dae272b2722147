"""What completions took, summed: per stage, per method, per run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter

from pydantic import Field

from idiolect.config import Config
from idiolect.llm.base import Completion


class Price(Config):
    """What an endpoint charges, in any one currency."""

    prompt: float = Field(default=0.0, ge=0)
    """Per million prompt tokens."""
    completion: float = Field(default=0.0, ge=0)
    """Per million completion tokens, thinking included."""

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of one call."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


def price_of(llm: object) -> Price | None:
    """What a language model charges, behind a record of answers too; None where nothing is known of a price."""
    price = getattr(getattr(llm, "llm", llm), "price", None)
    return price if isinstance(price, Price) and price != Price() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A sum over completions. Answers from the cache count with what they took when they were made."""

    calls: int = 0
    """Completions asked for."""
    cached: int = 0
    """Of these, answered without a request."""
    failed: int = 0
    truncated: int = 0
    """Answers that were cut off at the token limit."""
    cut_prompts: int = 0
    """Answers to prompts of which the endpoint seems to have read a part only."""
    unreadable: int = 0
    """Answers that could not be read as what was asked for; counted by whoever reads them."""
    retries: int = 0
    """Requests beyond the first of each call."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Thinking included."""
    thinking_tokens: int = 0
    seconds: float = 0.0
    """Sum of ``Completion.seconds``: at an endpoint of the latencies, which overlap."""
    cost: float = 0.0
    """What the answers are worth, in the currency of ``Price``."""
    spent: float = 0.0
    """The part of ``cost`` that was paid now."""

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
"""What to do about an endpoint that does not read all of a prompt."""


def remarks(took: Mapping[str, Usage]) -> Iterator[str]:
    """What a reader has to know of answers that came and are not whole, one sentence each.

    Args:
        took: By stage.

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
                f"the endpoint seems to have read only a part of {one.cut_prompts} of {one.calls} prompts of the stage "
                f"{stage}, because it counts far fewer tokens than it was sent: {CUT_PROMPT}"
            )
